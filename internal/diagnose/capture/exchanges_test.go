package capture

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lockstep/internal/diagnose/evidence"
	"lockstep/internal/wire/isakmp"
)

// message is an IKE message whose contents, here one octet, nobody reads.
type message struct {
	back       bool // from b to a
	spii, spir isakmp.SPI
	version    uint8
	exchange   isakmp.Exchange
	flags      isakmp.Flags
	id         uint32
	body       byte
}

func (m message) packet(t testing.TB) []byte {
	t.Helper()
	raw := isakmp.Header{SPIi: m.spii, SPIr: m.spir, Version: m.version, Exchange: m.exchange, Flags: m.flags, MessageID: m.id, Length: isakmp.HeaderLen + 1}.Append(nil)
	from, to := a, b
	if m.back {
		from, to = b, a
	}
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	udp := &layers.UDP{SrcPort: 500, DstPort: 500}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(append(raw, m.body))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func conversationsOf(t *testing.T, messages ...message) []evidence.IKE {
	t.Helper()
	var packets [][]byte
	for _, m := range messages {
		packets = append(packets, m.packet(t))
	}
	h, span, err := readCapture(t, pcap(t, packets...))
	if err != nil || len(span.Skipped) > 0 {
		t.Fatalf("%v %+v", err, span)
	}
	return h.ike
}

const (
	fromInitiator = isakmp.FlagInitiator
	response      = isakmp.FlagResponse
)

func v2(back bool, spir isakmp.SPI, exchange isakmp.Exchange, flags isakmp.Flags, id uint32, body byte) message {
	return message{back, 0xA1, spir, isakmp.Version2, exchange, flags, id, body}
}

func TestANewIKESAWithRetransmissionsAndASilentPeer(t *testing.T) {
	got := conversationsOf(t,
		v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 1),
		v2(true, 0, isakmp.IKESAInit, response, 0, 2),        // a cookie is asked for
		v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 3),  // and brought: not a retransmission
		v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 3),  // this one is
		v2(true, 0xB2, isakmp.IKESAInit, response, 0, 4),     //
		v2(false, 0xB2, isakmp.IKEAuth, fromInitiator, 1, 5), // in two fragments
		v2(false, 0xB2, isakmp.IKEAuth, fromInitiator, 1, 6), //
		v2(true, 0xB2, isakmp.IKEAuth, response, 1, 7),       //
		v2(true, 0xB2, isakmp.Informational, 0, 0, 8),        // the responder asks: its own Message IDs
		v2(false, 0xB2, isakmp.Informational, fromInitiator|response, 0, 9),
		v2(false, 0xB2, isakmp.CreateChildSA, fromInitiator, 2, 10),
		v2(false, 0xB2, isakmp.CreateChildSA, fromInitiator, 2, 10),
	)
	want := []evidence.IKE{{Source: evidence.Source{File: "x.pcap", Line: 1}, Initiator: a, Responder: b, SPIi: 0xA1, SPIr: 0xB2, Version: 2, Began: "IKE_SA_INIT",
		First: t0, Last: t0.Add(11 * time.Second), Made: t0.Add(7 * time.Second), Messages: 12, Repeated: 2, Unanswered: 1,
		Exchanges: []evidence.Exchanges{{Type: "IKE_SA_INIT", Count: 1}, {Type: "IKE_AUTH", Count: 1}, {Type: "INFORMATIONAL", Count: 1}, {Type: "CREATE_CHILD_SA", Count: 1}}}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
}

func TestWhatNobodyAnswersIsNoNewIKESA(t *testing.T) {
	got := conversationsOf(t, v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 1), v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 1))
	if len(got) != 1 || got[0].New() || got[0].Began == "" || got[0].Unanswered != 1 || got[0].Repeated != 1 || got[0].SPIr != 0 {
		t.Errorf("%+v", got)
	}
}

func TestANotifyOutsideAnIKESAExpectsNoAnswer(t *testing.T) {
	got := conversationsOf(t, v2(false, 0, isakmp.Informational, fromInitiator, 0, 1))
	if len(got) != 1 || got[0].Unanswered != 0 || got[0].Began != "" {
		t.Errorf("%+v", got)
	}
}

func TestTheInitiatorIsToldByTheFlagWhereTheBeginningIsMissing(t *testing.T) {
	got := conversationsOf(t, v2(false, 0xB2, isakmp.Informational, 0, 7, 1), v2(true, 0xB2, isakmp.Informational, fromInitiator|response, 7, 2))
	if len(got) != 1 || got[0].Initiator != b || got[0].Began != "" || got[0].New() || got[0].Unanswered != 0 {
		t.Errorf("%+v", got)
	}
}

