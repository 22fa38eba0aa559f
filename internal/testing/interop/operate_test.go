package interop

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// What operators do to a tunnel that works.

func TestReloadKeepsTheSAsOfTunnelsThatDidNotChange(t *testing.T) {
	t.Parallel()
	c := lab.SVTI{}
	s := newSite(t, c, anyTS)
	s.up()
	before, ike := s.agree(), s.ourIKE()[0]
	ab, ba := s.Both(t, 200)
	c.Routes = []string{"10.2.0.0 255.255.255.0", "10.77.0.0 255.255.0.0"}
	c.Global = []string{"logging buffered 20000"}
	s.ours.Configure(c.Text("A"))
	s.ours.Signal(syscall.SIGHUP)
	lab.Eventually(t, 5*time.Second, "the new route", func() bool { return strings.Contains(s.A.IP("route show"), "10.77.0.0/16 dev Tunnel0") })
	s.ours.Configure("interface Tunnel0\n no such line\n")
	s.ours.Signal(syscall.SIGHUP)
	lab.Eventually(t, 5*time.Second, "the finding in the log", func() bool { return strings.Contains(s.ours.Log(), ":2:") })
	if s.agree() != before || s.ourIKE()[0] != ike {
		t.Error("a reload cost the SAs")
	}
	if !strings.Contains(s.ours.Exec("show running-config"), "10.77.0.0") {
		t.Error("a file that does not load changed the configuration")
	}
	s.lossless(ab, ba)
}

func TestClearedSAsComeBackAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{}, anyTS)
	s.up()
	for _, command := range []string{"clear crypto sa", "clear crypto ikev2 sa"} {
		before := s.agree()
		ab, ba := s.Both(t, 200)
		lab.Eventually(t, 5*time.Second, "packets", func() bool { return ba.Received() > 100 })
		s.ours.Exec(command)
		lab.Eventually(t, 10*time.Second, "a new child", func() bool { p := s.ourSPIs(); return len(p) == 1 && p[0] != before })
		got := ba.Received()
		lab.Eventually(t, 5*time.Second, "packets again", func() bool { return ba.Received() > got+100 })
		s.agree()
		// The tunnel pauses up to two seconds after an IKE SA that somebody deleted: whoever did may want it to stay.
		if r := ba.Stop(); r.LongestDark > 3*time.Second {
			t.Errorf("%s: %v", command, r)
		}
		ab.Stop()
	}
}

// A packet that does not fit is fragmented, outside or inside, or its sender is told the size that does.
func TestPacketsLargerThanTheTunnelCrossOrAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.SVTI{}, anyTS)
	s.up()
	mtu := s.mtu()
	if out, err := s.HA.Try("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1430", lab.AddrHB.String()); err == nil || !strings.Contains(out, "mtu = "+mtu) {
		t.Errorf("1458 octets with DF, where %s fit: %v\n%s", mtu, err, out)
	}
	for _, size := range []string{"1300", "1420", "1500", "3000", "20000"} {
		if _, err := s.HA.Try("ping", "-c", "1", "-W", "2", "-M", "dont", "-s", size, lab.AddrHB.String()); err != nil {
			t.Errorf("to strongSwan: %v", err)
		}
		if _, err := s.HB.Try("ping", "-c", "1", "-W", "2", "-M", "dont", "-s", size, lab.AddrHA.String()); err != nil {
			t.Errorf("from strongSwan: %v", err)
		}
	}
}

// mtu is that of our tunnel interface.
func (s *site) mtu() string {
	f := strings.Fields(s.A.IP("link show Tunnel0"))
	for i := range f {
		if f[i] == "mtu" {
			return f[i+1]
		}
	}
	s.t.Fatal("Tunnel0 has no MTU")
	return ""
}
