package ike2

import (
	"bytes"
	"encoding/binary"

	"lockstep/internal/wire/isakmp"
)

// MaxMessage is the longest message that is parsed, in octets: what a UDP datagram can hold at most.
const MaxMessage = 1<<16 - 1

// Message is an IKEv2 message as it is on the wire: payloads in the clear, of which the last may be an SK or
// SKF payload with its content still sealed.
type Message struct {
	isakmp.Header
	Payloads []Payload
}

// Parse reads one whole message without the non-ESP marker. The header must be of major version 2 (others are
// for the caller to answer, RFC 7296 §2.5), its length that of b. An SK or SKF payload must be the last one
// (RFC 7296 §3.1). Errors are *SyntaxError and *CriticalError; with either of them the header alone comes back
// in the message, if there was one, so that the caller can tell whose message it was.
func Parse(b []byte) (*Message, error) {
	h, err := isakmp.ParseHeader(b)
	if err != nil {
		return &Message{Header: h}, &SyntaxError{What: err.Error()}
	}
	m := &Message{Header: h}
	switch {
	case len(b) > MaxMessage:
		return m, syntaxf(24, "%d octets, at most %d are accepted", len(b), MaxMessage)
	case h.Major() != 2:
		return m, syntaxf(17, "major version %d, not 2", h.Major())
	}
	ps, err := parseChain(PayloadType(h.NextPayload), bytes.Clone(b), isakmp.HeaderLen, true)
	if err != nil {
		return m, err
	}
	m.Payloads = ps
	return m, nil
}

// Append appends the message to b. NextPayload and Length on the wire follow from the payloads; m itself is not
// changed. Everything else of the header is written as it stands.
func (m *Message) Append(b []byte) []byte {
	start := len(b)
	h := m.Header
	h.NextPayload = uint8(First(m.Payloads))
	b = AppendPayloads(h.Append(b), m.Payloads)
	binary.BigEndian.PutUint32(b[start+24:], uint32(len(b)-start))
	return b
}
