package lab

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lockstep/internal/config"
)

func TestConfigurationsOfTheLabLoadWithoutAFinding(t *testing.T) {
	for name, c := range map[string]SVTI{
		"defaults": {},
		"all": {PSK: "other", IKE: []string{"encryption aes-cbc-256", "integrity sha256", "group 14"}, Transform: "esp-aes 256 esp-sha256-hmac",
			DPD: "-", Recovery: "-", Routes: []string{"0.0.0.0 0.0.0.0"}, Profile: []string{"responder-only"}, Tunnel: []string{"ip mtu 1300"},
			Global: []string{"no crypto recovery extended"}, Source: "lan0"},
	} {
		for _, side := range []string{"A", "B"} {
			cfg, findings := config.Load(name, []byte(c.Text(side)))
			if cfg == nil || len(findings) > 0 || len(cfg.Tunnels) != 1 || cfg.Tunnels[0].Destination != Outer(other(side)) {
				t.Errorf("%s, side %s: %v in\n%s", name, side, findings, c.Text(side))
			}
		}
	}
}

func TestKeyLogIsReadAsWiresharkReadsIt(t *testing.T) {
	text := `"IPv4","192.0.2.1","192.0.2.2","0x0000abcd","AES-GCM with 16 octet ICV [RFC4106]","0x0102","NULL",""` + "\n" +
		`"IPv4","192.0.2.2","192.0.2.1","0xff000001","AES-CBC [RFC3602]","0x03","HMAC-SHA-256-128 [RFC4868]","0x0405"` + "\n"
	got, err := parseKeys(text)
	want := []ESPKey{
		{Src: AddrA, Dst: AddrB, SPI: 0xabcd, Cipher: WiresharkGCM, Key: []byte{1, 2}},
		{Src: AddrB, Dst: AddrA, SPI: 0xff000001, Cipher: WiresharkCBC, Key: []byte{3}, Auth: WiresharkSHA256, AuthKey: []byte{4, 5}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, bad := range []string{`"IPv4","192.0.2.1"`, `"IPv4","here","192.0.2.2","0x1","c","0x","NULL",""`, `"IPv4","192.0.2.1","192.0.2.2","1x","c","0x","NULL",""`} {
		if k, err := parseKeys(bad); err == nil {
			t.Errorf("%s gave %v", bad, k)
		}
	}
}
