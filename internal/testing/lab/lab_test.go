package lab

import (
	"path/filepath"
	"testing"
	"time"
)

func TestStrongSwanPairCarriesNumberedTrafficThroughTheRouter(t *testing.T) {
	NeedSwan(t)
	l := New(t)
	wan := l.R.Watch("a0", filepath.Join(t.TempDir(), "wan.pcap"))
	a := l.StrongSwan(t, "A", SwanConfig{LocalTS: LanA.String(), RemoteTS: LanB.String()})
	b := l.StrongSwan(t, "B", SwanConfig{LocalTS: LanB.String(), RemoteTS: LanA.String()})
	a.Initiate()
	ab, ba := l.Both(t, 500)
	Eventually(t, 5*time.Second, "traffic both ways", func() bool { return ab.Received() > 100 && ba.Received() > 100 })
	a.RekeyChild()
	// charon keeps the old inbound SA for 5 s (its delete_rekeyed_delay), as long as the wait for it used to be.
	Eventually(t, 20*time.Second, "one child after the rekey", func() bool { return len(a.SAs()[0].Children) == 1 })
	for _, f := range []*Flow{ab, ba} {
		r := f.Stop()
		if r.Lost > 0 || r.Duplicates > 0 || r.Received != r.Sent {
			t.Error(r)
		}
	}
	sa, sb := a.SAs(), b.SAs()
	if len(sa) != 1 || len(sb) != 1 || sa[0].State != "ESTABLISHED" || len(sb[0].Children) != 1 {
		t.Fatalf("lists %+v and %+v", sa, sb)
	}
	ca, cb := sa[0].Children[0], sb[0].Children[0]
	if sa[0].SPIi != sb[0].SPIi || ca.In != cb.Out || ca.Out != cb.In || ca.In == 0 || ca.State != "INSTALLED" || ca.Cipher != "AES_GCM_16-256" {
		t.Errorf("A has %+v, B has %+v", ca, cb)
	}
	if ca.Local[0] != LanA.String() || ca.BytesIn == 0 || !ca.Encap {
		t.Errorf("child %+v", ca)
	}
	wan.Stop()
	if n := wan.ESP()[ESPFlow{AddrA, AddrB, ca.Out, true}]; n == 0 {
		t.Errorf("no ESP with SPI %08x from A among %v", ca.Out, wan.ESP())
	}
}

func TestWatchSeesAnInnerPacketInTheClear(t *testing.T) {
	l := New(t)
	w := l.R.Watch("a0", "")
	f := StartFlow(t, FlowSpec{From: l.HA, To: l.HB, FromAddr: AddrHA, ToAddr: AddrHB, PPS: 100})
	Eventually(t, 5*time.Second, "a leak: the default route leads to R", func() bool { return len(w.Leaks()) > 0 })
	if r := f.Stop(); r.Received != 0 || r.Lost != r.Sent || r.Sent == 0 {
		t.Errorf("R forwarded: %v", r)
	}
	w.Stop()
	w.mu.Lock()
	w.leaks = nil // provoked
	w.mu.Unlock()
}

func TestFlowCountsLossDuplicatesAndGaps(t *testing.T) {
	f := &Flow{start: time.Now()}
	f.last = f.start
	for i, n := range []uint64{0, 1, 1, 5, 4, 6} {
		f.arrived(n, f.start.Add(time.Duration(i)*time.Second))
	}
	if f.got != 5 || f.dups != 1 || f.late != 1 || f.high != 7 {
		t.Errorf("got %d, duplicates %d, late %d, high %d", f.got, f.dups, f.late, f.high)
	}
	if len(f.gaps) != 1 || f.gaps[0] != (Gap{First: 2, Count: 3, At: time.Second, Dark: 2 * time.Second}) {
		t.Errorf("gaps %+v", f.gaps)
	}
}

func TestRawListParsesSectionsAndLists(t *testing.T) {
	in := "list-sa event {t {uniqueid=1 version=2 state=ESTABLISHED initiator=yes initiator-spi=00000000000000ff responder-spi=0a " +
		"tasks-active=[IKE_REKEY CHILD_REKEY] child-sas {net-2 {name=net state=INSTALLED mode=TUNNEL encap=yes spi-in=c0ffee01 spi-out=00000002 " +
		"encr-alg=AES_CBC encr-keysize=256 integ-alg=HMAC_SHA2_256_128 bytes-in=7 local-ts=[10.1.0.0/24 10.3.0.0/24] remote-ts=[10.2.0.0/24]}}}}\nlist-sas reply {}\n"
	sas, err := parseSAs(in)
	if err != nil || len(sas) != 1 || len(sas[0].Children) != 1 {
		t.Fatalf("%+v, %v", sas, err)
	}
	c := sas[0].Children[0]
	if !sas[0].Initiator || sas[0].SPIi != 255 || c.In != 0xc0ffee01 || c.Out != 2 || c.Cipher != "AES_CBC-256/HMAC_SHA2_256_128" || len(c.Local) != 2 || c.BytesIn != 7 {
		t.Errorf("%+v", sas[0])
	}
	if _, err := parseSAs("list-sa event {t {a=b"); err == nil {
		t.Error("a cut list parsed")
	}
}
