package mgmt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var usual = window{cols: 80, rows: 24}

func TestShellRunsLinesAndPointsAtMistakesBehindThePrompt(t *testing.T) {
	c := serve(t, nil).console(t, usual)
	c.shows("gw#")
	c.keys("sh ver\rshow zoo\r")
	c.shows("gw#sh ver", "Lockstep 1", "gw#show zoo", "        ^", "% Invalid input detected at '^' marker.", "", "gw#")
	c.keys("show fail\r")
	c.shows("gw#show fail", "% the engine is busy", "", "gw#")
	c.keys("show open\r")
	c.shows("gw#show open", "no end", "gw#")
	c.keys("disable\r")
	c.shows("gw#disable", "gw>")
	c.keys("exit\r")
	c.ends(0)
}

func TestQuestionMarkAnswersAtTheKey(t *testing.T) {
	c := serve(t, nil).console(t, usual)
	c.keys("show v?")
	c.shows("gw#show v?", "version", "gw#show v")
	c.keys("\x15terminal ?")
	c.shows("gw#terminal ?",
		"  length   Set number of lines on a screen",
		"  monitor  Copy log and debug output to the current terminal",
		"  no       Negate a command or set its defaults",
		"  width    Set width of the display terminal",
		"gw#terminal")
	// Quoted, it is part of a pattern.
	c.keys("\x15show version | include Lock\x16?step\r")
	c.shows("gw#show version | include Lock?step", "Lockstep 1", "gw#")
}

func TestTabFinishesWordsAndShowsChoices(t *testing.T) {
	c := serve(t, nil).console(t, usual)
	c.keys("sho\tver\t")
	c.shows("gw#show version")
	c.keys("\r")
	c.shows("Lockstep 1", "gw#")
	c.keys("show f\t")
	c.shows("gw#show f", "fail  flood", "gw#show f")
	c.keys("x\t")
	c.until("a bell", func() bool { return strings.Contains(string(c.raw), "\a") })
	// In the middle of a line, what stands behind the cursor stays.
	c.keys("\x15show ver | count L\x1b[H\x06\x06\x06\x06\x06\x06\x06\x06\t\r")
	c.shows("gw#show version | count L", "Number of lines which match regexp = 1", "gw#")
}

func TestHistoryKeepsWhatWasRun(t *testing.T) {
	c := serve(t, nil).console(t, usual)
	c.keys("show version\rshow version\r\rshow open\rgiven up\x03show history\r")
	c.shows("gw#show history", "  show version", "  show open", "  show history", "gw#")
	c.keys("\x1b[A\x1b[A\x1b[A")
	c.shows("gw#show version")
	c.keys("\x1bOB\x0e")
	c.shows("gw#show history")
	c.keys("\x10\x10 | json\r")
	c.shows("gw#show version | json", "{", `  "said": "Lockstep 1\n"`, "}", "gw#")
}

func TestCtrlCGivesUpALineAndCtrlDLeaves(t *testing.T) {
	c := serve(t, nil).console(t, usual)
	c.keys("clear coun\x03")
	c.shows("gw#clear coun", "gw#")
	c.keys("show ver\x1a")
	c.shows("gw#show ver", "gw#")
	c.keys("x\x02\x04")
	c.until("an empty line", func() bool { return strings.HasSuffix(c.screen.String(), "gw#") })
	c.keys("\x04")
	c.ends(0)
}

func TestCtrlCEndsACommandAndForgetsWhatWasTypedAhead(t *testing.T) {
	for name, key := range map[string]string{"Ctrl-C": "\x03", "Ctrl-Shift-6": "\x1e"} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, nil)
			c := h.console(t, usual)
			c.keys("show slow\r")
			<-h.slow
			for range 300 { // more than a few keys, each a frame of its own
				c.keys("x")
			}
			c.keys("\rclear counters\r")
			c.keys("show fail\r" + key + "show version\r")
			c.shows("gw#show slow", "slow begins", "gw#show version", "Lockstep 1", "gw#")
			if err := <-h.gone; err == nil {
				t.Error("the command was not cancelled")
			}
		})
	}
}

