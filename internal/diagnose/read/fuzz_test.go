package read

import (
	"strings"
	"testing"

	"lockstep/internal/diagnose/evidence"
)

// fuzzReader checks of one reader that it never panics, and that what it takes is whole.
func fuzzReader(f *testing.F, read func(*dressed, *evidence.Event) understood, seeds ...string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		d := undress(msg)
		var ev evidence.Event
		if read(&d, &ev) == taken && ev.Kind == evidence.InvalidSPI && (!ev.Dst.IsValid() || ev.Proto != 50 && ev.Proto != 51) {
			t.Fatalf("%q gives %+v", msg, ev)
		}
	})
}

func FuzzIOS(f *testing.F) {
	fuzzReader(f, iosMessage, "Feb 20 11:00:00: "+invalid, "%IOSXE-3-PLATFORM: R0/0: cpp_cp: QFP:0.0 "+invalid, "%SYS-6-SUPPRESSED: 4 more of %CRYPTO-4-RECVD_PKT_INV_SPI")
}

func FuzzIOSDebug(f *testing.F) {
	fuzzReader(f, iosDebug, "ISAKMP-ERROR: (0):ignoring request to send delete notify (no ISAKMP sa) src 192.0.2.2 dst 198.51.100.9 for SPI 0xC0FFEE01",
		"IPSEC-EVENT:IPSEC-DELETE-SA:  sa delete : (sa) sa_dest = 192.0.2.2, sa_proto = 50, sa_spi = 0xC0FFEE01(3237998081)")
}

func FuzzASA(f *testing.F) {
	fuzzReader(f, asaMessage, "%ASA-4-402114: IPSEC: Received an ESP packet (SPI= 0xC0FFEE01, sequence number= 0x2A) from 198.51.100.9 to 192.0.2.2 with an invalid SPI.")
}

func FuzzCharon(f *testing.F) {
	fuzzReader(f, charonMessage, "05[IKE] <net|3> CHILD_SA net{7} established with SPIs c0ffee01_i 0badcafe_o and TS a === b")
}

func FuzzPluto(f *testing.F) {
	fuzzReader(f, plutoMessage, `"net"[2] 198.51.100.9 #5: received Delete SA(0xc0ffee01) payload: deleting IPsec State #3`)
}

func FuzzXFRM(f *testing.F) {
	fuzzReader(f, xfrmMessage, "audit: type=1415 audit(1771587599.250:7): op=SA-notfound src=198.51.100.9 dst=192.0.2.2 spi=3237998081(0xc0ffee01) seqno=9")
}

// FuzzLog reads whole texts: dressings, cut lines, wrapped messages, clocks.
func FuzzLog(f *testing.F) {
	f.Add("<188>1 2026-02-20T11:39:59.250Z h - - - [x a=\"b\"] " + invalid + "\n")
	f.Add("Feb 20 11:40:01 hub-1 39: hub-1: *Feb 20 11:39:59.250: " + invalid[:90] + "\n" + invalid[90:])
	f.Add(`{"__REALTIME_TIMESTAMP":"1771587599250000","MESSAGE":[49,50]}` + "\ncharon")
	f.Fuzz(func(t *testing.T, text string) {
		_, span := readText(t, text)
		if want := strings.Count(text, "\n"); span.Lines < want || span.Lines > want+1 {
			t.Fatalf("%d lines, %d newlines", span.Lines, want)
		}
	})
}
