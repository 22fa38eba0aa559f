package ike2

import (
	"strings"
	"testing"
)

func TestCPRoundTrip(t *testing.T) {
	bodiesRoundTrip(t, PayloadCP, []body{
		{"request", "01 000000 0001 0000 0003 0000", &CP{CPRequest, []CPAttribute{{Type: 1}, {Type: 3}}}, ""},
		{"reply", "02 000000 0001 0004 0a000001 0007 0001 78", &CP{CPReply, []CPAttribute{{1, []byte{10, 0, 0, 1}}, {7, []byte("x")}}}, ""},
		{"reserved is ignored", "03 ffffff 8001 0000", &CP{CPSet, []CPAttribute{{Type: 1}}}, "03 000000 0001 0000"},
		{"without attributes", "04 000000", &CP{Kind: CPAck}, ""},
	})
}

func TestCPRefused(t *testing.T) {
	bodiesRefused(t, PayloadCP, []flaw{
		{"empty", "", 0},
		{"three octets", "010000", 0},
		{"attribute of three octets", "01 000000 0001 00", 4},
		{"attribute beyond the payload", "01 000000 0001 0002 ff", 6},
		{"second attribute beyond the payload", "01 000000 0001 0001 ff 0001 ffff", 11},
		{"1025 attributes", "01 000000" + strings.Repeat("0001 0000", 1025), 4 + 1024*4},
	})
}

func FuzzCP(f *testing.F) {
	fuzzBody(f, PayloadCP, "02 000000 0001 0004 0a000001 0007 0001 78", "01 000000 8001 0000")
}
