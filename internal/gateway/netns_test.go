package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/gateway"
	"lockstep/internal/testing/lab"
)

// example reads a configuration of examples/.
func example(t *testing.T, name string) (string, string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return name, string(b)
}

// startIn builds and runs a gateway in a namespace, with an own state directory.
func startIn(t *testing.T, ns *lab.NS, name, text, state string, tune func(*gateway.Options)) *gateway.Gateway {
	t.Helper()
	tree, ds := config.Parse(name, []byte(text))
	if config.HasErrors(ds) {
		t.Fatal(ds)
	}
	cfg, more := config.Compile(tree)
	if config.HasErrors(more) {
		t.Fatal(more)
	}
	o := gateway.Options{Config: cfg, Tree: tree, StateDir: state, Version: "test", Console: console{t, name}}
	if tune != nil {
		tune(&o)
	}
	var g *gateway.Gateway
	err := ns.Do(func() (err error) {
		w, err := gateway.NewHost()
		if err != nil {
			return err
		}
		o.World = w
		g, err = gateway.New(o)
		return err
	})
	if err != nil {
		t.Fatalf("start a gateway in %s: %v", ns.Name, err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(context.Background()) }()
	t.Cleanup(func() {
		g.Stop(context.Background())
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	})
	return g
}

// console shows log lines in the test's own.
type console struct {
	t    *testing.T
	name string
}

func (c console) Write(b []byte) (int, error) {
	c.t.Logf("%s: %s", c.name, strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func TestTwoGatewaysCarryTrafficAndStepAside(t *testing.T) {
	l := lab.New(t)
	wan := l.R.Watch("a0", "")
	nameA, textA := example(t, "svti-ikev2-a.conf")
	nameB, textB := example(t, "svti-ikev2-b.conf")
	a := startIn(t, l.A, nameA, textA, t.TempDir(), nil)
	b := startIn(t, l.B, nameB, textB, t.TempDir(), nil)
	lab.Eventually(t, 10*time.Second, "a child on both ends", func() bool { return len(a.Children()) == 1 && len(b.Children()) == 1 })
	lab.Eventually(t, 5*time.Second, "both lines up", func() bool { return a.Interfaces()[0].LineUp && b.Interfaces()[0].LineUp })
	ab, ba := l.Both(t, 500)
	lab.Eventually(t, 5*time.Second, "traffic both ways", func() bool { return ab.Received() > 100 && ba.Received() > 100 })
	for _, f := range []*lab.Flow{ab, ba} {
		if r := f.Stop(); r.Lost > 0 || r.Duplicates > 0 {
			t.Error(r)
		}
	}
	if in, out := a.Interfaces()[0].In, a.Interfaces()[0].Out; in.Packets < 100 || out.Packets < 100 {
		t.Errorf("interface counted %+v in, %+v out", in, out)
	}
	if i := a.Interfaces()[0]; i.PathMTU != 1500 || i.MTU < 1400 || i.MTU >= 1500 {
		t.Errorf("path MTU %d, MTU %d", i.PathMTU, i.MTU)
	}
	wan.Stop()
}

func hasAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
