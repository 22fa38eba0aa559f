package story

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func entries(t *testing.T) []string {
	t.Helper()
	es, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range es {
		out = append(out, e.Name())
	}
	return out
}

// configs are the files of a story that parses.
func configs(t testing.TB) string {
	t.Helper()
	text, err := files.ReadFile("stories/reboot.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, c, _ := strings.Cut(string(text), "-- a.conf --")
	return "-- a.conf --" + c
}

func TestMistakesAreNamedWithLineAndWhatIsExpected(t *testing.T) {
	const head = "# about\nrelay 20ms\ngateway a a.conf\ngateway b b.conf\n"
	for script, want := range map[string]string{
		"":                                                      "s.txtar: no script: commands are expected before the first file",
		"# only a comment":                                      "s.txtar: no script: commands are expected before the first file",
		"start a":                                               "s.txtar:1: `relay DURATION` is expected as the first command, and there alone",
		"relay 20ms\nrelay 20ms":                                "s.txtar:2: `relay DURATION` is expected as the first command, and there alone",
		"relay":                                                 "s.txtar:1: the one-way delay is missing (usage: relay DURATION)",
		"relay soon":                                            "s.txtar:1: the one-way delay is expected, from 0s to 1s, not soon (usage: relay DURATION)",
		"relay 1h":                                              "s.txtar:1: the one-way delay is expected, from 0s to 1s, not 1h (usage: relay DURATION)",
		"relay 1ms\nfly a":                                      "s.txtar:2: a command is expected (" + strings.Join(commandNames(), ", ") + "), not fly",
		"relay 1ms\n'wait' 1s":                                  "s.txtar:2: a command is expected (" + strings.Join(commandNames(), ", ") + "), not wait",
		"relay 1ms\nwait 'x":                                    "s.txtar:2: a quote is not closed",
		"relay 1ms\nwait x'y'":                                  "s.txtar:2: a quote inside a word: quote the whole word",
		"relay 1ms\nwait 'x'y":                                  "s.txtar:2: a blank is missing behind a quote",
		"relay 1ms\ngateway a nix.conf":                         "s.txtar:2: the name of a file below the script is expected: there is no nix.conf (usage: gateway NAME FILE)",
		"relay 1ms\ngateway a a.conf\nwait 1s":                  "s.txtar: no gateway has the file b.conf",
		head + "gateway a a.conf":                               "s.txtar:5: another name is expected: a is a gateway already (usage: gateway NAME FILE)",
		head + "gateway c a.conf":                               "s.txtar:5: another address is expected: a has 192.0.2.1 (usage: gateway NAME FILE)",
		head + "start c":                                        "s.txtar:5: the name of a gateway is expected, not c: bring it in with `gateway c FILE` (usage: start NAME [--frozen])",
		head + "start 'a'":                                      "s.txtar:5: the name of a gateway is expected without quotes, not 'a' (usage: start NAME [--frozen])",
		head + "start a --cold":                                 "s.txtar:5: nothing is expected behind it, not --cold (usage: start NAME [--frozen])",
		head + "await down a":                                   "s.txtar:5: what is waited for is expected (up, agree), not down (usage: await up NAME..., await agree NAME NAME)",
		head + "await agree a a":                                "s.txtar:5: two gateways are expected, not a twice (usage: await up NAME..., await agree NAME NAME)",
		head + "traffic a b many":                               "s.txtar:5: packets a second is expected, a number from 1 to 1000, not many (usage: traffic NAME NAME RATE [--one-way], traffic stop)",
		head + "traffic a b 0":                                  "s.txtar:5: packets a second is expected, a number from 1 to 1000, not 0 (usage: traffic NAME NAME RATE [--one-way], traffic stop)",
		head + "traffic a b 1\ntraffic b a 1":                   "s.txtar:6: gateways without traffic are expected: each has one partner (usage: traffic NAME NAME RATE [--one-way], traffic stop)",
		head + "wait 2h":                                        "s.txtar:5: how long is expected, from 0s to 1m0s, not 2h (usage: wait DURATION)",
		head + "watch b 1s":                                     "s.txtar:5: a gateway with `traffic` is expected (usage: watch NAME DURATION, watch agree NAME NAME DURATION)",
		head + "lose 0 a b":                                     "s.txtar:5: how many packets is expected, a number from 1 to 1000000, not 0 (usage: lose N NAME NAME)",
		head + "ike eat 1 auth request a b":                     "s.txtar:5: what becomes of the messages is expected (lose, delay, copy), not eat (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "ike delay 1 auth request a b":                   "s.txtar:5: how long is expected, from 1ms to 1m0s, not 1 (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "ike lose 0 auth request a b":                    "s.txtar:5: how many messages is expected, a number from 1 to 100, not 0 (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "ike lose 1 quick request a b":                   "s.txtar:5: an exchange type is expected (auth, create-child, informational, sa-init), not quick (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "ike lose 1 auth answer a b":                     "s.txtar:5: one of both messages is expected (request, response), not answer (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "ike lose 1 auth request between a a":            "s.txtar:5: two gateways are expected, not a twice (usage: ike lose|delay DURATION|copy N EXCHANGE request|response [between] NAME NAME)",
		head + "weather 1 lose 101 reorder 0":                   "s.txtar:5: how many of a hundred is expected, a number from 0 to 100, not 101 (usage: weather SEED lose PERCENT reorder PERCENT, weather fair)",
		head + "weather foul":                                   "s.txtar:5: a seed is expected, a number from 0 to 1000000, not foul (usage: weather SEED lose PERCENT reorder PERCENT, weather fair)",
		head + "do a 'x' b":                                     "s.txtar:5: a command is missing (usage: do NAME 'COMMAND' [NAME 'COMMAND']...)",
		head + "do":                                             "s.txtar:5: the name of a gateway is missing (usage: do NAME 'COMMAND' [NAME 'COMMAND']...)",
		head + "nat a inside":                                   "s.txtar:5: the outside address is expected, an IPv4 address, not inside (usage: nat NAME ADDRESS)",
		head + "nat a 192.0.2.2":                                "s.txtar:5: another address is expected: a gateway has 192.0.2.2 (usage: nat NAME ADDRESS)",
		head + "rebind":                                         "s.txtar:5: the name of a gateway is missing (usage: rebind NAME)",
		head + "replay a b 192.0.2.66":                          "s.txtar:5: `from` is expected, not 192.0.2.66 (usage: replay NAME NAME from ADDRESS)",
		head + "claim follows a":                                "s.txtar:5: the name of a gateway is missing: claim follows NAME NAME (usage: claim KIND ...)",
		head + "forget a":                                       "s.txtar:5: a gateway with `traffic` is expected (usage: forget NAME)",
		head + "installs a take up to 2s seed 1":                "s.txtar:5: the time of the slowest is expected, from 1ms to 1s, not 2s (usage: installs NAME take up to DURATION seed N)",
		head + "claim crossed auth a":                           "s.txtar:5: the name of a gateway is missing: claim crossed EXCHANGE NAME NAME (usage: claim KIND ...)",
		head + "claim used esp a b 1":                           "s.txtar:5: what was used is expected (child, ike), not esp: claim used child|ike NAME NAME [least] N (usage: claim KIND ...)",
		head + "claim carried a b":                              "s.txtar:5: a gateway with `traffic` is expected: claim carried NAME NAME (usage: claim KIND ...)",
		head + "show a clock":                                   "s.txtar:5: a command is expected in single quotes, not clock (usage: show NAME 'COMMAND')",
		head + "stdout 'x'":                                     "s.txtar:5: a `show` is expected before it (usage: stdout 'REGEXP')",
		head + "show a 'x'\nstdout '('":                         "s.txtar:6: a regular expression is expected: error parsing regexp: missing closing ): `(?m)(` (usage: stdout 'REGEXP')",
		head + "logged a 'x'":                                   "s.txtar:5: how often is missing (usage: logged NAME 'TEXT' N)",
		head + "sabotage sleep b breaks clear":                  "s.txtar:5: the name of a sabotage is expected (" + strings.Join(sabotageNames(), ", ") + "), not sleep (usage: sabotage TWIN NAME breaks CLAIM...)",
		head + "sabotage frozen b harms clear":                  "s.txtar:5: `breaks` is expected, not harms (usage: sabotage TWIN NAME breaks CLAIM...)",
		head + "sabotage frozen b breaks it":                    "s.txtar:5: the kind of a claim is expected (" + strings.Join(append(claimNames(), "logged", "stdout"), ", ") + "), not it (usage: sabotage TWIN NAME breaks CLAIM...)",
		head + "claim peace":                                    "s.txtar:5: the kind of a claim is expected (" + strings.Join(claimNames(), ", ") + "), not peace (usage: claim KIND ...)",
		head + "claim clear now":                                "s.txtar:5: nothing is expected behind it, not now: claim clear (usage: claim KIND ...)",
		head + "claim healed b":                                 "s.txtar:5: a gateway with `traffic` is expected: claim healed NAME within N round trips and DURATION (usage: claim KIND ...)",
		head + "traffic a b 1\nclaim healed b by 2 round trips": "s.txtar:6: `within` is expected, not by: claim healed NAME within N round trips and DURATION (usage: claim KIND ...)",
		head + "traffic a b 1\nclaim healer b luck D01":         "s.txtar:6: a healer is expected (recovery, boot, peer, dpd, lifetime, operator), not luck: claim healer NAME HEALER CAUSE (usage: claim KIND ...)",
		head + "start a":                                        "s.txtar: no claim: a story without one cannot fail",
		head + "sabotage frozen b breaks lost\nsabotage frozen b breaks lost": "s.txtar:6: another sabotage is expected: the story has frozen already (usage: sabotage TWIN NAME breaks CLAIM...)",
		head + "sabotage frozen b breaks lost\nclaim clear":                   "s.txtar: twin frozen breaks the claim lost, which the story does not make",
	} {
		s, err := Parse("s.txtar", []byte(script+"\n"+configs(t)))
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s (%v)", script, err, want, s)
		}
	}
}

func TestConfigurationsMustSuitAStory(t *testing.T) {
	const script = "relay 1ms\ngateway a a.conf\ngateway b b.conf\ntraffic a b 1\nclaim clear\n"
	for _, c := range []struct{ from, to, want string }{
		{"hostname site-a", "hostnaem site-a", "s.txtar:2: a.conf:1:1: "},
		{"hostname site-a", "snmp-server community x", "s.txtar:2: a.conf:1:1: "},
		{"tunnel source 192.0.2.1", "tunnel source wan0", "s.txtar:2: a.conf: a tunnel with `tunnel source ADDRESS` is expected"},
		{"ip route 10.2.0.0 255.255.255.0 Tunnel0\n", "", "s.txtar:4: an `ip route` into the tunnel is expected at a and at b"},
	} {
		text := script + configs(t)
		changed := strings.Replace(text, c.from, c.to, 1)
		if changed == text {
			t.Fatalf("%q is not in the story", c.from)
		}
		if _, err := Parse("s.txtar", []byte(changed)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s -> %s: %v, want %s", c.from, c.to, err, c.want)
		}
	}
	if _, err := Parse("s.txtar", []byte(script+configs(t)+"-- b.conf --\n")); err == nil || err.Error() != "s.txtar: two files b.conf" {
		t.Errorf("%v", err)
	}
	if _, err := Parse("s.txtar", make([]byte, maxText+1)); err == nil || !strings.Contains(err.Error(), "at most 1048576 are read") {
		t.Errorf("%v", err)
	}
}

func TestAScriptIsReadWithItsAboutTwinsAndClaims(t *testing.T) {
	s, err := Parse("stories/x.txtar", []byte("# One\n#  two.\n\nrelay 5ms # slow\n# not about\ngateway a a.conf\ngateway b b.conf\n"+
		"sabotage frozen a breaks clear agree\nclaim clear\nclaim agree a b\n"+configs(t)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "x" || s.About != "One two." || len(s.Twins) != 1 || strings.Join(s.Twins[0].Breaks, " ") != "clear agree" || s.Twins[0].At != "a" ||
		strings.Join(s.kinds, " ") != "clear agree" || len(s.steps) != 2 || s.steps[1].line != 10 || s.delay.Milliseconds() != 5 {
		t.Errorf("%+v", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		text, err := files.ReadFile("stories/" + name + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		script, _, _ := strings.Cut(string(text), "-- a.conf --")
		f.Add(script)
	}
	f.Add("relay 1ms\nshow 'a' \"b\" # c")
	rest := configs(f)
	// Reading a configuration takes milliseconds, and has a fuzz target of its own.
	known := map[string]*cast{}
	for _, file := range txtar.Parse([]byte(rest)).Files {
		c, err := compile(file.Name, file.Data)
		if err != nil {
			f.Fatal(err)
		}
		known[string(file.Data)] = c
	}
	compiled := func(file string, text []byte) (*cast, error) {
		c := known[string(text)]
		if c == nil {
			return nil, errors.New(file + ": another configuration")
		}
		return &cast{config: c.config, tree: c.tree}, nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, whole := range []string{text, text + "\n" + rest} {
			s, err := parse("f.txtar", []byte(whole), compiled)
			switch {
			case err == nil && (len(s.kinds) == 0 || len(s.casts) == 0 && len(s.Twins) > 0):
				t.Errorf("a story without a claim or gateway was taken: %+v", s)
			case err != nil && (s != nil || !strings.HasPrefix(err.Error(), "f.txtar:")):
				t.Errorf("%v", err)
			}
		}
	})
}
