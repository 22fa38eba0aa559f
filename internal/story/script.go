package story

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// command is one command of the script language: how it is written, and what reads its words. The action may be nil.
type command struct {
	usage string
	parse func(p *parser, w *words) action
}

var commands = map[string]command{
	"relay":    {"relay DURATION", parseRelay},
	"gateway":  {"gateway NAME FILE", func(p *parser, w *words) action { p.bring(w); return nil }},
	"sabotage": {"sabotage TWIN NAME breaks CLAIM...", parseSabotage},
	"start":    {"start NAME [--frozen]", parseStart},
	"thaw":     {"thaw NAME", parseThaw},
	"await":    {"await up NAME..., await agree NAME NAME", parseAwait},
	"traffic":  {"traffic NAME NAME RATE [--one-way], traffic stop", parseTraffic},
	"wait":     {"wait DURATION", parseWait},
	"crash":    {"crash NAME [--lose-state]", parseCrash},
	"restart":  {"restart NAME [--frozen]", parseRestart},
	"watch":    {"watch NAME DURATION, watch agree NAME NAME DURATION", parseWatch},
	"lose":     {"lose N NAME NAME", parseLose},
	"ike":      {"ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME", parseIKE},
	"weather":  {"weather SEED lose PERCENT reorder PERCENT, weather fair", parseWeather},
	"do":       {"do NAME 'COMMAND' [NAME 'COMMAND']...", parseDo},
	"nat":      {"nat NAME ADDRESS", parseNAT},
	"rebind":   {"rebind NAME", parseRebind},
	"replay":   {"replay NAME NAME from ADDRESS", parseReplay},
	"forget":   {"forget NAME", parseForget},
	"installs": {"installs NAME take up to DURATION seed N", parseInstalls},
	"deviate":  {"deviate NAME DEVIATION", parseDeviate},
	"rehearse": {"rehearse DURATION NAME NAME DURATION", parseRehearse},
	"tune":     {"tune NAME INTERVAL DURATION", parseTune},
	"notify":   {"notify NAME NAME FORM", parseNotify},
	"hint":     {"hint NAME NAME N", parseHint},
	"show":     {"show NAME 'COMMAND'", parseShow},
	"stdout":   {"stdout 'REGEXP'", parseStdout},
	"logged":   {"logged NAME 'TEXT' N", parseLogged},
	"claim":    {"claim KIND ...", parseClaim},
}

func commandNames() []string { return slices.Sorted(maps.Keys(commands)) }

func parseRelay(p *parser, w *words) action {
	p.s.delay = w.duration("the one-way delay", 0, maxDelay)
	return nil
}

func parseSabotage(p *parser, w *words) action {
	t := Twin{Name: w.oneOf("the name of a sabotage", sabotageNames()...), At: p.gateway(w)}
	w.literal("breaks")
	kinds := append(claimNames(), "logged", "stdout") // those count as claims, too
	t.Breaks = append(t.Breaks, w.oneOf("the kind of a claim", kinds...))
	for w.more() {
		t.Breaks = append(t.Breaks, w.oneOf("the kind of a claim", kinds...))
	}
	if slices.ContainsFunc(p.s.Twins, func(x Twin) bool { return x.Name == t.Name }) {
		w.fail("another sabotage is expected: the story has %s already", t.Name)
	}
	p.s.Twins = append(p.s.Twins, t)
	return nil
}

const frozenFlag = "--frozen"

func parseStart(p *parser, w *words) action {
	name, frozen := p.gateway(w), w.flag(frozenFlag)
	return func(ctx context.Context, st *stage) error { return st.sites[name].start(ctx, frozen) }
}

func parseThaw(p *parser, w *words) action {
	name := p.gateway(w)
	return func(_ context.Context, st *stage) error { return st.sites[name].thaw() }
}

// awaitBound is how long a story waits for what must be before it can begin.
const awaitBound = 10 * time.Second

func parseAwait(p *parser, w *words) action {
	if w.oneOf("what is waited for", "up", "agree") == "agree" {
		a, b := p.pair(w)
		return func(ctx context.Context, st *stage) error {
			return st.until(ctx, awaitBound, a+" and "+b+" to hold the same SAs", func() bool { return agree(ctx, st.sites[a], st.sites[b]).held })
		}
	}
	names := []string{p.gateway(w)}
	for w.more() {
		names = append(names, p.gateway(w))
	}
	return func(ctx context.Context, st *stage) error {
		for _, name := range names {
			if err := st.until(ctx, awaitBound, name+" to come up", st.sites[name].up); err != nil {
				return err
			}
		}
		return nil
	}
}

