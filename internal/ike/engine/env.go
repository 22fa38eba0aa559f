package engine

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/ike/peer"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/isakmp"
)

// env is what the machines of this shard may ask of the world.
func (s *shard) env() ike.Env {
	o := &s.e.opt
	return ike.Env{
		Rand:     o.Rand,
		KE:       o.KE,
		AllocSPI: s.allocSPI,
		AllocIKE: s.allocIKE,
		SPIState: func(spi sa.SPI) sa.State { return o.Installer.State(spi, o.Now()) },
		Jitter:   jitter,
		Config:   func() *policy.Config { return s.e.plan.Load().config },
	}
}

func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return mathrand.N(most)
}

func keyExchange(random io.Reader) func(uint16) (suite.KeyExchange, error) {
	return func(id uint16) (suite.KeyExchange, error) {
		g, ok := suite.GroupByID(id)
		if !ok {
			return nil, fmt.Errorf("group %d is not supported", id)
		}
		return g.Generate(random)
	}
}

var errNoSPI = errors.New("every SPI tried is in use")

// allocSPI takes fresh SPIs until one is free, and makes it larval.
func (s *shard) allocSPI(o sa.Owner) (sa.SPI, error) {
	source := s.e.opt.SPIs
	if r, ok := source.(renewer); ok && r.Low() {
		s.e.store.do(func() { _ = r.Renew() }) // if it fails, Next says so when the numbers are used up
	}
	for range spiTries {
		n, err := source.Next()
		if err != nil {
			return 0, fmt.Errorf("issue an SPI: %w", err)
		}
		if s.e.opt.Installer.Reserve(sa.SPI(n), o, s.e.opt.Now()) {
			return sa.SPI(n), nil
		}
	}
	return 0, errNoSPI
}

// allocIKE draws an IKE SPI of ours: 56 random bits, and the shard's number.
func (s *shard) allocIKE() isakmp.SPI {
	for {
		var b [8]byte
		if _, err := io.ReadFull(s.e.opt.Rand, b[:]); err != nil {
			_, _ = rand.Read(b[:]) // never fails
		}
		b[7] = byte(s.index)
		spi := isakmp.SPI(binary.BigEndian.Uint64(b[:]))
		if _, taken := s.claims[spi]; spi>>8 != 0 && !taken {
			return spi
		}
	}
}

// maker makes the machines of this shard.
func (s *shard) maker() peer.Maker {
	if s.e.opt.Maker != nil {
		return s.e.opt.Maker
	}
	return v2{s}
}

// v2 makes IKEv2 machines.
type v2 struct{ s *shard }

func (v v2) config(st peer.Start) ikev2.Config {
	e := v.s.e
	return ikev2.Config{Env: st.Env, Peer: st.Peer, Local: st.Local, Remote: st.Remote, InitialContact: st.InitialContact, Quirks: st.Quirks,
		NextID: e.newID, Encap: e.plan.Load().config.Encap, Tuning: e.opt.Tuning}
}

// Initiate implements peer.Maker.
func (v v2) Initiate(now time.Time, st peer.Start, cmd ike.Command) (ike.Machine, []ike.Effect) {
	return ikev2.Initiate(now, v.config(st), cmd)
}

// Respond implements peer.Maker.
func (v v2) Respond(now time.Time, st peer.Start, first ike.Datagram) (ike.Machine, []ike.Effect) {
	return ikev2.Respond(now, v.config(st), first)
}

// newID is a barrier's number, unique in this engine.
func (e *Engine) newID() ike.EffectID { return ike.EffectID(e.nextID.Add(1)) }
