package recovery

import (
	"container/list"
	"net/netip"
	"time"

	"lockstep/internal/sa"
)

// Flow is what was seen of one key. A published one never changes.
type Flow struct {
	Key
	SrcPort, DstPort uint16
	Encap            sa.Encap
	Class            Class
	Verdict          Verdict
	Revised          bool
	Owner            sa.Owner
	OwnerBy          string
	Peer             string // name of the owner; empty: none
	First, Last      time.Time
	Count, Octets    uint64
	MinLen           int
	Tomb             sa.Tombstone // previous owner of the SPI and why it went; zero: not known
	Incident         uint64       // of the last incident; 0: none
}

type flow struct {
	Flow
	inc  *incident // open; nil: none
	pool *pool
	elem *list.Element
}

const (
	maxKnown    = 32768 // flows of owners; leastPerOwner find room all the same
	maxPerOwner = 1024
	// leastPerOwner keeps an owner's first trouble from finding no room in a table that others filled over weeks.
	leastPerOwner = 4
	maxStrangers  = 32768
	prefixes      = 256 // buckets of strangers by source prefix
)

// pool is a bounded list of flows, the longest silent first. An open incident keeps its flow.
type pool struct {
	limit  int
	silent list.List
}

// flowTable remembers flows in two pools: what strangers send, or claim to come from a peer with an SPI that was never
// ours, cannot push out what concerns SAs of ours (protocol.md §2.8 rule 7). Within the strangers, one source prefix
// cannot push out another.
type flowTable struct {
	all       map[Key]*flow
	owners    map[sa.Owner]*pool
	known     int
	strangers [prefixes]pool
	evicted   uint64
}

func newFlowTable() *flowTable {
	t := &flowTable{all: map[Key]*flow{}, owners: map[sa.Owner]*pool{}}
	for i := range t.strangers {
		t.strangers[i].limit = maxStrangers / prefixes
	}
	return t
}

func keyOf(s Seen) Key { return Key{s.Src.Addr().Unmap(), s.Dst.Addr().Unmap(), s.SPI} }

// see counts evidence to its flow, which is made where there is none. nil: there is no room for it.
func (t *flowTable) see(e Evidence, peer string) *flow {
	k := keyOf(e.seen)
	p := t.poolOf(e, k)
	f := t.all[k]
	if f != nil && f.pool != p {
		t.drop(f) // the owner or the class became known
		f.pool = nil
	}
	if f == nil || f.pool == nil {
		if !t.room(p) {
			return nil
		}
		if f == nil {
			f = &flow{Flow: Flow{Key: k, First: e.seen.First, MinLen: e.seen.MinLen}}
		}
		f.pool, f.elem = p, p.silent.PushBack(f)
		t.all[k] = f
		if p.limit == maxPerOwner {
			t.known++
		}
	}
	p.silent.MoveToBack(f.elem)
	f.take(e, peer)
	return f
}

func (f *flow) take(e Evidence, peer string) {
	s := e.seen
	f.SrcPort, f.DstPort, f.Encap = s.Src.Port(), s.Dst.Port(), s.Encap
	f.Class, f.Owner, f.OwnerBy, f.Peer, f.Tomb = e.class, s.Owner, s.OwnerBy, peer, e.tomb
	if s.At.After(f.Last) {
		f.Last = s.At
	}
	f.Count += s.Count
	f.Octets += s.Octets
	f.MinLen = min(f.MinLen, s.MinLen)
}

func (t *flowTable) poolOf(e Evidence, k Key) *pool {
	if e.seen.Owner == sa.NoOwner || !e.class.certain() {
		return &t.strangers[bucketOf(k.Src)]
	}
	p := t.owners[e.seen.Owner]
	if p == nil {
		p = &pool{limit: maxPerOwner}
		t.owners[e.seen.Owner] = p
	}
	return p
}

// bucketOf spreads source prefixes, /24 and /48.
func bucketOf(a netip.Addr) int {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	h := uint32(2166136261)
	if p, err := a.Prefix(bits); err == nil {
		for _, b := range p.Addr().As16() {
			h = (h ^ uint32(b)) * 16777619
		}
	}
	return int(h % prefixes)
}

// room makes a place in p: the longest silent flow without an open incident goes.
func (t *flowTable) room(p *pool) bool {
	full := p.limit == maxPerOwner && t.known >= maxKnown && p.silent.Len() >= leastPerOwner
	if p.silent.Len() < p.limit && !full {
		return true
	}
	for e := p.silent.Front(); e != nil; e = e.Next() {
		if f := e.Value.(*flow); f.inc == nil {
			t.drop(f)
			t.evicted++
			return true
		}
	}
	return false
}

// forget drops the flows of an owner that is no longer configured.
func (t *flowTable) forget(o sa.Owner) {
	p := t.owners[o]
	if p == nil {
		return
	}
	for e := p.silent.Front(); e != nil; e = p.silent.Front() {
		t.drop(e.Value.(*flow))
	}
	delete(t.owners, o)
}

func (t *flowTable) drop(f *flow) {
	f.pool.silent.Remove(f.elem)
	delete(t.all, f.Key)
	if f.pool.limit == maxPerOwner {
		t.known--
	}
}

// judge forms the verdict (protocol.md §1.3). busy: an exchange with the owner is outstanding or ended less than G ago.
func (f *flow) judge(busy bool, t time.Duration) {
	v := f.Verdict
	switch {
	case f.Owner == sa.NoOwner:
		v = Stranger
	case busy:
		if v == 0 || v == Stranger {
			v = Transient
		}
	case f.Last.Sub(f.First) >= t:
		v = Persistent
	default:
		v = Transient
	}
	if f.Verdict != 0 && v != f.Verdict {
		f.Revised = true
	}
	f.Verdict = v
}
