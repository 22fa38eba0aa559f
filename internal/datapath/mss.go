package datapath

import (
	"encoding/binary"

	"lockstep/internal/wire/ip"
)

// TCP options (RFC 9293 §3.1).
const (
	optEnd = 0
	optNop = 1
	optMSS = 2
	mssLen = 4
)

// clampMSS lowers the maximum segment size that a SYN asks for to at most mss (`ip tcp adjust-mss`) and corrects the
// checksum. Other packets, and SYNs without the option, stay as they are.
func clampMSS(pkt []byte, p *ip.Packet, mss int) {
	if p.Protocol != ip.ProtoTCP || p.Fragment() || p.UpperLen() < tcpLeast {
		return
	}
	tcp := pkt[p.HeaderLen:p.TotalLen]
	end := int(tcp[tcpDataAt]>>4) * 4
	if tcp[tcpFlagsAt]&tcpSYN == 0 || end > len(tcp) {
		return
	}
	for at := tcpLeast; at < end && tcp[at] != optEnd; {
		if tcp[at] == optNop {
			at++
			continue
		}
		if at+1 >= end || tcp[at+1] < 2 || at+int(tcp[at+1]) > end {
			return
		}
		if tcp[at] == optMSS && tcp[at+1] == mssLen {
			lowerMSS(tcp, at+2, uint16(mss))
			return
		}
		at += int(tcp[at+1])
	}
}

func lowerMSS(tcp []byte, at int, mss uint16) {
	old := binary.BigEndian.Uint16(tcp[at:])
	if old <= mss {
		return
	}
	binary.BigEndian.PutUint16(tcp[at:], mss)
	check := binary.BigEndian.Uint16(tcp[tcpCsumAt:])
	if at%2 != 0 { // behind an odd number of NOPs the field lies across two words of the sum, octets swapped
		old, mss = old<<8|old>>8, mss<<8|mss>>8
	}
	binary.BigEndian.PutUint16(tcp[tcpCsumAt:], ip.UpdateChecksum(check, old, mss))
}
