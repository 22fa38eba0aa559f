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
	// screens change what passes, in either direction; nil in place of a payload: it vanishes.
	screens *[]func(datagram) []byte
}

// screened is what becomes of a datagram on its way.
func (w *wire) screened(out bool, far netip.AddrPort, payload []byte) []byte {
	for _, screen := range *w.screens {
		if payload = screen(datagram{out, w.port.Addr(), far, payload}); payload == nil {
			return nil
		}
	}
	return payload
}

// datagram is one between a gateway and its socket.
type datagram struct {
	out        bool
	local, far netip.AddrPort
	payload    []byte
}

func (d datagram) seen() sighting {
	if d.out {
		return classify(d.local, d.far, d.payload)
	}
	return classify(d.far, d.local, d.payload)
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
		got := w.screened(false, remote, buf[:n])
		if w.hidden(buf[:n], remote) || got == nil {
			continue
		}
		n = copy(buf, got)
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
		if d := w.screened(true, r.Remote, buf[:n]); d != nil {
			if err := w.port.Send(r.Remote, d); err != nil {
				return err
			}
		}
		if buf = buf[n:]; len(buf) == 0 {
			return nil
		}
	}
}

// Close implements datapath.Wire.
func (w *wire) Close() error { return w.port.Close() }
