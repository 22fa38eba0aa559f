package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// charon is Debian's path of strongSwan's daemon.
const charon = "/usr/lib/ipsec/charon"

// plugins are those that run without ESP in the host's kernel: kernel-libipsec carries ESP in the process, through UDP
// 4500 always. The kernel's own IPsec would fail the child SAs here.
const plugins = "random nonce openssl curve25519 gcm ccm ctr chapoly sha1 sha2 md5 aes des hmac kdf cmac xcbc gmp pem pkcs1 " +
	"pkcs8 x509 pubkey revocation constraints kernel-libipsec kernel-netlink socket-default vici updown"

// SwanConfig is one connection of a strongSwan peer. The zero value of a field takes the value in parentheses.
type SwanConfig struct {
	PSK       string   // ("correct-horse")
	IKE       string   // proposals ("aes256gcm16-prfsha384-ecp256")
	ESP       string   // proposals ("aes256gcm16"); no ESN: kernel-libipsec cannot
	LocalTS   string   // ("0.0.0.0/0")
	RemoteTS  string   // ("0.0.0.0/0")
	Unique    string   // ("no"): so that the peer's duplicates stay, as they do on many gateways
	DPD       string   // dpd_delay ("0s": off)
	Start     string   // start_action ("none"): the test initiates
	ChildLife string   // rekey_time of the child ("0s": never by itself)
	IKELife   string   // rekey_time of the IKE SA ("0s")
	LocalID   string   // (the address)
	RemoteID  string   // (the address)
	LogLevel  int      // of ike and knl (1)
	Extra     []string // further lines of the connection
	Daemon    []string // further lines of the daemon's section, such as "retransmit_timeout = 1"
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// Swan is a running strongSwan.
type Swan struct {
	*Process
	t    testing.TB
	dir  string
	side string
}

// NeedSwan skips the test where strongSwan is not installed.
func NeedSwan(t testing.TB) {
	t.Helper()
	NeedRoot(t)
	for _, f := range []string{charon, "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"} {
		if _, err := os.Stat(f); err != nil {
			t.Skip("needs strongSwan with kernel-libipsec: apt-get install strongswan-swanctl strongswan-charon libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins")
		}
	}
	if _, err := exec.LookPath("swanctl"); err != nil {
		t.Skip("needs swanctl: apt-get install strongswan-swanctl")
	}
}

// StrongSwan starts charon in the namespace of side "A" or "B", with connection "t" and child "net" loaded. /run is its own,
// so that several run beside each other.
func (l *Lab) StrongSwan(t testing.TB, side string, c SwanConfig) *Swan {
	t.Helper()
	NeedSwan(t)
	s := &Swan{t: t, side: side, dir: t.TempDir()}
	local, remote := Outer(side).String(), Outer(other(side)).String()
	s.write("strongswan.conf", s.daemonConfig(c))
	s.write("swanctl/swanctl.conf", connection(c, local, remote))
	fence(l.Gateway(side), lanOf(side))
	s.start(l.Gateway(side))
	return s
}

// fence does for strongSwan's site what Lockstep does for its own: no inner packet leaves while charon is not there. And
// with selectors 0.0.0.0/0 charon's table 220, which is asked before the main one, would send what came out of the tunnel
// into it again: the way to the own LAN is asked first.
func fence(ns *NS, lan netip.Prefix) {
	ns.IP("rule add to " + lan.String() + " lookup main priority 210")
	for _, p := range inner {
		ns.IP("route add blackhole " + p.String())
	}
}

func (s *Swan) start(ns *NS) {
	s.t.Helper()
	s.Process = ns.StartEnv([]string{"STRONGSWAN_CONF=" + s.dir + "/strongswan.conf"}, "unshare", "-m", "bash", "-c",
		"mount --make-rprivate / && mount -t tmpfs none /run && exec "+charon)
	Eventually(s.t, 10*time.Second, "charon's control socket", func() bool {
		_, err := os.Stat(s.socket())
		return err == nil || !s.Running()
	})
	if out, err := s.Control("--load-all"); err != nil {
		s.t.Fatalf("load the configuration of strongSwan: %v\n%s\n%s", err, out, tail(s.Journal(), 30))
	}
}

// Restart starts it again after a Kill or Stop, with the same configuration and no state.
func (s *Swan) Restart(l *Lab) {
	s.t.Helper()
	_ = os.Remove(s.socket())
	s.start(l.Gateway(s.side))
}

func other(side string) string {
	if side == "A" {
		return "B"
	}
	return "A"
}

func (s *Swan) socket() string { return s.dir + "/vici" }

func (s *Swan) write(name, text string) {
	s.t.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// daemonConfig has the mark pair that keeps charon's own packets out of the tunnel that they carry.
func (s *Swan) daemonConfig(c SwanConfig) string {
	return fmt.Sprintf(`charon {
  load = %s
  plugins {
    vici { socket = unix://%s }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }
    kernel-libipsec { allow_peer_ts = yes }
  }
  filelog { f { path = %s/charon.log
    default = 1
    ike = %[4]d
    knl = %[4]d
    esp = 1
    flush_line = yes } }
  %[5]s
}
`, plugins, s.socket(), s.dir, max(1, c.LogLevel), strings.Join(c.Daemon, "\n  "))
}

func connection(c SwanConfig, local, remote string) string {
	return fmt.Sprintf(`connections {
 t {
  version = 2
  local_addrs = %s
  remote_addrs = %s
  proposals = %s
  unique = %s
  dpd_delay = %s
  rekey_time = %s
  reauth_time = 0s
  %s
  local {
   auth = psk
   id = %s
  }
  remote {
   auth = psk
   id = %s
  }
  children {
   net {
    local_ts = %s
    remote_ts = %s
    esp_proposals = %s
    rekey_time = %s
    life_time = 0s
    rekey_bytes = 0
    rekey_packets = 0
    start_action = %s
   }
  }
 }
}
secrets {
 ike-1 {
  secret = "%s"
 }
}
`, local, remote, or(c.IKE, "aes256gcm16-prfsha384-ecp256"), or(c.Unique, "no"), or(c.DPD, "0s"), or(c.IKELife, "0s"),
		strings.Join(c.Extra, "\n  "), or(c.LocalID, local), or(c.RemoteID, remote), or(c.LocalTS, "0.0.0.0/0"),
		or(c.RemoteTS, "0.0.0.0/0"), or(c.ESP, "aes256gcm16"), or(c.ChildLife, "0s"), or(c.Start, "none"), or(c.PSK, "correct-horse"))
}

// Control runs swanctl with arguments and returns what it said; at most 30 seconds.
func (s *Swan) Control(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "swanctl", append(args, "--uri", "unix://"+s.socket())...)
	cmd.Env = append(os.Environ(), "SWANCTL_DIR="+s.dir+"/swanctl", "STRONGSWAN_CONF="+s.dir+"/strongswan.conf")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *Swan) must(args ...string) string {
	s.t.Helper()
	out, err := s.Control(args...)
	if err != nil {
		s.t.Fatalf("swanctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Initiate brings child "net" up, and fails the test when that fails within ten seconds.
func (s *Swan) Initiate() { s.t.Helper(); s.must("--initiate", "--child", "net", "--timeout", "10") }

// RekeyChild starts a rekey of child "net", RekeyIKE one of the IKE SA; neither waits for its end.
func (s *Swan) RekeyChild() { s.t.Helper(); s.must("--rekey", "--child", "net") }

// RekeyIKE starts a rekey of the IKE SA.
func (s *Swan) RekeyIKE() { s.t.Helper(); s.must("--rekey", "--ike", "t") }

// Terminate deletes the IKE SA with its children.
func (s *Swan) Terminate() { s.t.Helper(); s.must("--terminate", "--ike", "t", "--timeout", "10") }

// SAs lists its IKE SAs with their children.
func (s *Swan) SAs() []SwanSA {
	s.t.Helper()
	sas, err := parseSAs(s.must("--list-sas", "--raw"))
	if err != nil {
		s.t.Fatal(err)
	}
	return sas
}

// Journal is charon's log.
func (s *Swan) Journal() string {
	b, err := os.ReadFile(s.dir + "/charon.log")
	if err != nil {
		return err.Error() + "\n" + s.Log()
	}
	return string(b)
}
