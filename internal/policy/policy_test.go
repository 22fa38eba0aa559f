package policy

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestSecretsNeverPrint(t *testing.T) {
	const word = "correct-horse"
	key := KeyringPeer{Name: "site-b", Local: NewSecret([]byte(word)), Remote: NewSecret([]byte(word))}
	peer := &Peer{Tunnel: &Tunnel{}, Key: key}
	var out strings.Builder
	for _, v := range []any{key.Local, &key.Local, key, &key, peer, *peer, []Secret{key.Local}, map[string]Secret{"k": key.Local}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "value", v)
	}
	all := out.String()
	for _, leak := range []string{word, fmt.Sprintf("%x", word), fmt.Sprintf("%X", word), fmt.Sprint([]byte(word)), "Y29ycmVjdC1ob3JzZQ"} {
		if strings.Contains(all, leak) {
			t.Errorf("%q is in the output", leak)
		}
	}
	if !strings.Contains(all, redacted) {
		t.Error("nothing says that something was left out")
	}
}

func TestSecretKeepsACopyAndComparesByContent(t *testing.T) {
	b := []byte("one")
	s := NewSecret(b)
	b[0] = 'X'
	if string(s.Reveal()) != "one" || !s.Equal(NewSecret([]byte("one"))) || s.Equal(NewSecret([]byte("onE"))) || s.Equal(Secret{}) {
		t.Errorf("%q", s.Reveal())
	}
	if s.IsZero() || !(Secret{}).IsZero() {
		t.Error("IsZero")
	}
}

func TestIdentityMatchesAsConfigured(t *testing.T) {
	address := AddressIdentity(netip.MustParseAddr("192.0.2.2"))
	mapped := AddressIdentity(netip.MustParseAddr("::ffff:192.0.2.2"))
	six := AddressIdentity(netip.MustParseAddr("2001:db8::2"))
	fqdn := Identity{IDFQDN, "b.example.net"}
	email := Identity{IDRFC822, "b@example.net"}
	if address != mapped || address.String() != "192.0.2.2" || six.String() != "2001:db8::2" || six.Kind != IDIPv6 {
		t.Errorf("identities %v, %v, %v", address, mapped, six)
	}
	for name, c := range map[string]struct {
		match IdentityMatch
		id    Identity
		want  bool
	}{
		"any":                       {IdentityMatch{Any: true}, fqdn, true},
		"host":                      {IdentityMatch{Prefix: netip.MustParsePrefix("192.0.2.2/32")}, address, true},
		"network":                   {IdentityMatch{Prefix: netip.MustParsePrefix("192.0.2.0/24")}, address, true},
		"other host":                {IdentityMatch{Prefix: netip.MustParsePrefix("192.0.2.3/32")}, address, false},
		"other family":              {IdentityMatch{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, six, false},
		"name of four octets":       {IdentityMatch{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, Identity{IDFQDN, "abcd"}, false},
		"exact":                     {IdentityMatch{Exact: fqdn}, fqdn, true},
		"exact, other kind":         {IdentityMatch{Exact: fqdn}, Identity{IDKeyID, fqdn.Value}, false},
		"domain":                    {IdentityMatch{Domain: "example.net", Kind: IDFQDN}, fqdn, true},
		"domain of an e-mail":       {IdentityMatch{Domain: "example.net", Kind: IDRFC822}, email, true},
		"domain, other kind":        {IdentityMatch{Domain: "example.net", Kind: IDFQDN}, email, false},
		"domain itself":             {IdentityMatch{Domain: "example.net", Kind: IDFQDN}, Identity{IDFQDN, "example.net"}, false},
		"domain without a boundary": {IdentityMatch{Domain: "example.net", Kind: IDFQDN}, Identity{IDFQDN, "badexample.net"}, false},
		"nothing configured":        {IdentityMatch{}, address, false},
	} {
		if got := c.match.Matches(c.id); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPeersAreFoundByAddressAndTunnel(t *testing.T) {
	b, c := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	cfg := &Config{Peers: []*Peer{
		{ID: 0, Tunnel: &Tunnel{Unit: 0}, Remote: b}, {ID: 1, Tunnel: &Tunnel{Unit: 7}, Remote: c}, {ID: 2, Tunnel: &Tunnel{Unit: 12}, Remote: b},
	}}
	if got := cfg.PeersAt(netip.MustParseAddr("::ffff:192.0.2.2")); len(got) != 2 || got[0].ID != 0 || got[1].ID != 2 {
		t.Errorf("peers at %v: %v", b, got)
	}
	if got := cfg.PeersAt(netip.MustParseAddr("192.0.2.4")); got != nil {
		t.Errorf("a stranger is %v", got)
	}
	if p := cfg.PeerByTunnel(7); p == nil || p.Name() != "Tunnel7" || cfg.PeerByTunnel(1) != nil {
		t.Errorf("tunnel 7 is %v", p)
	}
}
