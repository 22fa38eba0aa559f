package config

import (
	"reflect"
	"slices"

	"lockstep/internal/policy"
)

// Change is a tunnel that differs between two configurations.
type Change struct {
	Tunnel string
	What   []string // in words of the configuration: "tunnel destination"
	// SAs: the tunnel's SAs were made under terms that no longer hold, and must be made anew.
	SAs bool
}

// Difference is what a reload would do. Tunnels are named, in the order of their units.
type Difference struct {
	Added, Removed, Untouched []string
	Changed                   []Change
	Global                    []string // lines outside of tunnels: "hostname", "ip route"
}

// Diff compares two configurations, either of which may be nil: empty.
func Diff(before, after *policy.Config) Difference {
	if before == nil {
		before = &policy.Config{}
	}
	if after == nil {
		after = &policy.Config{}
	}
	var d Difference
	old, now := facts(before), facts(after)
	for _, t := range before.Tunnels {
		if _, ok := now[t.Unit]; !ok {
			d.Removed = append(d.Removed, t.Name())
		}
	}
	for _, t := range after.Tunnels {
		was, ok := old[t.Unit]
		switch c := compare(t.Name(), was, now[t.Unit]); {
		case !ok:
			d.Added = append(d.Added, t.Name())
		case len(c.What) == 0:
			d.Untouched = append(d.Untouched, t.Name())
		default:
			d.Changed = append(d.Changed, c)
		}
	}
	d.Global = globalChanges(before, after)
	return d
}

// fact is one thing that a tunnel's configuration says.
type fact struct {
	what  string
	value any
	sas   bool // its SAs depend on it
}

// facts lists what holds for each tunnel. A name is no fact: a profile may be called otherwise.
func facts(c *policy.Config) map[int][]fact {
	out := map[int][]fact{}
	for _, t := range c.Tunnels {
		out[t.Unit] = []fact{
			{"description", t.Description, false}, {"ip address", t.Address, false}, {"ip mtu", t.MTU, false}, {"ip tcp adjust-mss", t.AdjustMSS, false},
			{"tunnel source", [2]any{t.SourceIF, t.Source}, true}, {"tunnel destination", t.Destination, true}, {"shutdown", t.Shutdown, true},
		}
	}
	for _, p := range c.Peers {
		i, s := p.IKE, p.IPsec
		dpd := i.DPD
		if dpd == nil {
			dpd = c.DPDDefault
		}
		out[p.Tunnel.Unit] = append(out[p.Tunnel.Unit],
			fact{"crypto ikev2 proposal", nameless(p.Proposals), true},
			fact{"pre-shared-key", [2]policy.Secret{p.Key.Local, p.Key.Remote}, true},
			fact{"match identity remote", i.MatchRemote, true}, fact{"identity local", i.Local, true},
			fact{"transform-set", namelessSets(s.TransformSets), true}, fact{"set pfs", s.PFS, true}, fact{"replay", s.ReplayWindow, true},
			fact{"nat force-encap", i.ForceEncap, true}, fact{"nat-transparency", c.Encap, true},
			fact{"lifetime", i.Lifetime, false}, fact{"dpd", dpd, false}, fact{"nat keepalive", i.NATKeepalive, false}, fact{"initial-contact", i.InitialContactForce, false},
			fact{"security-association lifetime", [2]any{s.Lifetime, s.LifetimeKB}, false}, fact{"idle-time", s.IdleTime, false},
			fact{"responder-only", s.ResponderOnly, false}, fact{"notify-invalid-spi", s.NotifyInvalidSPI, false})
	}
	return out
}

func nameless(ps []policy.IKEProposal) []policy.IKEProposal {
	out := slices.Clone(ps)
	for i := range out {
		out[i].Name = ""
	}
	return out
}

func namelessSets(ts []policy.TransformSet) []policy.TransformSet {
	out := slices.Clone(ts)
	for i := range out {
		out[i].Name = ""
	}
	return out
}

// compare names what differs. One of them says less where the tunnel has no protection, which is shut down then.
func compare(name string, before, after []fact) Change {
	c := Change{Tunnel: name}
	for i := range min(len(before), len(after)) {
		if !reflect.DeepEqual(before[i].value, after[i].value) {
			c.What = append(c.What, after[i].what)
			c.SAs = c.SAs || after[i].sas
		}
	}
	if len(before) != len(after) {
		c.What, c.SAs = append(c.What, "tunnel protection"), true
	}
	return c
}

func globalChanges(a, b *policy.Config) []string {
	var out []string
	for _, f := range []struct {
		what string
		x, y any
	}{
		{"hostname", a.Hostname, b.Hostname}, {"logging", a.Logging, b.Logging}, {"ip route", a.Routes, b.Routes},
		{"invalid-spi-recovery and recovery", a.Recovery, b.Recovery}, {"nat-transparency", a.Encap, b.Encap}, {"store", a.Store, b.Store},
		{"crypto ikev2 dpd", a.DPDDefault, b.DPDDefault}, {"cookie-challenge", a.CookieChallenge, b.CookieChallenge},
	} {
		if !reflect.DeepEqual(f.x, f.y) {
			out = append(out, f.what)
		}
	}
	return out
}
