package show

import (
	"net/netip"
	"strings"
	"testing"

	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func only(name string) func(*policy.Peer) bool {
	return func(p *policy.Peer) bool { return p.Name() == name }
}

const rekeying = `
interface: Tunnel3
    Crypto map tag: Tunnel3-head-0, local addr 203.0.113.10

   protected vrf: (none)
   local  ident (addr/mask/prot/port): (10.8.0.0/255.255.252.0/0/0)
   remote ident (addr/mask/prot/port): (10.8.0.0/255.255.252.0/0/0)
   current_peer 203.0.113.20 port 500
     PERMIT, flags={origin_is_acl,}
    #pkts encaps: 800, #pkts encrypt: 800, #pkts digest: 800
    #pkts decaps: 1000, #pkts decrypt: 1009, #pkts verify: 1009
    #pkts compressed: 0, #pkts decompressed: 0
    #pkts not compressed: 0, #pkts compr. failed: 0
    #pkts not decompressed: 0, #pkts decompress failed: 0
    #send errors 4, #recv errors 5

     local crypto endpt.: 203.0.113.10, remote crypto endpt.: 203.0.113.20
     plaintext mtu 1422, path mtu 1492, ip mtu 1492, ip mtu idb ppp0
     current outbound spi: 0x4444DDDD(1145363933)
     PFS (Y/N): Y, DH group: group20

     inbound esp sas:
      spi: 0x3333CCCC(859032780)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 0, flow_id: SW:0, sibling_flags 80000000, crypto map: Tunnel3-head-0
        sa timing: remaining key lifetime (k/sec): (975/3540)
        IV size: 16 bytes
        replay detection support: Y  replay window size: 128
        Status: ACTIVE(ACTIVE)
      spi: 0x1111AAAA(286370474)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 0, flow_id: SW:0, sibling_flags 80000000, crypto map: Tunnel3-head-0
        sa timing: remaining key lifetime (k/sec): (975/600)
        IV size: 16 bytes
        replay detection support: Y  replay window size: 128
        Status: ACTIVE(ACTIVE)

     inbound ah sas:

     inbound pcp sas:

     outbound esp sas:
      spi: 0x4444DDDD(1145363933)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 0, flow_id: SW:0, sibling_flags 80000000, crypto map: Tunnel3-head-0
        sa timing: remaining key lifetime (k/sec): (984/3540)
        IV size: 16 bytes
        replay detection support: Y  replay window size: 128
        Status: ACTIVE(ACTIVE)
      spi: 0x2222BBBB(572701627)
        transform: esp-256-aes esp-sha256-hmac ,
        in use settings ={Tunnel, }
        conn id: 0, flow_id: SW:0, sibling_flags 80000000, crypto map: Tunnel3-head-0
        sa timing: remaining key lifetime (k/sec): (984/600)
        IV size: 16 bytes
        replay detection support: Y  replay window size: 128
        Status: ACTIVE(ACTIVE)

     outbound ah sas:

     outbound pcp sas:
`

func TestIPsecSAsInTheMiddleOfARekey(t *testing.T) {
	same(t, NewIPsec(busy(), false, only("Tunnel3")), rekeying)
}

func TestATunnelWithoutSAsIsListedToo(t *testing.T) {
	got := text(t, NewIPsec(busy(), false, only("Tunnel4")))
	for _, want := range []string{
		"interface: Tunnel4\n    Crypto map tag: Tunnel4-head-0, local addr 203.0.113.10\n",
		"   local  ident (addr/mask/prot/port): (0.0.0.0/0.0.0.0/0/0)\n", "   current_peer 2001:db8:77::20 port 500\n",
		"     current outbound spi: 0x0(0)\n     PFS (Y/N): Y, DH group: group19\n\n     inbound esp sas:\n\n     inbound ah sas:\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := len(NewIPsec(busy(), false, nil).Interfaces); n != 2 {
		t.Errorf("%d tunnels", n)
	}
}

func TestDetailSortsWhatWasDiscarded(t *testing.T) {
	s := busy()
	in, out := &s.Children[0].In.Drops, &s.Children[0].Out.Drops
	in[reason.HardExpired], in[reason.ESPTruncated], in[reason.ReplayOld], in[reason.ReplayDuplicate] = 10, 20, 30, 1
	in[reason.BadPadding], in[reason.InnerMalformed], in[reason.WrongNextHeader], in[reason.CongestionLost] = 40, 2, 50, 60
	out[reason.HardExpired], out[reason.SeqExhausted], out[reason.LeaseWait] = 5, 6, 7
	got := text(t, NewIPsec(s, true, only("Tunnel3")))
	want := `    #pkts no sa (send) 5, #pkts invalid sa (rcv) 31
    #pkts encaps failed (send) 11, #pkts decaps failed (rcv) 42
    #pkts invalid prot (recv) 50, #pkts verify failed: 3
    #pkts invalid identity (recv) 2, #pkts invalid len (rcv) 20
    #pkts replay rollover (send): 6, #pkts replay rollover (rcv) 0
    ##pkts replay failed (rcv): 31
    #pkts tagged (send): 0, #pkts untagged (rcv): 0
    #pkts not tagged (send): 0, #pkts not untagged (rcv): 0
    #pkts internal err (send): 0, #pkts internal err (recv) 60
`
	if !strings.Contains(got, want) || strings.Contains(got, "#send errors") {
		t.Errorf("want\n%s\nin\n%s", want, got)
	}
}

func TestEverySAOfOtherSelectorsHasItsOwnFlow(t *testing.T) {
	s := busy()
	s.Children = append(s.Children, pair(0x5555, 0x6666, 2, lan, dmz))
	s.Children[2].Both = false
	s.Children[2].Child.HardBytes, s.Children[2].Child.ReplayWindow = 0, 0
	s.Children[2].Child.Encap, s.Children[2].Child.ESN = sa.EncapUDP, true
	v := NewIPsec(s, true, only("Tunnel3"))
	if n := len(v.Interfaces[0].Flows); n != 2 {
		t.Fatalf("%d flows", n)
	}
	_, got, _ := strings.Cut(text(t, v), "outbound pcp sas:\n")
	for _, want := range []string{
		"remote ident (addr/mask/prot/port): (10.9.0.5-10.9.0.9/-/17/53)\n", "#pkts invalid sa (rcv) 0\n", "current outbound spi: 0x0(0)\n",
		"in use settings ={Tunnel UDP-Encaps, esn}\n", "(k/sec): (KB Vol Rekey Disabled/3480)\n", "replay detection support: N\n", "outbound esp sas:\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestIdentsOfEveryKind(t *testing.T) {
	tcp := ike2.SelectorFromPrefix(netip.MustParsePrefix("10.1.2.3/32"))
	tcp.Protocol, tcp.StartPort, tcp.EndPort = 6, 1024, 2047
	for want, s := range map[string]ike2.Selector{
		"0.0.0.0/0.0.0.0/0/0":                  wideOpen()[0],
		"10.1.2.3/255.255.255.255/6/1024-2047": tcp,
		"2001:db8::/32/0/0":                    ike2.SelectorFromPrefix(netip.MustParsePrefix("2001:db8::/32")),
	} {
		if got := ident(s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestIPsecAsDataHasTheSameFacts(t *testing.T) {
	one := data(t, NewIPsec(busy(), false, nil))["interfaces"].([]any)[0].(map[string]any)
	flow := one["flows"].([]any)[0].(map[string]any)
	in := flow["inbound"].([]any)[0].(map[string]any)
	spi := in["spi"].(map[string]any)
	if one["unknown_spi_packets"] != 21.0 || flow["packets_verified"] != 1009.0 || in["seconds_left"] != 3540.0 || in["sequence"] != 512.0 ||
		spi["hex"] != "0x3333CCCC" || spi["number"] != 859032780.0 || in["expires"] != "2026-05-06T08:07:09.25Z" {
		t.Errorf("%v", one)
	}
	if errs := flow["errors"].(map[string]any); errs["verify_failed_receive"] != 3.0 || errs["receive"] != 5.0 {
		t.Errorf("%v", errs)
	}
}

func TestSPILookup(t *testing.T) {
	same(t, NewSPILookup(busy(), 0), `Active SPI table
     SPI Prot Local Address            Type
  Handle VRF  Remote Address           IDB
1111AAAA ESP  203.0.113.10             ESP
       0 0    203.0.113.20             Tunnel3
3333CCCC ESP  203.0.113.10             ESP
       0 0    203.0.113.20             Tunnel3
`)
	if v := NewSPILookup(busy(), 0x3333CCCC); len(v.Active) != 1 || v.Active[0].Out != 0x4444DDDD {
		t.Errorf("%+v", v)
	}
	same(t, NewSPILookup(busy(), 0x99999), "0x00099999(629145): no SA, and no packet with it is remembered\n")
	if got := text(t, NewSPILookup(busy(), 0x77)); !strings.HasPrefix(got, "0x00000077(119): no SA; packets with it came:\n\nSource ") ||
		!strings.Contains(got, "previous owner: offered May  6 07:07:09.250, never installed; given up May  6 07:08:08.250: install failed\n") {
		t.Errorf("%s", got)
	}
}
