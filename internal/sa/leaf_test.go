package sa

import (
	"net/netip"
	"testing"
	"time"
)

// grants is a Leaser that is asked when the table's lock must be free: it may wait for a disk.
type grants func()

func (g grants) Grant(_ SPI, upTo uint64) (uint64, error) { g(); return upTo, nil }

// TestNothingIsCalledBackUnderTheTablesLock holds what packet loops rely on, which take it for early packets and hints.
func TestNothingIsCalledBackUnderTheTablesLock(t *testing.T) {
	var table *Table
	called := map[string]int{}
	free := func(by string) {
		called[by]++
		if !table.mu.TryLock() {
			t.Errorf("%s is called under the lock", by)
			return
		}
		table.mu.Unlock()
	}
	table = NewTable(Options{
		Note:      func(Note) { free("Note") },
		Installed: func(SPI, []Early) { free("Installed") },
		Lost:      func(int, int) { free("Lost") },
		LeaseLow:  func(SPI) { free("LeaseLow") },
		Leaser:    grants(func() { free("Leaser") }),
	})
	c := child(0x100, 0x900)
	table.Reserve(c.In, c.Owner, t0)
	early := Early{Local: siteA, Remote: siteB, Packet: make([]byte, 40), At: t0}
	late := early
	late.At = t0.Add(-time.Minute)
	for _, e := range []Early{early, late} {
		if _, kept := table.Park(c.In, e); !kept {
			t.Fatal("not kept")
		}
	}
	if err := table.Install(c, BothHalves, t0); err != nil {
		t.Fatal(err)
	}
	out := table.Tunnel(0).Pick(mustParse(t, inner("10.1.0.7:9", "10.2.0.7:9", 4)))
	out.Hold()
	out.Reserve(leaseBlock/2+1, t0)
	out.Sent(1, 40, t0)
	out.LetGo()
	if err := table.Renew(c.In); err != nil {
		t.Fatal(err)
	}
	table.Move(c.In, c.Owner, siteA, netip.MustParseAddrPort("203.0.113.9:1024"))
	table.Reserve(0x200, c.Owner, t0)
	table.Park(0x200, early)
	table.Release(0x200, t0)
	table.Reserve(0x300, c.Owner, t0)
	table.Park(0x300, early)
	table.Remove(0x300, 0, c.Owner, BothHalves, TombCleared, t0)
	table.Remove(c.In, c.Out, c.Owner, BothHalves, TombCleared, t0)
	want := map[string]int{"Note": 1, "Installed": 1, "Lost": 3, "LeaseLow": 1, "Leaser": 2}
	for by, n := range want {
		if called[by] != n {
			t.Errorf("%s is called %d times, want %d", by, called[by], n)
		}
	}
}