func parseTraffic(p *parser, w *words) action {
	if w.flag("stop") {
		return func(_ context.Context, st *stage) error { st.stopTraffic(); return nil }
	}
	a, b := p.pair(w)
	rate := w.count("packets a second", 1, maxRate)
	oneWay := w.flag("--one-way")
	if w.err != nil {
		return nil
	}
	if p.flowing[a] || p.flowing[b] {
		w.fail("gateways without traffic are expected: each has one partner")
		return nil
	}
	p.flowing[a], p.flowing[b] = true, true
	behindB, ok1 := p.cast(a).inside(p.cast(b))
	behindA, ok2 := p.cast(b).inside(p.cast(a))
	if !ok1 || !ok2 {
		w.fail("an `ip route` into the tunnel is expected at %s and at %s", a, b)
		return nil
	}
	return func(ctx context.Context, st *stage) error {
		st.startTraffic(ctx, st.sites[a], st.sites[b], behindA, behindB, rate, oneWay)
		return nil
	}
}

func parseWait(_ *parser, w *words) action {
	d := w.duration("how long", 0, maxWait)
	return func(ctx context.Context, _ *stage) error { return pause(ctx, d) }
}

func parseCrash(p *parser, w *words) action {
	name, lose := p.gateway(w), w.flag("--lose-state")
	p.s.crashes[name] = true
	return func(_ context.Context, st *stage) error { return st.sites[name].crash(lose) }
}

func parseRestart(p *parser, w *words) action {
	name, frozen := p.gateway(w), w.flag(frozenFlag)
	return func(ctx context.Context, st *stage) error { return st.sites[name].restart(ctx, frozen) }
}

func parseWatch(p *parser, w *words) action {
	if w.flag("agree") {
		a, b := p.pair(w)
		most := w.duration("how long at most", 0, maxWait)
		return func(ctx context.Context, st *stage) error {
			_ = st.until(ctx, most, "", func() bool { return agree(ctx, st.sites[a], st.sites[b]).held })
			return ctx.Err()
		}
	}
	name, most := p.partnered(w), w.duration("how long at most", 0, maxWait)
	return func(ctx context.Context, st *stage) error {
		_ = st.until(ctx, most, "", func() bool { m := st.measure(st.sites[name]); return m.returned() })
		return ctx.Err() // that it did not return is for the claims to say
	}
}

func parseLose(p *parser, w *words) action {
	n := w.count("how many packets", 1, 1_000_000)
	a, b := p.pair(w)
	return func(_ context.Context, st *stage) error {
		st.lose(st.sites[a], st.sites[b], 0, n)
		return nil
	}
}

func parseShow(p *parser, w *words) action {
	name, line := p.gateway(w), w.quoted("a command")
	p.shown = true
	return func(ctx context.Context, st *stage) error {
		out, err := st.sites[name].ask(ctx, line)
		if err != nil {
			return err
		}
		st.shown, st.shownBy = out, fmt.Sprintf("show %s '%s'", name, line)
		st.tell("show", name+"#", line+"\n"+out)
		return nil
	}
}

func parseStdout(p *parser, w *words) action {
	re := p.pattern(w)
	p.s.kinds = append(p.s.kinds, "stdout")
	if w.err == nil && !p.shown {
		w.fail("a `show` is expected before it")
	}
	return func(_ context.Context, st *stage) error {
		found := re.FindString(st.shown)
		st.judge(Claim{Claim: fmt.Sprintf("%s: stdout '%s'", st.shownBy, re.String()[len("(?m)"):]), Kind: "stdout", Held: re.MatchString(st.shown),
			Value: orElse(found, "it printed:\n"+st.shown)})
		return nil
	}
}

func parseLogged(p *parser, w *words) action {
	name, text, n := p.gateway(w), w.quoted("a text"), w.count("how often", 0, 1000)
	p.s.kinds = append(p.s.kinds, "logged")
	return func(_ context.Context, st *stage) error {
		got := st.sites[name].logged(text)
		st.judge(Claim{Claim: fmt.Sprintf("logged %s '%s' %d", name, text, n), Kind: "logged", Held: len(got) == n,
			Value: fmt.Sprintf("%d lines", len(got))})
		return nil
	}
}

// partnered is a gateway with traffic, so that its healing can be seen.
func (p *parser) partnered(w *words) string {
	name := p.gateway(w)
	if w.err == nil && !p.flowing[name] {
		w.fail("a gateway with `traffic` is expected")
	}
	return name
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
