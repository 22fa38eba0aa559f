package advise

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/verdict"
)

// ikev2Recovery is what is known of unknown SPIs under IKEv2 alone (RFC 7296 §1.5, §2.4, §2.21.4).
const ikev2Recovery = "the command is one of IKEv1, IKEv2 has none of its own, and what it does for IKEv2 is not documented. " +
	"IKEv2 by itself: over an IKE SA that is there the sender gets a Delete or INVALID_SPI; without one it gets at most an INVALID_SPI that it must not trust, " +
	"and should take as a hint to probe its peer. What surely notices is DPD at the sender (crypto ikev2 dpd); INITIAL_CONTACT of the new IKE SA then removes the old SAs"

// Findings says what one configuration lacks.
func (c *Config) Findings() []Finding {
	var out []Finding
	add := func(severity, code, text string, quotes ...evidence.Quote) {
		out = append(out, Finding{severity, code, text, quotes})
	}
	entries := c.Entries()
	helped := slices.ContainsFunc(entries, func(e Entry) bool { return e.Recovery == "yes" })
	ikev1 := slices.ContainsFunc(entries, func(e Entry) bool { return e.Recovery == "yes" && !e.IKEv2 })
	switch {
	case c.ASA:
	case c.recovery != nil && helped && !ikev1:
		add("note", "recovery-ikev2", "crypto isakmp invalid-spi-recovery is on, and every entry that it is meant for is of IKEv2: "+ikev2Recovery, c.recovery.quote(c.File))
	case helped && !ikev1:
		add("note", "recovery-ikev2", "crypto isakmp invalid-spi-recovery is off, and every entry that it is meant for is of IKEv2: "+ikev2Recovery)
	case c.recovery != nil && helped:
		add("note", "recovery-on", "crypto isakmp invalid-spi-recovery is on", c.recovery.quote(c.File))
	case c.recovery != nil && len(entries) > 0:
		add("warning", "recovery-useless", "crypto isakmp invalid-spi-recovery is on, and no entry here is of a kind that it works for", c.recovery.quote(c.File))
	case helped:
		add("warning", "recovery-off", "crypto isakmp invalid-spi-recovery is off: without an IKE SA nothing is sent, whatever arrives")
	}
	for _, e := range entries {
		if !e.DPD && e.Recovery != "n/a" {
			add("warning", "dpd-off", fmt.Sprintf("%s: no DPD: this end notices a lost peer when the lifetime ends (%d s)", e.Name, e.Life.seconds), e.quote)
		}
	}
	for _, name := range sorted(c.maps) {
		if !c.mapIfaces[name] {
			add("warning", "map-unused", "crypto map "+name+" is on no interface", c.maps[name][0].at.quote(c.File))
		}
	}
	for _, f := range c.ifaces {
		if f.protection != "" && c.profiles[f.protection] == nil {
			add("error", "profile-missing", f.name+": IPsec profile "+f.protection+" is not in this configuration", f.protectAt.quote(c.File))
		}
	}
	return out
}

// End is what verdicts need of the configuration.
func (c *Config) End() verdict.End {
	end := verdict.End{File: c.File, Device: c.Hostname, Addrs: maps.Clone(c.has), Peers: map[netip.Addr]verdict.Entry{}, Life: map[netip.Addr]verdict.Life{}}
	for _, e := range c.entries {
		named := verdict.Entry{Name: e.Name, Type: e.Type, Recovery: e.Recovery, Why: e.Why}
		end.DPD = end.DPD || e.DPD
		if e.Local.IsValid() {
			end.Addrs[e.Local] = true
		}
		for _, p := range e.Peers {
			end.Peers[p] = named
			end.Life[p] = verdict.Life{Seconds: e.Life.seconds, KB: e.Life.kb, Quote: e.lifeQuote}
		}
		switch e.Type {
		case DynamicMap, DVTI, MGREDynamic, MGREStatic, GDOIMap:
			if end.Dynamic.Name == "" {
				end.Dynamic = dynamicPart(e, named)
			}
		}
	}
	return end
}

// Compare says what two configurations disagree on, for each tunnel that both have.
func Compare(a, b *Config) []Finding {
	byPeer := map[netip.Addr][]int{}
	for i, eb := range b.entries {
		for _, p := range eb.Peers {
			byPeer[p] = append(byPeer[p], i)
		}
	}
	var out []Finding
	for _, ea := range a.entries {
		from := []netip.Addr{ea.Local}
		if !ea.Local.IsValid() {
			from = a.addrs
		}
		for _, local := range from {
			for _, i := range byPeer[local] {
				if faces(ea, b, b.entries[i]) && len(out) < maxDifferences {
					out = append(out, differences(a, ea, b, b.entries[i])...)
				}
			}
		}
	}
	return out
}

// dynamicPart is what answers peers that no line names: an mGRE spoke with static mappings also has peers that NHRP told
// it, for which recovery is another matter.
func dynamicPart(e Entry, named verdict.Entry) verdict.Entry {
	if e.Type == MGREStatic {
		named.Type, named.Recovery, named.Why = MGREDynamic, "no", "a peer that NHRP told it: no line names it"
	}
	return named
}

