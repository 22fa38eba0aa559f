package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

type heard struct {
	esp    []evidence.Traffic
	events []evidence.Event
	ike    []evidence.IKE
}

func (h *heard) Event(e evidence.Event) { h.events = append(h.events, e) }
func (h *heard) ESP(t evidence.Traffic) { h.esp = append(h.esp, t) }
func (h *heard) IKE(i evidence.IKE)     { h.ike = append(h.ike, i) }
func (*heard) Counter(evidence.Counter) {}
func (*heard) SA(evidence.SA)           {}
func (*heard) IKESA(evidence.IKESA)     {}

func readCapture(t testing.TB, data []byte) (*heard, evidence.Span, error) {
	t.Helper()
	var h heard
	span, err := New("x.pcap", 7, &h).Read(bytes.NewReader(data), data)
	return &h, span, err
}

var (
	a, b = netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("192.0.2.2")
	t0   = time.Date(2026, 2, 20, 13, 0, 0, 0, time.UTC)
)

// ipv4 is a packet from a to b, as on a raw link.
func ipv4(t testing.TB, proto layers.IPProtocol, more ...gopacket.SerializableLayer) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: proto, SrcIP: a.AsSlice(), DstIP: b.AsSlice()}
	for _, m := range more {
		if u, ok := m.(*layers.UDP); ok {
			u.SetNetworkLayerForChecksum(ip)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append([]gopacket.SerializableLayer{ip}, more...)...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func espPacket(spi, seq uint32) []byte {
	p := binary.BigEndian.AppendUint32(nil, spi)
	return append(binary.BigEndian.AppendUint32(p, seq), make([]byte, 40)...)
}

// pcap is a capture of packets one second apart.
func pcap(t testing.TB, packets ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: t0.Add(time.Duration(i) * time.Second), CaptureLength: len(p), Length: len(p)}, p); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestWhoStillSendsOnWhat(t *testing.T) {
	udp := func(payload []byte) []byte {
		return ipv4(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 4500, DstPort: 4500}, gopacket.Payload(payload))
	}
	hint := &ike2.Message{Header: isakmp.Header{SPIi: 1, Version: 0x20, Exchange: isakmp.Informational, Flags: isakmp.FlagInitiator}, Payloads: []ike2.Payload{ike2.NotifyInvalidSPI(0xC0FFEE01)}}
	data := pcap(t,
		ipv4(t, 50, gopacket.Payload(espPacket(0xC0FFEE01, 100))),
		ipv4(t, 50, gopacket.Payload(espPacket(0xC0FFEE01, 101))),
		udp(espPacket(0xC0FFEE02, 1)),
		udp([]byte{0xFF}),
		udp(append([]byte{0, 0, 0, 0}, hint.Append(nil)...)),
		ipv4(t, 50, gopacket.Payload(espPacket(0xC0FFEE01, 140))),
		ipv4(t, 50, gopacket.Payload([]byte{1, 2, 3})),
	)
	h, span, err := readCapture(t, data)
	if err != nil || len(h.esp) != 2 {
		t.Fatalf("%v, %+v, %+v", err, h.esp, span)
	}
	got := h.esp[0]
	if got.SPI != 0xC0FFEE01 || got.Packets != 3 || got.Longest != 4*time.Second || got.SeqFirst != 100 || got.SeqLast != 140 || got.UDP || got.Src != a || got.Dst != b || got.Line != 1 {
		t.Errorf("%+v", got)
	}
	if h.esp[1].SPI != 0xC0FFEE02 || !h.esp[1].UDP {
		t.Errorf("%+v", h.esp[1])
	}
	if len(h.events) != 1 || h.events[0].Kind != evidence.NotifyGot || h.events[0].SPI != 0xC0FFEE01 || h.events[0].Line != 5 {
		t.Errorf("%+v", h.events)
	}
	if span.Lines != 7 || !span.Last.Equal(t0.Add(6*time.Second)) {
		t.Errorf("%+v", span)
	}
}

func TestACaptureThatBreaksOffIsReadUpToThere(t *testing.T) {
	data := pcap(t, ipv4(t, 50, gopacket.Payload(espPacket(7000, 1))), ipv4(t, 50, gopacket.Payload(espPacket(7000, 2))))
	h, span, err := readCapture(t, data[:len(data)-20])
	if err != nil || len(h.esp) != 1 || h.esp[0].Packets != 1 || len(span.Skipped) != 1 || !strings.Contains(span.Skipped[0].Why, "breaks off") {
		t.Errorf("%v %+v %+v", err, h.esp, span)
	}
}

// TestRealCaptures reads tcpdump's, where they are at hand.
func TestRealCaptures(t *testing.T) {
	const dir = "../../../../shared/testdata/tcpdump"
	for name, want := range map[string]string{
		"02-sunrise-sunset-esp.pcap": "8 packets on 12345678",
		"espudp1.pcap":               "8 packets on 12345678 in UDP",
		"isakmp4500.pcap":            "packets on F4DC0AE5",
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Skip("no captures: ../shared/testdata is not beside the repository")
		}
		h, span, err := readCapture(t, data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said := ""
		for _, e := range h.esp {
			said += fmt.Sprintf("%d packets on %08X", e.Packets, e.SPI)
			if e.UDP {
				said += " in UDP"
			}
			said += "; "
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q (%+v)", name, said, want, span)
		}
	}
}

func FuzzPcap(f *testing.F) {
	f.Add(pcap(f, ipv4(f, 50, gopacket.Payload(espPacket(7000, 1)))))
	f.Add(pcap(f, ipv4(f, layers.IPProtocolUDP, &layers.UDP{SrcPort: 500, DstPort: 500}, gopacket.Payload("0123456789012345678901234567"))))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !Magic(data) {
			return
		}
		h, span, err := readCapture(t, data)
		n := uint64(0)
		for _, e := range h.esp {
			n += e.Packets
		}
		if err == nil && n > uint64(span.Lines) {
			t.Fatalf("%d packets of ESP in %d", n, span.Lines)
		}
	})
}
