package spi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

const (
	keyLen = 16
	// maxMarks is how many past counters an epoch remembers; they are at least a quarter of the memory of SPIs apart,
	// so they reach beyond it.
	maxMarks = 8
	// maxEpochs: the running key and the one before.
	maxEpochs = 2
	// magic starts the identity file; its last octet is the version of the layout.
	magic = "LSTEPID\x01"
)

// mark says that every counter below counter had been issued at that time.
type mark struct {
	at      time.Time
	counter uint64
}

// epoch is the life of one SPI key.
type epoch struct {
	number uint32
	key    [keyLen]byte
	node   Node
	lease  uint64 // counters below may have been issued; what is on disk
	marks  []mark // oldest first
}

// record is the content of the identity file.
type record struct {
	generation uint64
	created    time.Time
	epochs     []epoch // running one first
}

// limit is the end of an epoch's counters, exclusive. Counters start at reserved, so that node and counter together
// always lie in the permutation's domain.
func (e *epoch) limit() uint64 { return 1 << (32 - e.node.Bits) }

// plain is what is encrypted: the node's number in the high bits, the counter below.
func (e *epoch) plain(counter uint64) uint32 {
	return uint32(uint64(e.node.Number)<<(32-e.node.Bits) | counter)
}

// counterOf takes a decrypted SPI apart, false if it is another node's.
func (e *epoch) counterOf(plain uint32) (uint64, bool) {
	shift := 32 - e.node.Bits
	return uint64(plain) & (1<<shift - 1), uint64(plain)>>shift == uint64(e.node.Number)
}

var byteOrder = binary.BigEndian

// marshal writes magic, generation, creation time, epochs and a CRC-32C over all of it. Times are nanoseconds since
// 1970.
func (r *record) marshal() []byte {
	b := append([]byte(nil), magic...)
	b = byteOrder.AppendUint64(b, r.generation)
	b = byteOrder.AppendUint64(b, uint64(r.created.UnixNano()))
	b = append(b, byte(len(r.epochs)))
	for _, e := range r.epochs {
		b = byteOrder.AppendUint32(b, e.number)
		b = append(b, e.key[:]...)
		b = append(b, e.node.Bits, e.node.Number)
		b = byteOrder.AppendUint64(b, e.lease)
		b = append(b, byte(len(e.marks)))
		for _, m := range e.marks {
			b = byteOrder.AppendUint64(b, uint64(m.at.UnixNano()))
			b = byteOrder.AppendUint64(b, m.counter)
		}
	}
	return byteOrder.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

var errTruncated = errors.New("truncated")

// unmarshal reads what marshal wrote, and refuses anything else.
func unmarshal(b []byte) (*record, error) {
	if len(b) < len(magic)+4 {
		return nil, errTruncated
	}
	if string(b[:len(magic)]) != magic {
		return nil, errors.New("not an identity file of this version")
	}
	body, sum := b[:len(b)-4], byteOrder.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, errors.New("checksum does not match")
	}
	in := reader{rest: body[len(magic):]}
	r := &record{generation: in.uint64(), created: in.time()}
	for range in.count(maxEpochs) {
		e := epoch{number: uint32(in.uint(4))}
		copy(e.key[:], in.bytes(keyLen))
		e.node = Node{Bits: uint8(in.uint(1)), Number: uint8(in.uint(1))}
		e.lease = in.uint64()
		for range in.count(maxMarks) {
			e.marks = append(e.marks, mark{in.time(), in.uint64()})
		}
		r.epochs = append(r.epochs, e)
	}
	if in.err == nil && len(in.rest) != 0 {
		in.err = fmt.Errorf("%d octets too many", len(in.rest))
	}
	if in.err != nil {
		return nil, in.err
	}
	return r, r.check()
}

// check refuses what no marshal of ours could have meant.
func (r *record) check() error {
	if len(r.epochs) == 0 {
		return errors.New("no key")
	}
	for _, e := range r.epochs {
		if err := e.node.check(); err != nil {
			return err
		}
		if e.lease < reserved || e.lease > e.limit() {
			return fmt.Errorf("leased counter %d outside %d..%d", e.lease, reserved, e.limit())
		}
	}
	return nil
}

// reader takes fields off the front; after the first error it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (in *reader) bytes(n int) []byte {
	if in.err != nil || len(in.rest) < n {
		in.err = errors.Join(in.err, errTruncated)
		return make([]byte, n)
	}
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b
}

func (in *reader) uint(n int) (v uint64) {
	for _, b := range in.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (in *reader) uint64() uint64  { return in.uint(8) }
func (in *reader) time() time.Time { return time.Unix(0, int64(in.uint64())) }

// count reads the length of a list, at most most.
func (in *reader) count(most int) int {
	n := int(in.uint(1))
	if n > most {
		in.err = errors.Join(in.err, fmt.Errorf("list of %d, at most %d", n, most))
		return 0
	}
	return n
}
