package story

import (
	"context"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"time"

	"lockstep/internal/gateway"
	"lockstep/internal/ike/engine"
	"lockstep/internal/sa"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

// sabotage is something broken on purpose, from the restart after a crash on, or from the start where nothing crashes.
// Those of the gateway show that a story notices a wrong gateway; those of its surroundings, that each claim looks where it
// says it does.
type sabotage struct {
	help     string
	options  func(ctx context.Context, o *gateway.Options)
	world    func(w *world)
	running  func(st *stage, s *site)                    // called when the gateway has been started
	play     func(s *site, o *gateway.Options, w *world) // as a deviation does
	restless bool                                        // see rehearse.go
	honest   bool                                        // the deviations of a scripted peer are left out
}

// installDelay is longer than any healing, and shorter than early packets are kept.
const installDelay = 400 * time.Millisecond

var sabotages = map[string]sabotage{
	"no-recovery": {help: "strays are counted, and nobody acts on them",
		options: func(_ context.Context, o *gateway.Options) { o.NoRecovery = true }},
	"late-install": {help: "child SAs are installed 400 ms late",
		options: func(ctx context.Context, o *gateway.Options) {
			o.Installer = func(to engine.Installer) engine.Installer { return lateInstaller{to, ctx} }
		}},
	"no-initial-contact": {help: "it does not tell its peer that it knows no older SA",
		options: func(_ context.Context, o *gateway.Options) { o.NoInitialContact = true }},
	"not-frozen": {help: "it begins an IKE SA at start-up, so that recovery is not what heals",
		options: func(_ context.Context, o *gateway.Options) { o.Frozen = false }},
	"frozen": {help: "it begins no IKE SA at start-up, so that recovery has to",
		options: func(_ context.Context, o *gateway.Options) { o.Frozen = true }},
	"honest":     {help: "its deviations are left out: nothing is wrong with it", honest: true},
	"no-parking": noParking,
	"hasty":      hasty,
	"no-volume":  noVolume,
	"initiator":  initiator,
	"chokes":     {help: "it answers an INVALID_SPI whose SPI size is 0 with INVALID_SYNTAX", play: invalidSyntax.play},
	"deaf":       deaf,
	"restless":   {help: "it rekeys each time that nothing comes back, and does not learn", restless: true},
	"chatty":     chatty,
	"only-ff":    onlyFF,

	"hidden-stray": {help: "the first ESP packet vanishes between socket and gateway",
		world: func(w *world) { w.hide.Store(1) }},
	"forged-spi": {help: "somebody sends it ESP on an SPI that it never had",
		running: func(st *stage, s *site) {
			st.net.Inject(natPort(st.partner(s).addr()), natPort(s.addr()), forgedESP(st.eyes.esp(s.addr())))
		}},
	"lossy-path": {help: "the network loses one packet to it after the healing",
		running: func(st *stage, s *site) { st.lose(st.partner(s), s, 40, 1) }},
	"no-deletes":       noDeletes,
	"no-answers":       noAnswers,
	"no-auth":          noAuth,
	"fair-network":     fairNetwork,
	"no-calls":         noCalls,
	"no-grace":         noGrace,
	"boastful-install": boastfulInstall,
	"parity":           parity,
	"patient":          patient,
	"sticky":           {help: "its packets look as if they came from the first mapping of its NAT", running: sticky},
	"in-the-clear": {help: "one inner packet leaves it as it is",
		running: func(st *stage, s *site) {
			f := st.flow(s, st.partner(s))
			st.net.Inject(natPort(s.addr()), natPort(st.partner(s).addr()), ip.AppendNumbered(nil, f.src, f.dst, 0, payloadLen))
		}},
}

func sabotageNames() []string { return slices.Sorted(maps.Keys(sabotages)) }

// lateInstaller takes its time; a gateway that is killed meanwhile does not wait for it.
type lateInstaller struct {
	engine.Installer
	ctx context.Context
}

// Install implements engine.Installer.
func (l lateInstaller) Install(c sa.Child, h sa.Half, now time.Time) error {
	if err := pause(l.ctx, installDelay); err != nil {
		return err
	}
	return l.Installer.Install(c, h, now)
}

func natPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, isakmp.PortNAT) }

// forgedESP is an ESP packet on an SPI that none of those has.
func forgedESP(seen []sighting) []byte {
	spi := uint32(esp.MinSPI)
	for slices.ContainsFunc(seen, func(s sighting) bool { return s.spi == spi }) {
		spi++
	}
	b := make([]byte, esp.MinLen+payloadLen)
	binary.BigEndian.PutUint32(b, spi)
	binary.BigEndian.PutUint32(b[4:], 1)
	return b
}
