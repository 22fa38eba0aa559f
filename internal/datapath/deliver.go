package datapath

import (
	"bytes"
	"encoding/binary"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/wire/ip"
)

// maxMerged bounds the packets of one written frame, maxFrame its octets: an IP packet's length field.
const (
	maxMerged = 64
	maxFrame  = 65535
)

// delivery writes decrypted packets to devices. Consecutive segments of one TCP flow become one frame, which the kernel
// carries like one packet (generic receive offload, done here because the kernel does it for real network cards only).
// Packets are referred to where they lie, and written by flush: what holds them must not be used again before.
type delivery struct {
	w     *worker
	to    *tunnel
	now   time.Time // of what is delivered
	count tallied

	head   [VirtioLen]byte
	iov    [][]byte // head, first packet, payloads of the others
	merged int      // packets
	octets int      // of them as they came
	total  int      // octets of the merged packet

	// Of the first packet, for those that would join it.
	packet ip.Packet
	header int    // octets before its payload
	size   int    // of its payload
	next   uint32 // sequence number that continues it
	push   bool   // the last one had PSH
	open   bool   // more may join
}

func (d *delivery) init(w *worker) {
	d.w = w
	d.iov = make([][]byte, 0, maxMerged+1)
}

// forget gives up what is not written yet.
func (d *delivery) forget() { d.iov, d.merged, d.octets, d.total, d.open = d.iov[:0], 0, 0, 0, false }

// add takes a packet for a tunnel. p describes it.
func (d *delivery) add(t *tunnel, pkt []byte, p *ip.Packet) {
	header, mergeable := tcpData(pkt, p)
	if mergeable && d.joins(t, pkt, header) {
		d.join(pkt, header)
		return
	}
	d.write()
	d.to, d.merged, d.octets, d.total = t, 1, len(pkt), len(pkt)
	d.iov = append(d.iov, d.head[:], pkt)
	if !mergeable {
		d.write()
		return
	}
	d.packet, d.header, d.size = *p, header, len(pkt)-header
	tcp := pkt[p.HeaderLen:]
	d.next = binary.BigEndian.Uint32(tcp[tcpSeqAt:]) + uint32(d.size)
	d.push = tcp[tcpFlagsAt]&tcpPSH != 0
	d.open = !d.push
}

// tcpData says whether a packet is plain TCP data that may be merged, and how long its headers are. Its checksums are
// verified, because a merged packet tells the kernel that they are good.
func tcpData(pkt []byte, p *ip.Packet) (header int, ok bool) {
	plain := p.Version == 4 && p.HeaderLen == ip.IPv4HeaderLen || p.Version == 6 && p.HeaderLen == ip.IPv6HeaderLen
	if p.Protocol != ip.ProtoTCP || !plain || p.Fragment() || p.UpperLen() < tcpLeast || len(pkt) != p.TotalLen {
		return 0, false
	}
	tcp := pkt[p.HeaderLen:]
	data := int(tcp[tcpDataAt]>>4) * 4
	if tcp[tcpFlagsAt]&^tcpPSH != tcpACK || data < tcpLeast || data >= len(tcp) {
		return 0, false
	}
	if !ip.HeaderChecksumOK(pkt) {
		return 0, false
	}
	good, known := p.TransportChecksumOK(pkt)
	return p.HeaderLen + data, good && known
}

// joins says that pkt continues what is being gathered: the same headers but for length, ID, sequence number, PSH and
// checksums, no gap, not longer than the first.
func (d *delivery) joins(t *tunnel, pkt []byte, header int) bool {
	if !d.open || d.merged == 0 || d.to != t || header != d.header || d.merged == maxMerged ||
		len(pkt)-header > d.size || d.total+len(pkt)-header > maxFrame {
		return false
	}
	first, at := d.iov[1], d.packet.HeaderLen
	if binary.BigEndian.Uint32(pkt[at+tcpSeqAt:]) != d.next || first[0]>>4 != pkt[0]>>4 {
		return false
	}
	if d.packet.Version == 4 {
		// Version and TOS; flags, TTL and protocol; addresses.
		if !bytes.Equal(first[:2], pkt[:2]) || !bytes.Equal(first[6:10], pkt[6:10]) || !bytes.Equal(first[12:20], pkt[12:20]) {
			return false
		}
	} else if !bytes.Equal(first[:4], pkt[:4]) || !bytes.Equal(first[6:40], pkt[6:40]) {
		return false
	}
	a, b := first[at:header], pkt[at:header]
	return bytes.Equal(a[:tcpSeqAt], b[:tcpSeqAt]) && bytes.Equal(a[8:tcpFlagsAt], b[8:tcpFlagsAt]) && // ports; ACK number, length
		bytes.Equal(a[14:tcpCsumAt], b[14:tcpCsumAt]) && bytes.Equal(a[18:], b[18:]) // window; urgent pointer, options
}

func (d *delivery) join(pkt []byte, header int) {
	n := len(pkt) - header
	d.iov = append(d.iov, pkt[header:])
	d.merged++
	d.octets += len(pkt)
	d.total += n
	d.next += uint32(n)
	d.push = pkt[d.packet.HeaderLen+tcpFlagsAt]&tcpPSH != 0
	d.open = !d.push && n == d.size
}

// flush writes what was gathered, and counts it.
func (d *delivery) flush() {
	d.write()
	d.settle()
}

// write writes what was gathered.
func (d *delivery) write() {
	if d.merged == 0 {
		return
	}
	var v virtio
	if d.merged > 1 {
		v = d.merge()
	}
	v.put(d.head[:])
	if err := d.to.device.WriteFrame(d.iov); err != nil {
		for i := range d.merged {
			d.w.drops.Drop(reason.DeviceWriteFailed, len(d.iov[i+1]))
		}
		d.w.report(err)
		d.lost(d.to, d.merged)
	} else {
		d.counts(d.to)
		d.count.packets += d.merged
		d.count.octets += d.octets
	}
	d.forget()
}

// lost counts packets that came for a tunnel and do not reach its device.
func (d *delivery) lost(t *tunnel, packets int) {
	d.counts(t)
	d.count.dropped += packets
}

// counts makes t the tunnel that is counted for.
func (d *delivery) counts(t *tunnel) {
	if d.count.of != t {
		d.settle()
		d.count.of = t
	}
}

// settle adds what this loop has counted to the tunnel's own counters: once a run, not once a packet.
func (d *delivery) settle() {
	if c := &d.count; c.of != nil {
		c.of.in.add(c.packets, c.octets, c.dropped, d.now)
		*c = tallied{}
	}
}

// merge makes the first packet's headers those of all, checksum left to the kernel.
func (d *delivery) merge() virtio {
	p, first := &d.packet, d.iov[1]
	v := virtio{flags: needsCsum, gso: gsoTCPv6, hdrLen: uint16(d.header), gsoSize: uint16(d.size), csumStart: uint16(p.HeaderLen), csumOff: tcpCsumAt}
	if p.Version == 4 {
		v.gso = gsoTCPv4
		binary.BigEndian.PutUint16(first[2:], uint16(d.total))
		ip.SetHeaderChecksum(first)
	} else {
		binary.BigEndian.PutUint16(first[4:], uint16(d.total-ip.IPv6HeaderLen))
	}
	tcp := first[p.HeaderLen:]
	if d.push {
		tcp[tcpFlagsAt] |= tcpPSH
	}
	binary.BigEndian.PutUint16(tcp[tcpCsumAt:], ip.PseudoSum(p.Src, p.Dst, ip.ProtoTCP, d.total-p.HeaderLen))
	return v
}
