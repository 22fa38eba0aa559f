package datapath

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"lockstep/internal/sa"
)

// sink is a Wire and a Device that swallow.
type sink struct{}

func (sink) Recv(*Run) error                  { return ErrAgain }
func (sink) TryRecv(*Run) error               { return ErrAgain }
func (sink) Send(*Run) error                  { return nil }
func (sink) ReadFrame([]byte) (int, error)    { return 0, ErrAgain }
func (sink) TryReadFrame([]byte) (int, error) { return 0, ErrAgain }
func (sink) WriteFrame([][]byte) error        { return nil }
func (sink) Close() error                     { return nil }

const benchPayload = 1408 // octets of an inner packet

func benchSite(b testing.TB, c sa.Child) (*Plane, *receiver, *transmitter) {
	b.Helper()
	table := sa.NewTable(sa.Options{Leaser: plenty{}})
	table.Reserve(c.In, c.Owner, t0)
	if err := table.Install(c, sa.BothHalves, t0); err != nil {
		b.Fatal(err)
	}
	p := New(Options{Table: table})
	p.AddWire(sink{}, siteA)
	if err := p.AddTunnel(0, sink{}, TunnelOptions{MTU: 1438}); err != nil {
		b.Fatal(err)
	}
	return p, newReceiver(p, sink{}, siteA), newTransmitter(p, (*p.tunnels.Load())[0])
}

// benchRow is how many packets a benchmark handles in one go: a TCP stream fills frames of 64 KiB, which is about
// 40 packets.
const benchRow = 40

func bareGCM(b testing.TB) (cipher.AEAD, []byte) {
	block, err := aes.NewCipher(keyOf(gcm, spiA).Reveal()[:32])
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return aead, make([]byte, benchPayload+64)
}

// BenchmarkSealRun is a frame of 40 packets through the outbound loop: parse, route, segment, checksums, seal.
func BenchmarkSealRun(b *testing.B) {
	_, _, x := benchSite(b, childOf(spiA, spiB))
	f := tcpFrame(benchRow*(benchPayload-40), benchPayload-40)
	b.SetBytes(benchPayload * benchRow)
	b.ReportAllocs()
	for b.Loop() {
		x.carry(f)
		x.send.flush()
	}
	perPacket(b)
}

// BenchmarkOpenRun is a run of 40 packets through the inbound loop: classify, open, selectors, checksums, one write.
func BenchmarkOpenRun(b *testing.B) {
	c := childOf(spiA, spiB)
	c.ReplayWindow = 0 // the same run again and again
	_, r, _ := benchSite(b, c)
	run, copyOf := benchRun(b)
	b.SetBytes(benchPayload * benchRow)
	b.ReportAllocs()
	for b.Loop() {
		copy(run.Buf, copyOf) // counted: opening is in place
		r.run = run
		r.process()
		r.out.flush()
	}
	perPacket(b)
}

// benchRun is a run as A's peer sends it, and a copy of its octets.
func benchRun(b testing.TB) (Run, []byte) {
	b.Helper()
	peer := mirror(childOf(spiA, spiB))
	w := newWire(siteB)
	s := newSite(b, w, settings{})
	s.install(b, peer)
	s.leave(tcpFrame(benchRow*(benchPayload-40), benchPayload-40))
	r := w.runs()[0]
	r.Local, r.Remote = siteA, siteB
	return r, append([]byte(nil), r.Buf...)
}

func BenchmarkBareSeal(b *testing.B) {
	aead, buf := bareGCM(b)
	var nonce [12]byte
	b.SetBytes(benchPayload * benchRow)
	b.ReportAllocs()
	for b.Loop() {
		for range benchRow {
			aead.Seal(buf[:0], nonce[:], buf[:benchPayload+2], nonce[:8])
		}
	}
	perPacket(b)
}

func BenchmarkBareOpen(b *testing.B) {
	aead, buf := bareGCM(b)
	var nonce [12]byte
	sealed := aead.Seal(nil, nonce[:], make([]byte, benchPayload+2), nonce[:8])
	b.SetBytes(benchPayload * benchRow)
	b.ReportAllocs()
	for b.Loop() {
		for range benchRow {
			if _, err := aead.Open(buf[:0], nonce[:], sealed, nonce[:8]); err != nil {
				b.Fatal(err)
			}
		}
	}
	perPacket(b)
}

func perPacket(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRow, "ns/packet")
}

// BenchmarkUnknownSPIDrop is one datagram that arrives with an SPI without an SA, from the run to the note, at 20,000 SAs;
// SPIs of a flood, and the healer is away. Known peers and strangers have pools of their own.
func BenchmarkUnknownSPIDrop(b *testing.B) {
	for _, spis := range []int{1, 1 << 14} {
		b.Run(fmt.Sprintf("%dSPIs", spis), func(b *testing.B) {
			p, r, _ := benchSite(b, childOf(spiA, spiB))
			crowd(b, p.opt.Table)
			pkt := make([]byte, 120)
			run := Run{Local: siteA, Remote: siteB, Encap: sa.EncapUDP, Buf: pkt}
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i++
				binary.BigEndian.PutUint32(pkt, 0xC0000000|i*2654435761>>8&uint32(spis-1))
				r.run = run
				r.process()
			}
		})
	}
}

// crowd fills a table up to 20,000 inbound SAs.
func crowd(b *testing.B, table *sa.Table) {
	b.Helper()
	for i := range 19999 {
		c := childOf(sa.SPI(uint32(i+300)*2654435761), spiB)
		if c.In < 256 {
			continue
		}
		table.Reserve(c.In, c.Owner, t0)
		if err := table.Install(c, sa.InboundHalf, t0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNow is what a reading of the clock costs: one for each row, or for 16 runs that did not wait.
func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		time.Now()
	}
}
