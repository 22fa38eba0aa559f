package exec

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/datapath/counters"
	"lockstep/internal/event"
	"lockstep/internal/ike"
	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

const (
	psk    = "correct-horse"
	hexPSK = "00ff10a7c3"
)

// siteA has one tunnel that works and one in trouble, with one key in words and one in hexadecimal.
const siteA = `hostname site-a
crypto ikev2 proposal P1
 encryption aes-gcm-256
 prf sha384
 group 19
crypto ikev2 policy POL
 proposal P1
crypto ikev2 keyring KR
 peer site-b
  address 192.0.2.2
  pre-shared-key correct-horse
 peer site-c
  address 198.51.100.7
  pre-shared-key hex 00ff10a7c3
crypto ikev2 profile PROF
 match identity remote any
 identity local address 192.0.2.1
 authentication remote pre-share
 authentication local pre-share
 keyring local KR
 dpd 10 2 on-demand
crypto isakmp invalid-spi-recovery
crypto ipsec transform-set TS esp-gcm 256
 mode tunnel
crypto ipsec profile VTI
 set transform-set TS
 set ikev2-profile PROF
interface Tunnel0
 ip address 172.16.0.1 255.255.255.252
 tunnel source wan0
 tunnel mode ipsec ipv4
 tunnel destination 192.0.2.2
 tunnel protection ipsec profile VTI
interface Tunnel7
 description to site c
 ip address 172.16.7.1 255.255.255.252
 tunnel source wan0
 tunnel mode ipsec ipv4
 tunnel destination 198.51.100.7
 tunnel protection ipsec profile VTI
end
`

var (
	now   = time.Date(2026, 11, 24, 9, 14, 30, 500e6, time.UTC)
	ours  = netip.MustParseAddr("192.0.2.1")
	siteB = netip.MustParseAddr("192.0.2.2")
	siteC = netip.MustParseAddr("198.51.100.7")
	any4  = []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))}
	gcm   = suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}
	// secret is what no output may hold.
	secret = []byte("KEYMAT-of-a-child-SA")
)

// lab is a gateway made of values; Order and ClearRecovery are noted.
type lab struct {
	t      testing.TB
	tree   *config.Tree
	cfg    *policy.Config
	log    *logsink.Sink
	ikes   []ike.Status
	quirks map[sa.Owner]ike.Quirks
	pairs  []sa.Pair
	ifs    []show.Interface
	drops  counters.Totals
	incs   []recovery.Incident
	stands []recovery.Standing
	flows  []recovery.Flow
	trends []recovery.Trend
	stuck  bool // IKE and recovery answer nothing

	mu      sync.Mutex
	orders  []string // guarded by mu
	cleared []sa.Owner
	answer  func(o sa.Owner, c ike.Command) (ike.Outcome, error)
	refuse  bool // ClearRecovery
}

func newLab(t testing.TB) *lab {
	t.Helper()
	tree, ds := config.Parse("a.conf", []byte(siteA))
	cfg, more := config.Compile(tree)
	if cfg == nil {
		t.Fatal(ds, more)
	}
	at := now
	l := &lab{t: t, tree: tree, cfg: cfg, log: logsink.New(logsink.Options{Hostname: "site-a", Now: func() time.Time { return at }})}
	l.log.Write(event.RecvdPktInvSPI(now.Add(-20*time.Second), ours, siteC, 0x7C41D9E2))
	l.tunnels()
	l.associations()
	l.story()
	return l
}

