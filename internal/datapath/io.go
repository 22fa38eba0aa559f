// The contract with udpio and tunio, which implement it.

package datapath

import (
	"errors"
	"net/netip"

	"lockstep/internal/sa"
)

// ErrAgain: nothing is waiting; TryRecv and TryReadFrame give it instead of blocking.
var ErrAgain = errors.New("nothing is waiting")

// ErrGone: the device was deleted on the host, and will not come back by itself.
var ErrGone = errors.New("interface is gone")

// Run is datagrams between the same two endpoints, all of the same length but the last, which may be shorter.
type Run struct {
	Local, Remote netip.AddrPort
	Encap         sa.Encap
	// Buf holds the datagrams one behind the other. For a receive the caller gives capacity and the wire sets the length.
	Buf []byte
	// Seg is the length of each datagram but the last, in octets; 0: Buf is one datagram.
	Seg int
	// TrafficClass is the outer DSCP and ECN octet of all of them: wished for on sending, and what was found on receiving
	// as far as the wire can see it, else 0 (RFC 4301 §5.1.2, RFC 6040 §4).
	TrafficClass uint8
}

// Limits of a run that is sent: what UDP_SEGMENT takes, and the longest UDP datagram over IPv4.
const (
	MaxRunSegments = 64
	MaxRunOctets   = 65507
)

// Wire is a socket that carries ESP, or IKE, or both. One goroutine receives at a time; any number may send.
type Wire interface {
	// Recv waits for a run. After Close it gives an error that wraps os.ErrClosed or net.ErrClosed.
	Recv(*Run) error
	// TryRecv is Recv without the wait.
	TryRecv(*Run) error
	// Send hands a run to the system; it does not wait for the path.
	Send(*Run) error
	Close() error
}

// VirtioLen is the length of the virtio-net header that every frame begins with.
const VirtioLen = 10

// Device is the inside of a tunnel. One goroutine reads at a time; any number may write.
type Device interface {
	// ReadFrame waits for a frame: virtio-net header and a packet of up to 64 KiB, which may stand for several (GSO). It
	// returns the octets of both.
	ReadFrame([]byte) (int, error)
	// TryReadFrame is ReadFrame without the wait.
	TryReadFrame([]byte) (int, error)
	// WriteFrame writes one frame from its pieces; the first begins with the header.
	WriteFrame([][]byte) error
	Close() error
}
