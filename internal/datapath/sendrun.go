package datapath

import (
	"net/netip"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// sendRun gathers sealed packets that may leave in one call: same wire, endpoints and traffic class, same length but for
// the last.
type sendRun struct {
	w     *worker
	sent  *tally
	wire  Wire
	run   Run // Buf is what was gathered
	seg   int
	count int
	inner int       // octets of the packets before they were sealed
	now   time.Time // of the last aim
	full  bool      // the last packet is shorter: nothing may follow it
	buf   []byte
}

func (s *sendRun) init(w *worker, sent *tally) {
	s.w, s.sent = w, sent
	s.buf = make([]byte, MaxRunOctets)
}

func (s *sendRun) forget() { s.run.Buf, s.seg, s.count, s.inner, s.full = s.buf[:0], 0, 0, 0, false }

// aim says where the next packets go; what was gathered for elsewhere leaves first.
func (s *sendRun) aim(wire Wire, path *sa.Path, encap sa.Encap, class uint8, now time.Time) {
	local, remote := path.Local, path.Remote
	if encap == sa.EncapNone {
		local, remote = netip.AddrPortFrom(local.Addr(), 0), netip.AddrPortFrom(remote.Addr(), 0)
	}
	if s.count > 0 && (s.wire != wire || s.run.Local != local || s.run.Remote != remote || s.run.TrafficClass != class) {
		s.flush()
	}
	s.wire, s.now = wire, now
	s.run.Local, s.run.Remote, s.run.Encap, s.run.TrafficClass = local, remote, encap, class
	if s.count == 0 {
		s.run.Buf = s.buf[:0]
	}
}

// room is how many packets of that sealed length may follow.
func (s *sendRun) room(sealed int) int {
	if s.count == 0 {
		return min(MaxRunSegments, MaxRunOctets/sealed)
	}
	if s.full || sealed > s.seg {
		return 0
	}
	n := min(MaxRunSegments-s.count, (MaxRunOctets-len(s.run.Buf))/sealed)
	if sealed < s.seg {
		n = min(n, 1)
	}
	return n
}

// slot is where the next packet goes.
func (s *sendRun) slot(sealed int) []byte {
	at := len(s.run.Buf)
	return s.buf[at : at+sealed]
}

// took adds what was sealed into the slot, a packet of inner octets.
func (s *sendRun) took(sealed, inner int) {
	s.run.Buf = s.buf[:len(s.run.Buf)+sealed]
	if s.count == 0 {
		s.seg = sealed
	}
	s.full = sealed < s.seg
	s.count++
	s.inner += inner
}

// flush sends what was gathered. Numbers that were used for packets that the wire refuses are lost; no packet is sealed
// twice.
func (s *sendRun) flush() {
	if s.count == 0 {
		return
	}
	s.run.Seg = 0
	if s.count > 1 {
		s.run.Seg = s.seg
	}
	if err := s.wire.Send(&s.run); err != nil {
		for left := len(s.run.Buf); left > 0; left -= s.seg {
			s.w.drops.Drop(reason.WireSendFailed, min(left, s.seg))
		}
		s.w.report(err)
		s.sent.add(0, 0, s.count, time.Time{})
	} else {
		s.sent.add(s.count, s.inner, 0, s.now)
	}
	s.forget()
}