func (l *lab) tunnels() {
	l.ifs = []show.Interface{
		{Name: "Tunnel0", AdminUp: true, LineUp: true, Since: now.Add(-26 * time.Hour), Flaps: 3, Address: netip.MustParsePrefix("172.16.0.1/30"),
			MTU: 1438, PathMTU: 1500, SourceIF: "wan0", Source: ours, Destination: siteB, Profile: "VTI",
			In:  show.Traffic{Packets: 48213, Octets: 31338450, Dropped: 2, Last: now.Add(-time.Second)},
			Out: show.Traffic{Packets: 47990, Octets: 31193500, Last: now}},
		{Name: "Tunnel7", Description: "to site c", Unit: 7, AdminUp: true, Since: now.Add(-27 * time.Second), Flaps: 4,
			Address: netip.MustParsePrefix("172.16.7.1/30"), MTU: 1438, PathMTU: 1500, SourceIF: "wan0", Source: ours, Destination: siteC, Profile: "VTI",
			Out: show.Traffic{Dropped: 41}},
	}
	l.drops.Packets[reason.InvalidSPI], l.drops.Octets[reason.InvalidSPI] = 1746, 244440
	l.drops.Packets[reason.NoOutboundSA], l.drops.Octets[reason.NoOutboundSA] = 41, 3444
}

func (l *lab) associations() {
	dpd := &policy.DPD{Interval: 10 * time.Second, Retry: 2 * time.Second}
	made := now.Add(-500 * time.Second)
	child := sa.Child{Owner: 0, IKE: 0x91C0FFEE12345678, In: 0xB761863E, Out: 0x0C5A11D0, Cipher: gcm, KeyIn: policy.NewSecret(secret), KeyOut: policy.NewSecret(secret),
		TSLocal: any4, TSRemote: any4, Local: netip.AddrPortFrom(ours, 4500), Remote: netip.AddrPortFrom(siteB, 4500), Encap: sa.EncapUDP, ReplayWindow: 64,
		HardBytes: 4608000 * 1024, Initiator: true, Created: made, Hard: made.Add(time.Hour)}
	pair := sa.Pair{Child: child, Both: true, ReplayTop: 48215, Next: 47991}
	pair.In.Packets, pair.In.Octets, pair.In.Last = 48213, 31338450, now.Add(-time.Second)
	pair.In.Drops[reason.ReplayDuplicate] = 2
	pair.Out.Packets, pair.Out.Octets, pair.Out.Last = 47990, 31193500, now
	l.pairs = []sa.Pair{pair}
	l.ikes = []ike.Status{
		{Owner: 0, Peer: "Tunnel0", State: "READY", Local: netip.AddrPortFrom(ours, 4500), Remote: netip.AddrPortFrom(siteB, 4500),
			LocalSPI: 0x91C0FFEE12345678, RemoteSPI: 0x0A1B2C3D4E5F6071, Initiator: true, Cipher: gcm, PRF: suite.PRFHMACSHA384, Group: 19,
			LocalID: "192.0.2.1", RemoteID: "192.0.2.2", Established: made, Lifetime: 24 * time.Hour, SendMID: 4, RecvMID: 2, PeerLockstep: true,
			DPD: dpd, SRTT: 41500 * time.Microsecond, Children: []ike.ChildStatus{{In: 0xB761863E, Out: 0x0C5A11D0, State: "working", Created: made,
				Hard: made.Add(time.Hour), TSLocal: any4, TSRemote: any4, Cipher: gcm, Encap: sa.EncapUDP, Initiator: true}}},
		{Owner: 1, Peer: "Tunnel7", State: "IN-NEG", Local: netip.AddrPortFrom(ours, 500), Remote: netip.AddrPortFrom(siteC, 500),
			LocalSPI: 0x77, Initiator: true, DPD: dpd, Lifetime: 24 * time.Hour},
	}
}

