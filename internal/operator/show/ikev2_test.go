package show

import (
	"strings"
	"testing"

	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

func TestIKEv2SAsHaveTheColumnsOfIOS(t *testing.T) {
	s := busy()
	s.IKE = append(s.IKE, ike.Status{Owner: sa.NoOwner, State: "IN-NEG", Local: s.IKE[0].Local, Remote: s.IKE[0].Remote})
	same(t, NewIKEv2SAs(s, false), ` IPv4 Crypto IKEv2  SA 

Tunnel-id Local                 Remote                fvrf/ivrf            Status 
6         203.0.113.10/500      203.0.113.20/500      none/none            READY  
      Encr: AES-CBC, keysize: 256, PRF: SHA256, Hash: SHA256, DH Grp:14, Auth sign: PSK, Auth verify: PSK
      Life/Active Time: 28800/3000 sec

Tunnel-id Local                 Remote                fvrf/ivrf            Status 
0         203.0.113.10/500      203.0.113.20/500      none/none            IN-NEG 
      Encr: Unknown - 0, PRF: Unknown - 0, Hash: None, DH Grp:0, Auth sign: Unknown - 0, Auth verify: Unknown - 0
      Life/Active Time: 0/0 sec

 IPv6 Crypto IKEv2  SA 

`)
}

func TestIKEv2SADetail(t *testing.T) {
	_, detail, _ := strings.Cut(text(t, NewIKEv2SAs(busy(), true)), "28800/3000 sec\n")
	want := `      CE id: 0, Session-id: 6
      Local spi: 000000000000000A       Remote spi: 000000000000000B
      Status Description: Negotiation done
      Local id: hub.example.net
      Remote id: east?[31m?Tunnel-id 9
      Local req msg id:  12             Remote req msg id:  9         
      Local next msg id: 12             Remote next msg id: 9         
      Local req queued:  12             Remote req queued:  9         
      Local window:      1              Remote window:      1         
      DPD configured for 0 seconds, retry 0
      Fragmentation not  configured.
      Dynamic Route Update: disabled
      Extended Authentication not configured.
      NAT-T is detected outside  
      Cisco Trust Security SGT is disabled
      Initiator of SA : No
      PEER TYPE: Other

 IPv6 Crypto IKEv2  SA 

`
	if detail != want {
		t.Errorf("got\n%s\nwant\n%s", detail, want)
	}
}

func TestIPv6PeersStandUnderTheirOwnHead(t *testing.T) {
	s := busy()
	s.IKE[0].Local, s.IKE[0].Remote = addrPort("[2001:db8::1]:500"), addrPort("[2001:db8::2]:500")
	_, six, ok := strings.Cut(text(t, NewIKEv2SAs(s, false)), " IPv6 Crypto IKEv2  SA \n\n")
	if !ok || !strings.Contains(six, "6         2001:db8::1/500       2001:db8::2/500       none/none            READY") {
		t.Errorf("%s", six)
	}
}

func TestStatusOfAnIKESAIsExplained(t *testing.T) {
	for _, c := range []struct {
		sa        IKEv2SA
		what, nat string
	}{
		{IKEv2SA{Status: "DELETE", NATLocal: true}, "Deleting IKE SA", "detected inside"},
		{IKEv2SA{Status: "IN-NEG", Initiator: true}, "Initiator waiting for response", "not detected"},
		{IKEv2SA{Status: "IN-NEG", NATLocal: true, NATRemote: true}, "Responder waiting for request", "detected inside and outside"},
	} {
		if c.sa.description() != c.what || c.sa.nat() != c.nat {
			t.Errorf("%+v: %s, %s", c.sa, c.sa.description(), c.sa.nat())
		}
	}
}

func TestIKEv2SessionsListTheirChildren(t *testing.T) {
	s := busy()
	s.IKE = append(s.IKE, s.IKE[0]) // a second IKE SA of the same peer, as after a crossing
	s.IKE[1].Children = nil
	got := text(t, NewIKEv2Sessions(s))
	want := ` IPv4 Crypto IKEv2 Session 

Session-id:6, Status:UP-ACTIVE, IKE count:2, CHILD count:1

Tunnel-id Local                 Remote                fvrf/ivrf            Status 
6         203.0.113.10/500      203.0.113.20/500      none/none            READY  
      Encr: AES-CBC, keysize: 256, PRF: SHA256, Hash: SHA256, DH Grp:14, Auth sign: PSK, Auth verify: PSK
      Life/Active Time: 28800/3000 sec

Child sa:
          local selector       ->      remote selector
          10.8.0.0/0 - 10.8.3.255/65535    ->    10.9.0.5/53 - 10.9.0.9/53
          ESP spi in/out: 0x3333CCCC/0x4444DDDD  

Tunnel-id Local                 Remote                fvrf/ivrf            Status 
6         203.0.113.10/500      203.0.113.20/500      none/none            READY  
      Encr: AES-CBC, keysize: 256, PRF: SHA256, Hash: SHA256, DH Grp:14, Auth sign: PSK, Auth verify: PSK
      Life/Active Time: 28800/3000 sec

 IPv6 Crypto IKEv2 Session 

`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSessionsOfPeersThatAreNotIdentifiedStayApart(t *testing.T) {
	s := busy()
	s.IKE[0].Owner, s.IKE[0].State, s.IKE[0].Children = sa.NoOwner, "IN-NEG", nil
	s.IKE = append(s.IKE, s.IKE[0])
	v := NewIKEv2Sessions(s)
	if len(v.Sessions) != 2 || v.Sessions[0].Status != downNegotiating {
		t.Errorf("%+v", v.Sessions)
	}
	s.IKE[0].State = "READY"
	if v := NewIKEv2Sessions(s); v.Sessions[0].Status != upIdle {
		t.Errorf("%+v", v.Sessions)
	}
}

func TestIKEv2AsDataHasTheSameFacts(t *testing.T) {
	one := data(t, NewIKEv2SAs(busy(), false))["sas"].([]any)[0].(map[string]any)
	for key, want := range map[string]any{
		"tunnel": "Tunnel3", "status": "READY", "local": "203.0.113.10:500", "remote_id": "east?[31m?Tunnel-id 9", "active_seconds": 3000.0,
		"established": "2026-05-06T06:18:09.25Z", "nat_remote": true, "dpd": nil,
	} {
		if one[key] != want {
			t.Errorf("%s: %v, want %v", key, one[key], want)
		}
	}
	child := one["children"].([]any)[0].(map[string]any)
	if child["remote_selectors"].([]any)[0] != "10.9.0.5-10.9.0.9[udp/53]" || child["local_selectors"].([]any)[0] != "10.8.0.0/22" {
		t.Errorf("%v", child)
	}
}
