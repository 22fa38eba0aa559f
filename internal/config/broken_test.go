package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// broken says what each file of examples/broken is refused for; each is the example with one mistake.
var broken = map[string][]string{
	"certificates":              {"15:24: authentication remote rsa-sig: certificates are not supported yet: pre-share is"},
	"crypto-map":                {"25:1: crypto map …: crypto maps are not supported yet: an sVTI is (interface Tunnel, tunnel mode ipsec ipv4)"},
	"gre-by-default":            {"25:11: interface Tunnel0 has no tunnel mode: IOS's default, gre ip, is not supported yet (add tunnel mode ipsec ipv4)"},
	"host-bits-in-route":        {"31:10: inconsistent address and mask: 10.2.0.1 255.255.255.0 (did you mean 10.2.0.0?)"},
	"incomplete-line":           {"18:10: the line ends too early: expected on-demand or periodic"},
	"ipv6-destination":          {"29:21: tunnel destination 2001:db8::2: IPv6 is not supported there yet: tunnel mode ipsec ipv4 has IPv4 addresses"},
	"misspelled-crypto":         {`22:1: "cypto" is not expected here: expected hostname, logging, store, ip, monitor, crypto, interface, exit or end (did you mean crypto?)`},
	"misspelled-section":        {`12:14: "profiel" is not expected here: expected proposal, policy, keyring, profile, dpd, cookie-challenge or nat (did you mean profile?)`},
	"no-key-for-destination":    {"29:21: crypto ikev2 keyring KR has no key for 192.0.2.3 (add a peer with address 192.0.2.3 there)", "29:21: note: no match identity remote of crypto ikev2 profile PROF takes 192.0.2.3: the peer must call itself otherwise"},
	"no-match":                  {`12:22: crypto ikev2 profile "PROF" has no match: it would fit no peer (add a line match identity remote)`},
	"no-protection":             {"25:11: interface Tunnel0 has no tunnel protection: its packets would leave in the clear (add tunnel protection ipsec profile NAME)"},
	"no-source":                 {"25:11: interface Tunnel0 has no tunnel source (add tunnel source)"},
	"no-such-profile":           {`24:20: crypto ikev2 profile "PROFF" is not defined (did you mean PROF?)`},
	"no-such-transform-set":     {`23:20: transform set "TX" is not defined (did you mean TS?)`},
	"out-of-range":              {"18:6: 5 is out of range: expected <10-3600>"},
	"route-to-nowhere":          {"31:33: interface Tunnel1 is not defined (there is Tunnel0)"},
	"same-ends-twice":           {"34:21: Tunnel1 has the same source and destination as Tunnel0 (line 25)"},
	"transport-mode":            {"21:7: mode transport: transport mode carries no whole packets, which tunnel mode ipsec ipv4 has; it belongs to GRE, not supported yet"},
	"tunnel-vrf":                {"28:2: tunnel vrf …: VRFs are not supported: without it, packets would take another routing table"},
	"type-6-key":                {"11:18: pre-shared-key 6: a type 6 key needs the master key of the router that wrote it, which is not here: give the key as type 0"},
	"type-7-key":                {"11:18: pre-shared-key 7: type 7 is reversible by anyone who reads it, refused: give the key as type 0"},
	"unauthenticated-transform": {"20:31: esp-aes alone does not authenticate (RFC 8221 §4) (add esp-sha256-hmac)"},
	"unfiltered":                {"28:2: ip access-group …: packet filters are the host's: ignored, it would let through what it blocks (use nftables and remove the line)"},
	"unknown-algorithm":         {`3:13: "aes-gcm-265" is not expected here: expected aes-gcm-128, aes-gcm-256, aes-cbc-128, aes-cbc-192 or aes-cbc-256 (did you mean aes-gcm-256?)`},
	"weak-algorithm":            {"3:13: encryption 3des: too weak, not supported yet"},
	"weak-group":                {"5:8: group 2: too weak, not supported yet"},
}