// story: Tunnel0 was healed some minutes ago, Tunnel7 is being healed, and somebody sends nonsense.
func (l *lab) story() {
	began := now.Add(-4 * time.Minute)
	lost, still := sa.SPI(0x5EED0001), sa.SPI(0x7C41D9E2)
	l.incs = []recovery.Incident{
		{ID: 13, Owner: 0, Peer: "Tunnel0", Remote: siteB, Key: recovery.Key{Src: siteB, Dst: ours, SPI: lost}, Encap: sa.EncapUDP, Class: recovery.Lost,
			Verdict: recovery.Persistent, Revised: true, Cause: "D01", Evidence: []string{"the identity file says that we issued this SPI, and we have no record of it", "owner found by configuration"},
			First: began, Last: began.Add(60 * time.Millisecond), Delivered: began.Add(84 * time.Millisecond), Closed: began.Add(2100 * time.Millisecond),
			Result: recovery.WasHealed, Healer: recovery.ByRecovery, Lost: 9, RoundTrips: 2, ByLifetime: began.Add(time.Hour), ByDPD: began.Add(20 * time.Second),
			Timeline: []recovery.Entry{{At: began, What: "first packet on " + lost.String(), Why: "K10 LOST"},
				{At: began.Add(300 * time.Microsecond), What: "new IKE SA", Why: "no IKE SA with a static peer"},
				{At: began.Add(84 * time.Millisecond), What: "traffic is back"}}},
		{ID: 14, Owner: 1, Peer: "Tunnel7", Remote: siteC, Key: recovery.Key{Src: siteC, Dst: ours, SPI: still}, Class: recovery.Tombstone,
			Verdict: recovery.Persistent, Cause: "D14", First: now.Add(-27 * time.Second), Last: now.Add(-time.Second), Result: recovery.Open, Lost: 1733,
			ByLifetime: now.Add(40 * time.Minute), Timeline: []recovery.Entry{{At: now.Add(-25 * time.Second), What: "new IKE SA", Why: "no IKE SA with a static peer"}}},
	}
	l.stands = []recovery.Standing{
		{Owner: 0, Peer: "Tunnel0", State: recovery.Idle, Since: began.Add(12 * time.Second), Why: "clean", Healed24: 1, Trend: "D01 1 times", LastHeal: 84 * time.Millisecond},
		{Owner: 1, Peer: "Tunnel7", State: recovery.Backoff, Since: now.Add(-12 * time.Second), Until: now.Add(9 * time.Second), Why: "the peer does not answer IKE", Open: 1},
	}
	l.trends = []recovery.Trend{{Owner: 0, Peer: "Tunnel0", Remote: siteB, Hours: [24]int{20: 1, 23: 1}, Days: [7]int{2: 1, 6: 2}, Healings: 3, Recurring: true,
		Healers: map[recovery.Healer]int{recovery.ByRecovery: 2, recovery.ByPeer: 1}, Median: 84 * time.Millisecond, Worst: 1250 * time.Millisecond, Trips: 2, Lost: 143,
		First: now.AddDate(0, 0, -5), Last: began.Add(84 * time.Millisecond), Causes: []recovery.CauseCount{
			{Cause: "D01", Healings: 2, Here: "why this gateway restarts: show version, the log of its service, the host's", There: "dead peer detection, so that it notices sooner"},
			{Cause: "D06", Healings: 1, Here: "which outbound SPI the peer uses a minute after a rekey", There: "when it switches to the new SA"}}}}
	l.flows = []recovery.Flow{
		{Key: recovery.Key{Src: siteC, Dst: ours, SPI: still}, Class: recovery.Tombstone, Verdict: recovery.Persistent, Owner: 1, OwnerBy: "tombstone", Peer: "Tunnel7",
			First: now.Add(-27 * time.Second), Last: now.Add(-time.Second), Count: 1733, Octets: 242620, MinLen: 140, Incident: 14,
			Tomb: sa.Tombstone{SPI: still, Owner: 1, Tunnel: 7, IKE: 0xABCDEF, Created: now.Add(-20 * time.Minute), Deleted: now.Add(-31 * time.Second), Why: sa.TombCleared}},
		{Key: recovery.Key{Src: siteB, Dst: ours, SPI: lost}, SrcPort: 4500, DstPort: 4500, Encap: sa.EncapUDP, Class: recovery.Lost, Verdict: recovery.Persistent, Revised: true,
			Owner: 0, OwnerBy: "configuration", Peer: "Tunnel0", First: began, Last: began.Add(60 * time.Millisecond), Count: 9, Octets: 1260, MinLen: 140, Incident: 13},
		{Key: recovery.Key{Src: netip.MustParseAddr("203.0.113.66"), Dst: ours, SPI: 0x00C0FFEE}, Class: recovery.NeverOurs, Verdict: recovery.Stranger, Owner: sa.NoOwner,
			First: now.Add(-2 * time.Hour), Last: now.Add(-time.Hour), Count: 4, Octets: 560, MinLen: 140},
	}
}

