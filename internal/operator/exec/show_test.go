package exec

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/operator/cli"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

func TestAbbreviationsOfOperators(t *testing.T) {
	l := newLab(t)
	for short, long := range map[string]string{
		"sh ver": "show version", "sh clo": "show clock", "sh run": "show running-config", "sh log": "show logging", "sh deb": "show debugging",
		"sh cry ik sa": "show crypto ikev2 sa", "sh cry ik sa det": "show crypto ikev2 sa detailed", "sh cry ik ses": "show crypto ikev2 session",
		"sh cry ips sa": "show crypto ipsec sa", "sh cr ips sa pe 192.0.2.2": "show crypto ipsec sa peer 192.0.2.2",
		"sh cr ips sa int tu0 det": "show crypto ipsec sa interface Tunnel0 detail", "sh cry ses": "show crypto session", "sh cry se d": "show crypto session detail",
		"sh cry rec inc 13": "show crypto recovery incident 13", "sh cry inv": "show crypto invalid-spi", "sh int tu7": "show interfaces Tunnel7",
		"sh pl ha q a s d":                 "show platform hardware qfp active statistics drop",
		"sh pla har qfp act fe ip d d all": "show platform hardware qfp active feature ipsec datapath drops all",
	} {
		if got, want := l.must(short), l.must(long); got != want || got == "" && short != "sh deb" {
			t.Errorf("%s differs from %s:\n%s", short, long, got)
		}
	}
}

func TestFiltersOfTheTechNoteFindTheirCounters(t *testing.T) {
	l := newLab(t)
	for line, want := range map[string]string{
		"show platform hardware qfp active statistics drop | inc Ipsec": `IpsecDenyDrop                                   0                       0
IpsecIkeIndicate                               41                    3444
IpsecInput                                   1746                  244440
IpsecInvalidSa                                  0                       0
IpsecOutput                                     0                       0
IpsecTailDrop                                   0                       0
IpsecTedIndicate                                0                       0
`,
		"show platform hardware qfp active feature ipsec datapath drops all | in SPI": `        4  IN_US_V4_PKT_SA_NOT_FOUND_SPI                            1746
        7  IN_TRANS_V4_IPSEC_PKT_NOT_FOUND_SPI                         0
       12  IN_US_V6_PKT_SA_NOT_FOUND_SPI                               0
`,
		"show crypto ipsec sa peer 192.0.2.2 | include spi": `     current outbound spi: 0x0C5A11D0(207229392)
      spi: 0xB761863E(3076621886)
      spi: 0x0C5A11D0(207229392)
`,
		"show logging | include INV_SPI": "*Nov 24 09:14:10.500: %CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.1, prot=50, spi=0x7C41D9E2(2084690402), srcaddr=198.51.100.7\n",
		"show running-config | section interface Tunnel7": "interface Tunnel7\n description to site c\n ip address 172.16.7.1 255.255.255.252\n tunnel source wan0\n" +
			" tunnel destination 198.51.100.7\n tunnel mode ipsec ipv4\n tunnel protection ipsec profile VTI\n",
	} {
		if got := l.must(line); got != want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", line, got, want)
		}
	}
}

func TestSelectionShowsOneTunnel(t *testing.T) {
	l := newLab(t)
	for line, want := range map[string][2]string{
		"show crypto ipsec sa peer 198.51.100.7":     {"interface: Tunnel7", "interface: Tunnel0"},
		"show crypto ipsec sa interface Tunnel0":     {"interface: Tunnel0", "interface: Tunnel7"},
		"show interfaces Tunnel7":                    {"Tunnel7 is up, line protocol is down", "Tunnel0"},
		"show crypto ipsec spi-lookup 3076621886":    {"B761863E ESP  192.0.2.1", "no SA"},
		"show crypto ipsec spi-lookup 0x7C41D9E2":    {"previous owner: Tunnel7 since", "Active SPI table"},
		"show crypto recovery incident 14":           {"Incident 14: open", "Incident 13"},
		"show crypto ipsec sa":                       {"#send errors 0, #recv errors 2", "#pkts no sa (send)"},
		"show crypto ipsec sa peer 192.0.2.2 detail": {"#pkts invalid sa (rcv) 9", "#send errors"},
	} {
		if got := l.must(line); !strings.Contains(got, want[0]) || strings.Contains(got, want[1]) {
			t.Errorf("%s: want %q and no %q in\n%s", line, want[0], want[1], got)
		}
	}
	l.ikes[1].Remote = l.ikes[0].Remote // behind a NAT, site C is reached at another address
	if got := l.must("show crypto ipsec sa peer 192.0.2.2"); !strings.Contains(got, "interface: Tunnel7") {
		t.Errorf("%s", got)
	}
}

