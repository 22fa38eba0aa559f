package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// lockstepDemo runs `lockstep demo` with these arguments.
func lockstepDemo(args ...string) (out, errs string, exit int) {
	var o, e strings.Builder
	exit = run(append([]string{"demo"}, args...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), exit
}

func TestASabotagedDemoEndsInNotOKAndExitOne(t *testing.T) {
	out, errs, exit := lockstepDemo("-json", "-sabotage", "late-install", "reboot")
	if exit != exitFailed || errs != "" {
		t.Errorf("exit %d, %s", exit, errs)
	}
	var last map[string]any
	for line := range strings.Lines(out) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if last["story"] != "reboot" || last["ok"] != false || last["heal_ms"].(float64) < 400 || last["packets_lost"].(float64) < 1 {
		t.Errorf("%v", last)
	}
	held := map[bool]int{}
	for _, c := range last["claims"].([]any) {
		held[c.(map[string]any)["held"].(bool)]++
	}
	if held[true] == 0 || held[false] == 0 {
		t.Errorf("claims held and failed: %v", held)
	}
}

func TestTheDemoTellsAStoryToPeople(t *testing.T) {
	out, errs, exit := lockstepDemo() // whether its times hold is for package story to test
	for _, want := range []string{"reboot: ", "a>b    IKE_SA_INIT request 0", "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps:", "a packet comes through again",
		"holds  clear: ", "Story reboot: ", "Not exercised here: TUN interfaces"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
	if errs != "" || (exit == exitOK) != strings.Contains(out, "claims hold.") {
		t.Errorf("exit %d, %s", exit, errs)
	}
}

func TestTheDemoListsItsStories(t *testing.T) {
	out, _, exit := lockstepDemo("-list")
	if exit != exitOK || !strings.Contains(out, "reboot-blank\n") || !strings.Contains(out, "-sabotage no-recovery ") {
		t.Errorf("exit %d\n%s", exit, out)
	}
	out, _, exit = lockstepDemo("-list", "-json", "reboot-boot")
	if exit != exitOK || !strings.HasPrefix(out, `{"story":"reboot-boot","about":"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d\n%s", exit, out)
	}
}

func TestAWrongDemoIsNotBegun(t *testing.T) {
	for want, args := range map[string][]string{
		"there is no story rebot: did you mean reboot?":                                    {"rebot"},
		"there is no story xyzzy: there are crossing-initiators, ":                         {"xyzzy"},
		"story reboot-boot has no sabotage twin sleep: it has frozen, late-install, no-in": {"-sabotage", "sleep", "reboot-boot"},
		"one STORY at a time": {"reboot", "reboot-boot"},
	} {
		out, errs, exit := lockstepDemo(args...)
		if exit != exitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%q: exit %d, %s%s", args, exit, out, errs)
		}
	}
	if _, errs, exit := lockstepDemo("-list", "rebot"); exit == exitOK || !strings.Contains(errs, "no story rebot") {
		t.Errorf("exit %d, %s", exit, errs)
	}
}

// gone is a reader that went away.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestADemoThatNobodyReadsEnds(t *testing.T) {
	var errs strings.Builder
	if exit := run([]string{"demo"}, strings.NewReader(""), gone{}, &errs); exit != exitFailed || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("exit %d, %s", exit, errs.String())
	}
}
