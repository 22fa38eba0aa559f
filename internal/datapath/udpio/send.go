package udpio

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
)

const (
	maxSegments = 64    // UDP_MAX_SEGMENTS of Linux before 6.5
	maxDatagram = 65507 // 65535 less IPv4 and UDP headers
)

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// sendCall is the argument and result of one sendmsg or sendmmsg. Its pointers are good for one call.
type sendCall struct {
	msgs   [maxSegments]mmsghdr
	iovs   [maxSegments]unix.Iovec
	name4  unix.RawSockaddrInet4
	name6  unix.RawSockaddrInet6
	ctl    [96]byte
	ctlLen int
	first  int // next message to send
	count  int
	errno  syscall.Errno
	do     func(fd uintptr) bool
}

var sendCalls = sync.Pool{New: func() any {
	c := new(sendCall)
	c.do = c.attempt
	return c
}}

// attempt sends messages first..count-1; false: wait until the socket takes more.
func (c *sendCall) attempt(fd uintptr) bool {
	for c.first < c.count {
		n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&c.msgs[c.first])), uintptr(c.count-c.first), 0, 0, 0)
		switch e {
		case 0:
			c.first += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			c.errno = e
			return true
		}
	}
	return true
}

// address aims the call at remote, with local as the source where it is specified.
func (c *sendCall) address(local netip.Addr, remote netip.AddrPort) (name *byte, length uint32, err error) {
	c.ctlLen = 0
	to := remote.Addr().Unmap()
	switch {
	case to.Is4():
		c.name4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: htons(remote.Port()), Addr: to.As4()}
		if local = local.Unmap(); local.Is4() && !local.IsUnspecified() {
			d := c.cmsg(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
			*(*unix.Inet4Pktinfo)(unsafe.Pointer(&d[0])) = unix.Inet4Pktinfo{Spec_dst: local.As4()}
		}
		return (*byte)(unsafe.Pointer(&c.name4)), unix.SizeofSockaddrInet4, nil
	case to.Is6():
		c.name6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: htons(remote.Port()), Addr: to.As16()}
		if local.Is6() && !local.IsUnspecified() {
			d := c.cmsg(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
			*(*unix.Inet6Pktinfo)(unsafe.Pointer(&d[0])) = unix.Inet6Pktinfo{Addr: local.As16()}
		}
		return (*byte)(unsafe.Pointer(&c.name6)), unix.SizeofSockaddrInet6, nil
	}
	return nil, 0, errors.New("send without a remote address")
}

// cmsg appends an ancillary item of size octets and returns its body.
func (c *sendCall) cmsg(level, typ int32, size int) []byte {
	at := c.ctlLen
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.ctl[at]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(size))
	c.ctlLen += unix.CmsgSpace(size)
	return c.ctl[at+unix.CmsgLen(0) : at+unix.CmsgLen(size)]
}

// send transmits the octets of r.Buf to r.Remote: datagrams of r.Seg octets each (0: one), in pieces of at most
// maxSegments. With segment, the kernel splits (UDP_SEGMENT); without, sendmmsg carries one message a datagram.
// sent is the number of octets that left before the error.
func (s *socket) send(r *datapath.Run, segment bool) (sent int, err error) {
	if len(r.Buf) == 0 {
		return 0, nil
	}
	c := sendCalls.Get().(*sendCall)
	defer c.release()
	name, nameLen, err := c.address(r.Local.Addr(), r.Remote)
	if err != nil {
		return 0, err
	}
	plain := c.ctlLen
	seg := r.Seg
	if seg <= 0 || seg > len(r.Buf) {
		seg = len(r.Buf)
	}
	piece := seg * maxSegments
	if segment {
		piece = max(seg, min(piece, maxDatagram/seg*seg))
	}
	for b := r.Buf; len(b) > 0; {
		n := min(piece, len(b))
		part := b[:n]
		b = b[n:]
		c.ctlLen = plain
		one := seg
		if segment && n > seg {
			d := c.cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
			*(*uint16)(unsafe.Pointer(&d[0])) = uint16(seg)
			one = n
		}
		err := s.transmit(c, part, one, name, nameLen)
		if err != nil {
			return sent + c.first*one, err
		}
		sent += n
	}
	return sent, nil
}

// transmit sends part as messages of one octets each.
func (s *socket) transmit(c *sendCall, part []byte, one int, name *byte, nameLen uint32) error {
	c.first, c.count, c.errno = 0, 0, 0
	for len(part) > 0 {
		n := min(one, len(part))
		c.iovs[c.count] = unix.Iovec{Base: &part[0], Len: uint64(n)}
		m := &c.msgs[c.count].hdr
		*m = unix.Msghdr{Name: name, Namelen: nameLen, Iov: &c.iovs[c.count]}
		m.SetIovlen(1)
		if c.ctlLen > 0 {
			m.Control = &c.ctl[0]
			m.SetControllen(c.ctlLen)
		}
		part = part[n:]
		c.count++
	}
	if err := s.conn.Write(c.do); err != nil {
		return s.unpolled(err)
	}
	if c.errno == unix.EMSGSIZE {
		return ErrTooBig
	}
	if c.errno != 0 {
		return os.NewSyscallError("sendmmsg", c.errno)
	}
	return nil
}

// release forgets the caller's buffers and gives the call back.
func (c *sendCall) release() {
	for i := range c.count {
		c.iovs[i], c.msgs[i].hdr = unix.Iovec{}, unix.Msghdr{}
	}
	c.count = 0
	sendCalls.Put(c)
}
