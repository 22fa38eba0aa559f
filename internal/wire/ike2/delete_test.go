package ike2

import "testing"

func TestDeleteRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadDelete, []body{
		{"one child", "03 04 0001 f4dc0ae5", &Delete{ProtoESP, []uint32{0xf4dc0ae5}}, ""},
		{"two children", "02 04 0002 00000100 ffffffff", &Delete{ProtoAH, []uint32{0x100, 0xffffffff}}, ""},
		{"IKE SA", "01 00 0000", &Delete{Protocol: ProtoIKE}, ""},
		{"IKE SA, counted", "01 00 0001", &Delete{Protocol: ProtoIKE}, "01 00 0000"},
		{"nobody", "03 00 0000", &Delete{Protocol: ProtoESP}, "03 04 0000"},
	})
}

func TestDeleteRefused(t *testing.T) {
	bodiesRefused(t, PayloadDelete, []flaw{
		{"empty", "", 0},
		{"three octets", "030400", 0},
		{"SPIs of 8 octets", "03 08 0001 0000000000000000", 1},
		{"IKE with SPI", "01 08 0001 0000000000000000", 1},
		{"IKE with SPI of 4", "01 04 0001 00000000", 1},
		{"fewer than announced", "03 04 0002 00000100", 2},
		{"more than announced", "03 04 0001 00000100 00000101", 2},
		{"half an SPI", "03 04 0001 0000", 2},
		{"announced 65535", "03 04 ffff", 2},
		{"octets behind nobody", "03 00 0000 00", 2},
	})
}

func FuzzDelete(f *testing.F) {
	fuzzBody(f, PayloadDelete, "03 04 0001 f4dc0ae5", "01 00 0000", "03 04 ffff")
}