// maxDifferences are told; two hubs of thousands of tunnels could fill the report with one mistake.
const maxDifferences = 500

// faces reports that e's peer is the other device.
func faces(e Entry, other *Config, mate Entry) bool {
	for _, p := range e.Peers {
		if p == mate.Local || !mate.Local.IsValid() && other.has[p] {
			return true
		}
	}
	return false
}

func differences(a *Config, ea Entry, b *Config, eb Entry) []Finding {
	var out []Finding
	pair := fmt.Sprintf("%s %s and %s %s", a.name(), ea.Name, b.name(), eb.Name)
	quotes := []evidence.Quote{ea.quote, eb.quote}
	add := func(severity, code, format string, args ...any) {
		out = append(out, Finding{severity, code, pair + ": " + fmt.Sprintf(format, args...), quotes})
	}
	if ea.Life.seconds != eb.Life.seconds {
		f := Finding{"warning", "lifetime-differs", pair + fmt.Sprintf(": lifetimes of %d and %d seconds: IKEv2 does not negotiate them, IKEv1 takes the lower if it is told", ea.Life.seconds, eb.Life.seconds), []evidence.Quote{ea.lifeQuote, eb.lifeQuote}}
		out = append(out, f)
	}
	if ea.Life.kb != eb.Life.kb {
		out = append(out, Finding{"warning", "volume-differs", pair + fmt.Sprintf(": lifetimes of %s and %s", volume(ea.Life.kb), volume(eb.Life.kb)), []evidence.Quote{ea.lifeQuote, eb.lifeQuote}})
	}
	if ea.PFS != eb.PFS {
		// The first IPsec SA of IKEv2 has no exchange of its own (RFC 7296 §1.2); every quick mode of IKEv1 has.
		outcome := "the end that demands it refuses what the other proposes: the tunnel may come up from one side only"
		if ea.IKEv2 && eb.IKEv2 {
			outcome = "the tunnel comes up, and the first rekey fails"
		}
		add("warning", "pfs-differs", "PFS %s and %s: %s", none(ea.PFS), none(eb.PFS), outcome)
	}
	if ea.IKEv2 != eb.IKEv2 {
		add("error", "ike-version-differs", "IKEv%d and IKEv%d", version(ea), version(eb))
	}
	if ta, tb := a.suites(ea), b.suites(eb); len(ta) > 0 && len(tb) > 0 && !intersect(ta, tb) {
		add("error", "transform-differs", "no transform set in common: %s and %s", strings.Join(ta, " or "), strings.Join(tb, " or "))
	}
	if ea.Type != eb.Type && (ea.Type == SVTI) != (eb.Type == SVTI) && ea.Type != StaticMap && eb.Type != StaticMap {
		add("error", "mode-differs", "%s and %s do not fit", ea.Type, eb.Type)
	}
	out = append(out, mirrors(a, ea, b, eb, pair)...)
	if ea.DPD != eb.DPD {
		who := a
		if ea.DPD {
			who = b
		}
		add("warning", "dpd-one-sided", "DPD is off at %s alone: that end is the one that goes on sending", who.name())
	}
	return out
}

// mirrors checks that what one access list selects, the other selects the other way round.
func mirrors(a *Config, ea Entry, b *Config, eb Entry, pair string) []Finding {
	var out []Finding
	if len(ea.rules) == 0 || len(eb.rules) == 0 {
		return nil
	}
	missing := func(c *Config, from, to []rule) {
		for _, r := range from {
			if !r.plain {
				continue
			}
			if !slices.ContainsFunc(to, func(o rule) bool { return o.plain && o.proto == r.proto && o.src == r.dst && o.dst == r.src }) {
				out = append(out, Finding{"error", "not-mirrored", pair + fmt.Sprintf(": %s selects %v to %v, and the other end has no mirror of it", c.name(), r.src, r.dst), []evidence.Quote{r.at.quote(c.File)}})
			}
		}
	}
	missing(a, ea.rules, eb.rules)
	missing(b, eb.rules, ea.rules)
	return out
}

func (c *Config) name() string {
	if c.Hostname != "" {
		return c.Hostname
	}
	return c.File
}

// suites are the transform sets of an entry by what they contain: names are local.
func (c *Config) suites(e Entry) []string {
	var out []string
	for _, name := range e.Transforms {
		if t := c.transforms[name]; t != nil {
			mode := "tunnel"
			if m := t.find("mode"); m != nil {
				mode = m.word(1)
			}
			out = append(out, strings.Join(t.words, " ")+" "+mode)
		}
	}
	return out
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func version(e Entry) int {
	if e.IKEv2 {
		return 2
	}
	return 1
}

func none(s string) string {
	if s == "" {
		return "off"
	}
	return s
}

func volume(kb uint64) string {
	if kb == 0 {
		return "no kilobytes"
	}
	return fmt.Sprintf("%d kilobytes", kb)
}

// Recovery reports that `crypto isakmp invalid-spi-recovery` is on.
func (c *Config) Recovery() bool { return c.recovery != nil }
