package verdict

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// MaxFlows is how many flows are followed; beyond it the least telling ones are forgotten, and counted.
const MaxFlows = 100_000

// maxStamps bounds the stamps that are remembered to tell lines that two files have from repeats, about 40 octets each.
const maxStamps = 200_000

// maxText bounds the quoted text that is kept; beyond it a quote is its place alone.
const maxText = 12 << 20

// Tracker follows flows. Its methods are called by one goroutine.
type Tracker struct {
	flows   map[evidence.Flow]*track
	context context
	traffic map[evidence.Flow]evidence.Traffic
	ike     map[[2]netip.Addr][]evidence.IKE // that began in captures, by initiator and responder
	counts  map[evidence.Kind]uint64
	samples map[evidence.Kind]evidence.Quote
	latest  map[string]*track    // by device, for counts that follow a line
	covered map[string]time.Time // by device: its newest stamp
	scans   scans
	starts  map[string][]time.Time // by device: when its flows began, sorted; made by Judge
	text    int
	stamps  int // remembered in track.older
	order   int

	Evicted    uint64 // flows
	Duplicates uint64 // lines that two relays delivered
	limit      int
}

// New makes a Tracker for at most limit flows; 0: MaxFlows.
func New(limit int) *Tracker {
	if limit <= 0 {
		limit = MaxFlows
	}
	return &Tracker{flows: map[evidence.Flow]*track{}, traffic: map[evidence.Flow]evidence.Traffic{}, ike: map[[2]netip.Addr][]evidence.IKE{}, counts: map[evidence.Kind]uint64{},
		samples: map[evidence.Kind]evidence.Quote{}, latest: map[string]*track{}, covered: map[string]time.Time{},
		context: newContext(), scans: scans{}, limit: limit}
}

// sighting is one line that tells of a packet on an SPI without SA.
type sighting struct {
	evidence.Stamp
	evidence.Quote
	relayAt    time.Time
	relayClock int
}

// event is the sighting as far as its place in time goes.
func (s *sighting) event() *evidence.Event {
	return &evidence.Event{Stamp: s.Stamp, Relay: evidence.Stamp{At: s.relayAt, Clock: s.relayClock}}
}

// track is one flow as far as it was seen.
type track struct {
	flow      evidence.Flow
	device    string
	platform  evidence.Platform
	lines     uint64 // that tell of it
	noDeletes uint64 // of them, debug lines that IOS prints for each packet, beside the limited one
	hidden    uint64 // repeats that the device counts and did not print
	limited   time.Duration
	several   bool // devices saw it
	anchor    evidence.Stamp
	first     sighting
	proof     sighting // the first that is surely Again after the anchor; no time: none
	last      sighting
	widest    time.Duration
	clocks    int            // that could not be compared
	doubtful  int            // lines nearer to another than the device prints them, by the times of relays
	recent    [4]int64       // stamps
	older     map[int64]bool // stamps before those, while Tracker.stamps has room
	noIKE     evidence.Quote // the device had no IKE SA to send a Delete over
	firstSeen int            // order of arrival
}

// Event takes one event.
func (t *Tracker) Event(e evidence.Event) {
	if up := e.At; !up.IsZero() && up.After(t.covered[e.Device]) && len(t.covered) < maxDevices {
		t.covered[e.Device] = up
	}
	t.counts[e.Kind]++
	if t.counts[e.Kind] == 1 {
		t.samples[e.Kind] = e.Quote
	}
	switch {
	case e.Kind.Sighting():
		t.sight(e)
	case e.Kind == evidence.Suppressed:
		// Lockstep prints it right behind the line of its flow, with the same time, and names no flow: one that stands
		// elsewhere is nobody's.
		if f := t.latest[e.Device]; f != nil && f.last.Clock == e.Clock && e.At.Sub(f.last.At).Abs() < time.Second {
			f.hidden += e.Count
		}
	default:
		t.context.add(e)
	}
}

// ESP takes the packets of one SPI in a packet capture.
func (t *Tracker) ESP(p evidence.Traffic) {
	if len(t.traffic) < t.limit {
		t.traffic[p.Flow] = p
	}
}

// IKE takes an IKE SA of a packet capture.
func (t *Tracker) IKE(i evidence.IKE) {
	pair := [2]netip.Addr{i.Initiator, i.Responder}
	if i.New() && len(t.ike) < maxDevices && len(t.ike[pair]) < perSubject {
		t.ike[pair] = append(t.ike[pair], i)
	}
}

// Flows is how many are followed.
func (t *Tracker) Flows() int { return len(t.flows) }

// Count is how many events of a kind were taken, with the first.
func (t *Tracker) Count(k evidence.Kind) (uint64, evidence.Quote) { return t.counts[k], t.samples[k] }

