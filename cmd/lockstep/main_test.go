package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const examples = "../../examples/"

// lockstep runs the program in this process.
func lockstep(stdin string, args ...string) (stdout, stderr string, exit int) {
	var out, errs bytes.Buffer
	exit = run(args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), exit
}

func TestCheckLoadsTheExamples(t *testing.T) {
	out, errs, exit := lockstep("", "check", examples+"svti-ikev2-a.conf", examples+"svti-ikev2-b.conf")
	want := examples + "svti-ikev2-a.conf: loads: hostname site-a, 1 tunnel, 1 route\n" + examples + "svti-ikev2-b.conf: loads: hostname site-b, 1 tunnel, 1 route\n"
	if exit != 0 || out != want || errs != "" {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
}

func TestCheckNamesThePlaceInEveryBrokenExample(t *testing.T) {
	files, err := filepath.Glob(examples + "broken/*.conf")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		out, errs, exit := lockstep("", "check", f)
		place := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(f) + `:\d+:\d+: [^\n]+$`)
		if exit != 1 || errs != "" || !place.MatchString(out) || strings.Contains(out, ": loads:") {
			t.Errorf("%s: exit %d\n%s%s", f, exit, out, errs)
		}
	}
	out, _, _ := lockstep("", "check", examples+"broken/no-source.conf")
	if want := examples + "broken/no-source.conf:25:11: interface Tunnel0 has no tunnel source (add tunnel source)\n"; out != want {
		t.Errorf("%q", out)
	}
}

func TestCheckGoesOnBehindAFileThatFails(t *testing.T) {
	out, errs, exit := lockstep("", "check", "missing.conf", examples+"broken/no-source.conf", examples+"svti-ikev2-a.conf")
	if exit != 1 || !strings.Contains(errs, "lockstep check: open missing.conf: no such file") || !strings.Contains(out, "no-source.conf:25:11") || !strings.Contains(out, "svti-ikev2-a.conf: loads") {
		t.Errorf("exit %d\n%s%s", exit, out, errs)
	}
}

func TestCheckReadsStandardInput(t *testing.T) {
	text, err := os.ReadFile(examples + "svti-ikev2-a.conf")
	if err != nil {
		t.Fatal(err)
	}
	if out, _, exit := lockstep(string(text), "check", "-"); exit != 0 || !strings.HasPrefix(out, "-: loads:") {
		t.Errorf("exit %d, %s", exit, out)
	}
	if out, _, exit := lockstep("hostname a\ncrpyto ikev2 dpd 10 2 periodic\n", "check", "-"); exit != 1 || !strings.HasPrefix(out, "-:2:1: ") {
		t.Errorf("exit %d, %s", exit, out)
	}
}

// The tunnel source of the example is an interface that no test machine has.
func TestCheckOfTheHostFindsWhatIsMissing(t *testing.T) {
	text := strings.ReplaceAll(contents(t, examples+"svti-ikev2-a.conf"), "wan0", "nosuchif0")
	out, _, exit := lockstep(text, "check", "-", "-host")
	if exit != 1 || !strings.Contains(out, "host: error: Tunnel0: tunnel source nosuchif0: there is no such interface") {
		t.Errorf("exit %d\n%s", exit, out)
	}
	shut := strings.Replace(text, " tunnel source", " shutdown\n tunnel source", 1)
	if out, _, _ := lockstep(shut, "check", "-host", "-"); strings.Contains(out, "nosuchif0") {
		t.Errorf("a tunnel that is shut down is looked at:\n%s", out)
	}
}

func contents(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestVersionTellsWhatThisProgramIs(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		out, errs, exit := lockstep("", args...)
		for _, want := range []string{"lockstep ", "commit ", runtime.Version(), "AES-GCM 128/192/256", "AES-CBC 128/192/256 with SHA256/SHA384/SHA512", "SHA384", "14 (MODP-2048), 19 (ECP-256), 20 (ECP-384), 31 (Curve25519)"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if exit != 0 || errs != "" {
			t.Errorf("exit %d, %s", exit, errs)
		}
	}
}

func TestMistakesOnTheCommandLineExitWithTwo(t *testing.T) {
	for line, want := range map[string]string{
		"":                         "Usage: lockstep SUBCOMMAND",
		"chekc":                    `there is no subcommand "chekc": did you mean ` + "`lockstep check`?",
		"frobnicate":               `there is no subcommand "frobnicate": ` + "`lockstep help` lists them",
		"help frobnicate":          `there is no subcommand "frobnicate"`,
		"diagnose":                 "lockstep diagnose: which FILE?",
		"check":                    "lockstep check: which FILE?",
		"check -foo x":             "lockstep check: flag provided but not defined: -foo",
		"exec":                     "lockstep exec: which command?",
		"exec -socket":             "lockstep exec: flag needs an argument: -socket",
		"shell now":                `lockstep shell: "now" is one argument too many`,
		"version please":           `lockstep version: "please" is one argument too many`,
		"exec -socket /x -- ":      "lockstep exec: which command?",
		"shell -socket /x -host y": "flag provided but not defined: -host",
	} {
		out, errs, exit := lockstep("", strings.Fields(line)...)
		if exit != 2 || out != "" || !strings.Contains(errs, want) || !strings.Contains(errs, "sage") && strings.Contains(want, "which") {
			t.Errorf("%q: exit %d\n%s%s", line, exit, out, errs)
		}
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	for line, want := range map[string]string{
		"help":          "lockstep help SUBCOMMAND",
		"-h":            "lockstep help SUBCOMMAND",
		"--help":        "diagnose  verdicts from other devices' logs, captures and configurations",
		"help exec":     "Usage: lockstep exec [-socket PATH] 'COMMAND'",
		"check -h":      "-host",
		"help diagnose": "-html FILE",
		"help version":  "Usage: lockstep version\n",
	} {
		out, errs, exit := lockstep("", strings.Fields(line)...)
		if exit != 0 || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d\n%s%s", line, exit, out, errs)
		}
	}
}

func TestFlagsStandBeforeAndBehindTheCommand(t *testing.T) {
	const socket = "/nonexistent/lockstep.sock"
	want := "no gateway answers on " + socket + ": start one with `lockstep run -c FILE`, or name its socket with -socket\n"
	for _, args := range [][]string{
		{"exec", "-socket", socket, "show version"},
		{"exec", "show version", "-socket", socket},
		{"exec", "show", "-socket=" + socket, "version"},
		{"shell", "-socket", socket},
	} {
		if out, errs, exit := lockstep("", args...); exit != 1 || out != "" || errs != "lockstep "+args[0]+": "+want {
			t.Errorf("%q: exit %d\n%s%s", args, exit, out, errs)
		}
	}
	// Behind -- nothing is a flag, and the default socket is asked.
	c := subcommand{name: "exec"}
	fs := c.flags()
	s := fs.String("socket", "", "")
	if others, _, ok := c.parse(fs, []string{"a", "-socket", "p", "--", "-socket", "q"}, stdio{}); !ok || *s != "p" || strings.Join(others, " ") != "a -socket q" {
		t.Errorf("%q %q %v", others, *s, ok)
	}
}
