package verdict

import (
	"net/netip"
	"time"

	"lockstep/internal/diagnose/evidence"
)

const (
	maxDevices = 4096
	maxEvents  = 30_000 // kept in all
	perSubject = 48     // kept of one SPI, peer or device
)

// context is what else happened, by what it concerns. It is bounded: of one subject the newest are kept, with its first.
type context struct {
	bySPI    map[uint32][]*evidence.Event
	byPeer   map[netip.Addr][]*evidence.Event
	byDevice map[string][]*evidence.Event
	ups      map[string]*evidence.Event // by device: the newest line that says that an SA, of whomever, came up
	nameless []*evidence.Event          // of strongSwan and libreswan: the connection is named, the peer is not
	kept     int
	lost     uint64
}

func newContext() context {
	return context{bySPI: map[uint32][]*evidence.Event{}, byPeer: map[netip.Addr][]*evidence.Event{}, byDevice: map[string][]*evidence.Event{}, ups: map[string]*evidence.Event{}}
}

func (c *context) add(e evidence.Event) {
	if cameUp(e.Kind) && (c.ups[e.Device] != nil || len(c.ups) < maxDevices) {
		c.ups[e.Device] = &e
	}
	if c.kept >= maxEvents {
		c.lost++
		return
	}
	c.kept++
	ev := &e
	put := func(list []*evidence.Event) []*evidence.Event {
		if len(list) < perSubject {
			return append(list, ev)
		}
		c.lost++
		c.kept--
		copy(list[1:], list[2:])
		list[len(list)-1] = ev
		return list
	}
	switch {
	case e.SPI != 0:
		c.bySPI[e.SPI] = put(c.bySPI[e.SPI])
		if e.Peer.IsValid() {
			c.byPeer[e.Peer] = put(c.byPeer[e.Peer])
		}
	case e.Peer.IsValid():
		c.byPeer[e.Peer] = put(c.byPeer[e.Peer])
	case ofDevice(e.Kind):
		c.byDevice[e.Device] = put(c.byDevice[e.Device])
	default:
		c.nameless = put(c.nameless)
	}
}

func ofDevice(k evidence.Kind) bool {
	switch k {
	case evidence.Restart, evidence.Reload, evidence.Cleared, evidence.Failover:
		return true
	}
	return false
}

// scene is what concerns one flow, seen from both ends.
type scene struct {
	f *track
	c *context
}

// atReceiver lists events of the device that saw the packets, about their sender or itself.
func (s scene) atReceiver() []*evidence.Event {
	var out []*evidence.Event
	for _, e := range s.c.byPeer[s.f.flow.Src] {
		if e.Device == s.f.device && (e.SPI == 0 || e.SPI == s.f.flow.SPI) {
			out = append(out, e)
		}
	}
	return append(out, s.c.byDevice[s.f.device]...)
}

// ofSPI lists events about the SA itself. SPIs are chosen by the receiver, so what others say of the same number is
// taken only where they name the receiver as the other end.
func (s scene) ofSPI(receiver bool) []*evidence.Event {
	var out []*evidence.Event
	for _, e := range s.c.bySPI[s.f.flow.SPI] {
		switch {
		case receiver && e.Device == s.f.device && (!e.Dst.IsValid() || e.Dst == s.f.flow.Dst):
			out = append(out, e)
		case !receiver && e.Device != s.f.device && (!e.Peer.IsValid() || e.Peer == s.f.flow.Dst):
			out = append(out, e)
		}
	}
	return out
}

// atSender lists what another device says of the receiver.
func (s scene) atSender() []*evidence.Event {
	var out []*evidence.Event
	for _, e := range s.c.byPeer[s.f.flow.Dst] {
		if e.Device != s.f.device {
			out = append(out, e)
		}
	}
	return out
}

// since is how long before the first sighting e was.
func (s scene) since(e *evidence.Event) (time.Duration, bool) {
	return evidence.Since(e, s.f.first.event())
}

// behind is how long after the last sighting e was.
func (s scene) behind(e *evidence.Event) (time.Duration, bool) {
	return evidence.Since(s.f.last.event(), e)
}

func cameUp(k evidence.Kind) bool {
	return k == evidence.ChildUp || k == evidence.Installed || k == evidence.Healed
}

// reportsUps is a line that shows that the device logs SAs that come up; nil: nothing shows it, and that no such line
// stands behind a loss proves nothing. IOS logs them only with `crypto logging session` or debugs. Debugs end with a
// restart, so only what was logged after that counts then.
func (s scene) reportsUps(loss *evidence.Event) *evidence.Event {
	up := s.c.ups[s.f.device]
	if up == nil {
		return nil
	}
	if after, ok := evidence.Since(loss, up); loss.Kind == evidence.Restart && (!ok || after < 0) {
		return nil
	}
	return up
}

// upBetween reports that an SA with the sender came up between e and the first sighting: then what e removed is not what
// the packets were for.
func (s scene) upBetween(e *evidence.Event) bool {
	for _, up := range s.atReceiver() {
		if !cameUp(up.Kind) {
			continue
		}
		after, ok := evidence.Since(e, up)
		before, ok2 := s.since(up)
		if ok && ok2 && after > 0 && before > 0 {
			return true
		}
	}
	return false
}
