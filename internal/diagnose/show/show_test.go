package show

import (
	"fmt"
	"strings"
	"testing"

	"lockstep/internal/diagnose/evidence"
)

// told is what a capture reports, one line each.
type told []string

func (*told) Event(evidence.Event) {}
func (*told) ESP(evidence.Traffic) {}
func (*told) IKE(evidence.IKE)     {}
func (w *told) Counter(c evidence.Counter) {
	*w = append(*w, fmt.Sprintf("%s counter %d %s %d at %d", c.Device, c.Row, c.Name, c.Packets, c.Line))
}
func (w *told) SA(s evidence.SA) {
	way := "out"
	if s.Inbound {
		way = "in"
	}
	mark := ""
	if s.Current {
		mark = " current"
	}
	*w = append(*w, fmt.Sprintf("%s %s %08X %v-%v %v %d%s at %d", s.Device, way, s.SPI, s.Local, s.Remote, s.Left, s.Packets, mark, s.Line))
}
func (w *told) IKESA(s evidence.IKESA) {
	*w = append(*w, fmt.Sprintf("%s IKEv%d %v-%v %s up=%v dpd=%s", s.Device, s.Version, s.Local, s.Remote, s.State, s.Up, s.DPD))
}

func capture(text string) told {
	var w told
	c := New("cap.txt", &w)
	for i, l := range strings.Split(text, "\n") {
		c.Line(l, i+1)
	}
	c.End()
	return w
}

func TestCapturesOfCommands(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"ipsec sa": {`hub-1#show crypto ipsec sa
interface: Tunnel0
    Crypto map tag: Tunnel0-head-0, local addr 192.0.2.2
   current_peer 198.51.100.9 port 4500
    #pkts encaps: 71, #pkts encrypt: 71, #pkts digest: 71
    #pkts decaps: 64, #pkts decrypt: 64, #pkts verify: 64
     local crypto endpt.: 192.0.2.2, remote crypto endpt.: 198.51.100.9
     current outbound spi: 0x61616161(1633771873)

     inbound esp sas:
      spi: 0x51515151(1364283729)
        transform: esp-gcm 256 ,
        in use settings ={Tunnel UDP-Encaps, }
        sa timing: remaining key lifetime (k/sec): (4607990/2210)
        Status: ACTIVE(ACTIVE)
     inbound ah sas:
     outbound esp sas:
      spi: 0x61616161(1633771873)
        sa timing: remaining key lifetime (sec): 99
        Status: ACTIVE(ACTIVE)
     outbound ah sas:`, "hub-1 in 51515151 192.0.2.2-198.51.100.9 36m50s 64 at 11|hub-1 out 61616161 192.0.2.2-198.51.100.9 1m39s 71 current at 18"},
		"isakmp sa": {`IPv4 Crypto ISAKMP SA
dst             src             state          conn-id status
192.0.2.2       198.51.100.9    QM_IDLE           1014 ACTIVE
192.0.2.2       198.51.100.7    MM_NO_STATE       1013 ACTIVE (deleted)`, "cap.txt IKEv1 192.0.2.2-198.51.100.9 QM_IDLE up=true dpd=|cap.txt IKEv1 192.0.2.2-198.51.100.7 MM_NO_STATE up=false dpd="},
		"ikev2 sa": {` IPv4 Crypto IKEv2  SA 

Tunnel-id Local                 Remote                fvrf/ivrf            Status 
4         192.0.2.2/4500        198.51.100.9/4500     none/none            READY  
      DPD configured for 10 seconds, retry 2`, "cap.txt IKEv2 192.0.2.2-198.51.100.9 READY up=true dpd=|cap.txt IKEv2 192.0.2.2-198.51.100.9 READY up=true dpd=on"},
		"session": {`Crypto session current status
Interface: Tunnel0
Session status: UP-NO-IKE
Peer: 198.51.100.9 port 500
  IKEv1 SA: local 192.0.2.2/500 remote 198.51.100.9/500 Inactive
          Capabilities:(none) connid:0 lifetime:0`, "cap.txt IKEv1 192.0.2.2-198.51.100.9 UP-NO-IKE up=false dpd=|cap.txt IKEv1 192.0.2.2-198.51.100.9 UP-NO-IKE up=false dpd=off"},
		"filtered counters": {"IpsecInput 7 900 <======\n4 IN_US_V4_PKT_SA_NOT_FOUND_SPI 7", " counter 0 IpsecInput 7 at 1| counter 4 IN_US_V4_PKT_SA_NOT_FOUND_SPI 7 at 2"},
		"xfrm state":        {"gw-3:~# ip xfrm state\nsrc 198.51.100.9 dst 192.0.2.2\n\tproto esp spi 0xc0ffee01 reqid 1 mode tunnel\n\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0\n", "gw-3 in C0FFEE01 192.0.2.2-198.51.100.9 0s 0 at 3"},
		"swanctl": {`net: #4, ESTABLISHED, IKEv2, 0123456789abcdef_i fedcba9876543210_r*
  local  'gw-3' @ 192.0.2.2[4500]
  remote 'branch' @ 198.51.100.9[4500]
  net: #9, reqid 1, INSTALLED, TUNNEL, ESP:AES_GCM_16-256
    in  c0ffee01,     84 bytes,     1 packets,     3s ago
    out 0badcafe,    168 bytes,     2 packets,     3s ago`, "cap.txt IKEv2 192.0.2.2-198.51.100.9 ESTABLISHED up=true dpd=|cap.txt in C0FFEE01 192.0.2.2-198.51.100.9 0s 1 at 5|cap.txt out 0BADCAFE 192.0.2.2-198.51.100.9 0s 2 current at 6"},
	} {
		if got := strings.Join(capture(c.text), "|"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func FuzzCapture(f *testing.F) {
	f.Add("interface: Tunnel0\n local crypto endpt.: 192.0.2.2, remote crypto endpt.: 198.51.100.9\n inbound esp sas:\n spi: 0x5(5)\n")
	f.Add("src 1.2.3.4 dst 5.6.7.8\n\tproto esp spi 0x1\nn: #1, ESTABLISHED, IKEv2, \n local 'a' @ 192.0.2.1\n remote 'b' @ 192.0.2.2\n in c0ffee01, 1 packets\n")
	f.Add("h#show x\nIpsecInput 1 2\n 4 IN_X 5\nXfrmInError 4\nSession status: UP\nPeer: 1.2.3.4\nIKEv1 SA: local 1.1.1.1 remote 2.2.2.2\nCapabilities:D")
	f.Fuzz(func(t *testing.T, text string) {
		for _, line := range capture(text) {
			if strings.ContainsAny(line, "\x1b\n") {
				t.Fatalf("%q is not printable", line)
			}
		}
	})
}
