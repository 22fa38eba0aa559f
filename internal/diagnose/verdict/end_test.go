package verdict

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// TestANewIKESAInACaptureMayHaveEndedIt: only where the capture itself has the packets stop for it, and never as more than
// possible.
func TestANewIKESAInACaptureMayHaveEndedIt(t *testing.T) {
	const spi = 0xC0FFEE01
	began := noon.Add(-3 * time.Hour) // the capture's clock is not the log's
	esp := evidence.Traffic{Source: evidence.Source{File: "a.pcap", Line: 1}, Flow: seen(spi, 0, 0, 0).Flow, Packets: 90, First: began, Last: began.Add(2 * time.Minute)}
	ike := evidence.IKE{Source: evidence.Source{File: "a.pcap", Line: 91}, Initiator: sender, Responder: receiver, Version: 2, Began: "IKE_SA_INIT",
		First: began.Add(2 * time.Minute), Made: began.Add(2*time.Minute + time.Second)}
	for _, c := range []struct {
		name string
		do   func(*evidence.Traffic, *evidence.IKE)
		want string
	}{
		{"the sender begins", func(*evidence.Traffic, *evidence.IKE) {}, "peer"},
		{"the receiver begins", func(_ *evidence.Traffic, i *evidence.IKE) { i.Initiator, i.Responder = receiver, sender }, "recovery"},
		{"it goes on after that", func(p *evidence.Traffic, _ *evidence.IKE) { p.Last = p.Last.Add(time.Minute) }, "not seen"},
		{"it began before the packets", func(_ *evidence.Traffic, i *evidence.IKE) { i.First = began.Add(-time.Second) }, "not seen"},
		{"long after the packets", func(_ *evidence.Traffic, i *evidence.IKE) { i.First = i.First.Add(time.Hour); i.Made = i.First }, "not seen"},
		{"the peer does not answer", func(_ *evidence.Traffic, i *evidence.IKE) { i.Made = time.Time{} }, "not seen"},
		{"an old IKE SA", func(_ *evidence.Traffic, i *evidence.IKE) { i.Began = "" }, "not seen"},
		{"another capture", func(_ *evidence.Traffic, i *evidence.IKE) { i.File = "b.pcap" }, "not seen"},
		{"another peer", func(_ *evidence.Traffic, i *evidence.IKE) { i.Initiator = netip.MustParseAddr("203.0.113.1") }, "not seen"},
	} {
		p, i := esp, ike
		c.do(&p, &i)
		tr := New(0)
		tr.Event(seen(spi, 0, 0, 0))
		tr.Event(seen(spi, time.Minute, 0, 0))
		tr.ESP(p)
		tr.IKE(i)
		tr.Covers("hub", noon.Add(time.Hour))
		j := tr.Judge(Known{}, time.Time{})[0]
		want := Possible
		if c.want == "not seen" {
			want = Unknown
		}
		if j.Ended != c.want || j.EndedSure != want || !j.EndedAt.IsZero() {
			t.Errorf("%s: %q (%v) at %v, want %q: %s", c.name, j.Ended, j.EndedSure, j.EndedAt, c.want, strings.Join(j.Why, "; "))
		}
	}
}
