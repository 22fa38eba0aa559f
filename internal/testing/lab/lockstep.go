package lab

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// build is the binary under test: made once for all tests of a process.
var build struct {
	once sync.Once
	dir  string
	err  error
}

// Binary builds cmd/lockstep and gives its path; LOCKSTEP_BINARY names one to be tested instead. Cleanup, in TestMain,
// removes what was built.
func Binary(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("LOCKSTEP_BINARY"); given != "" {
		return given
	}
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "lockstep-lab"); build.err != nil {
			return
		}
		if build.err = lookAtSources(); build.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", build.dir, "lockstep/cmd/lockstep").CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("build lockstep: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return filepath.Join(build.dir, "lockstep")
}

// lookAtSources makes the test's cached result depend on what the binary is made of: `go test` notes the files that a test
// looks at, and not what programs that it runs do.
func lookAtSources() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	for !exists(filepath.Join(root, "go.mod")) {
		if root == filepath.Dir(root) {
			return errors.New("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = os.Stat(filepath.Join(root, "go.sum"))
	return err
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// Cleanup removes what Binary made.
func Cleanup() {
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
}

// Lockstep is a gateway of ours, in a process of its own.
type Lockstep struct {
	*Process
	t     testing.TB
	ns    *NS
	bin   string
	dir   string // configuration, state, keys
	sock  string
	state string // present state directory
	fresh int    // state directories so far
}

// Lockstep starts the gateway of side "A" or "B" with a configuration, and waits until it takes commands.
func (l *Lab) Lockstep(t testing.TB, side string, c SVTI) *Lockstep {
	t.Helper()
	g := l.NewLockstep(t, side, c)
	g.Start()
	return g
}

// NewLockstep is Lockstep that does not start it.
func (l *Lab) NewLockstep(t testing.TB, side string, c SVTI) *Lockstep {
	t.Helper()
	g := &Lockstep{t: t, ns: l.Gateway(side), bin: Binary(t), dir: t.TempDir()}
	// The name of a unix socket may have 107 octets, which the test's directory could exceed.
	run, err := os.MkdirTemp("", "ls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	g.sock = filepath.Join(run, "sock")
	g.NewState()
	g.Configure(c.Text(side))
	return g
}

// Configure writes the configuration file; a running gateway reads it at SIGHUP.
func (g *Lockstep) Configure(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file("config"), []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// NewState gives the next Start an empty state directory: the gateway has forgotten everything.
func (g *Lockstep) NewState() {
	g.fresh++
	g.state = g.file("state" + strconv.Itoa(g.fresh))
}

func (g *Lockstep) file(name string) string { return filepath.Join(g.dir, name) }

// Start runs the gateway, which may have been killed or stopped before, and waits until it takes commands. flags, such as
// "-frozen", come on top of those that name its files.
func (g *Lockstep) Start(flags ...string) {
	g.t.Helper()
	g.Launch(flags...)
	Eventually(g.t, 10*time.Second, "lockstep's control socket", func() bool {
		if !g.Running() {
			g.t.Fatalf("lockstep ended at once:\n%s", g.Log())
		}
		_, err := g.Try("show version")
		return err == nil
	})
}

// Launch runs the gateway and waits for nothing.
func (g *Lockstep) Launch(flags ...string) {
	g.t.Helper()
	g.Process = g.ns.Start(g.bin, append(g.RunArgs(), flags...)...)
}

// Try runs one exec command.
func (g *Lockstep) Try(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.bin, "exec", "-socket", g.sock, command)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("lockstep exec %q: %w: %s", command, err, bytes.TrimSpace(errs.Bytes()))
	}
	return string(out), nil
}

// Exec runs one exec command and fails the test when it fails.
func (g *Lockstep) Exec(command string) string {
	g.t.Helper()
	out, err := g.Try(command)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// ExecJSON runs `command | json` and decodes what it says.
func (g *Lockstep) ExecJSON(command string, v any) {
	g.t.Helper()
	out := g.Exec(command + " | json")
	if err := json.Unmarshal([]byte(out), v); err != nil {
		g.t.Fatalf("%s | json: %v in\n%s", command, err, out)
	}
}

// Subcommand runs `lockstep args…` in the gateway's namespace to its end, at most 20 seconds, and gives its output and exit
// code. wrap are words before the program, such as those of setpriv; none is fine.
func (g *Lockstep) Subcommand(wrap []string, args ...string) (string, int) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	words := append(append(append([]string(nil), wrap...), g.bin), args...)
	cmd := g.ns.Command(ctx, words[0], words[1:]...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// RunArgs are the arguments with which Launch runs the gateway.
func (g *Lockstep) RunArgs() []string {
	return []string{"run", "-c", g.file("config"), "-state", g.state, "-socket", g.sock, "-keylog", g.file("keys")}
}

// ConfigFile is the path of the configuration.
func (g *Lockstep) ConfigFile() string { return g.file("config") }

// Keys reads the keys of all child SAs so far, both directions, from the key log.
func (g *Lockstep) Keys() []ESPKey {
	g.t.Helper()
	b, err := os.ReadFile(g.file("keys"))
	if err != nil {
		g.t.Fatal(err)
	}
	keys, err := parseKeys(string(b))
	if err != nil {
		g.t.Fatal(err)
	}
	return keys
}

// parseKeys reads lines of Wireshark's esp_sa table:
// "IPv4","SRC","DST","0xSPI","CIPHER","0xKEY","AUTH","0xAUTHKEY".
func parseKeys(text string) ([]ESPKey, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("key log: %w", err)
	}
	var keys []ESPKey
	for _, r := range rows {
		k, err := keyOf(r)
		if err != nil {
			return nil, fmt.Errorf("key log: %w in %q", err, r)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func keyOf(row []string) (k ESPKey, err error) {
	if len(row) != 8 || row[0] != "IPv4" {
		return k, fmt.Errorf("not a line of eight fields for IPv4")
	}
	if k.Src, err = netip.ParseAddr(row[1]); err != nil {
		return k, err
	}
	if k.Dst, err = netip.ParseAddr(row[2]); err != nil {
		return k, err
	}
	spi, err := strconv.ParseUint(row[3], 0, 32)
	if err != nil {
		return k, err
	}
	k.SPI, k.Cipher = uint32(spi), row[4]
	if k.Key, err = hex.DecodeString(strings.TrimPrefix(row[5], "0x")); err != nil {
		return k, err
	}
	if row[6] == "NULL" {
		return k, nil
	}
	k.Auth = row[6]
	k.AuthKey, err = hex.DecodeString(strings.TrimPrefix(row[7], "0x"))
	return k, err
}
