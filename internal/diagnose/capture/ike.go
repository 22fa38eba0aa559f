package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// udp tells ESP in UDP from IKE (RFC 3948 §2).
func (r *Reader) udp(src, dst netip.Addr, u *layers.UDP, at time.Time) {
	b := u.Payload
	switch {
	case u.SrcPort == 500 || u.DstPort == 500:
	case u.SrcPort == 4500 || u.DstPort == 4500:
		if len(b) < 8 {
			return // keepalive
		}
		if be32(b) != 0 {
			r.esp(src, dst, 50, b, at, true)
			return
		}
		b = b[4:]
	default:
		return
	}
	h, err := isakmp.ParseHeader(b)
	switch {
	case errors.Is(err, isakmp.ErrLength) && int(h.Length) > len(b):
		// Cut by the capture or by IP fragmentation: the header tells enough.
	case err != nil:
		r.skip("IKE header that does not parse", b)
		return
	}
	if h.SPIi == 0 || h.Major() != 1 && h.Major() != 2 {
		r.skip("neither IKEv1 nor IKEv2", b)
		return
	}
	r.ike(src, dst, h, b, at)
}

// ike counts the message, and reports what is said in the clear: that an exchange begins, and an unprotected INVALID_SPI.
func (r *Reader) ike(src, dst netip.Addr, h isakmp.Header, b []byte, at time.Time) {
	if !r.talks.take(src, dst, h, b, at, evidence.Source{File: r.file, Line: r.span.Lines}) {
		r.skip("more IKE SAs than are followed", b)
	}
	ev := evidence.Event{Stamp: evidence.Stamp{At: at, Grain: time.Microsecond, Clock: r.clock},
		Quote:  evidence.Quote{Source: evidence.Source{File: r.file, Line: r.span.Lines}},
		Device: dst.String(), Peer: src, Local: dst}
	switch {
	case !h.Response() && h.Major() == 2 && h.Exchange == isakmp.IKESAInit:
		ev.Kind, ev.Text = evidence.Negotiating, fmt.Sprintf("IKE_SA_INIT request from %v to %v", src, dst)
		r.sink.Event(ev)
	case h.Major() == 2 && h.Exchange == isakmp.Informational:
		r.invalidSPI(ev, b)
	}
}

// invalidSPI looks for N(INVALID_SPI) outside an IKE SA (RFC 7296 §1.5). It proves nothing by itself: anybody can send
// it.
func (r *Reader) invalidSPI(ev evidence.Event, b []byte) {
	m, err := ike2.Parse(b)
	if err != nil {
		return
	}
	n := ike2.FindNotify(m.Payloads, ike2.InvalidSPI)
	if n == nil {
		return
	}
	spi, ok := n.OffendingSPI()
	if !ok {
		return
	}
	ev.Kind, ev.SPI, ev.Text = evidence.NotifyGot, spi, fmt.Sprintf("unprotected INVALID_SPI 0x%08X from %v to %v", spi, ev.Peer, ev.Local)
	r.sink.Event(ev)
}
