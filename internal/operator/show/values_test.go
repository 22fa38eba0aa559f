package show

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

var (
	here = netip.MustParseAddr("203.0.113.10")
	east = netip.MustParseAddr("203.0.113.20")
	west = netip.MustParseAddr("2001:db8:77::20")
	lan  = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("10.8.0.0/22"))}
	dmz  = []ike2.Selector{{Protocol: 17, StartPort: 53, EndPort: 53, Start: netip.MustParseAddr("10.9.0.5"), End: netip.MustParseAddr("10.9.0.9")}}
	cbc  = suite.Cipher{Encr: suite.EncrAESCBC, KeyBits: 256, Integ: suite.IntegHMACSHA256}
)

func peer(id, unit int, remote netip.Addr) *policy.Peer {
	return &policy.Peer{ID: id, Remote: remote, Tunnel: &policy.Tunnel{Unit: unit, Source: here, Destination: remote},
		IKE: &policy.IKEv2Profile{Name: "ANY"}, IPsec: &policy.IPsecProfile{PFS: 19}}
}

// pair is a child SA of tunnel 3 that is minutes old.
func pair(in, out sa.SPI, minutes int, tsLocal, tsRemote []ike2.Selector) sa.Pair {
	made := now.Add(-time.Duration(minutes) * time.Minute)
	p := sa.Pair{Both: true, Next: 401, ReplayTop: 512, Child: sa.Child{Owner: 5, Tunnel: 3, In: in, Out: out, Cipher: cbc, TSLocal: tsLocal, TSRemote: tsRemote,
		Local: netip.AddrPortFrom(here, 0), Remote: netip.AddrPortFrom(east, 0), Created: made, Hard: made.Add(time.Hour), ReplayWindow: 128, HardBytes: 1 << 20}}
	p.In.Packets, p.In.Octets, p.Out.Packets, p.Out.Octets = 500, 50000, 400, 40960
	return p
}

// busy is a gateway with a tunnel in the middle of a rekey, and one that is down.
func busy() *Snapshot {
	older, newer := pair(0x1111AAAA, 0x2222BBBB, 50, lan, lan), pair(0x3333CCCC, 0x4444DDDD, 1, lan, lan)
	older.In.Drops[reason.BadICV], older.In.Drops[reason.DummyPacket], older.In.Drops[reason.SelectorMismatch] = 3, 7, 2
	older.Out.Drops[reason.TooBigDF] = 4
	return &Snapshot{Now: now,
		Config:     &policy.Config{Hostname: "hub", Peers: []*policy.Peer{peer(5, 3, east), peer(6, 4, west)}},
		Children:   []sa.Pair{older, newer},
		Interfaces: []Interface{{Name: "Tunnel3", Unit: 3, AdminUp: true, LineUp: true, Since: now.Add(-50 * time.Minute), MTU: 1422, PathMTU: 1492, SourceIF: "ppp0", Source: here}},
		IKE: []ike.Status{{Owner: 5, Peer: "Tunnel3", State: "READY", Local: netip.AddrPortFrom(here, 500), Remote: netip.AddrPortFrom(east, 500), LocalSPI: 0xA, RemoteSPI: 0xB,
			Cipher: cbc, PRF: suite.PRFHMACSHA256, Group: 14, LocalID: "hub.example.net", RemoteID: "east\x1b[31m\nTunnel-id 9", Established: now.Add(-50 * time.Minute),
			Lifetime: 8 * time.Hour, SendMID: 12, RecvMID: 9, NATRemote: true, NATDetected: true, Children: []ike.ChildStatus{
				{In: 0x3333CCCC, Out: 0x4444DDDD, State: "working", TSLocal: lan, TSRemote: dmz, PFSGroup: 20}}}},
		Flows: []recovery.Flow{
			{Key: recovery.Key{Src: east, Dst: here, SPI: 0x77}, Owner: 5, Peer: "Tunnel3", OwnerBy: "live IKE SA", Class: recovery.Unknown, Verdict: recovery.Transient,
				SrcPort: 33001, DstPort: 4500, Encap: sa.EncapUDP, First: now.Add(-2 * time.Second), Last: now.Add(-time.Second), Count: 21, Octets: 2100, MinLen: 100,
				Tomb: sa.Tombstone{Tunnel: -1, Created: now.Add(-time.Minute), Deleted: now.Add(-time.Second), Why: sa.TombInstallFailed}}},
	}
}

func trouble() *RecoverySource {
	first := now.Add(-30 * time.Minute)
	i := recovery.Incident{ID: 3, Peer: "Tunnel3", Remote: east, Key: recovery.Key{Src: east, Dst: here, SPI: 0xDEADBEEF}, Class: recovery.Tombstone, Verdict: recovery.Persistent,
		Cause: "D06", Evidence: []string{"SA removed at 06:38:00: rekeyed"}, First: first, Last: first.Add(2 * time.Second), Delivered: first.Add(1250 * time.Millisecond),
		Closed: first.Add(5 * time.Second), Result: recovery.WasHealed, Healer: recovery.ByPeer, Lost: 125, RoundTrips: 1, ByLifetime: first.Add(time.Hour), Omitted: 3,
		Timeline: []recovery.Entry{{At: first, What: "first packet", Why: "K7"}, {At: first.Add(1250 * time.Millisecond), What: "refused:\nforged line", Why: "x\x1b[0m"}}}
	open := recovery.Incident{ID: 4, Peer: "Tunnel4", Remote: west, Key: recovery.Key{Src: west, Dst: here, SPI: 0x100}, Class: recovery.Lost, Verdict: recovery.Transient,
		Cause: recovery.UnknownCause, First: now.Add(-time.Second), Last: now, Result: recovery.Open, Lost: 2, Quarantined: now.Add(59 * time.Minute)}
	passed := i
	passed.ID, passed.Result, passed.Delivered, passed.Healer, passed.Closed = 2, recovery.Passed, time.Time{}, "", first
	return &RecoverySource{Identity: Identity{Generation: 2, Created: now.Add(-time.Hour), Fresh: true}, Incidents: []recovery.Incident{passed, i, open}, Stats: runner.Stats{Unsent: 1},
		Standings: []recovery.Standing{
			{Owner: 5, Peer: "Tunnel3", State: recovery.Idle, Since: now.Add(-29 * time.Minute), Healed24: 2, Trend: "D06 2 times", LastHeal: 1250 * time.Millisecond},
			{Owner: 6, Peer: "Tunnel4", State: recovery.Backoff, Since: now.Add(-time.Minute), Until: now.Add(time.Minute), Why: "no answer", Open: 1, Kept: 1}}}
}