func TestModesOfIKEv1(t *testing.T) {
	v1 := func(back bool, spir isakmp.SPI, exchange isakmp.Exchange, id uint32, body byte) message {
		return message{back, 0xA1, spir, isakmp.Version1, exchange, 0, id, body}
	}
	got := conversationsOf(t,
		v1(false, 0, mainMode, 0, 1), v1(true, 0xB2, mainMode, 0, 2), v1(false, 0xB2, mainMode, 0, 3), v1(true, 0xB2, mainMode, 0, 4),
		v1(false, 0xB2, quickMode, 77, 5), v1(true, 0xB2, quickMode, 77, 6), v1(false, 0xB2, quickMode, 77, 7),
		v1(true, 0xB2, informational1, 78, 8),
		v1(false, 0xB2, quickMode, 79, 9), v1(false, 0xB2, quickMode, 79, 9),
		message{false, 0xA2, 0, isakmp.Version1, aggressiveMode, 0, 0, 1},
	)
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	c := got[0]
	if !c.New() || c.Began != "Main Mode" || !c.Made.Equal(t0.Add(5*time.Second)) || c.Unanswered != 1 || c.Repeated != 1 || c.Messages != 10 {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]evidence.Exchanges{{Type: "Main Mode", Count: 1}, {Type: "Quick Mode", Count: 2}, {Type: "Informational", Count: 1}}, c.Exchanges); diff != "" {
		t.Error(diff)
	}
	if got[1].Began != "Aggressive Mode" || got[1].Unanswered != 1 {
		t.Errorf("%+v", got[1])
	}
}

func TestAResponderThatForgotAndAnswersAnewIsAnotherIKESA(t *testing.T) {
	got := conversationsOf(t, v2(false, 0, isakmp.IKESAInit, fromInitiator, 0, 1), v2(true, 0xB2, isakmp.IKESAInit, response, 0, 2), v2(true, 0xB3, isakmp.IKESAInit, response, 0, 3))
	if len(got) != 2 || got[0].SPIr != 0xB2 || got[1].SPIr != 0xB3 || got[1].Began != "" {
		t.Errorf("%+v", got)
	}
}

func TestExchangesWithoutAnswerAreBoundedAndAllCounted(t *testing.T) {
	var all []message
	for i := range uint32(3*maxAsked + 5) {
		all = append(all, v2(false, 0xB2, isakmp.Informational, fromInitiator, i, byte(i)))
	}
	if got := conversationsOf(t, all...); len(got) != 1 || got[0].Unanswered != 3*maxAsked+5 {
		t.Errorf("%+v", got)
	}
}

// TestAMessageThatIsCutStillCounts: of an IKE message in IP fragments the first has the header.
func TestAMessageThatIsCutStillCounts(t *testing.T) {
	raw := isakmp.Header{SPIi: 1, SPIr: 2, Version: isakmp.Version2, Exchange: isakmp.IKEAuth, Flags: fromInitiator, MessageID: 1, Length: 3000}.Append(nil)
	h, span, err := readCapture(t, pcap(t, ipv4(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 500, DstPort: 500}, gopacket.Payload(raw))))
	if err != nil || len(h.ike) != 1 || len(span.Skipped) > 0 {
		t.Errorf("%v %+v %+v", err, h.ike, span)
	}
}

// TestIKEOfRealCaptures reads what others captured, where it is at hand.
func TestIKEOfRealCaptures(t *testing.T) {
	const dir = "../../../../shared/testdata"
	for name, want := range map[string]struct {
		version uint8
		began   string
	}{
		"tcpdump/ISAKMP_sa_setup.pcap":           {1, "Main Mode"},
		"zeek/ipsec-ikev1-isakmp-main-mode.pcap": {1, "Main Mode"},
		"tcpdump/ikev2four.pcap":                 {2, "IKE_SA_INIT"},
		"scapy/ikev2_nat_t.pcapng":               {2, "IKE_SA_INIT"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Skip("no captures: ../shared/testdata is not beside the repository")
		}
		h, span, err := readCapture(t, data)
		if err != nil || len(h.ike) == 0 {
			t.Errorf("%s: %v, %+v", name, err, span)
			continue
		}
		t.Logf("%s: %+v", name, h.ike)
		if c := h.ike[0]; c.Version != want.version || c.Began != want.began || c.Messages == 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
