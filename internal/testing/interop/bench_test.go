package interop

import (
	"testing"
	"time"

	"lockstep/internal/testing/lab"
)

// BenchmarkHealAfterRestart kills one gateway (-9) and starts it again at once while the peer, a strongSwan with
// `unique = no` and DPD off, sends 1,000 packets a second. It reports
//
//	dark-ms  from the last packet before the kill to the first after it, the restart of the process included
//	heal-ms  from the first packet on a lost SPI to the first on a good SA (Lockstep's own figure)
//	lost     packets of the peer
//
// for Lockstep, and in the same run for a strongSwan in its place, which is watched for 45 seconds and stays black.
func BenchmarkHealAfterRestart(b *testing.B) {
	b.Run("Lockstep", func(b *testing.B) {
		var heal, dark, lost float64
		for b.Loop() {
			s := newSite(b, lab.SVTI{}, anyTS)
			s.up()
			h := s.killAndRestart()
			heal += float64(*h.incident.HealMS)
			dark += float64(h.report.LongestDark.Microseconds()) / 1000
			lost += float64(h.report.Lost)
		}
		n := float64(b.N)
		b.ReportMetric(heal/n, "heal-ms")
		b.ReportMetric(dark/n, "dark-ms")
		b.ReportMetric(lost/n, "lost")
		b.ReportMetric(0, "ns/op") // of the lab, and of no interest
	})
	b.Run("StrongSwanAlone", func(b *testing.B) {
		const watched = 45 * time.Second
		var dark, lost float64
		for b.Loop() {
			lab.NeedSwan(b)
			l := lab.New(b)
			a := l.StrongSwan(b, "A", anyTS)
			peer := l.StrongSwan(b, "B", anyTS)
			peer.Initiate()
			ba := lab.StartFlow(b, lab.FlowSpec{From: l.HB, To: l.HA, FromAddr: lab.AddrHB, ToAddr: lab.AddrHA, PPS: load})
			lab.Eventually(b, 5*time.Second, "packets", func() bool { return ba.Received() > 500 })
			a.Kill()
			killed := time.Now()
			got := ba.Received()
			a.Restart(l)
			for time.Since(killed) < watched {
				time.Sleep(100 * time.Millisecond)
				if ba.Received() > got+1 {
					b.Fatalf("strongSwan came back by itself after %v: %v", time.Since(killed), ba.Stop())
				}
			}
			dark += float64(time.Since(killed).Microseconds()) / 1000
			lost += float64(ba.Stop().Lost)
		}
		n := float64(b.N)
		b.ReportMetric(dark/n, "dark-ms")
		b.ReportMetric(lost/n, "lost")
		b.ReportMetric(0, "ns/op")
	})
}
