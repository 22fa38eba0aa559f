package config

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/policy"
)

// same compares configurations; secrets by content, netip values by ==.
func same() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b policy.Secret) bool { return a.Equal(b) }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

func example(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExampleCompilesToTheExpectedPolicy(t *testing.T) {
	got, ds := Load("a.conf", example(t, "svti-ikev2-a.conf"))
	if len(ds) != 0 {
		t.Fatalf("findings: %v", ds)
	}
	far := netip.MustParseAddr("192.0.2.2")
	key := policy.NewSecret([]byte("correct-horse"))
	peer := policy.KeyringPeer{Name: "site-b", Address: netip.MustParsePrefix("192.0.2.2/32"), Local: key, Remote: key}
	ring := &policy.Keyring{Name: "KR", Peers: []policy.KeyringPeer{peer}}
	ike := &policy.IKEv2Profile{Name: "PROF", MatchRemote: []policy.IdentityMatch{{Prefix: netip.MustParsePrefix("192.0.2.2/32")}},
		Local: policy.Identity{Kind: policy.IDIPv4, Value: "\xc0\x00\x02\x01"}, Keyring: ring, Lifetime: 24 * time.Hour,
		DPD: &policy.DPD{Interval: 10 * time.Second, Retry: 2 * time.Second}, NATKeepalive: 20 * time.Second}
	ipsec := &policy.IPsecProfile{Name: "VTI", TransformSets: []policy.TransformSet{{Name: "TS", Cipher: policy.Cipher{Encr: 20, KeyBits: 256}}},
		IKE: ike, Lifetime: time.Hour, LifetimeKB: 4608000, ReplayWindow: 64}
	tunnel := &policy.Tunnel{Unit: 0, Address: netip.MustParsePrefix("172.16.0.1/30"), SourceIF: "wan0", Destination: far, Protection: ipsec}
	want := &policy.Config{
		Hostname: "site-a", Tunnels: []*policy.Tunnel{tunnel},
		Routes: []policy.Route{{Prefix: netip.MustParsePrefix("10.2.0.0/24"), Tunnel: 0, Distance: 1}},
		Peers: []*policy.Peer{{Tunnel: tunnel, Remote: far, IKE: ike, IPsec: ipsec, Key: peer, Initiate: true, Proposals: []policy.IKEProposal{
			{Name: "P1", Encr: []policy.Cipher{{Encr: 20, KeyBits: 256}}, PRF: []uint16{6}, Groups: []uint16{19}}}}},
		Recovery: policy.Recovery{InvalidSPI: true, Extended: true},
		Logging:  policy.Logging{Severity: 7, Console: 7, Monitor: 7, Trap: 6},
	}
	if d := cmp.Diff(want, got, same()); d != "" {
		t.Error(d)
	}
}
