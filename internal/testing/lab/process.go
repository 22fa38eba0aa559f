package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs in a namespace. It is ended by its id when the test ends.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	log  string // file with stdout and stderr
	done chan struct{}
}

// Start runs a program in the namespace, its output in a file of the test's directory.
func (n *NS) Start(name string, args ...string) *Process { return n.StartEnv(nil, name, args...) }

// StartEnv is Start with additional environment variables.
func (n *NS) StartEnv(env []string, name string, args ...string) *Process {
	n.t.Helper()
	f, err := os.CreateTemp(n.t.TempDir(), "log")
	if err != nil {
		n.t.Fatal(err)
	}
	p := &Process{t: n.t, name: name, log: f.Name(), done: make(chan struct{})}
	p.cmd = n.Command(context.Background(), name, args...) // `ip netns exec` executes it: the id is the program's own
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		n.t.Fatalf("start %s in %s: %v", name, n.Name, err)
	}
	f.Close()
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	n.t.Cleanup(func() {
		p.Stop()
		if n.t.Failed() {
			n.t.Logf("%s said:\n%s", name, tail(p.Log(), 60))
		}
	})
	return p
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Running reports that it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends it at once (-9), as a crash would, and waits.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks it to end (SIGTERM), waits five seconds, then kills it.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.Kill()
	}
}

// Wait waits for its end and reports the exit code; -1: it was killed or did not end in time.
func (p *Process) Wait(limit time.Duration) int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		return -1
	}
}

// Log is what it has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Eventually asks cond every 20 ms until it holds, and fails the test when it does not within limit. It is for other
// processes and kernels, which no fake clock moves.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
