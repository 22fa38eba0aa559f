package spi

import (
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func wantRun(t *testing.T, id *Identity, now time.Time, earlier, known bool, what string, spis ...uint32) {
	t.Helper()
	for _, spi := range spis {
		gotEarlier, gotKnown := id.EarlierRun(spi, now)
		if gotEarlier != earlier || gotKnown != known {
			t.Fatalf("%s: SPI 0x%08X: earlier %v, known %v; want %v, %v", what, spi, gotEarlier, gotKnown, earlier, known)
		}
	}
}

func TestARestartTellsSPIsOfBeforeFromItsOwn(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	first := openAt(t, path, now, 1)
	before := draw(t, first, now, block+10) // the last block is used in part
	wantRun(t, first, now, false, true, "in the run that issued them", before...)

	now = now.Add(time.Minute)
	second := openAt(t, path, now, 2)
	between := draw(t, second, now, 2*block)
	wantRun(t, second, now, true, true, "of the first run, asked in the second", before...)
	wantRun(t, second, now, false, true, "of the second run, asked in it", between...)

	now = now.Add(time.Minute)
	third := openAt(t, path, now, 3)
	wantRun(t, third, now, true, true, "of the first run, asked in the third", before...)
	wantRun(t, third, now, true, true, "of the second run, asked in the third", between...)
}

func TestSPIsThatDiedOutTellNoRun(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	before := draw(t, openAt(t, path, now, 1), now, 5)
	later := now.Add(3 * lifetime)
	id := openAt(t, path, later, 2)
	draw(t, id, later, 1)
	wantRun(t, id, later.Add(2*lifetime), false, false, "two lifetimes after the restart", before...)
}

func TestEarlierRunsAreToldAcrossAnEpochTurn(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	first := openAt(t, path, now, 1)
	// 2^32 SPIs were issued, all but the last few long ago: the next restart finds no room for a block.
	first.rec.epochs[0].lease = first.rec.epochs[0].limit() - 10
	first.next = first.rec.epochs[0].lease - 5
	first.rec.epochs[0].marks = []mark{{now.Add(-2 * lifetime), first.next}}
	old := draw(t, first, now, 5)
	young := draw(t, first, now, 5) // turns the epoch, writes the file
	if n := first.rec.epochs[0].number; n != 2 {
		t.Fatalf("epoch %d: the test shows nothing", n)
	}
	// Epoch 2 is younger than this start, epoch 1 began before it: its last SPIs are of this run all the same.
	wantRun(t, first, now, false, true, "old epoch, same run", old...)
	wantRun(t, first, now, false, true, "new epoch, same run", young...)

	second := openAt(t, path, now, 2)
	wantRun(t, second, now, true, true, "old epoch, run before", old...)
	wantRun(t, second, now, true, true, "new epoch, run before", young...)
	wantRun(t, second, now, false, true, "new epoch, this run", draw(t, second, now, 5)...)
}

func TestAStartThatTurnsTheEpochBeginsInIt(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	before := draw(t, openAt(t, path, now, 1), now, 5)
	second := openAt(t, path, now, 2, WithNode(Node{Bits: 3, Number: 5}))
	if n := second.rec.epochs[0].number; n != 2 {
		t.Fatalf("epoch %d: the test shows nothing", n)
	}
	wantRun(t, second, now, true, true, "of the node that it was", before...)
	wantRun(t, second, now, false, true, "of the node that it is", draw(t, second, now, 5)...)
}

func TestForeignSPIsTellNoRun(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	openAt(t, path, now, 1)
	id := openAt(t, path, now, 2)
	draw(t, id, now, 10)
	unissued := id.keys[0].encrypt(id.rec.epochs[0].plain(id.next))
	old := now.Add(2 * lifetime)
	for _, at := range []time.Time{now, old} { // Ours: cannot tell, never ours
		wantRun(t, id, at, false, false, "foreign", 0, 1, 255, 256, 0xFF000000, 0xFFFFFFFF, 0x80000000, unissued)
	}
}

func TestAnIdentityInMemoryKnowsOneRun(t *testing.T) {
	now := epochStart()
	id, err := OpenMemory(now, lifetime, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	wantRun(t, id, now, false, true, "its own", draw(t, id, now, block+1)...)
	wantRun(t, id, now, false, false, "a stranger", 0xDEADBEEF)
}

func TestEarlierRunIsAskedWhileSPIsAreIssued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	now := time.Now()
	before := draw(t, openAt(t, path, now, 1), now, 50)
	id := openAt(t, path, now, 2)
	var issuing sync.WaitGroup
	issuing.Go(func() {
		for range 2 * block { // renews on the way
			if _, err := id.Next(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		wantRun(t, id, time.Now(), true, true, "while others are issued", before...)
	}
	issuing.Wait()
}
