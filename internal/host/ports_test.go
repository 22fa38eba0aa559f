package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestHolderOfAPortIsNamed(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := c.LocalAddr().(*net.UDPAddr).AddrPort()
	me := fmt.Sprintf("(pid %d)", os.Getpid())
	if got := UDPHolder(at); !strings.HasSuffix(got, me) {
		t.Errorf("%v is held by %q, want … %s", at, got, me)
	}
	if got := UDPHolder(netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())); !strings.HasSuffix(got, me) {
		t.Errorf("the wildcard conflicts with %v, but is held by %q", at, got)
	}
	if got := UDPHolder(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port())); got != "" {
		t.Errorf("another address is held by %q", got)
	}
	c.Close()
	if got := UDPHolder(at); got != "" {
		t.Errorf("a closed port is held by %q", got)
	}
}

func TestProcAddressParses(t *testing.T) {
	// As a little-endian machine prints them.
	for in, want := range map[string]string{
		"0100007F:01F4":                         "127.0.0.1:500",
		"00000000:1194":                         "0.0.0.0:4500",
		"00000000000000000000000001000000:01F4": "[::1]:500",
	} {
		if got, ok := procAddr(in); !ok || got.String() != want {
			t.Errorf("%s: %v %v, want %s", in, got, ok, want)
		}
	}
	for _, bad := range []string{"", "0100007F", "0100:01F4", "zz:1", "0100007F:", "0100007F:10000"} {
		if got, ok := procAddr(bad); ok {
			t.Errorf("%q parsed as %v", bad, got)
		}
	}
}
