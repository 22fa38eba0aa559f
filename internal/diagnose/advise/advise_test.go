package advise

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

func said(c *Config) string {
	var out []string
	for _, e := range c.Entries() {
		out = append(out, fmt.Sprintf("%s|%s|%s|%s", e.Name, e.Type, e.Peer, e.Recovery))
	}
	return strings.Join(out, "\n")
}

// TestTheTechNotesTable pins the seven verdicts, and what the table does not name.
func TestTheTechNotesTable(t *testing.T) {
	const common = "crypto ipsec profile P\n set transform-set TS\ncrypto isakmp invalid-spi-recovery\ninterface Gi0/0\n ip address 192.0.2.2 255.255.255.0\n"
	for text, want := range map[string]string{
		"crypto map M 10 ipsec-isakmp\n set peer 203.0.113.5":                                                                                   "M 10|static crypto map|203.0.113.5|yes",
		"crypto map M 10 ipsec-isakmp dynamic D\ncrypto dynamic-map D 5\n set transform-set TS":                                                 "M 10|dynamic crypto map||no",
		"interface Tunnel1\n tunnel source Gi0/0\n tunnel destination 203.0.113.5\n tunnel protection ipsec profile P":                          "Tunnel1|P2P GRE with tunnel protection|203.0.113.5|yes",
		"interface Tunnel1\n tunnel mode gre multipoint\n ip nhrp map 10.0.0.1 203.0.113.5\n tunnel protection ipsec profile P":                 "Tunnel1|mGRE with static NHRP mapping|203.0.113.5|yes",
		"interface Tunnel1\n tunnel mode gre multipoint\n ip nhrp nhs 10.0.0.1 nbma 203.0.113.5 multicast\n tunnel protection ipsec profile P":  "Tunnel1|mGRE with static NHRP mapping|203.0.113.5|yes",
		"interface Tunnel1\n tunnel mode gre multipoint\n ip nhrp map multicast dynamic\n tunnel protection ipsec profile P":                    "Tunnel1|mGRE with dynamic NHRP mapping||no",
		"interface Tunnel1\n tunnel mode ipsec ipv4\n tunnel source Gi0/0\n tunnel destination 203.0.113.5\n tunnel protection ipsec profile P": "Tunnel1|sVTI|203.0.113.5|yes",
		"crypto ipsec client ezvpn HQ\n connect auto\n peer 203.0.113.5":                                                                        "HQ|EzVPN client|203.0.113.5|n/a",
		"interface Virtual-Template1 type tunnel\n tunnel mode ipsec ipv4\n tunnel protection ipsec profile P":                                  "Virtual-Template1|dVTI||no",
		"crypto map M 10 gdoi\n set group G":                  "M 10|GDOI crypto map||n/a",
		"crypto map M 10 ipsec-manual\n set peer 203.0.113.5": "M 10|manual crypto map||n/a",
		"crypto map M 10 ipsec-isakmp\n match address 101":    "M 10|static crypto map||no",
	} {
		if got := said(Read("x", common+text+"\n")); got != want {
			t.Errorf("%s\nis   %s\nwant %s", text, got, want)
		}
	}
}

func TestAnASAHasNoSuchCommand(t *testing.T) {
	c := Read("fw", "ASA Version 9.16(4)\nhostname fw-5\ncrypto map OUT 10 match address VPN\ncrypto map OUT 10 set peer 203.0.113.5\ncrypto map OUT 10 set ikev1 transform-set TS\ncrypto map OUT interface outside\ntunnel-group 203.0.113.5 type ipsec-l2l\n")
	e := c.Entries()
	if len(e) != 1 || e[0].Recovery != "n/a" || e[0].Peer != "203.0.113.5" || !strings.Contains(e[0].Why, "ASA has no") {
		t.Errorf("%+v", e)
	}
}