func TestPagerStopsAtEveryScreen(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, window{cols: 80, rows: 6})
	c.keys("show lines 12\r")
	c.shows("line 1", "line 2", "line 3", "line 4", "line 5", " --More--")
	c.keys("\r")
	c.shows("line 5", "line 6", " --More--")
	c.keys("\x1b[B")
	c.shows("line 6", "line 7", " --More--")
	c.keys(" ")
	c.shows("line 11", "line 12", "gw#")
	c.keys("show lines 12\r")
	c.shows("line 5", " --More--")
	c.keys("q")
	c.shows("line 5", "gw#")
	if err := <-h.gone; err == nil {
		t.Error("the command wrote on")
	}
	// Exactly one screen needs no key.
	c.keys("show lines 5\rshow lines 100000 | include 000$\r")
	c.shows("line 1", "line 2", "line 3", "line 4", "line 5", "gw#show lines 100000 | include 000$", "line 1000", "line 2000", "line 3000", "line 4000", "line 5000", " --More--")
	c.keys("\x03")
	c.shows("line 5000", "gw#")
	c.keys("terminal length 0\rshow lines 30\r")
	c.shows("line 29", "line 30", "gw#")
	c.keys("terminal length 3\rshow lines 3\r")
	c.shows("gw#show lines 3", "line 1", "line 2", " --More--")
	c.keys("qterminal no length\rshow lines 6\r")
	c.shows("line 5", " --More--")
}

func TestPagerCountsWrappedLinesAndFollowsTheWindow(t *testing.T) {
	c := serve(t, nil).console(t, window{cols: 10, rows: 5})
	c.keys("show version\rshow lines 4\r")
	c.shows("gw#show ve", "rsion", "Lockstep 1", "gw#show li", "nes 4", "line 1", "line 2", "line 3", "line 4", "gw#")
	c.keys("terminal width 5\rterminal length 4\rshow version\r")
	c.until("the output", func() bool { return strings.Count(c.screen.String(), "Lockstep 1") == 2 })
	c.keys("terminal no width\rterminal no length\rshow lines 5\r")
	c.until("--More--", func() bool { return strings.Contains(c.screen.String(), "line 4\n --More--") })
	c.resize(window{cols: 40, rows: 3})
	c.keys(" ")
	c.until("the rest", func() bool { return strings.Contains(c.screen.String(), "line 4\nline 5\ngw#") })
	c.keys("show lines 3\r")
	c.shows("line 1", "line 2", " --More--")
}

func TestResizeKeepsTheLineBeingTyped(t *testing.T) {
	c := serve(t, nil).console(t, window{cols: 20, rows: 24})
	c.keys("show version | count Lock")
	c.shows("gw#show version | co", "unt Lock")
	c.resize(window{cols: 60, rows: 24})
	c.shows("gw#show version | count Lock")
	c.keys("\r")
	c.shows("Number of lines which match regexp = 1", "gw#")
}

func TestMonitorLinesLeaveTheTypedLineWhole(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, usual)
	c.keys("terminal monitor\rshow ver")
	c.shows("gw#terminal monitor", "gw#show ver")
	h.emit("one")
	c.until("the log line", func() bool {
		return strings.Contains(c.screen.String(), "one") && strings.HasSuffix(c.screen.String(), "\ngw#show ver")
	})
	if lines := strings.Split(c.screen.String(), "\n"); len(lines) != 3 || !strings.HasSuffix(lines[1], "%SYS-5-TEST: one") {
		t.Errorf("the screen shows:\n%s", c.screen)
	}
	c.keys("\r")
	c.shows("gw#show ver", "Lockstep 1", "gw#")
	c.keys("terminal no monitor\r")
	c.shows("gw#terminal no monitor", "gw#")
	h.emit("two")
	c.keys("show version\r")
	c.shows("gw#terminal no monitor", "gw#show version", "Lockstep 1", "gw#")
}

