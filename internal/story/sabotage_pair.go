package story

import (
	"context"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
	"lockstep/internal/wire/isakmp"
)

// Sabotages of what two gateways do with each other.
var (
	noDeletes = sabotage{help: "the network loses every INFORMATIONAL request of both", running: func(st *stage, s *site) {
		for _, x := range st.sites {
			silence(isakmp.Informational, false)(st, x)
		}
	}}
	fairNetwork = sabotage{help: "the network does none of what the script wants of it", running: func(st *stage, _ *site) { st.upsets.off.Store(true) }}
	noCalls     = sabotage{help: "the network loses every IKE_SA_INIT request of it", running: silence(isakmp.IKESAInit, false)}
	noAnswers   = sabotage{help: "the network loses every CREATE_CHILD_SA response of it", running: silence(isakmp.CreateChildSA, true)}
	noAuth      = sabotage{help: "the network loses every IKE_AUTH message of it", running: func(st *stage, s *site) {
		silence(isakmp.IKEAuth, false)(st, s)
		silence(isakmp.IKEAuth, true)(st, s)
	}}
	noGrace = sabotage{help: "it takes a rekeyed SA away at once, and late packets with it",
		play: func(_ *site, o *gateway.Options, _ *world) { o.Tuning.Grace = time.Nanosecond }}
	boastfulInstall = sabotage{help: "its data plane says that half an SA is there 800 ms before it is",
		options: func(ctx context.Context, o *gateway.Options) {
			o.Installer = func(to engine.Installer) engine.Installer { return &boastful{Installer: to, ctx: ctx} }
		}}
)

// boast is longer than the early packets of a story find room for.
const boast = 800 * time.Millisecond

// boastful installs rekeyed children later than it says.
type boastful struct {
	engine.Installer
	ctx context.Context
}

// Install implements engine.Installer.
func (b *boastful) Install(c sa.Child, h sa.Half, now time.Time) error {
	if c.Replaces == 0 {
		return b.Installer.Install(c, h, now)
	}
	go func() {
		if pause(b.ctx, boast) == nil {
			_ = b.Installer.Install(c, h, now) // it was removed meanwhile
		}
	}()
	return nil
}

// parity is `no crypto recovery extended`.
var parity = sabotage{help: "it recovers as IOS does: Delete first, then a new SA",
	options: func(_ context.Context, o *gateway.Options) {
		c := *o.Config
		c.Recovery.Extended = false
		o.Config = &c
	}}
