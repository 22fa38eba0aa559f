package story

import (
	"sync"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
)

// ignoresDelete imitates a sender that never leaves its first SA (D06): it answers Deletes and rekeys as it should, and its
// data plane goes on.
var ignoresDelete = deviation{
	help: "answers Deletes, and sends on the deleted SA for ever (D06)",
	play: func(_ *site, o *gateway.Options, _ *world) {
		wrapInstaller(o, func(to engine.Installer) engine.Installer { return &stubborn{Installer: to} })
	},
}

type stubborn struct {
	engine.Installer

	mu   sync.Mutex
	kept sa.SPI // guarded by mu: inbound SPI of the child that it sends on; 0: none yet
}

// Install implements engine.Installer: no second outbound half comes into use.
func (s *stubborn) Install(c sa.Child, h sa.Half, now time.Time) error {
	s.mu.Lock()
	if s.kept == 0 && h&sa.OutboundHalf != 0 {
		s.kept = c.In
	}
	keep := s.kept
	s.mu.Unlock()
	if c.In != keep && keep != 0 {
		h &^= sa.OutboundHalf
	}
	if h == 0 {
		return nil
	}
	return s.Installer.Install(c, h, now)
}

// Remove implements engine.Installer.
func (s *stubborn) Remove(in, out sa.SPI, o sa.Owner, h sa.Half, why sa.TombReason, now time.Time) {
	s.mu.Lock()
	keep := in == s.kept
	s.mu.Unlock()
	if !keep {
		s.Installer.Remove(in, out, o, h, why, now)
	}
}