func (t *Tracker) sight(e evidence.Event) {
	f := t.flows[e.Flow]
	if f == nil {
		if len(t.flows) >= t.limit {
			t.evict()
		}
		f = &track{flow: e.Flow, device: e.Device, platform: e.Platform, anchor: e.Stamp, firstSeen: t.order}
		t.order++
		t.flows[e.Flow] = f
		t.scans.saw(e.Flow)
	} else if e.Kind == evidence.InvalidSPI && e.Limit > 0 && e.Grain <= e.Limit && f.again(e.At) {
		t.Duplicates++
		return
	}
	if len(t.latest) < maxDevices {
		t.latest[e.Device] = f
	}
	if old := f.recent[(f.lines+1)%uint64(len(f.recent))]; e.Limit > 0 && f.lines >= uint64(len(f.recent)) && t.stamps < maxStamps && !f.older[old] {
		if f.older == nil {
			f.older = map[int64]bool{}
		}
		f.older[old] = true
		t.stamps++
	}
	f.take(e, t.keep(e.Quote, f.lines == 0))
}

// keep is the quote as it is remembered: the first of a flow always with its text, others while there is room.
func (t *Tracker) keep(q evidence.Quote, always bool) evidence.Quote {
	if t.text > maxText {
		if !always {
			q.Text = ""
			return q
		}
		if len(q.Text) > 160 {
			q.Text = strings.Clone(q.Text[:160])
		}
	}
	t.text += len(q.Text)
	return q
}

// evict forgets a flow of a few that is not known to be persistent, or else any of them.
func (t *Tracker) evict() {
	var victim *track
	n := 0
	for _, f := range t.flows {
		if victim == nil || f.weight() < victim.weight() {
			victim = f
		}
		if n++; n == 16 {
			break
		}
	}
	t.text -= len(victim.first.Text) + len(victim.proof.Text)
	t.stamps -= len(victim.older)
	delete(t.flows, victim.flow)
	for d, f := range t.latest {
		if f == victim {
			delete(t.latest, d)
		}
	}
	t.Evicted++
}

// least is how many packets there were at least: a packet may have a line of both kinds.
func (f *track) least() uint64 { return max(f.lines-f.noDeletes+f.hidden, f.noDeletes) }

func (f *track) weight() uint64 {
	if !f.proof.At.IsZero() {
		return 1<<32 + f.lines
	}
	return f.lines
}

// again reports that a line of a limited message with this very stamp was taken: two relays delivered one message.
func (f *track) again(at time.Time) bool {
	if at.IsZero() {
		return false
	}
	n := at.UnixNano()
	return slices.Contains(f.recent[:], n) || f.older[n]
}

func (f *track) take(e evidence.Event, q evidence.Quote) {
	s := sighting{e.Stamp, q, e.Relay.At, e.Relay.Clock}
	f.lines++
	f.recent[f.lines%uint64(len(f.recent))] = e.At.UnixNano()
	if e.Limit > 0 {
		f.limited = max(f.limited, e.Limit)
	}
	if e.Kind == evidence.NoDelete {
		f.noDeletes++
		if f.noIKE.File == "" {
			f.noIKE = q
		}
	}
	f.several = f.several || f.device != e.Device
	if f.lines == 1 || earlier(e.Stamp, f.first.Stamp) {
		f.first = s
	}
	if f.lines == 1 || !earlier(e.Stamp, f.last.Stamp) {
		f.last = s
	}
	f.measure(s)
}

// earlier compares where both have a time, whatever the clocks: it orders what is shown, and proves nothing.
func earlier(a, b evidence.Stamp) bool {
	return !a.At.IsZero() && !b.At.IsZero() && a.At.Before(b.At)
}

// measure looks whether a sighting is surely Again apart from the anchor.
func (f *track) measure(s sighting) {
	if s.Clock != f.anchor.Clock {
		f.clocks++
		f.anchor = s.Stamp
		return
	}
	gap := evidence.Gap(f.anchor, s.Stamp)
	if gap > longestLife {
		f.anchor = s.Stamp
		return
	}
	if f.lines > 1 && f.mayBeOne(s, gap) {
		f.doubtful++
		return
	}
	f.widest = max(f.widest, gap)
	if gap >= Again && f.proof.At.IsZero() {
		f.proof = s
	}
}

// mayBeOne reports that s and the anchor may be one message that two relays delivered: the times are theirs, and the device
// prints the message more seldom than that. A relay holds lines back, and the clocks of two differ, so it is not exact.
func (f *track) mayBeOne(s sighting, gap time.Duration) bool {
	if f.limited == 0 || !s.Relayed && !f.anchor.Relayed {
		return false
	}
	if s.File != f.first.File {
		return gap < time.Minute
	}
	return gap < f.limited*3/4
}

// scans remembers how many sources sent on one SPI: an SPI is agreed with one peer, so several are a scan.
type scans map[uint32]*spread

type spread struct {
	flows   [3]evidence.Flow
	sources int
}

func (s scans) saw(f evidence.Flow) {
	w := s[f.SPI]
	if w == nil {
		if len(s) >= MaxFlows {
			return
		}
		w = &spread{}
		s[f.SPI] = w
	}
	for _, known := range w.flows[:min(w.sources, len(w.flows))] {
		if known.Src == f.Src {
			return
		}
	}
	if w.sources < len(w.flows) {
		w.flows[w.sources] = f
	}
	w.sources++
}

// Lost is how many events were not kept as context.
func (t *Tracker) Lost() uint64 { return t.context.lost }
