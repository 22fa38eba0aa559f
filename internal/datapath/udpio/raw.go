package udpio

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
	"lockstep/internal/sa"
)

const ipv4Header = 20 // without options (RFC 791 §3.1)

// Raw is a wire over a raw IPv4 socket of protocol 50 (RFC 4303 §2). A received run is one packet; a sent one may
// hold several, which go out in one sendmmsg. Recv and TryRecv are for one goroutine at a time; Send for any number.
//
// While it is open the kernel answers no ESP with ICMP protocol unreachable.
type Raw struct {
	socket
	head [ipv4Header]byte // owned by the receiving goroutine
}

var _ datapath.Wire = (*Raw)(nil)

// ListenRaw opens the socket at o.Local.
func ListenRaw(o Options) (*Raw, error) {
	at := o.at(0)
	if !at.Addr().Is4() {
		return nil, fmt.Errorf("listen on protocol 50 at %s: raw ESP over IPv6 is not supported: use UDP encapsulation", at.Addr())
	}
	fd, err := bound(o, unix.SOCK_RAW, unix.IPPROTO_ESP, at)
	if err != nil {
		return nil, err
	}
	w := new(Raw)
	return w, w.init(fd, "esp "+at.Addr().String())
}

// Recv waits for a packet and fills r: Buf from the SPI on, the addresses with port 0, EncapNone.
func (w *Raw) Recv(r *datapath.Run) error { return w.read(r, true) }

// TryRecv is Recv that returns datapath.ErrAgain in place of waiting.
func (w *Raw) TryRecv(r *datapath.Run) error { return w.read(r, false) }

func (w *Raw) read(r *datapath.Run, blocking bool) error {
	for {
		n, err := w.receive(w.head[:], r.Buf[:cap(r.Buf)], blocking)
		if err != nil {
			return err
		}
		w.control() // overflow counter
		// The kernel delivers whole, checked IPv4 packets; a header longer than 20 octets has options in Buf.
		options := int(w.head[0]&15)*4 - ipv4Header
		if n < ipv4Header || options < 0 || n < ipv4Header+options {
			continue
		}
		b := r.Buf[:n-ipv4Header]
		r.Buf = b[:copy(b, b[options:])]
		r.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(w.head[12:16])), 0)
		r.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(w.head[16:20])), 0)
		r.Encap, r.Seg = sa.EncapNone, 0
		return nil
	}
}

// Send transmits the packets of r to the address of r.Remote; ports are ignored.
func (w *Raw) Send(r *datapath.Run) error {
	to := *r
	to.Remote = netip.AddrPortFrom(r.Remote.Addr(), 0)
	_, err := w.send(&to, false)
	return err
}
