package story

import (
	"errors"
	"net/netip"
	"sync/atomic"

	"lockstep/internal/datapath"
	"lockstep/internal/sa"
	"lockstep/internal/story/relay"
)

// wire is a port of the story's network as the gateway's packet path wants it: a run is one datagram.
type wire struct {
	port *relay.Port
	// hide is how many ESP packets vanish between socket and gateway, which then cannot count them (a sabotage).
	hide *atomic.Int32
}

// Recv implements datapath.Wire.
func (w *wire) Recv(r *datapath.Run) error { return w.receive(r, w.port.Recv) }

// TryRecv implements datapath.Wire.
func (w *wire) TryRecv(r *datapath.Run) error {
	err := w.receive(r, w.port.TryRecv)
	if errors.Is(err, relay.ErrAgain) {
		return datapath.ErrAgain
	}
	return err
}

func (w *wire) receive(r *datapath.Run, from func([]byte) (int, netip.AddrPort, error)) error {
	for {
		buf := r.Buf[:cap(r.Buf)]
		n, remote, err := from(buf)
		if err != nil {
			return err
		}
		if w.hidden(buf[:n], remote) {
			continue
		}
		*r = datapath.Run{Local: w.port.Addr(), Remote: remote, Encap: sa.EncapUDP, Buf: buf[:n]}
		return nil
	}
}

func (w *wire) hidden(d []byte, remote netip.AddrPort) bool {
	if w.hide.Load() <= 0 || classify(remote, w.port.Addr(), d).kind != sawESP {
		return false
	}
	return w.hide.Add(-1) >= 0
}

// Send implements datapath.Wire: each segment is a datagram of its own.
func (w *wire) Send(r *datapath.Run) error {
	buf, seg := r.Buf, r.Seg
	if seg <= 0 || seg > len(buf) {
		seg = len(buf)
	}
	for {
		n := min(seg, len(buf))
		if err := w.port.Send(r.Remote, buf[:n]); err != nil {
			return err
		}
		if buf = buf[n:]; len(buf) == 0 {
			return nil
		}
	}
}

// Close implements datapath.Wire.
func (w *wire) Close() error { return w.port.Close() }
