package ike2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"lockstep/internal/wire/isakmp"
)

// testdata is the folder of captures beside the repository, "" if there is none.
func testdata() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			shared := filepath.Join(dir, "..", "shared", "testdata")
			if _, err := os.Stat(shared); err == nil {
				return shared
			}
			return ""
		}
	}
	return ""
}

// capturedIKE reads the IKE messages, of any version, from UDP 500 and 4500 of a capture. They need not be well
// formed.
func capturedIKE(t testing.TB, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, link := openCapture(t, f)
	var msgs [][]byte
	for {
		data, _, err := source.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return msgs
		}
		if err != nil {
			t.Logf("%s: %v after %d messages", filepath.Base(path), err, len(msgs))
			return msgs
		}
		if msg := ikeOf(gopacket.NewPacket(data, link, gopacket.Default)); msg != nil {
			msgs = append(msgs, msg)
		}
	}
}

func openCapture(t testing.TB, f *os.File) (gopacket.PacketDataSource, layers.LinkType) {
	t.Helper()
	if strings.HasSuffix(f.Name(), ".pcapng") {
		r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		return r, r.LinkType()
	}
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return r, r.LinkType()
}

// ikeOf is the IKE message in a packet, nil if it carries none.
func ikeOf(p gopacket.Packet) []byte {
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		return nil
	}
	switch {
	case udp.SrcPort == isakmp.PortNAT || udp.DstPort == isakmp.PortNAT:
		if msg, isIKE, _ := isakmp.StripMarker(udp.Payload); isIKE {
			return msg
		}
	case udp.SrcPort == isakmp.Port || udp.DstPort == isakmp.Port:
		return udp.Payload
	}
	return nil
}

// captures finds every capture that may hold IKE.
func captures(t testing.TB) []string {
	t.Helper()
	dir := testdata()
	if dir == "" {
		return nil
	}
	var paths []string
	for _, pattern := range []string{"*/*.pcap", "*/*.pcapng"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	return paths
}

// capturesWant is what a capture must come to: IKEv2 messages that parse, IKEv1 messages, and messages that are malformed.
var capturesWant = map[string]struct{ v2, v1, malformed int }{
	"ikev2four.pcap":              {21, 0, 0},
	"ikev2pI2.pcap":               {2, 0, 0},
	"ikev2_nat_t.pcapng":          {30, 0, 0},
	"isakmp4500.pcap":             {0, 15, 0},
	"ISAKMP_sa_setup.pcap":        {0, 9, 0},
	"ikev2-id-short.pcap":         {0, 0, 1},
	"isakmp-delete-segfault.pcap": {0, 0, 1},
	"isakmp-pointer-loop.pcap":    {0, 0, 1},
}

func TestCapturesParse(t *testing.T) {
	dir := testdata()
	if dir == "" {
		t.Skip("no captures: ../shared/testdata is not beside the repository")
	}
	for _, path := range captures(t) {
		want, ok := capturesWant[filepath.Base(path)]
		if !ok {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			got := want
			got.v2, got.v1, got.malformed = 0, 0, 0
			for i, b := range capturedIKE(t, path) {
				h, herr := isakmp.ParseHeader(b)
				m, err := Parse(b)
				switch {
				case herr == nil && h.Major() == 1 && err != nil:
					got.v1++
				case err != nil:
					var syntax *SyntaxError
					if !errors.As(err, &syntax) {
						t.Errorf("message %d: %v", i, err)
					}
					got.malformed++
				default:
					got.v2++
					if d := cmp.Diff(withoutCritical(m, b), m.Append(nil)); d != "" {
						t.Errorf("message %d is written otherwise than it came:\n%s", i, d)
					}
				}
			}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// withoutCritical is b, the message that m was parsed from, with the critical bits of its payloads cleared: one
// capture has them on payloads of the RFC, where they are ignored and not sent by us (RFC 7296 §3.2).
func withoutCritical(m *Message, b []byte) []byte {
	b = bytes.Clone(b)
	off := isakmp.HeaderLen
	for range m.Payloads {
		b[off+1] &^= criticalBit
		off += int(binary.BigEndian.Uint16(b[off+2:]))
	}
	return b
}

// A handshake of another implementation, behind NAT: what we take from it.
func TestCapturedHandshakeSaysWhatItMeans(t *testing.T) {
	dir := testdata()
	if dir == "" {
		t.Skip("no captures: ../shared/testdata is not beside the repository")
	}
	msgs := capturedIKE(t, filepath.Join(dir, "scapy", "ikev2_nat_t.pcapng"))
	if len(msgs) == 0 {
		t.Fatal("no messages")
	}
	m, err := Parse(msgs[0])
	if err != nil {
		t.Fatal(err)
	}
	sa, _ := Find[*SA](m.Payloads)
	ke, _ := Find[*KE](m.Payloads)
	nonce, _ := Find[*Nonce](m.Payloads)
	if sa == nil || sa.String() != "1:IKE AES_GCM_16_256/PRF_HMAC_SHA2_256/ECP_256" {
		t.Errorf("offer %v", sa)
	}
	if ke == nil || ke.Group != DHECP256 || len(ke.Data) != 64 || nonce == nil || len(nonce.Data) != 40 {
		t.Errorf("KE %v, nonce %v", ke, nonce)
	}
	if FindNotify(m.Payloads, IKEv2FragmentationSupported) == nil || FindNotify(m.Payloads, Cookie) != nil {
		t.Error("notifies")
	}
	if len(All[*Vendor](m.Payloads)) < 4 {
		t.Error("vendor IDs")
	}
}
