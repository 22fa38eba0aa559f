// Package capture reads pcap and pcapng files: which SPIs carry ESP from whom to whom, for how long and with what
// pauses, which IKE SAs there are and which exchanges of theirs, and what IKE says in the clear. It decrypts nothing,
// streams, and follows a bounded number of SPIs. Whether a
// receiver has an SA for an SPI is not in a capture, so it reports traffic, not verdicts.
package capture

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"lockstep/internal/diagnose/evidence"
)

// maxSPIs are followed; packets on further ones are counted.
const maxSPIs = 100_000

// Format is what a capture is called in evidence.Span.
const Format = "capture"

// Reader reads one capture.
type Reader struct {
	file  string
	clock int
	sink  evidence.Sink
	flows map[evidence.Flow]*evidence.Traffic
	order []evidence.Flow
	span  evidence.Span
	skips map[string]*evidence.Skip
	talks conversations
}

// New makes the reader of a capture whose stamps are of the given clock.
func New(file string, clock int, sink evidence.Sink) *Reader {
	return &Reader{file: file, clock: clock, sink: sink, flows: map[evidence.Flow]*evidence.Traffic{}, skips: map[string]*evidence.Skip{},
		talks: newConversations(), span: evidence.Span{File: file, Format: Format}}
}

type source interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

// Magic reports that a file with this beginning is a capture.
func Magic(head []byte) bool { return pcapMagic(head) || ngMagic(head) }

func pcapMagic(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch string(b[:4]) {
	case "\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1":
		return true
	}
	return false
}

func ngMagic(b []byte) bool { return len(b) >= 4 && string(b[:4]) == "\x0a\x0d\x0d\x0a" }

// Read reads all packets of in, whose beginning is head. A capture that ends in the middle of a packet is read up to
// there.
func (r *Reader) Read(in io.Reader, head []byte) (evidence.Span, error) {
	src, err := open(in, head)
	if err != nil {
		return r.span, err
	}
	for {
		data, info, err := src.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.skip("the capture breaks off: "+err.Error(), nil)
			}
			break
		}
		r.span.Lines++
		r.span.Bytes += int64(len(data))
		r.see(info.Timestamp)
		r.packet(data, link(src, info), info.Timestamp)
	}
	for _, f := range r.order {
		r.sink.ESP(*r.flows[f])
	}
	for _, c := range r.talks.order {
		r.sink.IKE(c.done())
	}
	for _, s := range r.skips {
		r.span.Skipped = append(r.span.Skipped, *s)
	}
	return r.span, nil
}

// open guards against headers on which the library allocates what they claim.
func open(in io.Reader, head []byte) (source, error) {
	if ngMagic(head) {
		s, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("pcapng: %w", err)
		}
		return s, nil
	}
	s, err := pcapgo.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	s.SetSnaplen(1 << 18)
	return s, nil
}

// link is the link type of a packet: in pcapng each interface has its own.
func link(src source, info gopacket.CaptureInfo) layers.LinkType {
	if len(info.AncillaryData) > 0 {
		if t, ok := info.AncillaryData[0].(layers.LinkType); ok {
			return t
		}
	}
	return src.LinkType()
}

func (r *Reader) see(at time.Time) {
	if r.span.First.IsZero() || at.Before(r.span.First) {
		r.span.First = at
	}
	if at.After(r.span.Last) {
		r.span.Last = at
	}
}

func (r *Reader) skip(why string, data []byte) {
	s := r.skips[why]
	if s == nil {
		s = &evidence.Skip{Why: why, First: evidence.Quote{Source: evidence.Source{File: r.file, Line: r.span.Lines}, Text: fmt.Sprintf("%x", data[:min(len(data), 32)])}}
		r.skips[why] = s
	}
	s.Count++
}

func (r *Reader) packet(data []byte, kind layers.LinkType, at time.Time) {
	var decoder gopacket.Decoder = kind
	if kind == layers.LinkTypeRaw || kind == layers.LinkTypeIPv4 || kind == layers.LinkTypeIPv6 {
		decoder = layers.LayerTypeIPv4
		if len(data) > 0 && data[0]>>4 == 6 {
			decoder = layers.LayerTypeIPv6
		}
	}
	p := gopacket.NewPacket(data, decoder, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	src, dst, ok := addresses(p)
	if !ok {
		return
	}
	if fragment(p) {
		return
	}
	switch {
	case p.Layer(layers.LayerTypeIPSecESP) != nil:
		r.esp(src, dst, 50, p.Layer(layers.LayerTypeIPSecESP).LayerContents(), at, false)
	case p.Layer(layers.LayerTypeIPSecAH) != nil:
		if c := p.Layer(layers.LayerTypeIPSecAH).LayerContents(); len(c) >= 12 {
			r.esp(src, dst, 51, c[4:], at, false)
		}
	case p.Layer(layers.LayerTypeUDP) != nil:
		r.udp(src, dst, p.Layer(layers.LayerTypeUDP).(*layers.UDP), at)
	}
}

func addresses(p gopacket.Packet) (src, dst netip.Addr, ok bool) {
	n := p.NetworkLayer()
	if n == nil {
		return src, dst, false
	}
	src, ok1 := netip.AddrFromSlice(n.NetworkFlow().Src().Raw())
	dst, ok2 := netip.AddrFromSlice(n.NetworkFlow().Dst().Raw())
	return src.Unmap(), dst.Unmap(), ok1 && ok2
}

// fragment reports a fragment behind the first: it has no SPI.
func fragment(p gopacket.Packet) bool {
	ip, ok := p.NetworkLayer().(*layers.IPv4)
	return ok && ip.FragOffset != 0
}

// esp counts a packet on its SPI. b begins with the SPI and the sequence number.
func (r *Reader) esp(src, dst netip.Addr, proto uint8, b []byte, at time.Time, udp bool) {
	if len(b) < 8 {
		r.skip("ESP too short", b)
		return
	}
	f := evidence.Flow{Src: src, Dst: dst, Proto: proto, SPI: be32(b)}
	t := r.flows[f]
	if t == nil {
		if len(r.flows) >= maxSPIs {
			r.skip("more SPIs than are followed", b)
			return
		}
		t = &evidence.Traffic{Source: evidence.Source{File: r.file, Line: r.span.Lines}, Flow: f, First: at, Last: at, SeqFirst: be32(b[4:]), UDP: udp}
		r.flows[f] = t
		r.order = append(r.order, f)
	}
	t.Packets++
	t.Octets += uint64(len(b))
	t.Longest = max(t.Longest, at.Sub(t.Last))
	t.Last, t.SeqLast = at, be32(b[4:])
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
