package gateway

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"lockstep/internal/datapath"
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/ike/engine"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/ip"
)

// build makes the parts and joins them. Functions that one part calls in another must not block: they post, or note.
func (g *Gateway) build() error {
	cfg := g.Config()
	g.sub = g.bus.Subscribe(logRoom)
	g.sink = logsink.New(logsink.Options{Now: g.now, Console: g.opt.Console})
	g.log(cfg)
	if err := g.state.identity.Damage(); err != nil {
		g.bus.Publish(event.HostFailure(g.now(), "", err))
	}
	g.lines = newLines(g)
	g.table = sa.NewTable(sa.Options{
		Note:      g.noted,
		Installed: func(spi sa.SPI, early []sa.Early) { g.plane.Inject(spi, early) },
		Lost:      func(packets, octets int) { g.plane.Lost(packets, octets) },
	})
	var to engine.Installer = g.table
	if g.opt.Installer != nil {
		to = g.opt.Installer(to)
	}
	g.installer = newInstaller(g, to)
	var spis engine.SPIs = g.state.identity
	if g.opt.SPIs != nil {
		spis = g.opt.SPIs(spis)
	}
	g.plane = datapath.New(datapath.Options{
		Table: g.table, Now: g.now,
		IKE:       func(local, remote netip.AddrPort, msg []byte) { g.engine.Deliver(local, remote, msg) },
		Early:     g.early,
		Acquire:   g.acquire,
		Known:     func(a netip.Addr) bool { return g.running.Load().known[a.Unmap()] },
		Ours:      func(a netip.Addr) bool { return g.hosts.Load().ours(a) },
		Recursive: func(int) { g.lines.lookAgain() },
		Gone:      g.lines.lost,
		Failed:    func(loop string, err error) { g.bus.Publish(event.HostFailure(g.now(), loop, err)) },
	})
	var err error
	g.engine, err = engine.New(engine.Options{
		Config: cfg, Installer: g.installer, SPIs: spis, Now: g.now,
		Send:     g.send,
		Events:   g.bus.Publish,
		Notices:  g.notice,
		Outcomes: g.outcome,
		Drop:     func(why reason.Drop, n int) { g.plane.Count(why, 0) },
		Moved:    g.installer.moved,
		SendsOn:  g.table.SendsOn,
		Source:   func(t *policy.Tunnel) (netip.Addr, bool) { return g.hosts.Load().source(t.Unit) },
		Frozen:   g.opt.Frozen, Restored: g.opt.NoInitialContact, Tuning: g.opt.Tuning,
	})
	if err != nil {
		return err
	}
	g.runner = runner.New(runner.Options{
		Config: cfg, Strays: strays{plane: g.plane}, Table: g.table, Post: g.order,
		Identity: g.state.identity, EarlierRun: g.earlierRun, LiveOwner: g.installer.ownerAt, Received: g.received,
		Events: g.bus.Publish, Now: g.now,
	})
	return nil
}

// strays hands the packet path's notes to recovery, which has its own type for them: neither imports the other.
type strays struct{ plane *datapath.Plane }

// TakeStrays implements runner.Source.
func (s strays) TakeStrays(buf []runner.Stray) []runner.Stray {
	for _, x := range s.plane.TakeStrays(nil) {
		buf = append(buf, runner.Stray(x))
	}
	return buf
}

// StrayWake implements runner.Source.
func (s strays) StrayWake() <-chan struct{} { return s.plane.StrayWake() }

// order posts an order of recovery.
func (g *Gateway) order(o sa.Owner, c ike.Command) bool {
	if g.opt.NoRecovery {
		return true
	}
	return g.engine.Post(o, c)
}

func (g *Gateway) outcome(o ike.Outcome) {
	if !g.orders.end(o) {
		g.runner.Outcome(o)
	}
}

// earlierRun tells recovery whether an SPI was issued before this start.
func (g *Gateway) earlierRun(spi sa.SPI) (earlier, known bool) {
	return g.state.identity.EarlierRun(uint32(spi), g.now())
}

// received counts the packets that arrived on all SAs of an owner.
func (g *Gateway) received(o sa.Owner) uint64 {
	unit, ok := g.running.Load().unit[o]
	if !ok {
		return 0
	}
	in, _, _ := g.plane.Traffic(unit)
	return in.Packets
}

// send hands an IKE message to its socket. A refusal (no route, no socket) is told; the message comes again.
func (g *Gateway) send(s ike.Send) {
	err := g.plane.SendIKE(s.Local, s.Remote, s.Bytes, s.Marker)
	if err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) { // closed: by ourselves, at the end
		g.plane.Count(reason.WireSendFailed, len(s.Bytes))
		g.bus.Publish(event.HostFailure(g.now(), "IKE to "+s.Remote.String(), err))
	}
}

// notice spreads a fact about a peer: to recovery, and to the lines where a child came or went.
func (g *Gateway) notice(n ike.Notice) {
	g.runner.Notice(n)
	if n.Kind == ike.ChildUp || n.Kind == ike.ChildDown || n.Kind == ike.IKEDown {
		g.lines.changed()
	}
}

// trafficKinds are the notes of the packet path in IKE's terms.
var trafficKinds = map[sa.NoteKind]ike.TrafficKind{
	sa.NoteFirstInbound: ike.FirstInbound, sa.NoteSoftBytes: ike.SoftBytes, sa.NoteSoftPackets: ike.SoftPackets,
	sa.NoteHardBytes: ike.HardBytes, sa.NoteSeqHigh: ike.SeqHigh, sa.NoteInbound: ike.Inbound, sa.NoteEndpointMoved: ike.EndpointMoved,
	sa.NoteOutbound: ike.Outbound, sa.NoteReplayStuck: ike.ReplayStuck,
}

// noted takes what the packet path saw of a child, while it holds it: it only posts.
func (g *Gateway) noted(n sa.Note) {
	g.engine.Post(n.Owner, ike.Traffic{SPI: n.SPI, Kind: trafficKinds[n.Kind], Value: n.Value, Remote: n.Remote})
}

// early hurries the exchange that offered an SPI (D05): its packets are here before its keys.
func (g *Gateway) early(spi sa.SPI) {
	if o, ok := g.table.LarvalOwner(spi); ok {
		g.engine.Post(o, ike.Command{Verb: ike.VerbKickLarval, SPI: spi, Why: "a packet came on it"})
	}
}

// acquire asks for a child for a packet that none carries.
func (g *Gateway) acquire(unit int, p ip.Packet) {
	o, ok := g.running.Load().owner[unit]
	if !ok {
		return
	}
	g.engine.Post(o, ike.Acquire{TSLocal: []ike2.Selector{selectorOf(p, p.Src, p.SrcPort)}, TSRemote: []ike2.Selector{selectorOf(p, p.Dst, p.DstPort)}})
}

// call brings a tunnel up that has just got an address and a way to its peer, however long its pause still is.
func (g *Gateway) call(unit int) {
	o, ok := g.running.Load().owner[unit]
	if ok && !g.frozen.Load() {
		g.engine.Post(o, ike.Command{Verb: ike.VerbInitiate, Why: "there is a way to the peer again"})
	}
}

// selectorOf is the selector of one end of a packet (RFC 7296 §2.9: the packet's own come first).
func selectorOf(p ip.Packet, a netip.Addr, port uint16) ike2.Selector {
	s := ike2.SelectorFromPrefix(netip.PrefixFrom(a, a.BitLen()))
	s.Protocol = p.Protocol
	if p.Ports {
		s.StartPort, s.EndPort = port, port
	}
	return s
}
