package show

import (
	"strings"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

func TestCryptoSessionsHaveTheLayoutOfIOS(t *testing.T) {
	same(t, NewSessions(busy(), false), `Crypto session current status

Interface: Tunnel3
Session status: UP-ACTIVE     
Peer: 203.0.113.20 port 500 
  Session ID: 6  
  IKEv2 SA: local 203.0.113.10/500 remote 203.0.113.20/500 Active 
  IPSEC FLOW: permit ip 10.8.0.0/255.255.252.0 10.8.0.0/255.255.252.0 
        Active SAs: 4, origin: crypto map

Interface: Tunnel4
Session status: DOWN          
Peer: 2001:db8:77::20 port 500 
  IPSEC FLOW: permit ip 0.0.0.0/0.0.0.0 0.0.0.0/0.0.0.0 
        Active SAs: 0, origin: crypto map

`)
}

func TestCryptoSessionDetail(t *testing.T) {
	got := text(t, NewSessions(busy(), true))
	want := `Interface: Tunnel3
Profile: ANY
Uptime: 00:50:00
Session status: UP-ACTIVE     
Peer: 203.0.113.20 port 500 fvrf: (none) ivrf: (none)
      Phase1_id: east?[31m?Tunnel-id 9
      Desc: (none)
  Session ID: 6  
  IKEv2 SA: local 203.0.113.10/500 remote 203.0.113.20/500 Active 
          Capabilities:N connid:6 lifetime:07:10:00
  IPSEC FLOW: permit ip 10.8.0.0/255.255.252.0 10.8.0.0/255.255.252.0 
        Active SAs: 4, origin: crypto map
        Inbound:  #pkts dec'ed 1009 drop 5 life (KB/Sec) 975/3540
        Outbound: #pkts enc'ed 800 drop 4 life (KB/Sec) 984/3540

`
	if _, rest, _ := strings.Cut(got, "S - SIP VPN\n\n"); !strings.HasPrefix(rest, want) {
		t.Errorf("got\n%s\nwant\n%s", rest, want)
	}
}

func TestSessionStatus(t *testing.T) {
	ready, begun, going := ike.Status{State: "READY"}, ike.Status{State: "IN-NEG"}, ike.Status{State: "DELETE"}
	child := []sa.Pair{{}}
	for _, c := range []struct {
		ikes     []ike.Status
		children []sa.Pair
		want     string
	}{
		{[]ike.Status{begun, ready}, child, "UP-ACTIVE"}, {[]ike.Status{ready}, nil, "UP-IDLE"}, {[]ike.Status{begun}, child, "UP-NO-IKE"},
		{nil, child, "UP-NO-IKE"}, {[]ike.Status{begun}, nil, "DOWN-NEGOTIATING"}, {[]ike.Status{going}, nil, "DOWN"}, {nil, nil, "DOWN"},
	} {
		if got := sessionStatus(c.ikes, c.children); got != c.want {
			t.Errorf("%v with %d children: %s, want %s", c.ikes, len(c.children), got, c.want)
		}
	}
}

func TestUptimeOfASessionWithoutALineIsThatOfItsOldestChild(t *testing.T) {
	s := busy()
	s.Interfaces = nil
	if v := NewSessions(s, true).Sessions[0]; v.Uptime != 3000 || !v.UpSince.Equal(s.Children[0].Child.Created) {
		t.Errorf("%d s since %v", v.Uptime, v.UpSince)
	}
}

func TestFlowsOfOneHostAndProtocol(t *testing.T) {
	s := busy()
	one := dmz[0]
	one.End = one.Start
	s.Children[0].Child.TSRemote, s.Children[1].Child.TSRemote = append(dmz[:1:1], one), append(dmz[:1:1], one)
	got := text(t, NewSessions(s, false))
	for _, want := range []string{"  IPSEC FLOW: permit ip 10.8.0.0/255.255.252.0 10.9.0.5-10.9.0.9 \n", "  IPSEC FLOW: permit ip 10.8.0.0/255.255.252.0 host 10.9.0.5 \n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if protocol(47) != "47" || protocol(0) != "ip" {
		t.Error("protocol")
	}
}

func TestSessionsAsDataHaveTheSameFacts(t *testing.T) {
	one := data(t, NewSessions(busy(), false))["sessions"].([]any)[0].(map[string]any)
	flow := one["flows"].([]any)[0].(map[string]any)
	if one["status"] != "UP-ACTIVE" || one["uptime_seconds"] != 3000.0 || flow["active_sas"] != 4.0 || flow["kilobytes_left_out"] != 984.0 {
		t.Errorf("%v", one)
	}
}
