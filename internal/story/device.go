package story

import (
	"net"
	"sync"

	"lockstep/internal/datapath"
)

// deviceQueue is how many packets wait for a gateway that does not read: at 100 a second none should.
const deviceQueue = 256

// device is the inside of a tunnel in memory. Frames are plain: virtio-net header of zeros and one packet.
type device struct {
	deliver func(pkt []byte) // called for each packet that the gateway writes; it may keep pkt
	frames  chan []byte
	closed  chan struct{}
	once    sync.Once
}

func newDevice(deliver func([]byte)) *device {
	return &device{deliver: deliver, frames: make(chan []byte, deviceQueue), closed: make(chan struct{})}
}

// inject gives the gateway a packet to send; false: it is closed, or the queue is full.
func (d *device) inject(pkt []byte) bool {
	select {
	case <-d.closed:
		return false
	default:
	}
	select {
	case d.frames <- append(make([]byte, datapath.VirtioLen, datapath.VirtioLen+len(pkt)), pkt...):
		return true
	default:
		return false
	}
}

// ReadFrame implements datapath.Device.
func (d *device) ReadFrame(b []byte) (int, error) {
	select {
	case f := <-d.frames:
		return copy(b, f), nil
	case <-d.closed:
		return 0, net.ErrClosed
	}
}

// TryReadFrame implements datapath.Device.
func (d *device) TryReadFrame(b []byte) (int, error) {
	select {
	case f := <-d.frames:
		return copy(b, f), nil
	default:
		return 0, datapath.ErrAgain
	}
}

// WriteFrame implements datapath.Device. Merged TCP segments stay one packet, as a TUN with offloads would show them.
func (d *device) WriteFrame(iov [][]byte) error {
	select {
	case <-d.closed:
		return net.ErrClosed
	default:
	}
	var f []byte
	for _, p := range iov {
		f = append(f, p...)
	}
	if len(f) > datapath.VirtioLen {
		d.deliver(f[datapath.VirtioLen:])
	}
	return nil
}

// SetCarrier implements gateway.Device; the routes of world follow the line.
func (d *device) SetCarrier(bool) error { return nil }

// Close implements datapath.Device.
func (d *device) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// Remove implements gateway.Device.
func (d *device) Remove() error { return d.Close() }
