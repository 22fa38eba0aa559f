package udpio

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
	"lockstep/internal/host"
	"lockstep/internal/sa"
)

const (
	ikePort  = 500  // RFC 7296 §2
	nattPort = 4500 // RFC 3948 §2

	// One second of 64 KiB runs at the rate that two cores reach is far more; this rides out a garbage collection or
	// a lost time slice without drops and is accounted only while it is used.
	socketBuffer = 4 << 20
)

// DF says what is done with the outer Don't Fragment bit of IPv4.
type DF uint8

const (
	// DFPath sets it while a packet fits the path MTU that the kernel knows, and fragments what is larger.
	DFPath DF = iota
	// DFAlways sets it always: what is larger than the path MTU is refused with ErrTooBig.
	DFAlways
	// DFNever clears it.
	DFNever
)

// Options say where to listen. The sockets are made in the network namespace of the calling thread.
type Options struct {
	Local     netip.Addr // zero or unspecified: every address of the host, each datagram with its own
	Mark      uint32     // SO_MARK of every socket; 0: none (needs no privilege)
	DF        DF
	NoOffload bool // neither UDP_SEGMENT nor UDP_GRO, as on a kernel without them
	NoRaw     bool // no protocol 50 socket
	// Ephemeral takes unprivileged ports that the kernel chooses in place of 500 and 4500, and no raw socket.
	Ephemeral bool
}

// Sockets are the wires of one gateway.
type Sockets struct {
	IKE  *UDP // port 500
	NATT *UDP // port 4500
	ESP  *Raw // protocol 50; nil without it
}

// Listen opens the sockets, all or none. Errors are one sentence with the remedy.
func Listen(o Options) (*Sockets, error) {
	var s Sockets
	var err error
	ports := [2]uint16{ikePort, nattPort}
	if o.Ephemeral {
		ports, o.NoRaw = [2]uint16{}, true
	}
	if s.IKE, err = ListenUDP(o, ports[0], sa.EncapNone); err != nil {
		return nil, err
	}
	if s.NATT, err = ListenUDP(o, ports[1], sa.EncapUDP); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if !o.NoRaw {
		if s.ESP, err = ListenRaw(o); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return &s, nil
}

// Wires lists the open wires: port 500, port 4500, protocol 50.
func (s *Sockets) Wires() []datapath.Wire {
	var w []datapath.Wire
	for _, u := range []*UDP{s.IKE, s.NATT} {
		if u != nil {
			w = append(w, u)
		}
	}
	if s.ESP != nil {
		w = append(w, s.ESP)
	}
	return w
}

// Close closes every wire; a blocked Recv returns.
func (s *Sockets) Close() error {
	var errs []error
	for _, w := range s.Wires() {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// bound makes a non-blocking socket with the options that all wires share, and binds it. The caller owns the
// descriptor.
func bound(o Options, typ, proto int, at netip.AddrPort) (fd int, err error) {
	domain := unix.AF_INET
	if at.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err = unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return -1, socketError(err, typ)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if o.Mark != 0 {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(o.Mark)); err != nil {
			return -1, fmt.Errorf("mark outer packets with %#x: %w: run as root or grant CAP_NET_ADMIN, else outer packets could enter a tunnel", o.Mark, err)
		}
	}
	enlarge(fd)
	if err = setDF(fd, domain, o.DF); err != nil {
		return -1, fmt.Errorf("set the path MTU mode of a socket: %w", err)
	}
	if err = unix.Bind(fd, sockaddr(at)); err != nil {
		return -1, bindError(err, at, typ)
	}
	return fd, nil
}

// enlarge is best effort: a small buffer loses packets under load, and is no reason not to run.
func enlarge(fd int) {
	for _, opt := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[0], socketBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[1], socketBuffer)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // counted in Overflows
}

func setDF(fd, domain int, df DF) error {
	v := map[DF]int{DFPath: unix.IP_PMTUDISC_WANT, DFAlways: unix.IP_PMTUDISC_DO, DFNever: unix.IP_PMTUDISC_DONT}[df]
	if domain == unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, v)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, v)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// at is where to bind: IPv4 unless an IPv6 address was asked for.
func (o Options) at(port uint16) netip.AddrPort {
	a := o.Local.Unmap()
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(a, port)
}

func socketError(err error, typ int) error {
	if typ == unix.SOCK_RAW && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) {
		return fmt.Errorf("open a raw socket for protocol 50 (ESP): %w: run as root or grant CAP_NET_RAW", err)
	}
	return fmt.Errorf("open a socket: %w", err)
}

func bindError(err error, at netip.AddrPort, typ int) error {
	what := "UDP " + at.String()
	if typ == unix.SOCK_RAW {
		what = "protocol 50 on " + at.Addr().String()
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		if who := host.UDPHolder(at); who != "" {
			return fmt.Errorf("listen on %s: in use by %s: stop it, or give it another address", what, who)
		}
		return fmt.Errorf("listen on %s: in use by another process: `ss -ulnp` tells which; stop it", what)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s: the address is not on this host: add it to an interface (`ip address add`), or correct `tunnel source`", what)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("listen on %s: %w: run as root or grant CAP_NET_BIND_SERVICE", what, err)
	}
	return fmt.Errorf("listen on %s: %w", what, err)
}
