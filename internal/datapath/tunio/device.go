package tunio

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lockstep/internal/datapath"
)

// Device is an open TUN. ReadFrame and TryReadFrame are for one goroutine at a time; WriteFrame for any number.
type Device struct {
	name    string
	adopted bool
	file    *os.File
	conn    syscall.RawConn
	ctl     int      // socket for interface ioctls; it stays in the namespace of the device
	read    readCall // owned by the reading goroutine
}

var _ datapath.Device = (*Device)(nil)

// Name is the interface's name on the host.
func (d *Device) Name() string { return d.name }

// Adopted reports that the interface existed: a former process left it.
func (d *Device) Adopted() bool { return d.adopted }

// Close releases the descriptor; a blocked ReadFrame returns an error that is os.ErrClosed. A persistent interface
// stays.
func (d *Device) Close() error {
	err := d.file.Close()
	if err == nil {
		unix.Close(d.ctl)
	}
	return err
}

// Remove ends the persistence and closes: the interface disappears with its routes.
func (d *Device) Remove() error {
	err := d.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0) })
	if err != nil {
		err = fmt.Errorf("let %s go: %w", d.name, err)
	}
	return errors.Join(err, d.Close())
}

// SetCarrier says whether the line is up: without carrier the kernel marks the interface's routes linkdown.
func (d *Device) SetCarrier(up bool) error {
	v := int32(0)
	if up {
		v = 1
	}
	err := d.control(func(fd int) error {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETCARRIER, uintptr(unsafe.Pointer(&v)))
		if e != 0 {
			return e
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set the carrier of %s: %w", d.name, err)
	}
	return nil
}

// SetMTU sets the interface's MTU in octets.
func (d *Device) SetMTU(mtu int) error {
	r, err := unix.NewIfreq(d.name)
	if err != nil {
		return err
	}
	r.SetUint32(uint32(mtu))
	if err := unix.IoctlIfreq(d.ctl, unix.SIOCSIFMTU, r); err != nil {
		return fmt.Errorf("set the MTU of %s to %d: %w", d.name, mtu, err)
	}
	return nil
}

// MTU reads the interface's MTU in octets.
func (d *Device) MTU() (int, error) {
	r, err := unix.NewIfreq(d.name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(d.ctl, unix.SIOCGIFMTU, r); err != nil {
		return 0, fmt.Errorf("read the MTU of %s: %w", d.name, err)
	}
	return int(r.Uint32()), nil
}

func (d *Device) control(f func(fd int) error) error {
	var inner error
	if err := d.conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// readCall is the argument and result of one read(2); its closures are made once, so that a read allocates nothing.
type readCall struct {
	buf   []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) bool
	wait  func(fd uintptr) bool
}

func (c *readCall) init() {
	c.wait = func(fd uintptr) bool { c.once(fd); return c.errno != unix.EAGAIN }
	c.try = func(fd uintptr) bool { c.once(fd); return true }
}

func (c *readCall) once(fd uintptr) {
	for {
		n, _, e := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&c.buf[0])), uintptr(len(c.buf)))
		c.n, c.errno = int(n), e
		if e != unix.EINTR {
			return
		}
	}
}

// ReadFrame waits for a frame: HeaderLen octets of virtio-net header, then the packet. A frame that does not fit b
// (FrameLen always does) is cut short.
func (d *Device) ReadFrame(b []byte) (int, error) { return d.frame(b, d.read.wait) }

// TryReadFrame is ReadFrame that returns datapath.ErrAgain in place of waiting.
func (d *Device) TryReadFrame(b []byte) (int, error) { return d.frame(b, d.read.try) }

func (d *Device) frame(b []byte, call func(uintptr) bool) (int, error) {
	if len(b) == 0 {
		return 0, errors.New("read a frame into an empty buffer")
	}
	c := &d.read
	c.buf = b
	err := d.conn.Read(call)
	c.buf = nil
	if err != nil {
		return 0, d.unpolled("read", err)
	}
	switch c.errno {
	case 0:
		return c.n, nil
	case unix.EAGAIN:
		return 0, datapath.ErrAgain
	}
	return 0, d.fail("read", c.errno)
}

// unpolled turns an error of the poller into its cause: the device was closed here, or deleted on the host.
func (d *Device) unpolled(what string, err error) error {
	if d.conn.Control(func(uintptr) {}) != nil {
		return os.ErrClosed
	}
	if _, gone := d.MTU(); gone != nil {
		return d.fail(what, unix.EBADFD)
	}
	return fmt.Errorf("%s a frame of %s: %w", what, d.name, err)
}

func (d *Device) fail(what string, e syscall.Errno) error {
	if e == unix.EBADFD || e == unix.ENODEV {
		return fmt.Errorf("%s a frame: %s: %w", what, d.name, datapath.ErrGone)
	}
	return fmt.Errorf("%s a frame of %s: %w", what, d.name, e)
}

// writeCall is the argument and result of one writev(2).
type writeCall struct {
	iov   []unix.Iovec
	errno syscall.Errno
	do    func(fd uintptr) bool
}

var writeCalls = sync.Pool{New: func() any {
	c := &writeCall{iov: make([]unix.Iovec, 0, 80)} // 64 segments a run and some
	c.do = c.attempt
	return c
}}

func (c *writeCall) attempt(fd uintptr) bool {
	for {
		_, _, c.errno = unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&c.iov[0])), uintptr(len(c.iov)))
		if c.errno != unix.EINTR {
			return c.errno != unix.EAGAIN
		}
	}
}

// WriteFrame gives the kernel one frame: the parts in order, the first of which starts with the virtio-net header.
func (d *Device) WriteFrame(parts [][]byte) error {
	c := writeCalls.Get().(*writeCall)
	c.iov = c.iov[:0]
	for _, p := range parts {
		if len(p) > 0 {
			c.iov = append(c.iov, unix.Iovec{Base: &p[0], Len: uint64(len(p))})
		}
	}
	if len(c.iov) == 0 {
		writeCalls.Put(c)
		return errors.New("write an empty frame")
	}
	err := d.conn.Write(c.do)
	errno := c.errno
	clear(c.iov)
	writeCalls.Put(c)
	if err != nil {
		return d.unpolled("write", err)
	}
	if errno != 0 {
		return d.fail("write", errno)
	}
	return nil
}
