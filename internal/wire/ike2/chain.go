package ike2

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Length of the generic payload header: next payload, critical bit, length (RFC 7296 §3.2).
const genericLen = 4

const criticalBit = 0x80

// MaxPayloads bounds the payloads of one message. Real ones have about a dozen; a peer with many certificates
// or addresses twenty or thirty.
const MaxPayloads = 64

// ParsePayloads reads the payloads that a decrypted SK payload holds (padding removed): first is the type of
// the first one, SK.First; b must be used up exactly by the chain. An SK or SKF payload in it is an error (RFC
// 7296 §3.1). Errors are *SyntaxError and *CriticalError; offsets count from the start of b.
func ParsePayloads(first PayloadType, b []byte) ([]Payload, error) {
	return parseChain(first, bytes.Clone(b), 0, false)
}

// parseChain reads payloads from b[off:] to the end of b. It keeps parts of b. With encrypted, an SK or SKF
// payload may end the chain.
func parseChain(next PayloadType, b []byte, off int, encrypted bool) ([]Payload, error) {
	var ps []Payload
	for next != PayloadNone {
		kind := next
		if len(ps) == MaxPayloads {
			return nil, &SyntaxError{kind, off, fmt.Sprintf("more than %d payloads", MaxPayloads)}
		}
		rest := b[off:]
		if len(rest) < genericLen {
			return nil, &SyntaxError{kind, off, fmt.Sprintf("%d octets are left for its header of %d", len(rest), genericLen)}
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < genericLen || n > len(rest) {
			return nil, &SyntaxError{kind, off + 2, fmt.Sprintf("length %d, must be %d to %d", n, genericLen, len(rest))}
		}
		next = PayloadType(rest[0])
		sealed := kind == PayloadSK || kind == PayloadSKF
		if sealed && !encrypted {
			return nil, &SyntaxError{kind, off, "inside an encrypted payload"}
		}
		p, err := parseBody(kind, rest[1]&criticalBit != 0, next, rest[genericLen:n:n])
		if err != nil {
			return nil, placed(err, kind, off+genericLen)
		}
		ps = append(ps, p)
		off += n
		if sealed {
			break // RFC 7296 §3.14: its Next Payload names the first payload inside, so the chain ends here
		}
	}
	if off != len(b) {
		return nil, &SyntaxError{PayloadNone, off, fmt.Sprintf("%d octets after the last payload", len(b)-off)}
	}
	return ps, nil
}

// placed completes the error of a body parser with payload type and position.
func placed(err error, kind PayloadType, base int) error {
	if s, ok := err.(*SyntaxError); ok {
		return &SyntaxError{kind, base + s.Offset, s.What}
	}
	return err
}

// parseBody reads one payload's body. next is the Next Payload field of its header, which SK and SKF keep.
func parseBody(kind PayloadType, critical bool, next PayloadType, b []byte) (Payload, error) {
	switch kind {
	case PayloadSA:
		return parsed(parseSA(b))
	case PayloadKE:
		return parsed(parseKE(b))
	case PayloadIDi, PayloadIDr:
		return parsed(parseID(kind == PayloadIDi, b))
	case PayloadCERT:
		return parsed(parseCert(b))
	case PayloadCERTREQ:
		return parsed(parseCertReq(b))
	case PayloadAUTH:
		return parsed(parseAuth(b))
	case PayloadNonce:
		return parsed(parseNonce(b))
	case PayloadNotify:
		return parsed(parseNotify(b))
	case PayloadDelete:
		return parsed(parseDelete(b))
	case PayloadVendor:
		return &Vendor{Data: b}, nil
	case PayloadTSi, PayloadTSr:
		return parsed(parseTS(kind == PayloadTSi, b))
	case PayloadSK:
		return &SK{First: next, Body: b}, nil
	case PayloadCP:
		return parsed(parseCP(b))
	case PayloadEAP:
		return parsed(parseEAP(b))
	case PayloadSKF:
		return parsed(parseSKF(next, b))
	}
	if critical {
		return nil, &CriticalError{kind}
	}
	return &Unknown{Kind: kind, Body: b}, nil
}

// parsed turns a body parser's answer into the interfaces, without a typed nil in either.
func parsed[P Payload](p P, err *SyntaxError) (Payload, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

// First is the type of the first of ps, for the Next Payload field of what stands before them.
func First(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return PayloadNone
	}
	return ps[0].Type()
}

// AppendPayloads appends ps to b, each behind a generic header that names the next one's type. The last one
// names none, or, if it is SK or SKF, the first payload inside (RFC 7296 §3.2, §3.14).
func AppendPayloads(b []byte, ps []Payload) []byte {
	for i, p := range ps {
		start := len(b)
		b = append(b, byte(nextAfter(p, ps[i+1:])), criticalFlag(p), 0, 0)
		b = p.AppendBody(b)
		binary.BigEndian.PutUint16(b[start+2:], uint16(min(len(b)-start, 0xffff)))
	}
	return b
}

func nextAfter(p Payload, rest []Payload) PayloadType {
	switch p := p.(type) {
	case *SK:
		return p.First
	case *SKF:
		return p.First
	}
	return First(rest)
}

// criticalFlag is the critical bit: 0 for all payloads of the RFC (RFC 7296 §2.5).
func criticalFlag(p Payload) byte {
	if u, ok := p.(*Unknown); ok && u.Critical {
		return criticalBit
	}
	return 0
}
