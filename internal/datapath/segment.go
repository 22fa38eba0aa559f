package datapath

import (
	"encoding/binary"

	"lockstep/internal/wire/ip"
)

// TCP flags (RFC 9293 §3.1, RFC 3168 §6.1).
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpPSH = 0x08
	tcpACK = 0x10
	tcpCWR = 0x80

	tcpSeqAt    = 4
	tcpDataAt   = 12
	tcpFlagsAt  = 13
	tcpLeast    = 20
	udpLengthAt = 4
)

// frame is what a device gave: one packet, or one that stands for several of one flow (generic segmentation offload).
type frame struct {
	pkt    []byte // the IP packet
	packet ip.Packet
	// size is the payload of each segment but the last; 0: pkt is one packet, complete. The others are for segments only.
	size   int
	header int // octets before the payload
	gso    uint8
}

// parse reads a frame, virtio-net header first, and completes what the kernel left to be done (checksums). Not ok: it is
// no IP packet, or the two headers contradict each other. b is changed and stays part of the frame.
func (f *frame) parse(b []byte) bool {
	if len(b) < VirtioLen {
		return false
	}
	v := readVirtio(b)
	pkt := b[VirtioLen:]
	p, flaw := ip.Parse(pkt)
	if flaw != ip.NoFlaw {
		return false
	}
	*f = frame{pkt: pkt[:p.TotalLen], packet: p}
	switch v.gso &^ gsoECN {
	case gsoNone:
		// The sum begins behind the IP header at the earliest: it must not change what was parsed.
		return v.flags&needsCsum == 0 || int(v.csumStart) >= p.HeaderLen && ip.FinishChecksum(f.pkt, int(v.csumStart), int(v.csumOff))
	case gsoTCPv4:
		return p.Version == 4 && f.segmented(v, ip.ProtoTCP)
	case gsoTCPv6:
		return p.Version == 6 && f.segmented(v, ip.ProtoTCP)
	case gsoUDP:
		return f.segmented(v, ip.ProtoUDP)
	}
	return false
}

// segmented prepares a frame of several packets. The header length is taken from the packet: virtio's is a hint.
func (f *frame) segmented(v virtio, protocol uint8) bool {
	p := &f.packet
	if p.Protocol != protocol || p.Fragment() || v.gsoSize == 0 {
		return false
	}
	f.gso, f.size = v.gso, int(v.gsoSize)
	f.header = p.HeaderLen + ip.UDPHeaderLen
	if protocol == ip.ProtoTCP {
		if p.UpperLen() < tcpLeast {
			return false
		}
		data := int(f.pkt[p.HeaderLen+tcpDataAt]>>4) * 4
		if data < tcpLeast {
			return false
		}
		f.header = p.HeaderLen + data
	}
	return f.header < len(f.pkt)
}

// count is the number of packets in the frame.
func (f *frame) count() int {
	if f.size == 0 {
		return 1
	}
	return (len(f.pkt) - f.header + f.size - 1) / f.size
}

// length is that of packet k.
func (f *frame) length(k int) int {
	if f.size == 0 {
		return len(f.pkt)
	}
	return f.header + min(f.size, len(f.pkt)-f.header-k*f.size)
}

// put writes packet k with its checksums to dst, which has length(k) octets. For one out of several: length fields and
// IPv4 ID count on, FIN and PSH belong to the last, CWR to the first (RFC 9293 §3.1, RFC 3168 §6.1.2).
func (f *frame) put(dst []byte, k int) {
	if f.size == 0 {
		copy(dst, f.pkt)
		return
	}
	at := k * f.size
	copy(dst, f.pkt[:f.header])
	copy(dst[f.header:], f.pkt[f.header+at:])
	p := &f.packet
	if p.Version == 4 {
		binary.BigEndian.PutUint16(dst[2:], uint16(len(dst)))
		binary.BigEndian.PutUint16(dst[4:], uint16(p.ID)+uint16(k))
		ip.SetHeaderChecksum(dst)
	} else {
		binary.BigEndian.PutUint16(dst[4:], uint16(len(dst)-ip.IPv6HeaderLen))
	}
	upper := dst[p.HeaderLen:]
	csum := udpCsumAt
	if p.Protocol == ip.ProtoTCP {
		csum = tcpCsumAt
		f.putTCP(upper, at, k)
	} else {
		binary.BigEndian.PutUint16(upper[udpLengthAt:], uint16(len(upper)))
	}
	binary.BigEndian.PutUint16(upper[csum:], 0)
	sum := ^ip.Sum(upper, ip.PseudoSum(p.Src, p.Dst, p.Protocol, len(upper)))
	if sum == 0 && p.Protocol == ip.ProtoUDP {
		sum = 0xffff // RFC 768: 0 would say that there is none
	}
	binary.BigEndian.PutUint16(upper[csum:], sum)
}

func (f *frame) putTCP(tcp []byte, at, k int) {
	seq := binary.BigEndian.Uint32(tcp[tcpSeqAt:])
	binary.BigEndian.PutUint32(tcp[tcpSeqAt:], seq+uint32(at))
	if k != f.count()-1 {
		tcp[tcpFlagsAt] &^= tcpFIN | tcpPSH
	}
	if k != 0 {
		tcp[tcpFlagsAt] &^= tcpCWR
	}
}
