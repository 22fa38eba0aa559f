package sa

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa/replay"
	"lockstep/internal/suite"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

// NoteKind is what the data plane tells IKE about a child.
type NoteKind uint8

const (
	NoteFirstInbound NoteKind = iota + 1
	NoteSoftBytes
	NoteSoftPackets
	NoteHardBytes
	NoteSeqHigh
	NoteInbound // a packet verified since the last such note
	NoteEndpointMoved
	NoteOutbound    // a packet was sent since the last such note
	NoteReplayStuck // Value packets came, none of them above the replay window's lower end
)

// Note is about the child whose inbound SPI is SPI.
type Note struct {
	SPI    SPI
	Owner  Owner
	Kind   NoteKind
	Value  uint64
	Remote netip.AddrPort // of NoteEndpointMoved
	At     time.Time
}

// Counts are the packets and octets (of the inner packets) that an SA carried, and what was discarded on it by reason.
type Counts struct {
	Packets, Octets uint64
	Drops           [reason.Count]uint64
	Last            time.Time // zero: never used
}

type counts struct {
	packets, octets atomic.Uint64
	drops           [reason.Count]atomic.Uint64
	last            atomic.Int64 // Unix nanoseconds
}

func (c *counts) load() Counts {
	out := Counts{Packets: c.packets.Load(), Octets: c.octets.Load()}
	for i := range c.drops {
		out.Drops[i] = c.drops[i].Load()
	}
	if ns := c.last.Load(); ns != 0 {
		out.Last = time.Unix(0, ns)
	}
	return out
}

const (
	// aliveEvery is how often traffic is told: what comes in is proof of life, what goes out asks for some (RFC 7296 §2.4).
	// So often a peer that moved is told of, too, until it is followed: what we send is lost meanwhile.
	aliveEvery = time.Second
	// limitEvery is how often a limit is told while it is exceeded: a note that found the mailbox of IKE full is lost, and
	// an SA whose hard limit nobody heard of carries nothing until its time is over.
	limitEvery = 10 * time.Second
)

// limits are the times at which each limit was told last. Callers serialise its use.
type limits [NoteEndpointMoved + 1]time.Time

// due says that a limit is to be told now.
func (l *limits) due(kind NoteKind, now time.Time) bool {
	if !l[kind].IsZero() && now.Sub(l[kind]) < limitEvery {
		return false
	}
	l[kind] = now
	return true
}

// Inbound is the receiving half of a child. Hold and LetGo go around a run of packets; between them one goroutine opens.
type Inbound struct {
	Child // without keys
	note  func(Note)

	mu      sync.Mutex // held over a run
	opener  *suite.Opener
	window  replay.Window
	seen    bool           // a packet verified
	alive   time.Time      // last NoteInbound
	moved   netip.AddrPort // last endpoint told; zero: none was
	movedAt time.Time
	inner   ip.Packet // what the last good packet held
	below   behind    // the window, since the last good packet
	told    limits
	row     row
	wide4   bool // every IPv4 packet is within the selectors, wide6: every IPv6 one; never changes
	wide6   bool

	sendsTo atomic.Pointer[netip.AddrPort] // where its outbound half sends; Table.Move changes it
	top     atomic.Uint64                  // of the window, for show
	counts  counts
}

// behind counts packets of a sender whose sequence numbers have gone back (protocol.md D24). One that verifies ends it.
type behind struct {
	packets uint64
	since   time.Time // the first of them
	told    time.Time // last NoteReplayStuck
}

const (
	stuckPackets = 16               // reordering leaves fewer without a good one between them
	stuckFor     = 3 * time.Second  // so long nothing verified
	stuckEvery   = 10 * time.Second // between two notes
)

func newInbound(c Child) (*Inbound, error) {
	opener, err := suite.NewOpener(c.Cipher, c.KeyIn.Reveal(), uint32(c.In), c.ESN)
	if err != nil {
		return nil, err
	}
	c.KeyIn, c.KeyOut = policy.Secret{}, policy.Secret{}
	// Without replay protection the window still infers the high half of extended sequence numbers.
	in := &Inbound{Child: c, opener: opener, window: replay.New(max(c.ReplayWindow, 64)),
		wide4: widest(c.TSRemote, 32) && widest(c.TSLocal, 32), wide6: widest(c.TSRemote, 128) && widest(c.TSLocal, 128)}
	in.sendsTo.Store(&c.Remote)
	return in, nil
}

