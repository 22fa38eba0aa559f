package interop

import (
	"net"
	"strings"
	"testing"

	"lockstep/internal/testing/lab"
)

// What the host lacks is one clear sentence with the remedy: from `lockstep check -host` beforehand, and from `lockstep run`
// where it cannot go on.
func TestFaultsOfTheHostAreOneSentenceWithTheRemedy(t *testing.T) {
	for _, c := range []struct {
		name  string
		conf  lab.SVTI
		spoil func(t *testing.T, l *lab.Lab)
		wrap  []string // command before lockstep
		words []string
		fatal bool // check -host: exit 1
		waits bool // run says it and goes on, until the host has what is missing
	}{
		{name: "Port500Taken", words: []string{"UDP port 500 is held by interop.test", "stop it"}, fatal: true,
			spoil: func(t *testing.T, l *lab.Lab) {
				err := l.A.Do(func() error {
					c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 500})
					if err == nil {
						t.Cleanup(func() { c.Close() })
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}},
		{name: "NoCapabilityNetAdmin", wrap: []string{"setpriv", "--bounding-set=-net_admin", "--"}, words: []string{"CAP_NET_ADMIN", "run as root"}, fatal: true},
		{name: "NoTUN", wrap: []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh"}, words: []string{"/dev/net/tun", "modprobe tun"}, fatal: true},
		{name: "ForeignAddress", conf: lab.SVTI{Source: "203.0.113.7"}, words: []string{"203.0.113.7", "not", "this host", "add it to an interface"}, fatal: true, waits: true},
		{name: "NoSuchInterface", conf: lab.SVTI{Source: "wan7"}, words: []string{"wan7", "no such interface", "correct the name"}, fatal: true, waits: true},
		{name: "ForwardingOff", words: []string{"forwarding is off", "sysctl -w net.ipv4.ip_forward=1"},
			spoil: func(_ *testing.T, l *lab.Lab) { l.A.Sysctl("net.ipv4.ip_forward", "0") }},
		{name: "StrictReversePath", conf: lab.SVTI{Routes: []string{"0.0.0.0 0.0.0.0"}}, words: []string{"wan0", "strict", "rp_filter=2"},
			spoil: func(_ *testing.T, l *lab.Lab) { l.A.Sysctl("net.ipv4.conf.wan0.rp_filter", "1") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := lab.New(t)
			g := l.NewLockstep(t, "A", c.conf)
			if c.spoil != nil {
				c.spoil(t, l)
			}
			out, code := g.Subcommand(c.wrap, "check", "-host", g.ConfigFile())
			if !says(out, c.words) || (code != 0) != c.fatal {
				t.Errorf("check -host: exit %d, want a line with %q in\n%s", code, c.words, out)
			}
			if !c.fatal {
				return
			}
			if c.waits {
				g.Start()
				if out := g.Log(); !says(out, c.words) {
					t.Errorf("run: want a line with %q in\n%s", c.words, out)
				}
				return
			}
			out, code = g.Subcommand(c.wrap, g.RunArgs()...)
			if !says(out, c.words[:1]) || code != 1 || strings.Count(out, "\n") > 3 || strings.Contains(out, "goroutine") {
				t.Errorf("run: exit %d, want 1 and a line with %q in\n%s", code, c.words[:1], out)
			}
		})
	}
}

// says reports that one line has all the words.
func says(out string, words []string) bool {
next:
	for line := range strings.Lines(out) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		return true
	}
	return false
}
