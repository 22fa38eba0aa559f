package interop

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Cleanup()
	os.Exit(code)
}

// responderOnly is the line of an IPsec profile that leaves the initiation to the peer.
const responderOnly = "responder-only"

// anyTS are the selectors of an sVTI, lanTS those that narrow them to the networks of the lab.
var (
	anyTS = lab.SwanConfig{}
	lanTS = lab.SwanConfig{LocalTS: lab.LanB.String(), RemoteTS: lab.LanA.String()}
)

// site is the lab with Lockstep at A and strongSwan at B. The watcher stands on A's access line: what B would leak is not
// ours to answer for.
type site struct {
	*lab.Lab
	t    testing.TB
	ours *lab.Lockstep
	swan *lab.Swan
	wan  *lab.Watch
	pcap string
}

// newSite starts strongSwan, then Lockstep. Whoever is to initiate has not been asked yet, unless it does so by itself.
func newSite(t testing.TB, ours lab.SVTI, swan lab.SwanConfig) *site {
	t.Helper()
	s := newQuietSite(t, ours, swan)
	s.ours.Start()
	return s
}

// newQuietSite is newSite with a Lockstep that was never started.
func newQuietSite(t testing.TB, ours lab.SVTI, swan lab.SwanConfig) *site {
	t.Helper()
	lab.NeedSwan(t)
	s := &site{Lab: lab.New(t), t: t, pcap: filepath.Join(t.TempDir(), "wan.pcap")}
	s.wan = s.R.Watch("a0", s.pcap)
	s.ours = s.NewLockstep(t, "A", ours)
	s.swan = s.StrongSwan(t, "B", swan)
	return s
}

// up waits until both ends have one child SA in common, and carry with it.
func (s *site) up() {
	s.t.Helper()
	lab.Eventually(s.t, 10*time.Second, "the tunnel carries a ping", func() bool {
		return s.HA.Ping(lab.AddrHB, 200*time.Millisecond)
	})
	s.agree()
}

// initiate lets strongSwan begin, and waits as up does.
func (s *site) initiate() {
	s.t.Helper()
	s.swan.Initiate()
	s.up()
}

// spis is one child SA as A sees it.
type spis struct{ In, Out uint32 }

// theirs lists strongSwan's installed child SAs, from A's side.
func (s *site) theirs() (out []spis) {
	s.t.Helper()
	for _, ike := range s.swan.SAs() {
		for _, c := range ike.Children {
			if c.State == "INSTALLED" {
				out = append(out, spis{In: c.Out, Out: c.In})
			}
		}
	}
	return out
}

// agree waits until both ends list the same single child SA under the same single IKE SA, rekeyed ones being gone.
func (s *site) agree() spis {
	s.t.Helper()
	var ours, theirs []spis
	var oursIKE, theirsIKE [][2]uint64
	same := func() bool {
		ours, oursIKE = s.ourSPIs(), s.ourIKE()
		theirs, theirsIKE = s.theirs(), s.theirIKE()
		return len(ours) == 1 && len(theirs) == 1 && ours[0] == theirs[0] &&
			len(oursIKE) == 1 && len(theirsIKE) == 1 && oursIKE[0] == theirsIKE[0]
	}
	for end := time.Now().Add(15 * time.Second); !same(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the ends do not agree: ours %08x under %016x, theirs %08x under %016x\n%s", ours, oursIKE, theirs, theirsIKE, s.ours.Exec("show crypto ikev2 sa detailed"))
		}
	}
	return ours[0]
}

// theirIKE lists strongSwan's IKE SAs as (initiator's, responder's) SPI.
func (s *site) theirIKE() (out [][2]uint64) {
	s.t.Helper()
	for _, ike := range s.swan.SAs() {
		if ike.State == "ESTABLISHED" {
			out = append(out, [2]uint64{ike.SPIi, ike.SPIr})
		}
	}
	return out
}