// TestACommandOfIKEv1IsNoFaultOfAnIKEv2Spoke: what IKEv2 does is said instead, and nobody is told to type the command.
func TestACommandOfIKEv1IsNoFaultOfAnIKEv2Spoke(t *testing.T) {
	const v2 = "crypto ipsec profile P\n set transform-set TS\n set ikev2-profile V2\ninterface Tunnel1\n tunnel mode ipsec ipv4\n tunnel destination 203.0.113.5\n tunnel protection ipsec profile P\n"
	const v1 = "crypto map M 10 ipsec-isakmp\n set peer 203.0.113.6\ninterface Gi0/0\n ip address 192.0.2.2 255.255.255.0\n crypto map M\n"
	const on = "crypto isakmp invalid-spi-recovery\n"
	for _, c := range []struct{ text, want string }{
		{v2, "note recovery-ikev2"}, {v2 + on, "note recovery-ikev2"}, {v1, "warning recovery-off"}, {v1 + v2, "warning recovery-off"}, {v1 + v2 + on, "note recovery-on"},
	} {
		got := ""
		for _, f := range Read("x", c.text).Findings() {
			if strings.HasPrefix(f.Code, "recovery-") {
				got += f.Severity + " " + f.Code
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	from := func(src string) verdict.Judged {
		return verdict.Judged{Verdict: verdict.Persistent, Device: "x", Evidence: []evidence.Quote{{Text: "line"}}, Flow: evidence.Flow{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr("192.0.2.2"), SPI: 4096}}
	}
	both := []*Config{Read("x", v1+v2)}
	for src, want := range map[string]bool{"203.0.113.5": false, "203.0.113.6": true} {
		told := slices.ContainsFunc(Next(from(src), both), func(s Step) bool { return s.Command == "crypto isakmp invalid-spi-recovery" })
		if told != want {
			t.Errorf("%s: told %t, want %t", src, told, want)
		}
	}
}

func TestATextWithoutIndentationReadsTheSame(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/diagnose/cases/every-kind-of-entry.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var flat []string
	for _, l := range strings.Split(string(text), "\n") {
		flat = append(flat, strings.TrimLeft(l, " "))
	}
	a, b := said(Read("x", string(text))), said(Read("x", strings.Join(flat, "\n")))
	if a != b || strings.Count(a, "\n") != 6 {
		t.Errorf("with\n%s\nwithout\n%s", a, b)
	}
}

// TestTheGatewaysOwnParserAgrees: whatever configuration the gateway runs, both readers name the same tunnels, peers,
// lifetimes and PFS.
func TestTheGatewaysOwnParserAgrees(t *testing.T) {
	files, _ := filepath.Glob("../../../examples/*")
	more, _ := filepath.Glob("../../config/testdata/*")
	compared := 0
	for _, f := range append(files, more...) {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		cfg, _ := config.Load(f, text)
		if cfg == nil {
			continue
		}
		ours := map[string]Entry{}
		for _, e := range Read(f, string(text)).Entries() {
			ours[e.Name] = e
		}
		for _, p := range cfg.Peers {
			compared++
			e := ours[p.Name()]
			if e.Type != SVTI || e.Peer != p.Remote.String() || !e.IKEv2 || e.Recovery != "yes" {
				t.Errorf("%s: %s: %+v, the gateway has peer %v", f, p.Name(), e, p.Remote)
			}
			if float64(e.Life.seconds) != p.IPsec.Lifetime.Seconds() || e.Life.kb != p.IPsec.LifetimeKB || (e.PFS != "") != (p.IPsec.PFS != 0) || e.DPD != (p.IKE.DPD != nil || cfg.DPDDefault != nil) {
				t.Errorf("%s: %s: life %+v, PFS %q, DPD %v; the gateway has %v, %d kB, %d, %v", f, p.Name(), e.Life, e.PFS, e.DPD, p.IPsec.Lifetime, p.IPsec.LifetimeKB, p.IPsec.PFS, p.IKE.DPD)
			}
		}
	}
	if compared == 0 {
		t.Error("no configuration was compared")
	}
}

func TestSecretsAreNotQuoted(t *testing.T) {
	for _, l := range []string{"crypto isakmp key correct-horse address 192.0.2.1", "pre-shared-key local correct-horse", "group branches key correct-horse", "username u secret 9 correct-horse", "ip nhrp authentication correct-horse"} {
		if q := parse(l)[0].quote("f"); strings.Contains(q.Text, "horse") {
			t.Errorf("%s is quoted as %s", l, q.Text)
		}
	}
}

func TestAnAppletFitsThePeerAlone(t *testing.T) {
	j := verdict.Judged{Platform: evidence.IOS, Flow: evidence.Flow{Src: netip.MustParseAddr("198.51.100.9")}}
	text := strings.Join(Applet(j), "\n")
	_, pattern, _ := strings.Cut(text, `pattern "`)
	pattern, _, _ = strings.Cut(pattern, `"`)
	const line = "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0x7(7), srcaddr="
	for tail, want := range map[string]bool{"198.51.100.9": true, "198.51.100.9, input interface=Gi1": true, "198.51.100.99": false, "198.51.10029": false} {
		if got := regexp.MustCompile(pattern).MatchString(line + tail); got != want {
			t.Errorf("%s fits %s: %v", pattern, tail, got)
		}
	}
	if strings.Contains(text, "clear ") {
		t.Error("the applet clears something")
	}
}

func FuzzConfig(f *testing.F) {
	text, err := os.ReadFile("../../../testdata/diagnose/cases/every-kind-of-entry.txtar")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("crypto map M 1 set peer\ninterface\n tunnel protection ipsec profile\nip access-list extended\n permit\naccess-list 1 extended permit ip host\ncrypto dynamic-map\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Read("x", text)
		for _, e := range c.Entries() {
			if e.Recovery != "yes" && e.Recovery != "no" && e.Recovery != "n/a" || e.Type == "" || e.Why == "" {
				t.Fatalf("%+v", e)
			}
		}
		c.Findings()
		c.End()
		Compare(c, c)
	})
}

func TestTenThousandTunnelsAreComparedInTime(t *testing.T) {
	text := func(own, other int) string {
		var b strings.Builder
		b.WriteString("crypto ipsec profile P\n set pfs group19\n")
		for i := range 10_000 {
			fmt.Fprintf(&b, "interface Tunnel%d\n tunnel source 10.%d.%d.%d\n tunnel mode ipsec ipv4\n tunnel destination 10.%d.%d.%d\n tunnel protection ipsec profile P\n", i, own, i/250, i%250, other, i/250, i%250)
		}
		return b.String()
	}
	a, b := Read("a", text(1, 2)), Read("b", strings.Replace(text(2, 1), "set pfs group19", "set pfs group20", 1))
	start := time.Now()
	if got := len(Compare(a, b)); got != maxDifferences {
		t.Errorf("%d differences", got)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestWhatADifferenceOfPFSDoesDependsOnTheVersion: only IKEv2 makes its first IPsec SA without PFS.
func TestWhatADifferenceOfPFSDoesDependsOnTheVersion(t *testing.T) {
	end := func(own, peer, pfs, ike string) *Config {
		return Read(own, "crypto ipsec profile P\n"+pfs+ike+" set transform-set T\ninterface Tunnel1\n tunnel mode ipsec ipv4\n tunnel source "+own+"\n tunnel destination "+peer+"\n tunnel protection ipsec profile P\n")
	}
	for ike, want := range map[string]string{"": "the tunnel may come up from one side only", " set ikev2-profile I\n": "the first rekey fails"} {
		got := ""
		for _, f := range Compare(end("192.0.2.2", "203.0.113.5", " set pfs group19\n", ike), end("203.0.113.5", "192.0.2.2", "", ike)) {
			if f.Code == "pfs-differs" {
				got = f.Text
			}
		}
		if !strings.HasSuffix(got, want) {
			t.Errorf("%q: %q", ike, got)
		}
	}
}

// TestKeysAreNotQuoted: whichever line a finding may quote one day.
func TestKeysAreNotQuoted(t *testing.T) {
	for _, text := range []string{
		"crypto isakmp key 6 HUSH address 192.0.2.1", "pre-shared-key local HUSH", "pre-shared-key address 192.0.2.1 key HUSH", "group G key HUSH",
		"username u password 7 HUSH", "ip nhrp authentication HUSH", "authentication remote pre-share key HUSH", "enable secret 9 HUSH",
		"set session-key inbound esp 1000 cipher HUSH authenticator HUSH", "set session-key outbound ah 1000 HUSH", "snmp-server community HUSH RO",
		"ikev1 pre-shared-key HUSH", "key-string HUSH", "ip ospf message-digest-key 1 md5 HUSH", "standby 1 authentication md5 key-string HUSH",
	} {
		if q := parse(text)[0].quote("f"); strings.Contains(q.Text, "HUSH") {
			t.Errorf("%s", q.Text)
		}
	}
}
