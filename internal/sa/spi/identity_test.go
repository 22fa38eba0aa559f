package spi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const lifetime = time.Hour

func epochStart() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func openAt(t *testing.T, path string, now time.Time, seed byte, opts ...Option) *Identity {
	t.Helper()
	id, err := Open(path, now, lifetime, seeded(seed), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func draw(t *testing.T, id *Identity, now time.Time, n int) []uint32 {
	t.Helper()
	var spis []uint32
	for range n {
		spi, err := id.nextAt(now)
		if err != nil {
			t.Fatal(err)
		}
		if spi < reserved {
			t.Fatalf("reserved SPI %d issued", spi)
		}
		spis = append(spis, spi)
	}
	return spis
}

func wantVerdict(t *testing.T, id *Identity, now time.Time, want Verdict, what string, spis ...uint32) {
	t.Helper()
	for _, spi := range spis {
		if got := id.Ours(spi, now); got != want {
			t.Fatalf("%s: SPI 0x%08X is judged %q, want %q", what, spi, got, want)
		}
	}
}

func TestSPIsAreRecognisedAfterRestart(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "state", "identity"), epochStart()
	first := openAt(t, path, now, 1)
	if !first.Fresh() || first.Generation() != 1 || first.Damage() != nil {
		t.Fatalf("first start: fresh %v, generation %d, damage %v", first.Fresh(), first.Generation(), first.Damage())
	}
	before := draw(t, first, now, 3*block)
	now = now.Add(time.Minute)
	second := openAt(t, path, now, 2)
	if second.Fresh() || second.Generation() != 2 || !second.Created().Equal(epochStart()) {
		t.Fatalf("restart: fresh %v, generation %d, created %v", second.Fresh(), second.Generation(), second.Created())
	}
	wantVerdict(t, second, now, Issued, "after restart", before...)
	seen := map[uint32]bool{}
	for _, spi := range append(before, draw(t, second, now, 2*block)...) {
		if seen[spi] {
			t.Fatalf("SPI 0x%08X issued twice", spi)
		}
		seen[spi] = true
	}
}

func TestStrangersAreToldFromOurs(t *testing.T) {
	now := epochStart()
	id, err := OpenMemory(now, lifetime, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	draw(t, id, now, 300)
	strangers := rand.New(rand.NewPCG(1, 2))
	old := now.Add(2 * lifetime)
	for range 2000 {
		spi := strangers.Uint32()
		wantVerdict(t, id, now, CannotTell, "fresh identity", spi)
		wantVerdict(t, id, old, NeverOurs, "identity of 2 lifetimes", spi)
	}
	for _, spi := range []uint32{0, 1, 255} {
		wantVerdict(t, id, old, NeverOurs, "reserved", spi)
	}
}

func TestNotYetIssuedIsNotOurs(t *testing.T) {
	now := epochStart().Add(3 * lifetime)
	id, err := OpenMemory(epochStart(), lifetime, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	draw(t, id, now, 10)
	future := id.keys[0].encrypt(id.rec.epochs[0].plain(id.next))
	wantVerdict(t, id, now, NeverOurs, "leased, not issued", future)
	if got := draw(t, id, now, 1)[0]; got != future {
		t.Fatalf("the next SPI is 0x%08X, expected 0x%08X", got, future)
	}
	wantVerdict(t, id, now, Issued, "issued now", future)
}

func TestCannotTellEndsTwoLifetimesAfterTheLossWhateverRestarts(t *testing.T) {
	path, born := filepath.Join(t.TempDir(), "identity"), epochStart()
	openAt(t, path, born, 1)
	now := born.Add(lifetime)
	id := openAt(t, path, now, 2)
	if id.Fresh() {
		t.Fatal("a restart with its identity kept is fresh")
	}
	wantVerdict(t, id, now, CannotTell, "one lifetime after", 0xDEADBEEF)
	wantVerdict(t, id, born.Add(2*lifetime-1), CannotTell, "just before two", 0xDEADBEEF)
	wantVerdict(t, id, born.Add(2*lifetime), NeverOurs, "two lifetimes after", 0xDEADBEEF)
}

func TestSPIsExpireTwoLifetimesAfterTheirTime(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	id := openAt(t, path, now, 1)
	early := draw(t, id, now, 5)
	now = now.Add(lifetime)
	late := draw(t, id, now, 5)
	check := func(id *Identity, at time.Time) {
		t.Helper()
		wantVerdict(t, id, epochStart().Add(2*lifetime-time.Second), Issued, "just before expiry", early...)
		wantVerdict(t, id, at, NeverOurs, "expired", early...)
		wantVerdict(t, id, at, Issued, "one lifetime old", late...)
	}
	now = epochStart().Add(3 * lifetime)
	draw(t, id, now, 1)
	check(id, now)          // the mark of 1 h, before the late ones were drawn, is two lifetimes old
	draw(t, id, now, block) // writes the marks
	again := openAt(t, path, now, 2)
	check(again, now)
	// The late ones expire with the mark set when the next were drawn: at 3 h, two lifetimes later.
	wantVerdict(t, again, now.Add(2*lifetime), NeverOurs, "five hours", late...)
}

func TestMarksStayBounded(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	id := openAt(t, path, now, 1)
	for i := range 200 {
		now = now.Add(time.Duration(i%7) * lifetime / 3)
		if i%50 == 49 {
			now = now.Add(-20 * lifetime) // the clock was set back
		}
		draw(t, id, now, 1)
	}
	draw(t, id, now, block)
	if n := len(id.rec.epochs[0].marks); n > maxMarks {
		t.Fatalf("%d marks", n)
	}
	openAt(t, path, now, 2)
}

func TestNewKeyEpochBeforeTheWrap(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	id := openAt(t, path, now, 1)
	id.rec.epochs[0].lease = id.rec.epochs[0].limit() - 10 // nearly at the end of 2^32
	id.next = id.rec.epochs[0].lease - 5
	id.rec.epochs[0].marks = []mark{{now.Add(-2 * lifetime), id.next}} // all the others are long dead
	last := draw(t, id, now, 5)
	if n := id.rec.epochs[0].number; n != 1 {
		t.Fatalf("epoch %d before the end", n)
	}
	fresh := draw(t, id, now, 5)
	if n := id.rec.epochs[0].number; n != 2 || len(id.keys) != 2 {
		t.Fatalf("epoch %d with %d keys after the end", n, len(id.keys))
	}
	wantVerdict(t, id, now, Issued, "old epoch", last...)
	wantVerdict(t, id, now, Issued, "new epoch", fresh...)
	again := openAt(t, path, now, 2)
	wantVerdict(t, again, now, Issued, "old epoch after restart", last...)
	wantVerdict(t, again, now, Issued, "new epoch after restart", fresh...)
	// Nothing of the old epoch lives two lifetimes after the turn. Its counters below the lease are then free again.
	wantVerdict(t, again, now.Add(2*lifetime), NeverOurs, "old epoch, two lifetimes on", last...)
}

func TestNextGivesUpWhenNoSPIIsFree(t *testing.T) {
	now := epochStart()
	id, err := OpenMemory(now, lifetime, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	// 2^32 SPIs within two lifetimes: every value of the new epoch belongs to a live one of the old.
	id.rec.epochs[0].lease = id.rec.epochs[0].limit()
	id.next = id.rec.epochs[0].limit()
	if spi, err := id.nextAt(now); !errors.Is(err, ErrNoneFree) {
		t.Fatalf("got 0x%08X and %v", spi, err)
	}
}

func TestNewEpochSkipsLiveSPIsOfTheOldOne(t *testing.T) {
	now := epochStart()
	id, err := OpenMemory(now, lifetime, seeded(1), WithNode(Node{Bits: 8, Number: 3}))
	if err != nil {
		t.Fatal(err)
	}
	// The old epoch counts all its 2^24 values as issued: one in 256 of the new ones would meet a live SPI.
	id.rec.epochs[0].lease = id.rec.epochs[0].limit()
	id.next = id.rec.epochs[0].limit()
	skipped := 0
	spis := draw(t, id, now, 2000)
	if id.rec.epochs[0].number != 2 {
		t.Fatal("no new epoch")
	}
	for _, spi := range spis {
		if id.issued(1, spi, now) {
			t.Fatalf("0x%08X is a live SPI of the old epoch", spi)
		}
	}
	skipped = int(id.next) - reserved - len(spis)
	if skipped <= 0 {
		t.Fatal("none was skipped: the test shows nothing")
	}
}

func TestNodesIssueDisjointSPIsAndKnowTheirOwn(t *testing.T) {
	now := epochStart()
	var ids []*Identity
	for number := range uint8(4) {
		// The same seed gives the same key, as a fleet would share it.
		id, err := OpenMemory(now, lifetime, seeded(1), WithNode(Node{Bits: 2, Number: number}))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	seen := map[uint32]int{}
	for n, id := range ids {
		for _, spi := range draw(t, id, now, 500) {
			if other, dup := seen[spi]; dup {
				t.Fatalf("nodes %d and %d issue 0x%08X", other, n, spi)
			}
			seen[spi] = n
		}
	}
	later := now.Add(lifetime)
	for spi, n := range seen {
		for m, id := range ids {
			want := CannotTell
			if m == n {
				want = Issued
			}
			wantVerdict(t, id, later, want, fmt.Sprintf("node %d asks about one of node %d", m, n), spi)
		}
	}
}

func TestChangedNodeBeginsAnEpochAndKeepsTheOld(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	old := draw(t, openAt(t, path, now, 1), now, 20)
	id := openAt(t, path, now, 2, WithNode(Node{Bits: 4, Number: 9}))
	if id.Node() != (Node{4, 9}) || id.rec.epochs[0].number != 2 {
		t.Fatalf("node %+v, epoch %d", id.Node(), id.rec.epochs[0].number)
	}
	wantVerdict(t, id, now, Issued, "issued before the change", old...)
	wantVerdict(t, id, now, Issued, "issued after", draw(t, id, now, 20)...)
}

func TestSenselessArgumentsAreRefused(t *testing.T) {
	now := epochStart()
	if _, err := Open("", now, lifetime, seeded(1)); err == nil {
		t.Error("no path accepted")
	}
	if _, err := OpenMemory(now, 0, seeded(1)); err == nil {
		t.Error("lifetime 0 accepted")
	}
	for _, n := range []Node{{Bits: 9}, {Bits: 0, Number: 1}, {Bits: 3, Number: 8}} {
		if _, err := OpenMemory(now, lifetime, seeded(1), WithNode(n)); err == nil {
			t.Errorf("node %+v accepted", n)
		}
	}
	if _, err := OpenMemory(now, lifetime, bytes.NewReader(nil)); err == nil {
		t.Error("an empty random source gave an identity")
	}
}

func TestDamagedFileIsKeptAndReplaced(t *testing.T) {
	dir := t.TempDir()
	path, now := filepath.Join(dir, "identity"), epochStart()
	openAt(t, path, now, 1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[20] ^= 1
	for n, content := range [][]byte{nil, []byte("x"), flipped, good[:len(good)-1], append(bytes.Clone(good), 0)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		id := openAt(t, path, now, byte(n))
		var damage *CorruptError
		if !id.Fresh() || id.Generation() != 1 || !errors.As(id.Damage(), &damage) {
			t.Fatalf("case %d: fresh %v, generation %d, damage %v", n, id.Fresh(), id.Generation(), id.Damage())
		}
		if want := fmt.Sprintf("%s.bad-%d", path, n+1); damage.Kept != want || !strings.Contains(damage.Error(), want) {
			t.Errorf("case %d: kept as %q, want %q in %q", n, damage.Kept, want, damage)
		}
		kept, err := os.ReadFile(damage.Kept)
		if err != nil || !bytes.Equal(kept, content) {
			t.Errorf("case %d: what was kept differs: %v", n, err)
		}
		if again := openAt(t, path, now, 9); again.Fresh() || again.Damage() != nil {
			t.Errorf("case %d: the replacement is not usable: %v", n, again.Damage())
		}
	}
}

func TestKeptFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "identity")
	for range keptFiles + 5 {
		if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		openAt(t, path, epochStart(), 1)
	}
	kept, _ := filepath.Glob(path + ".bad-*")
	if len(kept) != keptFiles {
		t.Errorf("%d unusable files kept, want %d", len(kept), keptFiles)
	}
}

func TestFileIsPrivateAndWriteFailureIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	openAt(t, path, epochStart(), 1)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	below := filepath.Join(path, "below-a-file")
	if id, err := Open(below, epochStart(), lifetime, seeded(1)); err == nil || id != nil {
		t.Errorf("an identity that cannot be written was opened: %v", err)
	}
}

// No SPI may leave if its block could not be put on disk.
func TestFailedLeaseIssuesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	id := openAt(t, filepath.Join(dir, "identity"), epochStart(), 1)
	draw(t, id, epochStart(), block)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if spi, err := id.nextAt(epochStart()); err == nil {
		t.Fatalf("SPI 0x%08X issued without a lease", spi)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	draw(t, id, epochStart(), 1) // and it works again when the disk does
}

// The machine dies at any step of any write: whoever starts from what is on disk then issues nothing that was issued
// before, and recognises all of it.
func TestCrashAtAnyStepNeverRepeatsAnSPI(t *testing.T) {
	now := epochStart()
	path := filepath.Join(t.TempDir(), "identity")
	id := openAt(t, path, now, 1)
	issued := map[uint32]bool{}
	crashes := map[string]int{}
	id.disk.crash = func(step string) {
		crashes[step]++
		copied := filepath.Join(t.TempDir(), "identity")
		copyFile(t, path, copied)
		copyFile(t, path+".tmp", copied+".tmp")
		after := openAt(t, copied, now, 2)
		if after.Fresh() {
			t.Fatalf("crash %q: identity lost: %v", step, after.Damage())
		}
		for spi := range issued {
			wantVerdict(t, after, now, Issued, "after crash "+step, spi)
		}
		for _, spi := range draw(t, after, now, block+3) {
			if issued[spi] {
				t.Fatalf("crash %q: SPI 0x%08X issued again", step, spi)
			}
		}
	}
	for range 3*block + 5 {
		issued[draw(t, id, now, 1)[0]] = true
	}
	for _, step := range []string{"begin", "half written", "written", "renamed", "done"} {
		if crashes[step] != 3 {
			t.Errorf("%d crashes at step %q, want 3", crashes[step], step)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentCallersGetDifferentSPIs(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), "identity"), epochStart()
	id := openAt(t, path, now, 1)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[uint32]bool{}
	)
	for range 4 {
		wg.Go(func() {
			for i := range 2500 {
				if i%100 == 0 && id.Low() {
					if err := id.Renew(); err != nil {
						t.Error(err)
					}
				}
				spi, err := id.Next()
				mu.Lock()
				if err != nil || seen[spi] {
					t.Errorf("SPI 0x%08X twice, or %v", spi, err)
				}
				seen[spi] = true
				mu.Unlock()
				if id.Ours(spi, now.Add(time.Minute)) != Issued {
					t.Errorf("SPI 0x%08X not recognised", spi)
				}
			}
		})
	}
	wg.Wait()
	again := openAt(t, path, now, 2)
	for _, spi := range draw(t, again, now, 100) {
		if seen[spi] {
			t.Fatalf("SPI 0x%08X issued again after a restart", spi)
		}
	}
}

func TestRenewKeepsNextOffTheDisk(t *testing.T) {
	id := openAt(t, filepath.Join(t.TempDir(), "identity"), epochStart(), 1)
	draw(t, id, epochStart(), block/2+1)
	if !id.Low() {
		t.Fatal("not low after half a block")
	}
	if err := id.Renew(); err != nil || id.Low() {
		t.Fatalf("low after Renew: %v", err)
	}
	id.disk.crash = func(step string) { t.Errorf("write step %q inside Next", step) }
	draw(t, id, epochStart(), block/2)
}

func TestIdentityHidesItsKeys(t *testing.T) {
	id, err := OpenMemory(epochStart(), lifetime, bytes.NewReader(bytes.Repeat([]byte("S"), keyLen)))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if s := fmt.Sprintf(verb, id); !strings.Contains(s, "keys hidden") || len(s) > 80 {
			t.Errorf("%s prints %q", verb, s)
		}
	}
}

func FuzzUnmarshalRoundTrips(f *testing.F) {
	r := record{generation: 3, created: epochStart(), epochs: []epoch{
		{number: 2, lease: 5000, node: Node{3, 1}, marks: []mark{{epochStart(), 300}}}, {number: 1, lease: 256},
	}}
	f.Add(r.marshal())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := unmarshal(b)
		if err != nil {
			return
		}
		if got := r.marshal(); !bytes.Equal(got, b) {
			t.Fatalf("%x comes back as %x", b, got)
		}
	})
}

func BenchmarkOurs(b *testing.B) {
	id, err := OpenMemory(epochStart(), lifetime, seeded(1))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	spi := uint32(0)
	for b.Loop() {
		spi += 0x01000193
		id.Ours(spi, epochStart())
	}
}

func TestSPIsAreKnownAsLongAsTheLongestLifetimeThatWasEverInForce(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	id, err := OpenMemory(now, time.Hour, seeded(9))
	if err != nil {
		t.Fatal(err)
	}
	spi, err := id.nextAt(now)
	if err != nil {
		t.Fatal(err)
	}
	id.LiveLonger(8 * time.Hour)
	id.LiveLonger(time.Hour)
	for range 40 { // the counter goes on, with marks
		now = now.Add(10 * time.Minute)
		if _, err := id.nextAt(now); err != nil {
			t.Fatal(err)
		}
	}
	if v := id.Ours(spi, now); v != Issued {
		t.Errorf("after %v: %v, want Issued: its SA may live eight hours", 40*10*time.Minute, v)
	}
}
