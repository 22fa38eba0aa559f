package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// NS is a named network namespace that lives as long as its test.
type NS struct {
	Name string
	t    testing.TB
}

var serial atomic.Uint32 // names differ within a process; the pid makes them differ between processes

// NeedRoot skips the test where namespaces cannot be made.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs iproute2: apt-get install iproute2")
	}
}

// NewNS makes a namespace with its loopback up. what shows in its name.
func NewNS(t testing.TB, what string) *NS {
	t.Helper()
	NeedRoot(t)
	n := &NS{Name: fmt.Sprintf("ls%d-%d-%s", os.Getpid(), serial.Add(1), what), t: t}
	if out, err := exec.Command("ip", "netns", "add", n.Name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %s", bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "delete", n.Name).CombinedOutput(); err != nil {
			t.Errorf("delete namespace %s: %s", n.Name, bytes.TrimSpace(out))
		}
	})
	n.IP("link set lo up")
	return n
}

// IP runs `ip -n NAME args` and fails the test when it does. args are split at blanks.
func (n *NS) IP(args string) string {
	n.t.Helper()
	out, err := n.TryIP(args)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// TryIP is IP that returns its error.
func (n *NS) TryIP(args string) (string, error) {
	out, err := exec.Command("ip", append([]string{"-n", n.Name}, strings.Fields(args)...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ip -n %s %s: %w: %s", n.Name, args, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// Command is a command that runs in the namespace, and is killed when ctx ends.
func (n *NS) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Run runs a command in the namespace to its end (at most a minute) and fails the test when it fails.
func (n *NS) Run(name string, args ...string) string {
	n.t.Helper()
	out, err := n.Try(name, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// Try is Run that returns its error.
func (n *NS) Try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := n.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("in %s: %s %s: %w: %s", n.Name, name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// Sysctl sets one kernel parameter, such as "net.ipv4.ip_forward".
func (n *NS) Sysctl(key, value string) {
	n.t.Helper()
	n.Run("sysctl", "-qw", key+"="+value)
}

// Do calls f on a thread that is in the namespace, and waits. Sockets and devices made by f stay in the namespace
// and may be used from anywhere. f must not start goroutines that expect to be in the namespace, nor call t.Fatal.
func (n *NS) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and no other code meets a thread in a foreign namespace.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+n.Name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- fmt.Errorf("open namespace %s: %w", n.Name, err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", n.Name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Link joins two namespaces with a veth pair, both ends up.
func Link(a *NS, aName string, b *NS, bName string) {
	a.t.Helper()
	if out, err := exec.Command("ip", "link", "add", aName, "netns", a.Name, "type", "veth", "peer", "name", bName, "netns", b.Name).CombinedOutput(); err != nil {
		a.t.Fatalf("join %s and %s: %s", a.Name, b.Name, bytes.TrimSpace(out))
	}
	a.IP("link set " + aName + " up")
	b.IP("link set " + bName + " up")
}
