package tunio

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// HeaderLen is the size of struct virtio_net_hdr, with which every frame starts.
	HeaderLen = 10
	// FrameLen is the buffer that holds any frame.
	FrameLen = HeaderLen + 65535

	clonePath = "/dev/net/tun"
)

// ErrNoTUN says that the kernel or the container offers no TUN device.
var ErrNoTUN = errors.New("no " + clonePath)

// ErrTaken says that an interface of the name exists and cannot be adopted.
var ErrTaken = errors.New("interface name is taken")

// Options describe the interface. It is made in the network namespace of the calling thread.
type Options struct {
	Name    string // at most 15 octets
	MTU     int    // 0: left alone
	Persist bool   // outlives the process
	Adopt   bool   // take an existing persistent TUN of that name that nobody reads
	// NoOffload asks the kernel for plain packets: every frame then holds one, with its checksums filled in.
	NoOffload bool
}

// Open makes or adopts the interface. Errors are one sentence with the remedy.
func Open(o Options) (*Device, error) {
	if len(o.Name) == 0 || len(o.Name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("open a TUN named %q: an interface name has 1 to 15 octets", o.Name)
	}
	fd, err := unix.Open(clonePath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, cloneError(o.Name, err)
	}
	d := &Device{name: o.Name, ctl: -1}
	if err := d.set(fd, o); err != nil {
		unix.Close(fd)
		if d.ctl >= 0 {
			unix.Close(d.ctl)
		}
		return nil, err
	}
	d.file = os.NewFile(uintptr(fd), clonePath)
	if d.conn, err = d.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.read.init()
	return d, nil
}

func (d *Device) set(fd int, o Options) error {
	if err := d.attach(fd, o); err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderLen); err != nil {
		return fmt.Errorf("set the header size of %s: %w", o.Name, err)
	}
	if err := setOffload(fd, o.NoOffload); err != nil {
		return fmt.Errorf("set the offloads of %s: %w", o.Name, err)
	}
	if o.Persist {
		if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
			return fmt.Errorf("keep %s when the process ends: %w", o.Name, err)
		}
	}
	var err error
	if d.ctl, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open a control socket for %s: %w", o.Name, err)
	}
	if o.MTU != 0 {
		return d.SetMTU(o.MTU)
	}
	return nil
}

// attach makes the interface, or takes over one that exists where that is allowed.
func (d *Device) attach(fd int, o Options) error {
	const flags = unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR
	err := setIFF(fd, o.Name, flags|unix.IFF_TUN_EXCL)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("create %s: %w: run as root or grant CAP_NET_ADMIN", o.Name, err)
	}
	if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("create %s: %w", o.Name, err)
	}
	if !o.Adopt {
		return fmt.Errorf("create %s: %w: remove it with `ip link delete %s`", o.Name, ErrTaken, o.Name)
	}
	switch err := setIFF(fd, o.Name, flags); {
	case err == nil:
		d.adopted = true
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("adopt %s: %w by a running process: is another lockstep active? Stop it first", o.Name, ErrTaken)
	default:
		return fmt.Errorf("adopt %s: %w by something that is not a TUN of ours (%w): remove it with `ip link delete %s`", o.Name, ErrTaken, err, o.Name)
	}
}

func setIFF(fd int, name string, flags uint16) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
}

// setOffload asks for everything, then for TCP alone: UDP segmentation came with Linux 6.2.
func setOffload(fd int, none bool) error {
	if none {
		return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0)
	}
	const tcp = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6
	if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp|unix.TUN_F_USO4|unix.TUN_F_USO6) == nil {
		return nil
	}
	return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, tcp)
}

func cloneError(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("create %s: %w: load the tun module (`modprobe tun`), or give the container the device (`--device %s`)", name, ErrNoTUN, clonePath)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("create %s: open %s: %w: run as root or grant CAP_NET_ADMIN", name, clonePath, err)
	}
	return fmt.Errorf("create %s: open %s: %w", name, clonePath, err)
}
