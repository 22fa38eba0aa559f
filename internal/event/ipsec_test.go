package event

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/wire/ike2"
)

func debugSA() IPsecSA {
	return IPsecSA{
		Tunnel: "Tunnel3", SPI: 0x0BADCAFE, Inbound: true,
		Local: netip.MustParseAddrPort("192.0.2.1:0"), Remote: netip.MustParseAddrPort("192.0.2.2:0"),
		Transform: "esp-gcm 256", ConnID: 2007, LifeKB: 4608000, Life: time.Hour,
		TSLocal:  []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("10.7.0.0/16"))},
		TSRemote: []ike2.Selector{ike2.SelectorFromPrefix(netip.MustParsePrefix("0.0.0.0/0"))},
	}
}

func TestCreatedSAHasTheLinesOfIOS(t *testing.T) {
	want := "IPSEC(create_sa): sa created,\n" +
		"  (sa) sa_dest= 192.0.2.1, sa_proto= 50,\n" +
		"    sa_spi= 0x0BADCAFE(195939070),\n" +
		"    sa_trans= esp-gcm 256 , sa_conn_id= 2007\n" +
		"    sa_lifetime(k/sec)= (4608000/3600),\n" +
		"  (identity) local= 192.0.2.1:0, remote= 192.0.2.2:0,\n" +
		"    local_proxy= 10.7.0.0/255.255.0.0/256/0,\n" +
		"    remote_proxy= 0.0.0.0/0.0.0.0/256/0"
	r := IPsecCreated(t0, debugSA())
	if r.Text != want {
		t.Errorf("got\n%s\nwant\n%s", r.Text, want)
	}
	if r.Topic != TopicIPsec || r.Severity != Debugging || r.Facility != "CRYPTO" || r.Mnemonic != "" || r.Peer != b || !r.At.Equal(t0) {
		t.Errorf("%+v", r)
	}
	out := debugSA()
	out.Inbound = false
	out.Remote = netip.MustParseAddrPort("[::ffff:192.0.2.2]:4500")
	text := IPsecCreated(t0, out).Text
	for _, part := range []string{"sa_dest= 192.0.2.2,", "remote= 192.0.2.2:4500,"} {
		if !strings.Contains(text, part) {
			t.Errorf("outbound lacks %q:\n%s", part, text)
		}
	}
}

func TestDeletedSASaysWhyAndLeavesOutWhatIsForgotten(t *testing.T) {
	s := IPsecSA{Tunnel: "Tunnel3", SPI: 0xFFFFFFFF, Inbound: true, Local: debugSA().Local, Remote: debugSA().Remote}
	want := "IPSEC(delete_sa): deleting SA,\n" +
		"  (sa) sa_dest= 192.0.2.1, sa_proto= 50,\n" +
		"    sa_spi= 0xFFFFFFFF(4294967295),\n" +
		"  (identity) local= 192.0.2.1:0, remote= 192.0.2.2:0\n" +
		"  (reason) dead peer"
	r := IPsecDeleted(t0, s, "dead peer")
	if r.Text != want {
		t.Errorf("got\n%s\nwant\n%s", r.Text, want)
	}
	if last := r.Attrs[len(r.Attrs)-1]; last.Key != "why" || last.Value.String() != "dead peer" {
		t.Errorf("attributes %v", r.Attrs)
	}
}

func TestProxiesOfEverySelector(t *testing.T) {
	tcp443 := ike2.SelectorFromPrefix(netip.MustParsePrefix("10.7.1.9/32"))
	tcp443.Protocol, tcp443.StartPort, tcp443.EndPort = 6, 443, 443
	ports := tcp443
	ports.EndPort = 444
	opaque := tcp443
	opaque.StartPort, opaque.EndPort = 65535, 0
	for want, s := range map[string]ike2.Selector{
		"10.7.1.9/255.255.255.255/6/443":     tcp443,
		"10.7.1.9-10.7.1.9[tcp/443-444]":     ports,
		"10.7.1.9-10.7.1.9[tcp/opaque]":      opaque,
		"10.7.1.3-10.7.1.9":                  ike2.SelectorFromRange(netip.MustParseAddr("10.7.1.3"), netip.MustParseAddr("10.7.1.9")),
		"2001:db8::/32/256/0":                ike2.SelectorFromPrefix(netip.MustParsePrefix("2001:db8::/32")),
		"128.0.0.0/128.0.0.0/256/0":          ike2.SelectorFromPrefix(netip.MustParsePrefix("128.0.0.0/1")),
		"198.51.100.0/255.255.255.128/256/0": ike2.SelectorFromPrefix(netip.MustParsePrefix("198.51.100.0/25")),
	} {
		if got := proxy(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	two := proxies([]ike2.Selector{tcp443, ike2.SelectorFromPrefix(netip.MustParsePrefix("10.8.0.0/16"))})
	if want := "10.7.1.9/255.255.255.255/6/443 10.8.0.0/255.255.0.0/256/0"; two != want {
		t.Errorf("got %s, want %s", two, want)
	}
}

func TestKeyExportIsAWarningWithThePath(t *testing.T) {
	r := KeysExported(t0, "/tmp/esp_sa")
	want := "%CRYPTO-4-KEYS_EXPORTED: Keys of child SAs are written to /tmp/esp_sa: whoever reads that file reads the traffic"
	if line(r) != want {
		t.Errorf("got  %s\nwant %s", line(r), want)
	}
	if e, ok := Lookup(r.Facility, r.Mnemonic); !ok || e.Severity != Warning || r.Severity != Warning || e.Rate != Unlimited {
		t.Errorf("%+v", e)
	}
}
