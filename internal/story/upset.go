package story

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lockstep/internal/story/relay"
	"lockstep/internal/wire/isakmp"
)

// upsets is what the network does besides its delay. It decides over one datagram at a time, in the order in which they
// enter the path.
type upsets struct {
	off atomic.Bool // the script is not heeded (a sabotage)

	mu      sync.Mutex
	rules   []*messageRule // guarded by mu
	weather *weather       // guarded by mu; nil: fair
}

// messageRule is what becomes of the next messages of one kind.
type messageRule struct {
	a, b     netip.Addr // b zero: to anybody
	between  bool       // either way
	exchange isakmp.Exchange
	response bool
	left     int
	fate     relay.Fate
}

func (r *messageRule) fits(s *sighting) bool {
	if s.ike.Exchange != r.exchange || s.ike.Response() != r.response {
		return false
	}
	if s.kind == sawIKE && !r.b.IsValid() {
		return s.src.Addr() == r.a
	}
	return s.fits(sawIKE, r.a, r.b) || r.between && s.fits(sawIKE, r.b, r.a)
}

// weather is bad luck with a seed. IKE and ESP of each sender have their own, so that the n-th message of each fares the
// same each time, however many packets went before it.
type weather struct {
	seed          uint64
	luck          map[sender]*rand.Rand
	lose, reorder int // of a hundred datagrams
}

type sender struct {
	from netip.Addr
	kind kind
}

// reorderBy is up to how much a datagram is held up so that later ones overtake it: at 200 packets a second up to sixteen.
const reorderBy = 80 * time.Millisecond

func (w *weather) fate(s *sighting) relay.Fate {
	by := sender{s.src.Addr(), s.kind}
	luck := w.luck[by]
	if luck == nil {
		luck = rand.New(rand.NewPCG(w.seed, sumOf(append(by.from.AsSlice(), byte(by.kind)))))
		w.luck[by] = luck
	}
	f := relay.Fate{Lost: luck.IntN(100) < w.lose}
	late, extra := luck.IntN(100) < w.reorder, luck.Int64N(int64(reorderBy)) // both drawn each time
	if late {
		f.Extra = time.Duration(extra)
	}
	return f
}

// fate is that of one datagram: of the first rule that fits, else of the weather.
func (u *upsets) fate(s *sighting) relay.Fate {
	if u.off.Load() {
		return relay.Fate{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.rules {
		if r.left > 0 && r.fits(s) {
			r.left--
			return r.fate
		}
	}
	if u.weather != nil {
		return u.weather.fate(s)
	}
	return relay.Fate{}
}

func (u *upsets) add(r *messageRule) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.rules = append(u.rules, r)
}

// silence is a sabotage: a gateway's messages of one kind never arrive.
func silence(e isakmp.Exchange, response bool) func(st *stage, s *site) {
	return func(st *stage, s *site) {
		st.upsets.add(&messageRule{a: s.addr(), exchange: e, response: response, left: math.MaxInt, fate: relay.Fate{Lost: true}})
	}
}

func (u *upsets) set(w *weather) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.weather = w
}

// fate is the network's rule.
func (st *stage) fate(p relay.Packet) relay.Fate {
	if st.loses(p) {
		return relay.Fate{Lost: true}
	}
	s := classify(p.Src, p.Dst, p.Payload)
	return st.upsets.fate(&s)
}

// exchanges are the exchange types as scripts write them.
var exchanges = map[string]isakmp.Exchange{
	"sa-init": isakmp.IKESAInit, "auth": isakmp.IKEAuth, "create-child": isakmp.CreateChildSA, "informational": isakmp.Informational,
}

func exchangeNames() []string { return slices.Sorted(maps.Keys(exchanges)) }

func (w *words) exchange() isakmp.Exchange {
	return exchanges[w.oneOf("an exchange type", exchangeNames()...)]
}

// maxMessages bounds what one line upsets: an exchange has one request, and five retransmissions.
const maxMessages = 100

func parseIKE(p *parser, w *words) action {
	var r messageRule
	var what string
	switch w.oneOf("what becomes of the messages", "lose", "delay", "copy") {
	case "lose":
		r.fate.Lost, what = true, "lost"
	case "delay":
		r.fate.Extra = w.duration("how long", time.Millisecond, maxWait)
		what = fmt.Sprintf("%v late", r.fate.Extra)
	case "copy":
		r.fate.Copies, what = 1, "delivered twice"
	}
	r.left = w.count("how many messages", 1, maxMessages)
	r.exchange = w.exchange()
	r.response = w.oneOf("one of both messages", "request", "response") == "response"
	way := "from %s to %s"
	if r.between = w.flag("between"); r.between {
		way = "between %s and %s"
	}
	a, b := p.pair(w)
	return func(_ context.Context, st *stage) error {
		now := r // a story may be told again
		now.a, now.b = st.sites[a].addr(), st.sites[b].addr()
		st.upsets.add(&now)
		st.tell("fault", "net", fmt.Sprintf("the next %d %v messages (%s) "+way+" are %s", r.left, r.exchange, messageName(r.response), a, b, what))
		return nil
	}
}

func messageName(response bool) string {
	if response {
		return "response"
	}
	return "request"
}

func parseWeather(_ *parser, w *words) action {
	if w.flag("fair") {
		return func(_ context.Context, st *stage) error {
			st.upsets.set(nil)
			st.tell("fault", "net", "the weather is fair again")
			return nil
		}
	}
	seed := w.count("a seed", 0, 1_000_000)
	w.literal("lose")
	lose := w.count("how many of a hundred", 0, 100)
	w.literal("reorder")
	reorder := w.count("how many of a hundred", 0, 100)
	return func(_ context.Context, st *stage) error {
		st.upsets.set(&weather{uint64(seed), map[sender]*rand.Rand{}, lose, reorder})
		st.tell("fault", "net", fmt.Sprintf("of a hundred datagrams %d get lost and %d come up to %v late", lose, reorder, reorderBy))
		return nil
	}
}