// row is what good packets between Hold and LetGo add to the counters.
type row struct {
	packets, octets uint64
	last            int64 // Unix nanoseconds
}

// Hold takes the SA for a run of packets; LetGo counts them and gives it back.
func (in *Inbound) Hold() { in.mu.Lock() }

// LetGo ends what Hold began.
func (in *Inbound) LetGo() {
	if in.row.last != 0 {
		in.counts.packets.Add(in.row.packets)
		in.counts.octets.Add(in.row.octets)
		in.counts.last.Store(in.row.last)
		in.top.Store(in.window.Top())
		in.row = row{}
	}
	in.mu.Unlock()
}

// Open verifies and decrypts pkt (from the SPI on) in place, in the order of RFC 4303 §3.4: replay pre-check, ICV, replay
// update, then selectors. Nothing of the SA changes before the ICV held. The result is None and the inner packet, or why
// it was discarded; DummyPacket is a good packet that carries nothing. Callers hold the SA.
func (in *Inbound) Open(pkt []byte, from netip.AddrPort, now time.Time) ([]byte, reason.Drop) {
	inner, why := in.open(pkt, from, now)
	if why != reason.None {
		in.counts.drops[why].Add(1)
		return nil, why
	}
	in.received(uint64(len(inner)), now)
	return inner, reason.None
}

// Inner describes the packet that the last Open gave. Callers hold the SA and copy what they keep.
func (in *Inbound) Inner() *ip.Packet { return &in.inner }

// received counts a packet and tells of limits: a peer's clock and counters are not ours (RFC 7296 §2.8).
func (in *Inbound) received(octets uint64, now time.Time) {
	in.row.packets++
	in.row.octets += octets
	if in.SoftPackets > 0 {
		if p := in.counts.packets.Load() + in.row.packets; p >= in.SoftPackets {
			in.limit(NoteSoftPackets, p, now)
		}
	}
	if in.SoftBytes > 0 {
		if b := in.volume(); b >= in.SoftBytes {
			in.limit(NoteSoftBytes, b, now)
		}
	}
}

// volume is the octets received so far, the row in hand included.
func (in *Inbound) volume() uint64 { return in.counts.octets.Load() + in.row.octets }

func (in *Inbound) limit(kind NoteKind, value uint64, now time.Time) {
	if in.told.due(kind, now) {
		in.tell(Note{Kind: kind, Value: value, At: now})
	}
}

func (in *Inbound) open(pkt []byte, from netip.AddrPort, now time.Time) ([]byte, reason.Drop) {
	_, low, ok := esp.Parse(pkt)
	if !ok {
		return nil, reason.ESPTruncated
	}
	if !in.Hard.IsZero() && !now.Before(in.Hard) {
		return nil, reason.HardExpired // RFC 4301 §4.4.2.1: an expired SA must not be used
	}
	if in.HardBytes > 0 && in.volume() >= in.HardBytes {
		in.limit(NoteHardBytes, in.volume(), now)
		return nil, reason.HardExpired
	}
	high := in.window.SeqHigh(low, in.ESN)
	seq := uint64(high)<<32 | uint64(low)
	if in.ReplayWindow > 0 && !in.window.Check(seq) {
		return nil, in.replayed(pkt, seq, now)
	}
	payload, next, err := in.opener.Open(pkt, high)
	switch {
	case errors.Is(err, suite.ErrShort):
		return nil, reason.ESPTruncated
	case errors.Is(err, suite.ErrPad):
		return nil, reason.BadPadding
	case err != nil:
		return nil, reason.BadICV
	}
	newest := seq > in.window.Top()
	if !in.window.Accept(seq) && in.ReplayWindow > 0 {
		return nil, in.replayed(nil, seq, now)
	}
	in.verified(from, newest, now)
	return in.judge(payload, next)
}

