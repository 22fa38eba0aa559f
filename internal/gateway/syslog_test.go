package gateway

import (
	"errors"
	"net"
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

func TestASyslogHostGetsLinesOnceThereIsAWay(t *testing.T) {
	ns := lab.NewNS(t, "syslog")
	var h syslogHost
	var server net.PacketConn
	do := func(f func() error) error { return ns.Do(f) }
	if err := do(func() error { h.address = "192.0.2.9:514"; return h.dial() }); err == nil {
		t.Fatal("there is a way at the start: the test shows nothing")
	}
	ns.IP("link set lo up")
	ns.IP("address add 192.0.2.9/32 dev lo")
	if err := do(func() (err error) { server, err = net.ListenPacket("udp", "192.0.2.9:514"); return err }); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := do(func() error { _, err := h.Write([]byte("hello")); return err }); err != nil {
		t.Fatal("after the way came:", err)
	}
	b := make([]byte, 100)
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := server.ReadFrom(b); err != nil || string(b[:n]) != "hello" {
		t.Errorf("%q, %v", b[:n], err)
	}
	h.Close()
	for range 2 {
		if err := do(func() error { _, err := h.Write(nil); return err }); !errors.Is(err, net.ErrClosed) {
			t.Error("written after Close:", err)
		}
	}
}

func TestSyslogHostsHavePort514(t *testing.T) {
	for name, want := range map[string]string{"192.0.2.9": "192.0.2.9:514", "192.0.2.9:5514": "192.0.2.9:5514", "2001:db8::9": "[2001:db8::9]:514",
		"[2001:db8::9]:5514": "[2001:db8::9]:5514"} {
		if got := withPort(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAGatewayThatNeverRanLeavesNoSocketOpen(t *testing.T) {
	cfg, tree := tunnels(t, 0)
	cfg.Logging.Hosts = []string{"127.0.0.1:9"}
	g, err := New(Options{Config: cfg, Tree: tree, World: newFakeWorld()})
	if err != nil {
		t.Fatal(err)
	}
	to := g.hostConns[0].(*syslogHost)
	if _, err := to.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	g.Kill()
	if _, err := to.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its socket to the syslog host: %v", err)
	}
}
