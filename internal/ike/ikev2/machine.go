package ikev2

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
)

// machine is the lineage of one IKE SA. Its runner steps it; it is its own sole writer.
type machine struct {
	cfg  Config
	tune Tuning
	peer *policy.Peer // nil while a responder does not know who calls
	// quirks of the peer; never nil.
	quirks *ike.Quirks
	now    time.Time    // of the Step under way
	out    []ike.Effect // of the Step under way

	waiting map[ike.EffectID]func(value any, err error) // continuations of open barriers

	sas   []*ikeSA // all that messages may still come for; cur is one of them
	cur   *ikeSA   // carries the children and new requests
	queue []task   // of ours, waiting for cur

	children []*child
	doomed   []sa.SPI // outbound SPIs of Deletes that came before the child they delete (protocol.md §5.7)

	path     path
	localID  policy.Identity
	remoteID policy.Identity

	heard         time.Time // last authenticated fresh sign of the peer
	talked        time.Time // the last of them that was an IKE message
	hintedAt      time.Time // the last hint that was taken up
	srtt          time.Duration
	wantAt        time.Time     // when a tunnel without a child tries for one; zero: not at all
	wantPause     time.Duration // last wait of that kind
	vain          vain          // children for packets
	temporary     time.Time     // first TEMPORARY_FAILURE since the peer last made an SA with us; zero: none
	lastTemporary time.Time
	probeAt       time.Time // periodic DPD; zero: off
	keepAt        time.Time // NAT keepalive; zero: off
	reauthAt      time.Time // the peer wants to be authenticated to again by then; zero: it said nothing
	lingerAt      time.Time // end of a machine that only answers retransmissions; zero: it lives
	authBy        time.Time // a responder's IKE_AUTH is due; zero: it came
	upByRef       uint64    // Ref of the command that made the IKE SA
	lastDown      string
	parting       bool // closeIKE was called
	closed        bool
}

// path is how messages and ESP travel between the two ends.
type path struct {
	local, remote       netip.AddrPort
	natLocal, natRemote bool // RFC 7296 §2.23: who sits behind a NAT, as far as the hashes tell
	peerLockstep        bool // by vendor ID
	encap               sa.Encap
}

// Step implements ike.Machine.
func (m *machine) Step(now time.Time, in ike.Input) []ike.Effect {
	if m.closed {
		return nil
	}
	m.now = now
	switch in := in.(type) {
	case ike.Datagram:
		m.datagram(in)
	case ike.Tick:
		m.expire()
	case ike.Done:
		m.done(in)
	case ike.Command:
		m.command(in)
	case ike.Traffic:
		m.traffic(in)
	case ike.Hint:
		m.hint(in)
	case ike.Acquire:
		m.acquire(in)
	case ike.Reconfigured:
		m.reconfigured(in.Peer)
	}
	m.pump()
	return m.flush()
}

func (m *machine) flush() []ike.Effect {
	out := m.out
	m.out = nil
	return out
}

func newMachine(now time.Time, cfg Config) *machine {
	quirks := cfg.Quirks
	if quirks == nil {
		quirks = &ike.Quirks{}
	}
	return &machine{cfg: cfg, tune: cfg.Tuning.withDefaults(), now: now, peer: cfg.Peer, quirks: quirks, heard: now,
		waiting: map[ike.EffectID]func(any, error){},
		path:    path{local: cfg.Local, remote: cfg.Remote}}
}

// owner is the peer whose SAs these are, NoOwner while it is not known.
func (m *machine) owner() sa.Owner {
	if m.peer == nil {
		return sa.NoOwner
	}
	return sa.Owner(m.peer.ID)
}

// up says that the peer is authenticated and the IKE SA in use.
func (m *machine) up() bool { return m.cur.phase == established }

func (m *machine) drop(why reason.Drop) { m.emit(ike.Dropped{Why: why}) }

// Initiate begins an IKE SA with cfg.Peer and its first child. cmd, which need not have a Ref, ends when the child is
// up or can be no more.
func Initiate(now time.Time, cfg Config, cmd ike.Command) (ike.Machine, []ike.Effect) {
	m := newMachine(now, cfg)
	m.upByRef = cmd.Ref
	m.cur = &ikeSA{ours: cfg.Env.AllocIKE(), initiator: true}
	m.sas = []*ikeSA{m.cur}
	m.emit(ike.Claim{SPI: m.cur.ours})
	m.begin(m.cur, &initTask{orders: orders{{cmd: cmd}}})
	m.pump()
	return m, m.flush()
}

// Respond begins an IKE SA with whoever sent first, an IKE_SA_INIT request (cookies are asked for before, by CookieJar).
// A message that makes no IKE SA gives a machine whose effects end in Closed.
func Respond(now time.Time, cfg Config, first ike.Datagram) (ike.Machine, []ike.Effect) {
	m := newMachine(now, cfg)
	if len(cfg.candidates()) > 1 {
		m.peer = nil
	}
	m.cur = &ikeSA{ours: cfg.Env.AllocIKE()}
	m.sas = []*ikeSA{m.cur}
	m.path.local, m.path.remote = first.Local, first.Remote
	m.authBy = now.Add(m.tune.HalfOpen)
	m.respondInit(first)
	m.pump()
	return m, m.flush()
}
