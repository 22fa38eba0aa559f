package datapath

import "encoding/binary"

// struct virtio_net_hdr (Virtual I/O Device 1.2 §5.1.6); numbers are the host's.
const (
	needsCsum  = 1
	gsoNone    = 0
	gsoTCPv4   = 1
	gsoTCPv6   = 4
	gsoUDP     = 5
	gsoECN     = 0x80 // with a TCP type: the first segment has CWR
	tcpCsumAt  = 16
	udpCsumAt  = 6
	virtioHdr  = 2
	virtioSize = 4
	virtioFrom = 6
	virtioAt   = 8
)

// virtio is the header of a frame.
type virtio struct {
	flags, gso         uint8
	hdrLen, gsoSize    uint16
	csumStart, csumOff uint16
}

func readVirtio(b []byte) virtio {
	n := binary.NativeEndian
	return virtio{flags: b[0], gso: b[1], hdrLen: n.Uint16(b[virtioHdr:]), gsoSize: n.Uint16(b[virtioSize:]),
		csumStart: n.Uint16(b[virtioFrom:]), csumOff: n.Uint16(b[virtioAt:])}
}

func (v virtio) put(b []byte) {
	n := binary.NativeEndian
	b[0], b[1] = v.flags, v.gso
	n.PutUint16(b[virtioHdr:], v.hdrLen)
	n.PutUint16(b[virtioSize:], v.gsoSize)
	n.PutUint16(b[virtioFrom:], v.csumStart)
	n.PutUint16(b[virtioAt:], v.csumOff)
}
