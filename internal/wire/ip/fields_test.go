package ip

import "testing"

func TestTrafficClassOfBothVersions(t *testing.T) {
	for name, b := range map[string][]byte{
		"ipv4": unhex(t, "4500001c123440004011ffff"+v4Addrs+"01f411940008aaaa"),
		"ipv6": unhex(t, "600abcde00003b40"+v6Addrs),
	} {
		t.Run(name, func(t *testing.T) {
			SetHeaderChecksum(b)
			SetTrafficClass(b, 46<<2|ECT0)
			if DSCP(b) != 46 || ECN(b) != ECT0 || TrafficClass(b) != 46<<2|ECT0 {
				t.Errorf("class %02x", TrafficClass(b))
			}
			SetECN(b, CE)
			if DSCP(b) != 46 || ECN(b) != CE {
				t.Errorf("class %02x after marking", TrafficClass(b))
			}
			if !HeaderChecksumOK(b) || b[0]>>4 == 6 && (b[1]&0x0f != 0x0a || b[2] != 0xbc || b[0] != 0x6b) {
				t.Errorf("spoilt: %x", b)
			}
		})
	}
}

// RFC 6040 §4.2, table 4, cell by cell: rows inner, columns outer Not-ECT, ECT(0), ECT(1), CE.
func TestDecapsulatedECNIsTheTableOfRFC6040(t *testing.T) {
	const drop = 0xff
	outer := []uint8{NotECT, ECT0, ECT1, CE}
	for inner, row := range map[uint8][]uint8{
		NotECT: {NotECT, NotECT, NotECT, drop},
		ECT0:   {ECT0, ECT0, ECT1, CE},
		ECT1:   {ECT1, ECT1, ECT1, CE},
		CE:     {CE, CE, CE, CE},
	} {
		for i, want := range row {
			got, ok := DecapsulatedECN(inner, outer[i])
			if ok != (want != drop) || ok && got != want {
				t.Errorf("inner %d, outer %d: %d, %v", inner, outer[i], got, ok)
			}
		}
	}
}

func TestDecrementTTLStopsAtOne(t *testing.T) {
	for name, b := range map[string][]byte{
		"ipv4": unhex(t, "45000014000000000211ffff"+v4Addrs),
		"ipv6": unhex(t, "6000000000003b02"+v6Addrs),
	} {
		SetHeaderChecksum(b)
		if TTL(b) != 2 || !DecrementTTL(b) || TTL(b) != 1 {
			t.Errorf("%s: from 2 to %d", name, TTL(b))
		}
		if DecrementTTL(b) || TTL(b) != 1 {
			t.Errorf("%s: below 1: %d", name, TTL(b))
		}
		if !HeaderChecksumOK(b) {
			t.Errorf("%s: checksum wrong", name)
		}
	}
}

func TestSetDFChangesOneBit(t *testing.T) {
	b := unhex(t, "45000014000020004011ffff"+v4Addrs)
	SetHeaderChecksum(b)
	SetDF(b, true)
	if b[6] != 0x60 || !HeaderChecksumOK(b) {
		t.Errorf("set: %x", b)
	}
	SetDF(b, false)
	if b[6] != 0x20 || !HeaderChecksumOK(b) {
		t.Errorf("cleared: %x", b)
	}
}
