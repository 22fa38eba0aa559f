package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything holds each line that is applied, in an order and spelling of its own.
const everything = `
no crypto recovery extended
HOSTNAME gw-1
logging buffered 65536 informational
no logging console
logging monitor errors
logging trap 5
logging host 192.0.2.9
logging host 192.0.2.10 transport udp port 5514
store persistence none
interface tunnel 7
 description to  the    east
 ip address 172.16.7.1 255.255.255.254
 ip mtu 1400
 ip tcp adjust-mss 1360
 tunnel source 198.51.100.1
 tunnel destination 192.0.2.7
 tunnel mode ipsec ipv4
 tunnel protection ipsec profile P2
 shutdown
interface Tunnel0
 tun sou 198.51.100.2
 tun dest 192.0.2.2
 tun mode ips ipv4
 tun prot ips prof P1
 no shutdown
interface wan0
cry ikev2 prop ONE
 encr aes-cbc-256 aes-cbc-128 aes-gcm-256
 integ sha384 sha256
 prf sha512
 gr 31 20 19 14
crypto ikev2 proposal TWO
 encryption aes-gcm-128
 prf sha256
 group 19
crypto ikev2 policy A
 proposal ONE
 proposal TWO
crypto ikev2 policy B
 proposal TWO
 match address local 198.51.100.1
 match fvrf any
crypto ikev2 keyring KR
 peer two
  description key with  spaces
  address 192.0.2.2
  pre-shared-key local 0 hex marks the spot
  pre-shared-key remote hex 00ff10
 peer any
  address 0.0.0.0 0.0.0.0
  pre-shared-key 0 0
 peer name
  identity fqdn seven.example.net
  pre-shared-key other
crypto ikev2 profile I1
 description one
 match identity remote address 192.0.2.0 255.255.255.0
 match identity remote fqdn domain example.net
 match identity remote email a@example.net
 match identity remote key-id some key
 match identity remote any
 match fvrf any
 identity local fqdn gw.example.net
 authentication local pre-share
 authentication remote pre-share
 keyring KR
 lifetime 7200
 dpd 30 5 periodic
 initial-contact force
 nat keepalive 30
 nat force-encap
crypto ikev2 profile I2
 match identity remote key-id seven
 identity local email gw@example.net
 authentication local pre-share key 0 mine
 authentication remote pre-share key hex 0A0b
crypto ikev2 dpd 60 6 on-demand
crypto ikev2 cookie-challenge 100
crypto ikev2 nat keepalive 25
crypto logging session
crypto isakmp invalid-spi-recovery
crypto recovery budget gap milliseconds 500
crypto recovery budget deletes per-minute 20
crypto recovery budget initiations per-second 40 burst 80
crypto recovery budget hints per-second 50
crypto ipsec security-association lifetime seconds 1800
crypto ipsec security-association lifetime kilobytes disable
crypto ipsec security-association idle-time 600
crypto ipsec security-association replay window-size 1024
crypto ipsec transform-set GCM esp-gcm
crypto ipsec transform-set CBC esp-aes 192 esp-sha512-hmac esn
 mode tunnel
crypto ipsec transform-set OLD esp-256-aes esp-sha256-hmac
no crypto ipsec nat-transparency udp-encapsulation
crypto ipsec profile P1
 description first
 set transform-set CBC GCM OLD
 set ikev2-profile I1
 set pfs group31
 set security-association lifetime days 2
 set security-association lifetime kilobytes 5000
 set security-association replay disable
 set security-association idle-time 120
 responder-only
 crypto recovery notify-invalid-spi
crypto ipsec profile P2
 set transform-set GCM
 set ikev2-profile I2
 set pfs
ip route 10.0.0.0 255.0.0.0 192.0.2.254
ip route 0.0.0.0 0.0.0.0 Tunnel 0 10 name default permanent
ip route 10.7.0.0 255.255.0.0 Tu7 172.16.7.0 200 tag 5
end
`

func TestWhatIsWrittenLoadsAsTheSameConfiguration(t *testing.T) {
	for name, text := range map[string]string{"a": string(example(t, "svti-ikev2-a.conf")), "b": string(example(t, "svti-ikev2-b.conf")), "everything": everything, "empty": ""} {
		tree, ds := Parse(name, []byte(text))
		want, more := Compile(tree)
		if HasErrors(ds) || want == nil {
			t.Fatalf("%s: %v %v", name, ds, more)
		}
		written := Running(tree, true)
		got, ds := Load("written", []byte(written))
		if got == nil {
			t.Fatalf("%s is refused: %v\n%s", name, ds, written)
		}
		if d := cmp.Diff(want, got, same()); d != "" {
			t.Errorf("%s: %s\n%s", name, d, written)
		}
		again, _ := Parse("again", []byte(written))
		if d := cmp.Diff(written, Running(again, true)); d != "" {
			t.Errorf("%s is written otherwise the second time:\n%s", name, d)
		}
	}
}

func TestEveryAppliedLineIsInTheRoundTrip(t *testing.T) {
	tree, ds := Parse("everything", []byte(everything))
	if len(ds) != 0 {
		t.Fatal(ds)
	}
	seen := map[string]bool{}
	var walk func(n *Node)
	walk = func(n *Node) {
		for _, k := range n.kids {
			seen[k.rule.mode+" "+k.rule.id] = true
			walk(k)
		}
	}
	walk(&tree.root)
	for _, ln := range configuration().all {
		switch ln.id {
		case "", "exit", "end", "ikev2.proposal.default", "ikev2.policy.default":
		default:
			if !seen[ln.mode+" "+ln.id] {
				t.Errorf("%s: %q is not in the text", ln.mode, ln.pattern)
			}
		}
	}
}

func TestRedactedConfigurationShowsNoKeyAndIsRefusedAtIt(t *testing.T) {
	tree, _ := Parse("everything", []byte(everything))
	text := Running(tree, false)
	for _, secret := range []string{"marks the spot", "00ff10", "other", "mine", "0A0b", "pre-shared-key 0 0\n"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown:\n%s", secret, text)
		}
	}
	cfg, ds := Load("shown", []byte(text))
	if cfg != nil {
		t.Fatal("a configuration without its keys was taken")
	}
	n := 0
	for _, d := range ds {
		if d.Message == "this key was left out when the configuration was shown" && strings.Contains(strings.Split(text, "\n")[d.Line-1], Redacted) && d.Severity == Error {
			n++
		}
	}
	if n != 6 {
		t.Errorf("%d keys were reported, not 6: %v", n, ds)
	}
}
