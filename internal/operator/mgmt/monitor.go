package mgmt

import (
	"fmt"
	"sync"

	"lockstep/internal/operator/logsink"
)

// monitorSize is how many log lines may wait for one terminal.
const monitorSize = 512

// monitor shows log lines on one screen as they come.
type monitor struct {
	lines *logsink.Monitor
	stop  chan struct{}
	ended sync.WaitGroup
}

func startMonitor(log *logsink.Sink, s *screen) *monitor {
	m := &monitor{lines: log.Monitor(monitorSize), stop: make(chan struct{})}
	m.ended.Go(func() {
		defer func() { recover() }() // x/term's, if any: the terminal then sees no more log lines
		for {
			select {
			case <-m.stop:
				return
			case line := <-m.lines.Lines():
				if s.notice(line) != nil {
					return // the session ends by itself
				}
			}
		}
	})
	return m
}

// end stops it, and says how many lines were lost.
func (m *monitor) end() uint64 {
	close(m.stop)
	m.ended.Wait()
	return m.lines.Close()
}

// watch is `terminal monitor` and its `no` form.
func (sh *shell) watch(on bool) error {
	if on == (sh.monitor != nil) {
		return nil
	}
	sh.watched.Store(on)
	if on {
		sh.monitor = startMonitor(sh.log, sh.screen)
		return nil
	}
	lost := sh.monitor.end()
	sh.monitor = nil
	if lost > 0 {
		fmt.Fprintf(sh.screen, "%% %d log lines came faster than the terminal took them: see show logging\n", lost)
	}
	return nil
}