func TestMonitorLinesComeWhileACommandRunsAndWaitForThePager(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, window{cols: 80, rows: 4})
	c.keys("terminal monitor\rshow slow\r")
	<-h.slow
	h.emit("meanwhile")
	c.until("the log line", func() bool { return strings.HasSuffix(c.screen.String(), "TEST: meanwhile\n") })
	c.keys("\x03show lines 5\r")
	c.shows("line 3", " --More--")
	h.emit("behind the pager")
	c.keys(" ")
	c.until("the rest", func() bool {
		return strings.Contains(c.screen.String(), "behind the pager\n") && strings.HasSuffix(c.screen.String(), "\ngw#")
	})
	if screen := c.screen.String(); strings.Contains(screen, "--More--") || !strings.Contains(screen, "line 4\nline 5\n") {
		t.Errorf("the screen shows:\n%s", screen)
	}
}

func TestLogLinesWaitForThePager(t *testing.T) {
	var out strings.Builder
	s := newScreen(outletTo{&out})
	s.Write([]byte("line 1\n"))
	s.pause(true)
	s.notice("log")
	s.pause(false)
	s.Write([]byte("line 2\n"))
	if d := cmp.Diff("line 1\n --More-- \r          \rlog\nline 2\n", out.String()); d != "" {
		t.Error(d)
	}
}

func TestLogLinesThatWaitTooLongAreCounted(t *testing.T) {
	var out strings.Builder
	s := newScreen(outletTo{&out})
	s.Write([]byte("open"))
	for i := range maxHeld + 3 {
		s.notice(fmt.Sprint("n", i))
	}
	if out.String() != "open" {
		t.Fatalf("a log line within a line of output: %q", out.String())
	}
	s.Write([]byte(" and closed\n"))
	if d := cmp.Diff([]string{"open and closed", "n0", "n99", "% 3 log lines were not shown: see show logging", ""}, pick(out.String(), 0, 1, 100, 101, 102)); d != "" {
		t.Error(d)
	}
}

func pick(text string, lines ...int) []string {
	all := strings.Split(text, "\n")
	var out []string
	for _, i := range lines {
		out = append(out, all[i])
	}
	return out
}

type outletTo struct{ *strings.Builder }

func (outletTo) Flush() error { return nil }

func TestOutputCannotSteerTheTerminal(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, usual)
	c.keys("show name\r")
	c.until("the name", func() bool { return strings.Contains(string(c.raw), "red?") })
	if want := "peer ?[31m\xc2?2Jred?"; !strings.Contains(string(c.raw), want) {
		t.Errorf("got %q", c.raw)
	}
	if out, _, _ := h.exec(t, "show name"); strings.ContainsAny(out, "\x1b\a\u009b") {
		t.Errorf("exec gives %q", out)
	}
	// A character that came in two pieces is judged as one.
	var b strings.Builder
	s := plainScreen{out: &b}
	s.Write([]byte{0xc2})
	s.Write([]byte{0x9b, 'A', 0xc3})
	s.Write([]byte{0xa4})
	if b.String() != "\xc2?A\u00e4" {
		t.Errorf("%q", b.String())
	}
}

func TestPanicOfACommandCostsNoSession(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, window{cols: 200, rows: 200})
	c.keys("show panic\r")
	c.until("the report", func() bool { return strings.Contains(c.screen.String(), "nil map") })
	c.keys("show version\r")
	c.shows("gw#show version", "Lockstep 1", "gw#")
	if _, errs, exit := h.exec(t, "show panic"); exit != 1 || !strings.Contains(errs, `% Lockstep goes on, but "show panic" failed: nil map.`) {
		t.Errorf("exit %d, %s", exit, errs)
	}
}

func TestStopTellsShells(t *testing.T) {
	h := serve(t, nil)
	c := h.console(t, usual)
	c.keys("show ver")
	c.shows("gw#show ver")
	busy := h.console(t, usual)
	busy.keys("show slow\r")
	<-h.slow
	h.stop()
	c.shows("gw#show ver", "% The gateway stops", "")
	c.ends(1)
	busy.shows("slow begins", "% The gateway stops", "")
	busy.ends(1)
}
