package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/internal/policy"
	"lockstep/internal/sa/spi"
)

// leastLifetime is assumed of SAs where no profile says more: the default of IOS.
const leastLifetime = time.Hour

// state is what outlives a gateway.
type state struct {
	lock     *os.File // nil: in memory
	identity *spi.Identity
}

// openState takes the state directory for this process and reads the SPI identity in it.
func openState(dir string, cfg *policy.Config, now time.Time) (*state, error) {
	longest := longestLifetime(cfg)
	if dir == "" {
		id, err := spi.OpenMemory(now, longest, rand.Reader)
		if err != nil {
			return nil, err
		}
		return &state{identity: id}, nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	id, err := spi.Open(filepath.Join(dir, "identity"), now, longest, rand.Reader)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	return &state{lock, id}, nil
}

// lockDir makes the directory where it is missing and locks it: two gateways on one would issue the same SPIs. The lock
// goes with the process.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory %s: %w: name one that can be written with -state", dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory %s: %w: name one that can be written with -state", dir, err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(f.Name())
		f.Close()
		return nil, fmt.Errorf("the state directory %s is in use by another lockstep (pid %s): stop it, or name another directory with -state",
			dir, strings.TrimSpace(string(holder)))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the state directory %s: %w", dir, err)
	}
	return f, nil
}

func (s *state) close() {
	if s.lock != nil {
		s.lock.Close()
	}
}

// longestLifetime is that of any child SA under cfg.
func longestLifetime(cfg *policy.Config) time.Duration {
	longest := leastLifetime
	for _, p := range cfg.Peers {
		if p.IPsec != nil {
			longest = max(longest, p.IPsec.Lifetime)
		}
	}
	return longest
}
