package show

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func wan() Interface {
	return Interface{Name: "Tunnel12", Description: "to\tthe east", Unit: 12, AdminUp: true, LineUp: true, Since: now.Add(-3 * time.Hour), Flaps: 5,
		Address: netip.MustParsePrefix("172.20.0.9/29"), MTU: 1390, AdjustMSS: 1340, SourceIF: "eth1", Source: here, Destination: east, Profile: "GOLD",
		In:  Traffic{Packets: 10, Octets: 1000, Dropped: 3, Last: now.Add(-90 * time.Second)},
		Out: Traffic{Packets: 20, Octets: 2000, Dropped: 6, Last: now.Add(-30 * time.Hour)}}
}

func TestInterfaceHasTheLayoutOfIOS(t *testing.T) {
	same(t, NewInterfaces([]Interface{wan()}, now), `Tunnel12 is up, line protocol is up
  Hardware is Tunnel
  Description: to?the east
  Internet address is 172.20.0.9/29
  MTU 1390 bytes, BW 100 Kbit/sec, DLY 50000 usec,
  Encapsulation TUNNEL, loopback not set
  Keepalive not set
  Tunnel linestate evaluation up
  Tunnel source 203.0.113.10 (eth1), destination 203.0.113.20
  Tunnel protocol/transport IPSEC/IP
  Tunnel transport MTU 1390 bytes
  TCP adjust-mss 1340 bytes
  Tunnel protection via IPSec (profile "GOLD")
  Last input 00:01:30, output 1d06h, output hang never
  Last clearing of "show interface" counters never
  Last link flapped 03:00:00, line protocol changed 5 times
  Input queue: 0/0/0/0 (size/max/drops/flushes); Total output drops: 6
  Queueing strategy: fifo
  Output queue: 0/0 (size/max)
     10 packets input, 1000 bytes, 0 no buffer
     Received 0 broadcasts (0 IP multicasts)
     0 runts, 0 giants, 0 throttles
     3 input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored, 0 abort
     20 packets output, 2000 bytes, 0 underruns
     0 output errors, 0 collisions, 0 interface resets
     0 unknown protocol drops
     0 output buffer failures, 0 output buffers swapped out
`)
}

func TestWhyALineIsDown(t *testing.T) {
	for want, change := range map[string]func(*Interface){
		"Tunnel12 is up, line protocol is down\n":                                    func(i *Interface) {},
		"  Tunnel linestate evaluation down - linestate protection reg down\n":       func(i *Interface) {},
		"  Tunnel linestate evaluation down - recursive routing\n":                   func(i *Interface) { i.Recursive = true },
		"Tunnel12 is administratively down, line protocol is down\n":                 func(i *Interface) { i.AdminUp = false },
		"  Tunnel linestate evaluation down - administratively down\n":               func(i *Interface) { i.AdminUp = false },
		"  Tunnel source 0.0.0.0 (eth1), destination 203.0.113.20\n":                 func(i *Interface) { i.Source = netip.Addr{} },
		"  Last clearing of \"show interface\" counters never\n  Input queue: 0/0/0": func(i *Interface) { i.Since = time.Time{} },
	} {
		i := wan()
		i.LineUp = false
		change(&i)
		if got := text(t, NewInterfaces([]Interface{i}, now)); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestInterfacesAsDataHaveTheSameFacts(t *testing.T) {
	one := data(t, NewInterfaces([]Interface{wan()}, now))["interfaces"].([]any)[0].(map[string]any)
	if one["name"] != "Tunnel12" || one["line_up"] != true || one["address"] != "172.20.0.9/29" || one["output"].(map[string]any)["dropped"] != 6.0 ||
		one["since"] != "2026-05-06T04:08:09.25Z" {
		t.Errorf("%v", one)
	}
	empty := data(t, NewInterfaces([]Interface{{Name: "Tunnel1"}}, now))["interfaces"].([]any)[0].(map[string]any)
	for _, key := range []string{"since", "address", "source", "destination"} {
		if v, there := empty[key]; there {
			t.Errorf("%s without a value is %v", key, v)
		}
	}
}
