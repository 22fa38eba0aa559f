package ip

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
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

// captured is one packet of a capture: its octets from the IP header on, and another decoder's opinion.
type captured struct {
	file    string
	octets  []byte
	decoded gopacket.Packet
}

// capturedPackets are all IP packets of all captures, none without captures.
func capturedPackets(t testing.TB) []captured {
	t.Helper()
	dir := testdata()
	if dir == "" {
		return nil
	}
	var all []captured
	for _, pattern := range []string{"*/*.pcap", "*/*.pcapng"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			all = append(all, readCapture(t, path)...)
		}
	}
	return all
}

func readCapture(t testing.TB, path string) []captured {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, link := openCapture(t, f)
	var packets []captured
	for {
		data, _, err := source.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v after %d packets", filepath.Base(path), err, len(packets))
			}
			return packets
		}
		p := gopacket.NewPacket(data, link, gopacket.Default)
		if n := p.NetworkLayer(); n != nil {
			packets = append(packets, captured{filepath.Base(path), append(n.LayerContents(), n.LayerPayload()...), p})
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

// checksumsHold tells of captures whether the transport checksums in them are right. Those of ikev2four.pcap were
// left to a loopback interface, which computes none.
var checksumsHold = map[string]bool{
	"isakmp4500.pcap":            true,
	"ISAKMP_sa_setup.pcap":       true,
	"ikev1-certs.pcap":           true,
	"02-sunrise-sunset-esp.pcap": true,
	"ikev2four.pcap":             false,
}

// Real packets: what we read is what another decoder reads, and their checksums come out as they are.
func TestCapturedPacketsParse(t *testing.T) {
	packets := capturedPackets(t)
	if packets == nil {
		t.Skip("no captures: ../shared/testdata is not beside the repository")
	}
	parsed := 0
	for i, c := range packets {
		p, flaw := Parse(c.octets)
		if flaw != NoFlaw {
			t.Logf("%s, packet %d: %v", c.file, i, flaw)
			continue
		}
		parsed++
		ends := c.decoded.NetworkLayer().NetworkFlow()
		if ends.Src().String() != p.Src.String() || ends.Dst().String() != p.Dst.String() {
			t.Errorf("%s, packet %d: %v to %v, want %v", c.file, i, p.Src, p.Dst, ends)
		}
		if udp, ok := c.decoded.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && p.Ports &&
			(uint16(udp.SrcPort) != p.SrcPort || uint16(udp.DstPort) != p.DstPort) {
			t.Errorf("%s, packet %d: ports %d to %d", c.file, i, p.SrcPort, p.DstPort)
		}
		if want, ok := checksumsHold[c.file]; ok && p.Version == 4 {
			if ok, _ := p.TransportChecksumOK(c.octets); ok != want || !HeaderChecksumOK(c.octets) {
				t.Errorf("%s, packet %d: transport checksum %v, header checksum %v", c.file, i, ok, HeaderChecksumOK(c.octets))
			}
		}
	}
	if parsed < 100 {
		t.Errorf("%d of %d packets parsed", parsed, len(packets))
	}
}
