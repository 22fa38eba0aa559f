package diagnose

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/diagnose/read"
	"lockstep/internal/diagnose/verdict"
)

// fleetLog is a log of a fleet as a collector writes it, of which one line in a hundred is of IPsec: a Reader of any
// length that repeats a block of lines while its clock goes on. flows is how many flows the IPsec lines are of.
type fleetLog struct {
	left  int64
	block []byte
	at    int
}

func newFleetLog(size int64, flows int) *fleetLog {
	r := rand.New(rand.NewPCG(1, 2))
	noise := []string{
		"%%LINK-3-UPDOWN: Interface GigabitEthernet0/0/%d, changed state to up",
		"%%SYS-5-CONFIG_I: Configured from console by ops on vty%d (198.51.100.77)",
		"%%SEC-6-IPACCESSLOGP: list OUTSIDE-IN denied tcp 203.0.113.9(%d) -> 192.0.2.1(22), 1 packet",
		"%%BGP-5-ADJCHANGE: neighbor 198.51.100.%d Up",
		"%%OSPF-5-ADJCHG: Process 1, Nbr 10.0.0.%d on GigabitEthernet0/0/1 from LOADING to FULL, Loading Done",
	}
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	var b []byte
	for i := range 60_000 {
		at = at.Add(37 * time.Millisecond)
		b = fmt.Appendf(b, "<188>%d: r%d: %s: ", i, i%200, at.Format("Jan _2 15:04:05.000"))
		if i%100 == 50 {
			n := r.IntN(flows)
			spi := uint32(n)*2654435761 | 0x1000
			b = fmt.Appendf(b, "%%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.%d, prot=50, spi=0x%X(%d), srcaddr=198.51.100.%d\n", i%200, spi, spi, n%250)
			continue
		}
		b = fmt.Appendf(b, noise[i%len(noise)]+"\n", r.IntN(64))
	}
	return &fleetLog{left: size, block: b}
}

func (f *fleetLog) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), f.left)], f.block[f.at:])
	f.at = (f.at + n) % len(f.block)
	f.left -= int64(n)
	return n, nil
}

// feed reads a log into a tracker as Run does.
func feed(in io.Reader) (*run, error) {
	r := &run{o: Options{Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}, tracker: verdict.New(0), res: &Result{}, devices: map[string]bool{}}
	span, err := read.NewLog("fleet.log", r.o.Now, &r.clocks, r).Read(in)
	r.covered(span)
	return r, err
}

var _ evidence.Sink = (*run)(nil)

func BenchmarkLog(b *testing.B) {
	const size = 64 << 20
	log := newFleetLog(size, 500)
	b.SetBytes(size)
	before, n := cpu(), 0
	for b.Loop() {
		n++
		log.left, log.at = size, 0
		if _, err := feed(log); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*size/1e6/(cpu()-before).Seconds(), "MB/cpu-s")
}

// cpu is the processor time that this process used: on a machine that others share, the wall clock measures them.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMemoryDoesNotGrowWithTheLog reads 1 GiB (256 MiB with -short) and looks at the heap on the way.
func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 256 << 20
	}
	log := newFleetLog(size, 5000)
	w := &heapWatch{in: log}
	start := time.Now()
	r, err := feed(w)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("%d MiB in %v: %.0f MB/s, at most %d MiB from the system, %d flows", size>>20, took.Round(time.Millisecond), float64(size)/1e6/took.Seconds(), w.most>>20, r.tracker.Flows())
	if w.most > 64<<20 {
		t.Errorf("%d MiB of memory, at most 64 are allowed", w.most>>20)
	}
	if r.tracker.Flows() < 500 {
		t.Errorf("only %d flows: the log was not read", r.tracker.Flows())
	}
}

// heapWatch samples what the process has from the system, in its heap and beside it.
type heapWatch struct {
	in   io.Reader
	n    int
	most uint64
}

func (h *heapWatch) Read(p []byte) (int, error) {
	if h.n++; h.n%256 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.most = max(h.most, m.Sys-m.HeapReleased)
	}
	return h.in.Read(p)
}