func (l *lab) Now() time.Time         { return now }
func (l *lab) Started() time.Time     { return now.Add(-(26*time.Hour + 5*time.Minute)) }
func (l *lab) Version() string        { return "0.1.0" }
func (l *lab) Config() *policy.Config { return l.cfg }
func (l *lab) Identity() (uint64, time.Time, bool) {
	return 12, now.AddDate(0, 0, -23), false
}
func (l *lab) Running(reveal bool) string     { return config.Running(l.tree, reveal) }
func (l *lab) Log() *logsink.Sink             { return l.log }
func (l *lab) Lost() uint64                   { return 0 }
func (l *lab) Children() []sa.Pair            { return slices.Clone(l.pairs) }
func (l *lab) Interfaces() []show.Interface   { return slices.Clone(l.ifs) }
func (l *lab) Drops() counters.Totals         { return l.drops }
func (l *lab) Incidents() []recovery.Incident { return l.incs }
func (l *lab) Standings() []recovery.Standing { return l.stands }
func (l *lab) RecoveryStats() runner.Stats    { return runner.Stats{} }
func (l *lab) IKE(ctx context.Context) []ike.Status {
	if l.stuck {
		<-ctx.Done()
		return nil
	}
	return slices.Clone(l.ikes)
}

func (l *lab) Quirks(ctx context.Context) map[sa.Owner]ike.Quirks {
	if l.stuck {
		<-ctx.Done()
		return nil
	}
	return l.quirks
}

func (l *lab) Flows(ctx context.Context) []recovery.Flow {
	if l.stuck {
		<-ctx.Done()
		return nil
	}
	return slices.Clone(l.flows)
}

func (l *lab) Trends(ctx context.Context) []recovery.Trend {
	if l.stuck {
		<-ctx.Done()
		return nil
	}
	return slices.Clone(l.trends)
}

func (l *lab) ClearRecovery(o sa.Owner) bool {
	l.cleared = append(l.cleared, o)
	return !l.refuse
}

func (l *lab) session(privilege int) *cli.Session {
	l.t.Helper()
	table, err := New(l)
	if err != nil {
		l.t.Fatal(err)
	}
	return cli.NewSession(table, privilege)
}

// run executes a line as a privileged operator.
func (l *lab) run(line string) (string, error) {
	l.t.Helper()
	var out bytes.Buffer
	err := l.session(cli.PrivilegedExec).Execute(context.Background(), line, &out)
	return out.String(), err
}

// must is run for lines that have to succeed.
func (l *lab) must(line string) string {
	l.t.Helper()
	out, err := l.run(line)
	if err != nil {
		l.t.Fatalf("%s: %v", line, err)
	}
	return out
}

// Order notes the order in words.
func (l *lab) Order(_ context.Context, o sa.Owner, c ike.Command) (ike.Outcome, error) {
	l.mu.Lock()
	l.orders = append(l.orders, fmt.Sprintf("%d verb %d spi %08X: %s", o, c.Verb, uint32(c.SPI), c.Why))
	slices.Sort(l.orders)
	l.mu.Unlock()
	if l.answer != nil {
		return l.answer(o, c)
	}
	return ike.Outcome{Verb: c.Verb, Owner: o, Result: ike.OK}, nil
}