// replayed says why a number is not taken. pkt is the packet as it came, nil if it is opened already.
func (in *Inbound) replayed(pkt []byte, seq uint64, now time.Time) reason.Drop {
	if in.window.Top() < uint64(in.window.Size()) || seq > in.window.Top()-uint64(in.window.Size()) {
		return reason.ReplayDuplicate
	}
	if in.fellBehind(now) && in.authentic(pkt, uint32(seq>>32)) {
		in.below.told = now
		in.tell(Note{Kind: NoteReplayStuck, Value: in.below.packets, At: now})
	}
	return reason.ReplayOld
}

// fellBehind says that a sender comes with old sequence numbers alone, and it is time to tell. Anybody can write such
// numbers, and who has been on the path can replay them: it is a reason to ask over IKE and no more.
func (in *Inbound) fellBehind(now time.Time) bool {
	b := &in.below
	if b.packets++; b.packets == 1 {
		b.since = now
	}
	return b.packets >= stuckPackets && now.Sub(b.since) >= stuckFor && now.Sub(b.told) >= stuckEvery
}

// authentic says that a packet that is not taken is the peer's all the same. It is of no use afterwards.
func (in *Inbound) authentic(pkt []byte, high uint32) bool {
	_, _, err := in.opener.Open(pkt, high)
	return err == nil
}

// verified tells IKE what an authentic packet shows. An endpoint is learned only from the newest packet: a replayed or
// delayed one must not move it (RFC 7296 §2.23).
func (in *Inbound) verified(from netip.AddrPort, newest bool, now time.Time) {
	in.row.last = now.UnixNano()
	in.below.packets = 0
	if !in.seen {
		in.seen, in.alive = true, now
		in.tell(Note{Kind: NoteFirstInbound, At: now})
	} else if now.Sub(in.alive) >= aliveEvery {
		in.alive = now
		in.tell(Note{Kind: NoteInbound, At: now})
	}
	if newest && in.Encap == EncapUDP && from.IsValid() && from != *in.sendsTo.Load() && (from != in.moved || now.Sub(in.movedAt) >= aliveEvery) {
		in.moved, in.movedAt = from, now
		in.tell(Note{Kind: NoteEndpointMoved, Remote: from, At: now})
	}
}

func (in *Inbound) tell(n Note) {
	if in.note != nil {
		n.SPI, n.Owner = in.Child.In, in.Owner
		in.note(n)
	}
}

// judge checks what came out: a whole IP packet within the child's selectors (RFC 4301 §5.2).
func (in *Inbound) judge(payload []byte, next uint8) ([]byte, reason.Drop) {
	switch next {
	case esp.NextDummy:
		return nil, reason.DummyPacket
	case 4, 41:
	default:
		return nil, reason.WrongNextHeader
	}
	var flaw ip.Flaw
	p := &in.inner
	if *p, flaw = ip.Parse(payload); flaw != 0 || (p.Version == 4) != (next == 4) {
		return nil, reason.InnerMalformed
	}
	if !(in.wide4 && p.Version == 4 || in.wide6 && p.Version == 6 || permits(in.TSRemote, in.TSLocal, p)) {
		return nil, reason.SelectorMismatch
	}
	return payload[:p.TotalLen], reason.None // what lies behind is TFC padding (RFC 4303 §2.7)
}

// widest reports that one selector takes every packet of the family whose addresses have that many bits: the usual
// case of an sVTI, told once so that it need not be compared for each packet.
func widest(ts []ike2.Selector, addrBits int) bool {
	for _, s := range ts {
		if p, ok := s.Prefix(); ok && p.Bits() == 0 && p.Addr().BitLen() == addrBits && s.Protocol == 0 && s.AnyPort() {
			return true
		}
	}
	return false
}

// permits reports that the packet's source fits one of from and its destination one of to.
func permits(from, to []ike2.Selector, p *ip.Packet) bool {
	return fits(from, p, p.Src, p.SrcPort) && fits(to, p, p.Dst, p.DstPort)
}

func fits(ts []ike2.Selector, p *ip.Packet, a netip.Addr, port uint16) bool {
	for i := range ts {
		// A packet without ports fits only selectors that ask for none (RFC 4301 §4.4.1.1, OPAQUE).
		if ts[i].Match(a, p.Protocol, port) && (p.Ports || ts[i].AnyPort()) {
			return true
		}
	}
	return false
}
