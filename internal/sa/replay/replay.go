// Package replay decides whether an ESP sequence number is new (RFC 4303 §3.4.3), with the block ring of RFC 6479 and
// the extended sequence numbers of RFC 4303 Appendix A. It never looks at packets, keys or SAs.
//
// A Window belongs to one inbound SA. Callers serialise its use: Check before the integrity check, Accept after it and
// under the same lock that orders all packets of the SA.
//
// The package is pure.
package replay

import "math/bits"

// Usable window sizes in packets. IOS starts at 64; below that reordering alone would lose traffic.
const (
	MinSize     = 64
	MaxSize     = 8192
	DefaultSize = 1024
)

const blockBits = 64

// Window remembers which of the newest sequence numbers were seen. Make one with New; a copy shares the bits with its
// original, so a Window stays where it was made.
type Window struct {
	top    uint64   // highest number accepted, 0 at first
	size   uint64   // W: numbers at or below top-size are too old
	blocks []uint64 // a power of two of them; number s is bit s%64 of block (s/64) % len
}

// New returns an empty window of size packets, which is brought into MinSize..MaxSize.
func New(size int) Window {
	size = min(max(size, MinSize), MaxSize)
	// One block more than the window fills: the block that top lies in is only partly old (RFC 6479 §2).
	need := (size+blockBits-1)/blockBits + 1
	ring := 1 << bits.Len(uint(need-1))
	return Window{size: uint64(size), blocks: make([]uint64, ring)}
}

// Size is the number of packets the window holds.
func (w *Window) Size() int { return int(w.size) }

// Top is the highest number accepted so far, 0 if there was none.
func (w *Window) Top() uint64 { return w.top }

// Resume sets the window behind a crash: everything up to and including top counts as seen (protocol.md §3.3).
func (w *Window) Resume(top uint64) {
	w.top = top
	for i := range w.blocks {
		w.blocks[i] = ^uint64(0)
	}
	// The bits above top in its own block are numbers still to come.
	w.blocks[w.block(top)] = ^uint64(0) >> (blockBits - 1 - top%blockBits)
}

// SeqHigh infers the high half of an extended sequence number from the low half on the wire (RFC 4303 App. A2.1),
// 0 without ESN. A wrong guess is found by the integrity check, which covers it.
func (w *Window) SeqHigh(low uint32, esn bool) uint32 {
	if !esn {
		return 0
	}
	topHigh, topLow := uint32(w.top>>32), uint32(w.top)
	size := uint32(w.size)
	if topLow >= size-1 { // case A: the window lies within one 2^32
		if low >= topLow-size+1 {
			return topHigh
		}
		return topHigh + 1
	}
	// Case B: the window reaches back into the 2^32 before. There is none before the first: such a number can only be a
	// leap forward of the sender.
	if topHigh > 0 && low >= topLow-size+1 { // the subtraction wraps on purpose
		return topHigh - 1
	}
	return topHigh
}

// Check reports that seq is new, without remembering it: the test before the integrity check. seq is the full number,
// with the inferred high half.
func (w *Window) Check(seq uint64) bool {
	if seq == 0 {
		return false // RFC 4303 §3.3.3: the first packet has 1
	}
	if seq > w.top {
		return true
	}
	return w.top-seq < w.size && w.blocks[w.block(seq)]&mask(seq) == 0
}

// Accept reports that seq is new and remembers it. It is called only for an authentic packet, and checks again because
// another copy may have passed Check meanwhile.
func (w *Window) Accept(seq uint64) bool {
	if !w.Check(seq) {
		return false
	}
	if seq > w.top {
		w.advance(seq)
	}
	w.blocks[w.block(seq)] |= mask(seq)
	return true
}

// advance moves top to seq and clears the blocks that come into use.
func (w *Window) advance(seq uint64) {
	fresh := min(seq/blockBits-w.top/blockBits, uint64(len(w.blocks)))
	for i := uint64(0); i < fresh; i++ {
		w.blocks[w.block(seq-i*blockBits)] = 0
	}
	w.top = seq
}

func (w *Window) block(seq uint64) int { return int(seq/blockBits) & (len(w.blocks) - 1) }

func mask(seq uint64) uint64 { return 1 << (seq % blockBits) }
