package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// stuck is a terminal that stands still until it is let go.
type stuck struct {
	goOn chan struct{}

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.goOn
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func TestAConsoleThatStandsStillKeepsNobodyWaiting(t *testing.T) {
	s := &stuck{goOn: make(chan struct{})}
	c := newConsole(s)
	const lines = consoleRoom + 500
	for i := range lines {
		fmt.Fprintf(c, "line %d\n", i) // would hang for ever
	}
	close(s.goOn)
	c.Close()
	got := s.text.String()
	n := strings.Count(got, "line ")
	if n < consoleRoom || n >= lines || !strings.HasPrefix(got, "line 0\n") {
		t.Errorf("%d of %d lines", n, lines)
	}
	if want := fmt.Sprintf("%d lines had no room here", lines-n); !strings.Contains(got, want) {
		t.Errorf("not told: %s", want)
	}
}

func TestAConsoleThatNeverGoesOnDoesNotHoldUpTheEnd(t *testing.T) {
	s := &stuck{goOn: make(chan struct{})}
	defer close(s.goOn)
	c := newConsole(s)
	fmt.Fprintln(c, "line")
	ended := make(chan struct{})
	go func() { c.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * consoleLast):
		t.Fatal("Close waits")
	}
}
