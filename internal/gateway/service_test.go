package gateway

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/sa"
)

func TestAKeyFileIsForOurEyesOnly(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		mode    os.FileMode // 0: it is not there
		foreign bool
		ok      bool
	}{
		"new":             {ok: true},
		"ours":            {mode: 0o600, ok: true},
		"read by all":     {mode: 0o644},
		"read by a group": {mode: 0o640},
		"of another user": {mode: 0o600, foreign: true},
	} {
		s := Service{KeyFile: filepath.Join(dir, name)}
		if c.mode != 0 {
			if err := os.WriteFile(s.KeyFile, []byte("before\n"), c.mode); err != nil {
				t.Fatal(err)
			}
		}
		if c.foreign && os.Chown(s.KeyFile, 65534, 65534) != nil {
			continue // not root
		}
		f, err := s.openKeys()
		if c.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "remove it, or name another one") {
			t.Errorf("%s: %v", name, err)
		}
		if f == nil {
			continue
		}
		f.WriteString("after\n")
		f.Close()
		text, _ := os.ReadFile(s.KeyFile)
		if st, _ := os.Stat(s.KeyFile); st.Mode().Perm() != 0o600 || !strings.HasSuffix(string(text), "after\n") || c.mode != 0 && !strings.HasPrefix(string(text), "before\n") {
			t.Errorf("%s: mode %v, %q", name, st.Mode(), text)
		}
	}
}

func TestADamagedIdentityIsLogged(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "identity"), []byte("half of i"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, tree := tunnels(t, 0)
	g, err := New(Options{Config: cfg, Tree: tree, World: newFakeWorld(), StateDir: dir, Frozen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Kill()
	all := told(g)
	if !slices.ContainsFunc(all, func(s string) bool {
		return hasAllOf(s, "HOST_FAILURE: identity file "+dir, "SPIs issued before are not recognised")
	}) {
		t.Errorf("not told: %q", all)
	}
}

func TestAReloadThatRecoveryDoesNotTakeIsAnError(t *testing.T) {
	g, _ := onFake(t, 0)
	for g.ClearRecovery(sa.NoOwner) { // nobody takes it: the gateway does not run
	}
	cfg, tree := tunnels(t, 0, 1)
	if _, err := g.Apply(cfg, tree, "test", "nobody"); err == nil || !strings.Contains(err.Error(), "reload again") {
		t.Errorf("%v", err)
	}
}

func TestAGatewaySurvivesItsConsole(t *testing.T) {
	const file = "LOCKSTEP_TEST_CONFIG"
	if name := os.Getenv(file); name != "" {
		err := (&Service{File: name, Log: os.Stderr}).Run()
		if err == nil || !strings.Contains(err.Error(), "nothing of it was applied") {
			os.Exit(1)
		}
		os.Exit(3)
	}
	name := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(name, []byte("crypto nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close() // nobody reads
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Stderr = append(os.Environ(), file+"="+name), w
	err = cmd.Run()
	w.Close()
	if cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("ended by its finding about the configuration: %v", err)
	}
}

func hasAllOf(s string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(s, p) })
}
