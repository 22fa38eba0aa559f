package udpio

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
	"lockstep/internal/sa"
)

// UDP is a wire over one UDP socket. Recv and TryRecv are for one goroutine at a time; Send for any number.
type UDP struct {
	socket
	encap sa.Encap
	gro   bool        // the kernel hands over runs
	gso   atomic.Bool // the kernel splits runs; cleared for good when a device refuses
	fixed bool        // bound to one address: the local address needs no packet info
}

var _ datapath.Wire = (*UDP)(nil)

// ListenUDP opens one socket at o.Local and port (0: the kernel chooses). encap is what runs from here are marked
// with: EncapUDP for the port that carries ESP (4500), EncapNone for the one that carries IKE alone (500).
func ListenUDP(o Options, port uint16, encap sa.Encap) (*UDP, error) {
	at := o.at(port)
	fd, err := bound(o, unix.SOCK_DGRAM, unix.IPPROTO_UDP, at)
	if err != nil {
		return nil, err
	}
	u := &UDP{encap: encap, fixed: !at.Addr().IsUnspecified()}
	if err := packetInfo(fd, at.Addr()); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("ask for destination addresses on UDP %s: %w", at, err)
	}
	if !o.NoOffload {
		// Probe: a kernel that knows the options accepts them. Only the ESP port gains from them.
		u.gro = encap == sa.EncapUDP && unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
		u.gso.Store(unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil)
	}
	return u, u.init(fd, "udp "+at.String())
}

func packetInfo(fd int, a netip.Addr) error {
	if a.Is6() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// Recv waits for a run and fills r: Buf cut to its octets, Seg, Local, Remote and Encap. A datagram larger than the
// capacity of Buf arrives cut short.
func (u *UDP) Recv(r *datapath.Run) error { return u.read(r, true) }

// TryRecv is Recv that returns datapath.ErrAgain in place of waiting.
func (u *UDP) TryRecv(r *datapath.Run) error { return u.read(r, false) }

func (u *UDP) read(r *datapath.Run, blocking bool) error {
	n, err := u.receive(nil, r.Buf[:cap(r.Buf)], blocking)
	if err != nil {
		return err
	}
	c := u.control()
	r.Buf = r.Buf[:n]
	r.Remote = u.from()
	r.Local = u.local
	if !u.fixed && c.local.IsValid() {
		r.Local = netip.AddrPortFrom(c.local, u.local.Port())
	}
	r.Encap = u.encap
	r.Seg = 0
	if c.seg > 0 && c.seg < n {
		r.Seg = c.seg
	}
	return nil
}

// Send transmits a run to r.Remote from r.Local (an unspecified address: the kernel's choice; its port is ignored).
// It waits while the socket's buffer is full. ErrTooBig: the path MTU is smaller and fragmenting is not allowed.
func (u *UDP) Send(r *datapath.Run) error {
	if r.Seg <= 0 || r.Seg >= len(r.Buf) || !u.gso.Load() {
		_, err := u.send(r, false)
		return err
	}
	sent, err := u.send(r, true)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EIO):
		// The device of this route cannot offload checksums: UDP_SEGMENT never works there.
		u.gso.Store(false)
	case errors.Is(err, ErrTooBig), errors.Is(err, unix.EINVAL):
		// A segment with its headers exceeds the route's MTU: each datagram by itself may still be fragmented.
	default:
		return err
	}
	rest := *r
	rest.Buf = r.Buf[sent:]
	_, err = u.send(&rest, false)
	return err
}

// Offloads reports whether runs are split (out) and joined (in) by the kernel.
func (u *UDP) Offloads() (segment, coalesce bool) { return u.gso.Load(), u.gro }