func TestBrokenExamplesAreRefusedAtTheirMistake(t *testing.T) {
	files, err := filepath.Glob("../../examples/broken/*.conf")
	if err != nil || len(files) != len(broken) {
		t.Errorf("%d files, %d expectations, %v", len(files), len(broken), err)
	}
	for name, want := range broken {
		text, err := os.ReadFile("../../examples/broken/" + name + ".conf")
		if err != nil {
			t.Error(err)
			continue
		}
		cfg, ds := Load(name+".conf", text)
		if cfg != nil {
			t.Errorf("%s: half applied", name)
		}
		var got []string
		for _, d := range ds {
			got = append(got, strings.TrimPrefix(d.String(), name+".conf:"))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// edited is the example with some text replaced.
func edited(t testing.TB, pairs ...string) []byte {
	text := string(example(t, "svti-ikev2-a.conf"))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the example has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return []byte(text)
}

func TestMistakesAreReportedWhereTheyStand(t *testing.T) {
	for name, c := range map[string]struct {
		edit []string
		want string
	}{
		"abbreviation of two":       {[]string{"ip route 10", "ip rou 10"}, `31:4: "rou" is an abbreviation of several words: route or routing`},
		"typo behind an ignored":    {[]string{"ip route 10", "ip rute 10"}, `31:4: "rute" is not known behind "ip" (did you mean route?)`},
		"typo in logging":           {[]string{"hostname site-a", "logging bufered 10000"}, `1:9: "bufered" is not known behind "logging" (did you mean buffered?)`},
		"unknown in a section":      {[]string{" group 19", " group 19\n frobnicate"}, `6:2: "frobnicate" is not expected here: expected encryption, integrity, prf, group, exit or end`},
		"bad address":               {[]string{" tunnel source wan0", " tunnel source 192.0.2.256"}, `27:16: 192.0.2.256 is not an IPv4 address`},
		"destination that is none":  {[]string{" tunnel destination 192.0.2.2", " tunnel destination 192.0.2"}, `29:21: tunnel destination 192.0.2: not an IPv4 address, and no name is resolved`},
		"destination by name":       {[]string{" tunnel destination 192.0.2.2", " tunnel destination b.example.net"}, `29:21: tunnel destination b.example.net: not an IPv4 address, and no name is resolved`},
		"multicast destination":     {[]string{" tunnel destination 192.0.2.2", " tunnel destination 224.0.0.1"}, `29:21: 224.0.0.1 is not the address of one host`},
		"own address":               {[]string{" tunnel source wan0", " tunnel source 192.0.2.2"}, `29:21: the tunnel's destination is its source`},
		"IOS interface":             {[]string{" tunnel source wan0", " tunnel source Gi0/0/0"}, "27:16: \"Gi0/0/0\" is no interface of the host: a name has at most 15 characters and no '/' (name the Linux interface, as `ip link` shows it)"},
		"mask":                      {[]string{"172.16.0.1 255.255.255.252", "172.16.0.1 255.0.255.0"}, `26:24: 255.0.255.0 is no network mask: its ones must stand before its zeros`},
		"network's own address":     {[]string{"172.16.0.1 255", "172.16.0.0 255"}, `26:13: bad mask 255.255.255.252 for address 172.16.0.0: it is the network's own or broadcast address`},
		"interface misspelled":      {[]string{"interface Tunnel0", "interface Tunel0"}, `25:11: "Tunel0" is an interface of the host, which has no tunnel lines (did you mean Tunnel0?)`},
		"tunnel lines elsewhere":    {[]string{"interface Tunnel0", "interface wan0"}, `27:2: tunnel …: tunnel lines belong to interface TunnelN`},
		"no keyring":                {[]string{" keyring local KR\n", ""}, `12:22: crypto ikev2 profile "PROF" has no keyring (add a line keyring local)`},
		"no local authentication":   {[]string{" authentication local pre-share\n", ""}, `12:22: crypto ikev2 profile "PROF" does not say how we prove ourselves (add a line authentication local pre-share)`},
		"no remote authentication":  {[]string{" authentication remote pre-share\n", ""}, `12:22: crypto ikev2 profile "PROF" does not say how the peer proves itself (add a line authentication remote pre-share)`},
		"no key":                    {[]string{"  pre-shared-key correct-horse\n", ""}, `9:7: peer "site-b" has no key for both directions (add a line pre-shared-key, or both pre-shared-key local and remote)`},
		"half a key":                {[]string{"pre-shared-key c", "pre-shared-key local c"}, `9:7: peer "site-b" has no key for both directions (add a line pre-shared-key, or both pre-shared-key local and remote)`},
		"bad hex":                   {[]string{"pre-shared-key c", "pre-shared-key hex c"}, `11:22: not a hexadecimal key: an even number of digits 0-9 and a-f`},
		"no prf":                    {[]string{" prf sha384\n", ""}, `2:23: crypto ikev2 proposal "P1" has no prf, which aes-gcm needs (add a line prf)`},
		"no integrity":              {[]string{"aes-gcm-256", "aes-cbc-256"}, `2:23: crypto ikev2 proposal "P1" has no integrity, which aes-cbc needs (add a line integrity)`},
		"no group":                  {[]string{" group 19\n", ""}, `2:23: crypto ikev2 proposal "P1" has no group (add a line group)`},
		"no encryption":             {[]string{" encryption aes-gcm-256\n", ""}, `2:23: crypto ikev2 proposal "P1" has no encryption (add a line encryption)`},
		"no proposal":               {[]string{"POL\n proposal P1\n", "POL\n"}, `6:21: crypto ikev2 policy "POL" has no proposal (add a line proposal)`},
		"default switched off":      {[]string{"crypto ikev2 policy POL\n proposal P1\n", "no crypto ikev2 proposal default\n"}, `26:16: no crypto ikev2 policy fits, and line 6 switches the default off`},
		"IKEv1 profile":             {[]string{" set ikev2-profile PROF", " set isakmp-profile PROF"}, `24:2: set isakmp-profile …: IKEv1 is not supported yet: set ikev2-profile is`},
		"no IKE profile":            {[]string{" set ikev2-profile PROF\n", ""}, `22:22: crypto ipsec profile "VTI" has no IKEv2 profile, and IKEv1 is not supported yet (add a line set ikev2-profile)`},
		"no transform set":          {[]string{" set transform-set TS\n", ""}, `22:22: crypto ipsec profile "VTI" has no transform set (IOS's default one is esp-aes esp-sha-hmac: too weak, not supported yet) (add a line set transform-set)`},
		"two ciphers":               {[]string{"esp-gcm 256", "esp-gcm 256 esp-aes 256"}, `20:43: transform set "TS" has esp-gcm already`},
		"AEAD and hash":             {[]string{"esp-gcm 256", "esp-gcm 256 esp-sha256-hmac"}, `20:43: esp-gcm authenticates by itself (remove it)`},
		"hash alone":                {[]string{"esp-gcm 256", "esp-sha256-hmac"}, `20:28: transform set "TS" encrypts nothing (esp-gcm 256, or esp-aes 256 esp-sha256-hmac)`},
		"weak transform":            {[]string{"esp-gcm 256", "esp-3des esp-md5-hmac"}, `20:31: crypto ipsec transform-set TS esp-3des: too weak, not supported yet`},
		"protection of another":     {[]string{"ipsec profile VTI\nip", "ipsec profile VTJ\nip"}, `30:34: crypto ipsec profile "VTJ" is not defined (did you mean VTI?)`},
		"keyring of another":        {[]string{"keyring local KR", "keyring local CORP"}, `17:16: crypto ikev2 keyring "CORP" is not defined (there is KR)`},
		"route's null interface":    {[]string{"255.255.255.0 Tunnel0", "255.255.255.0 Null0"}, `31:33: ip route 10.2.0.0 255.255.255.0 Null0: a route into an interface of the host is the host's: give the next hop alone, or a Tunnel`},
		"overlap":                   {[]string{"ip route", "interface Tunnel1\n ip address 172.16.0.2 255.255.255.0\n tunnel source wan0\n tunnel destination 192.0.2.2\n tunnel mode ipsec ipv4\n tunnel protection ipsec profile VTI\nip route"}, `32:13: 172.16.0.0/24 overlaps with Tunnel0`},
		"persistence":               {[]string{"hostname site-a", "store persistence journal"}, `1:19: store persistence journal: a later capability: the only store is none, SAs are healed instead of restored`},
		"dynamic store":             {[]string{"hostname site-a", "store bolt /x"}, `1:1: store bolt …: SA stores are a later capability: store persistence none is the only one`},
		"in the clear":              {[]string{"hostname site-a", "crypto ipsec optional"}, `1:1: crypto ipsec optional: it sends in the clear what it cannot encrypt: Lockstep never does`},
		"unknown crypto":            {[]string{"hostname site-a", "crypto quantum"}, `1:8: "quantum" is not expected here: expected ikev2, logging, isakmp, recovery, ipsec, keyring or session`},
		"control character":         {[]string{"hostname site-a", "hostname a\x00b"}, `1:11: control character 0x0`},
		"not text":                  {[]string{"hostname site-a", "hostname \xff\xfe"}, `1:10: not UTF-8 text`},
		"columns are characters":    {[]string{" tunnel source wan0", " description übär\n ip mtu überall"}, `28:9: "überall" is not expected here: expected <68-9216>`},
		"bad host name":             {[]string{"hostname site-a", "hostname site/a"}, `1:10: "site/a" is no host name: letters, digits, '-' and '.', at most 63`},
		"local address policy":      {[]string{"POL\n", "POL\n match address local 192.0.2.1\n"}, `28:16: crypto ikev2 policy "POL" depends on the local address, but the tunnel source is an interface`},
		"front door vrf":            {[]string{"POL\n", "POL\n match fvrf RED\n"}, `7:13: match fvrf RED: VRFs are not supported: without it, packets would take another routing table`},
		"typo in a tunnel":          {[]string{" tunnel source wan0", " tunnel source wan0\n ip access-grup IN in"}, `28:5: "access-grup" is not expected here: expected address, mtu or tcp`},
		"mtu too small":             {[]string{" tunnel source wan0", " tunnel source wan0\n ip mtu 60"}, `28:9: 60 is out of range: expected <68-9216>`},
		"host route":                {[]string{"ip route", "ip route vrf A 10.0.0.0 255.0.0.0 Tunnel0\nip route"}, `31:1: ip route vrf …: VRFs are not supported: without it, packets would take another routing table`},
		"GRE key":                   {[]string{" tunnel source wan0", " tunnel source wan0\n tunnel key 5"}, `28:2: tunnel key …: GRE tunnels are not supported yet, and tunnel mode ipsec ipv4 has no such field`},
		"match certificate":         {[]string{" dpd 10", " match certificate M\n dpd 10"}, `18:2: match certificate …: certificates are not supported yet: pre-share is`},
		"crypto map on a host port": {[]string{"interface Tunnel0", "interface wan0\n crypto map CM\ninterface Tunnel0"}, `26:2: crypto map …: crypto maps are not supported yet: an sVTI is (interface Tunnel, tunnel mode ipsec ipv4)`},
	} {
		cfg, ds := Load("f", edited(t, c.edit...))
		if cfg != nil || len(ds) == 0 {
			t.Errorf("%s was taken: %v", name, ds)
			continue
		}
		for i, d := range ds[1:] {
			if d == ds[i] {
				t.Errorf("%s: told twice: %v", name, d)
			}
		}
		first := ""
		for _, d := range ds {
			if d.Severity == Error {
				first = d.String()
				break
			}
		}
		if want := "f:" + c.want; first != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, first, want)
		}
	}
}

func TestTheSmartDefaultStandsInForMissingProposals(t *testing.T) {
	cfg, ds := Load("f", edited(t, "crypto ikev2 policy POL\n proposal P1\n", ""))
	if cfg == nil {
		t.Fatal(ds)
	}
	if d := cmp.Diff(SmartDefault(), cfg.Peers[0].Proposals[0]); d != "" || len(cfg.Peers[0].Proposals) != 1 {
		t.Error(d)
	}
	want := `f:2:23: note: crypto ikev2 proposal "P1" is used by nothing`
	if len(ds) != 1 || ds[0].String() != want {
		t.Errorf("%v", ds)
	}
}

func TestDiagnosticsNeverShowAKey(t *testing.T) {
	const secret = "correct-horse"
	for _, edit := range [][]string{
		{"pre-shared-key c", "pre-shared-kye c"}, {"pre-shared-key c", "pre-shared-key hex c"}, {"pre-shared-key c", "pre-shared-key 7 c"},
		{"pre-shared-key c", "pre-shared-key 6 c"}, {"hostname site-a", "crypto isakmp key correct-horse address 192.0.2.2"},
		{"hostname site-a", "crypto isakmp kye correct-horse address 192.0.2.2"}, {"hostname site-a", "username a password correct-horse"},
		{"authentication local pre-share", "authentication local pre-share key 7 correct-horse"}, {"  address 192.0.2.2\n", ""},
	} {
		_, ds := Load("f", edited(t, edit...))
		if len(ds) == 0 {
			t.Errorf("%q: no finding", edit)
		}
		for _, d := range ds {
			if strings.Contains(d.String(), secret) {
				t.Errorf("%v", d)
			}
		}
	}
}
