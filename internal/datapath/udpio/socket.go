package udpio

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
)

// ErrTooBig says that a datagram does not fit the path MTU and may not be fragmented.
var ErrTooBig = errors.New("datagram larger than the path MTU")

// socket is one non-blocking descriptor under the runtime's poller. Receiving is for one goroutine at a time, sending
// for any number. Nothing is allocated a run: the state of a system call lies in recvCall and in pooled sendCalls,
// because the closures that the poller calls would otherwise be made anew each time.
type socket struct {
	file  *os.File // owner of the descriptor
	conn  syscall.RawConn
	local netip.AddrPort // bound; the address may be unspecified

	recv recvCall // owned by the receiving goroutine
	lost atomic.Uint32
}

func (s *socket) init(fd int, name string) error {
	s.file = os.NewFile(uintptr(fd), name)
	conn, err := s.file.SyscallConn()
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	s.conn = conn
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		s.local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		s.local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	s.recv.init()
	return nil
}

// Local is where the socket is bound; the address is unspecified when it listens on all of them.
func (s *socket) Local() netip.AddrPort { return s.local }

// Overflows counts the datagrams that the kernel dropped because nobody read them in time. It wraps at 2^32.
func (s *socket) Overflows() uint32 { return s.lost.Load() }

// Close releases the descriptor; a blocked Recv or Send returns an error that is os.ErrClosed.
func (s *socket) Close() error { return s.file.Close() }

// recvCall is the argument and result of one recvmsg.
type recvCall struct {
	msg   unix.Msghdr
	iov   [2]unix.Iovec
	name  unix.RawSockaddrAny
	ctl   [256]byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) bool // one attempt, never waits
	wait  func(fd uintptr) bool // asks the poller to wait at EAGAIN
}

func (c *recvCall) init() {
	c.wait = func(fd uintptr) bool { c.once(fd); return c.errno != unix.EAGAIN }
	c.try = func(fd uintptr) bool { c.once(fd); return true }
}

func (c *recvCall) once(fd uintptr) {
	for {
		c.msg.Name, c.msg.Namelen = (*byte)(unsafe.Pointer(&c.name)), unix.SizeofSockaddrAny
		c.msg.Control = &c.ctl[0]
		c.msg.SetControllen(len(c.ctl))
		c.msg.Flags = 0
		n, _, e := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&c.msg)), 0)
		c.n, c.errno = int(n), e
		if e != unix.EINTR {
			return
		}
	}
}

// receive fills head (may be empty) and then buf, and reports the octets in both.
func (s *socket) receive(head, buf []byte, blocking bool) (int, error) {
	c := &s.recv
	v := c.iov[:0]
	for _, b := range [2][]byte{head, buf} {
		if len(b) > 0 {
			v = append(v, unix.Iovec{Base: &b[0], Len: uint64(len(b))})
		}
	}
	if len(v) == 0 {
		return 0, errors.New("receive into an empty buffer")
	}
	c.msg.Iov = &v[0]
	c.msg.SetIovlen(len(v))
	call := c.wait
	if !blocking {
		call = c.try
	}
	err := s.conn.Read(call)
	c.iov = [2]unix.Iovec{} // the buffer belongs to the caller again
	if err != nil {
		return 0, s.unpolled(err)
	}
	switch c.errno {
	case 0:
		return c.n, nil
	case unix.EAGAIN:
		return 0, datapath.ErrAgain
	}
	return 0, os.NewSyscallError("recvmsg", c.errno)
}

// unpolled turns an error of the poller into os.ErrClosed where that is its cause: its own is not comparable.
func (s *socket) unpolled(err error) error {
	if s.conn.Control(func(uintptr) {}) != nil {
		return os.ErrClosed
	}
	return err
}

// control is what the ancillary data of a received run says.
type control struct {
	local netip.Addr // destination of the datagram; zero: not told
	seg   int        // UDP_GRO segment size; 0: one datagram
}

func (s *socket) control() control {
	var out control
	b := s.recv.ctl[:min(int(s.recv.msg.Controllen), len(s.recv.ctl))]
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		if h.Len < unix.SizeofCmsghdr || int(h.Len) > len(b) {
			break
		}
		d := b[unix.SizeofCmsghdr:h.Len]
		switch {
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(d) >= 4:
			out.seg = int(*(*int32)(unsafe.Pointer(&d[0])))
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(d) >= unix.SizeofInet4Pktinfo:
			out.local = netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&d[0])).Addr)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(d) >= unix.SizeofInet6Pktinfo:
			out.local = netip.AddrFrom16((*unix.Inet6Pktinfo)(unsafe.Pointer(&d[0])).Addr)
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(d) >= 4:
			s.lost.Store(*(*uint32)(unsafe.Pointer(&d[0])))
		}
		step := (int(h.Len) + 7) &^ 7 // CMSG_ALIGN on 64-bit
		if step > len(b) {
			break
		}
		b = b[step:]
	}
	return out
}

// from is the sender that recvmsg told.
func (s *socket) from() netip.AddrPort {
	switch s.recv.name.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.recv.name))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), ntohs(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.recv.name))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), ntohs(a.Port))
	}
	return netip.AddrPort{}
}

// ntohs and htons are the same on every machine: port numbers lie in network order in a sockaddr.
func ntohs(v uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&v))
	return uint16(b[0])<<8 | uint16(b[1])
}

func htons(v uint16) uint16 { return ntohs(v) }