func TestWhatIsNotThereIsToldInOneLine(t *testing.T) {
	l := newLab(t)
	for line, want := range map[string]string{
		"show crypto ipsec sa peer 203.0.113.9":   "% No tunnel has the peer 203.0.113.9",
		"show crypto ipsec sa interface Tunnel9":  "% Tunnel9 is not configured with tunnel protection",
		"show interfaces Tunnel 9":                "% Tunnel9 is not configured",
		"show crypto recovery incident 99":        "% Incident 99 is not known, or was forgotten: the last one is 14",
		"show crypto ipsec spi-lookup 0xXYZ":      `% "0xXYZ" is no SPI: 0x and up to eight hexadecimal digits, or a decimal number, from 256 on (RFC 4303 §2.1)`,
		"show crypto ipsec spi-lookup 0x100(257)": `% "0x100(257)" is no SPI: 0x and up to eight hexadecimal digits, or a decimal number, from 256 on (RFC 4303 §2.1)`,
	} {
		if out, err := l.run(line); err == nil || err.Error() != want || out != "" {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
	l.incs = []recovery.Incident{}
	if _, err := l.run("show crypto recovery incident 1"); err == nil || err.Error() != "% Incident 1 is not known: there were none" {
		t.Errorf("%v", err)
	}
	l.ikes, l.pairs, l.flows = []ike.Status{}, nil, nil
	if got := l.must("show crypto ikev2 sa"); got != " IPv4 Crypto IKEv2  SA \n\n IPv6 Crypto IKEv2  SA \n\n" {
		t.Errorf("%q", got)
	}
}

func TestSPIsAreReadInEveryFormThatIsPrinted(t *testing.T) {
	for text, want := range map[string]uint32{
		"0xB761863E": 0xB761863E, "0xb761863e": 0xB761863E, "3076621886": 0xB761863E, "0xB761863E(3076621886)": 0xB761863E, "0x100": 256,
		"255": 0, "0x0": 0, "": 0, "B761863E": 0, "0x1B761863E": 0, "4294967296": 0, "-300": 0, "0x100(": 0, "256(256": 256, "0x": 0,
	} {
		got, err := parseSPI(text)
		if uint32(got) != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// A loop that hangs must not make a table look empty, nor the session hang.
func TestAStuckGatewayIsToldNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.stuck = true
		for _, line := range []string{"show crypto ikev2 sa", "show crypto invalid-spi", "show crypto ipsec sa detail", "show crypto recovery detail", "clear crypto sa peer 203.0.113.9"} {
			if out, err := l.run(line); !errors.Is(err, errStuck) || out != "" {
				t.Errorf("%s: %q, %v", line, out, err)
			}
		}
		if got := l.must("show crypto recovery"); !strings.Contains(got, "Tunnel7") { // asks nobody
			t.Errorf("%s", got)
		}
	})
}

func TestUnprivilegedSessionsOnlyLook(t *testing.T) {
	l := newLab(t)
	s := l.session(cli.UserExec)
	for _, line := range []string{"clear crypto sa", "clear logging", "debug crypto ikev2", "undebug all", "no debug all", "clear crypto recovery"} {
		var syntax *cli.SyntaxError
		if err := s.Execute(t.Context(), line, &strings.Builder{}); !errors.As(err, &syntax) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if len(l.orders)+len(l.cleared) != 0 || len(l.log.Debugging()) != 0 || len(l.log.Lines()) != 1 {
		t.Error("something was done")
	}
}

func TestRecoveryDetailKnowsAPeersFaultsWithoutAnIKESA(t *testing.T) {
	l := newLab(t)
	l.ikes = nil
	l.quirks = map[sa.Owner]ike.Quirks{1: {NoM2: now.Add(-time.Minute)}}
	if got := l.must("show crypto recovery detail"); !strings.Contains(got, "    the peer has CSC..40554, met Nov 24 ") {
		t.Errorf("%s", got)
	}
}
