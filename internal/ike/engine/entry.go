package engine

import (
	"fmt"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/peer"
	"lockstep/internal/reason"
	"lockstep/internal/wire/isakmp"
)

// entry is one peer with its effects on their way: the order and the barriers of the effect contract (package ike).
type entry struct {
	p        *peer.Peer
	queue    []ike.Effect // not run yet, in order
	open     bool         // a barrier is; nothing of queue runs
	barrier  ike.EffectID // the open one
	halfOpen int          // share of Engine.halfOpen
	deadline time.Time
	index    int  // in timers; -1: not there
	leaving  bool // the configuration has it no more
}

// idle says that nothing is on its way and the peer need not hear anything more.
func (en *entry) idle() bool { return !en.open && len(en.queue) == 0 && en.p.Quiet() }

// step gives one input to a peer and runs its effects behind those that wait (duty 3).
func (s *shard) step(en *entry, in ike.Input) {
	if len(en.queue) >= maxWaiting && droppable(in) {
		s.e.drop(reason.IKEMailboxFull)
		return
	}
	s.took(en, s.stepped(en, in))
}

// stepped is a Step. Machines that fail are the peer's to bury; should the peer itself fail, only it is emptied (duty 10).
func (s *shard) stepped(en *entry, in ike.Input) (effects []ike.Effect) {
	defer func() {
		if r := recover(); r != nil {
			effects = en.p.Abandon(s.e.opt.Now(), r)
		}
	}()
	return en.p.Step(s.e.opt.Now(), in)
}

// droppable inputs come again, or do without.
func droppable(in ike.Input) bool {
	switch in.(type) {
	case ike.Datagram, ike.Traffic, ike.Hint, ike.Acquire:
		return true
	}
	return false
}

func (s *shard) took(en *entry, effects []ike.Effect) {
	en.queue = append(en.queue, effects...)
	s.proceed(en)
}

// ended takes the end of a barrier. What the peer makes of it comes before what waited behind it (duty 3).
func (s *shard) ended(en *entry, done ike.Done) {
	if !en.open || en.barrier != done.ID {
		return
	}
	en.open = false
	effects := s.stepped(en, done)
	en.queue = append(effects, en.queue...)
	s.proceed(en)
}

// proceed runs effects up to the next barrier, and sets the peer's timer.
func (s *shard) proceed(en *entry) {
	for len(en.queue) > 0 && !en.open {
		next := en.queue[0]
		en.queue[0] = nil
		en.queue = en.queue[1:]
		s.perform(en, next)
	}
	s.timers.set(en, en.p.Deadline())
	n := en.p.HalfOpen()
	s.e.halfOpen.Add(int64(n - en.halfOpen))
	en.halfOpen = n
}

// perform runs one effect.
func (s *shard) perform(en *entry, effect ike.Effect) {
	o, now := &s.e.opt, s.e.opt.Now()
	switch f := effect.(type) {
	case ike.Persist:
		s.await(en, f.ID, s.e.store, func() (any, error) { return nil, o.Store.Put(s.e.killed, f.Rec) })
	case ike.Install:
		s.await(en, f.ID, s.e.installs, func() (any, error) { return nil, o.Installer.Install(f.Child, f.Half, o.Now()) })
	case ike.Compute:
		s.await(en, f.ID, s.e.crypto, f.Run)
	case ike.Remove:
		o.Installer.Remove(f.In, f.Out, f.Owner, f.Half, f.Why, now)
	case ike.Moved:
		o.Moved(f)
	case ike.Release:
		o.Installer.Release(f.SPI, now)
	case ike.Send:
		if s.e.killed.Err() == nil {
			o.Send(f)
		}
	case ike.Dropped:
		o.Drop(f.Why, 1)
	case ike.Report:
		if f.Event.At.IsZero() {
			f.Event.At = now
		}
		o.Events(f.Event)
	case ike.Outcome:
		o.Outcomes(f)
	case ike.Notice:
		o.Notices(f)
	case ike.Claim:
		s.claims[f.SPI] = en
	case ike.Disclaim:
		s.disclaim(f.SPI)
	}
}

// disclaim ends the routing of an IKE SPI; the store need not keep it any more.
func (s *shard) disclaim(spi isakmp.SPI) {
	if _, claimed := s.claims[spi]; !claimed {
		return
	}
	delete(s.claims, spi)
	if _, none := s.e.opt.Store.(None); !none {
		s.e.store.do(func() { _ = s.e.opt.Store.Delete(s.e.killed, uint64(spi)) }) // a leftover is found dead at the next start
	}
}

// await runs a barrier on a pool. Its Done comes by the urgent queue: a full mailbox cannot lose it (duty 2).
func (s *shard) await(en *entry, id ike.EffectID, p *pool, run func() (any, error)) {
	en.open, en.barrier = true, id
	p.do(func() {
		value, err := shielded(run)
		s.urgent(func() { s.ended(en, ike.Done{ID: id, Value: value, Err: err}) })
	})
}

// shielded makes an error of a panic (duty 10).
func shielded(run func() (any, error)) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("internal error: %v", r)
		}
	}()
	return run()
}
