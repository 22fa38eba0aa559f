package story

import "testing"

// BenchmarkReboot tells the story in real time and reports what its taps measured; ns/op is the length of the story.
func BenchmarkReboot(b *testing.B) {
	s := load(b, "reboot")
	var ms float64
	var trips, lost, n int
	for b.Loop() {
		r, err := Run(b.Context(), s, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if r.HealMS == nil {
			b.Fatal(r.verdict())
		}
		ms, trips, lost, n = ms+*r.HealMS, trips+r.RoundTrips, lost+*r.PacketsLost, n+1
	}
	b.ReportMetric(ms/float64(n), "heal-ms")
	b.ReportMetric(float64(trips)/float64(n), "round-trips")
	b.ReportMetric(float64(lost)/float64(n), "packets-lost")
}
