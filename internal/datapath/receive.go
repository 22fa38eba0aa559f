package datapath

import (
	"net/netip"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

const (
	// ringLen buffers are filled before what lies in them must have been written: a frame may stay open over several
	// reads, which is worth a tenth of a TCP stream's throughput.
	ringLen = 4
	runCap  = 1 << 16
	// maxRow is how many packets of one SA are opened in one go.
	maxRow = 64
	// leastUDP is the shortest datagram on UDP 4500 that is neither keepalive nor too short for anything (RFC 3948 §2).
	leastUDP = esp.HeaderLen
	// clockEvery runs in a row, none of which waited, share one reading of the clock: at most about a millisecond.
	clockEvery = 16
)

// receiver is the loop of one wire.
type receiver struct {
	*worker
	wire  Wire
	run   Run
	ring  [ringLen][]byte
	row   [maxRow][]byte
	good  [maxRow]opened
	out   delivery
	round func()
	asked sa.SPI // the last one that Early was told of
	now   time.Time
	age   int // runs since the burst began
}

// opened is a packet that came out of an SA.
type opened struct {
	pkt    []byte
	packet ip.Packet
}

func newReceiver(p *Plane, w Wire, local netip.AddrPort) *receiver {
	r := &receiver{worker: p.worker("wire " + local.String()), wire: w}
	for i := range r.ring {
		r.ring[i] = make([]byte, runCap)
	}
	r.out.init(r.worker)
	r.round, r.reset = r.burst, r.out.forget
	return r
}

func (r *receiver) loop() {
	pause := firstPause
	for {
		r.room(0)
		if err := r.wire.Recv(&r.run); err != nil {
			if !r.again(err, &pause) {
				return
			}
			continue
		}
		pause = 0
		r.turn(r.round)
	}
}

// room makes the run ready to be filled.
func (r *receiver) room(i int) { r.run = Run{Buf: r.ring[i][:0]} }

// burst handles the run that is there and those that follow without a wait.
func (r *receiver) burst() {
	r.age = 0
	r.process()
	for i := 1; ; i = (i + 1) % ringLen {
		if i == 0 {
			r.out.flush()
		}
		r.room(i)
		if r.wire.TryRecv(&r.run) != nil {
			break // nothing there; an error comes again from Recv
		}
		r.process()
	}
	r.out.flush()
}

// process handles one run: its ESP is opened in rows of one SPI.
func (r *receiver) process() {
	if r.age%clockEvery == 0 {
		r.now = r.p.opt.Now()
		r.out.now = r.now
	}
	r.age++
	buf, seg := r.run.Buf, r.run.Seg
	if seg <= 0 || seg > len(buf) {
		seg = len(buf)
	}
	if !r.run.Remote.IsValid() || !r.run.Local.IsValid() || r.run.Local.Port() != 0 && r.run.Remote.Port() == 0 {
		r.drops.Drop(reason.OuterMalformed, len(buf))
		return
	}
	n, row := 0, sa.SPI(0)
	for more := true; more; more = len(buf) > 0 {
		d := buf[:min(seg, len(buf))]
		buf = buf[len(d):]
		spi, ok := r.classify(d)
		if !ok {
			continue
		}
		if n == maxRow || n > 0 && spi != row {
			r.open(row, r.row[:n])
			n = 0
		}
		row, r.row[n] = spi, d
		n++
	}
	if n > 0 {
		r.open(row, r.row[:n])
	}
	r.out.settle()
}

// classify deals with everything that is not ESP on an SPI that may be one (K0 to K2 of protocol.md §1.2, RFC 3948 §2).
func (r *receiver) classify(d []byte) (sa.SPI, bool) {
	switch {
	case r.run.Local.Port() == isakmp.Port:
		r.ike(d)
		return 0, false
	case r.run.Encap == sa.EncapUDP:
		msg, isIKE, isKeepalive := isakmp.StripMarker(d)
		switch {
		case isKeepalive:
			return r.refuse(reason.KeepaliveNAT, d)
		case isIKE:
			r.ike(msg)
			return 0, false
		case len(d) < leastUDP:
			return r.refuse(reason.ShortNonESP, d)
		}
	}
	spi, _, ok := esp.Parse(d)
	switch {
	case !ok:
		return r.refuse(reason.ESPTruncated, d)
	case spi == 0:
		return r.refuse(reason.SPIZero, d)
	case spi < esp.MinSPI:
		return r.refuse(reason.SPIReserved, d)
	case len(d) < esp.MinLen:
		return r.refuse(reason.ESPTruncated, d)
	}
	return sa.SPI(spi), true
}

func (r *receiver) refuse(why reason.Drop, d []byte) (sa.SPI, bool) {
	r.drops.Drop(why, len(d))
	return 0, false
}

func (r *receiver) ike(msg []byte) {
	if r.p.opt.IKE != nil {
		r.p.opt.IKE(r.run.Local, r.run.Remote, append([]byte(nil), msg...))
	}
}

// open finds the SA of a row, or what else its SPI is.
func (r *receiver) open(spi sa.SPI, row [][]byte) {
	table := r.p.opt.Table
	in, ok := table.Lookup(spi)
	if !ok && table.Larval(spi) {
		r.park(spi, row)
		return
	}
	if !ok {
		in, ok = table.Lookup(spi) // it may have been installed between the two looks
	}
	if !ok {
		r.unknown(spi, row)
		return
	}
	r.decrypt(in, row)
}

// park keeps packets that came before their SA (K4, K5): evidence of success, which never reaches recovery.
func (r *receiver) park(spi sa.SPI, row [][]byte) {
	waits := false
	for i, pkt := range row {
		larval, kept := r.p.opt.Table.Park(spi, sa.Early{Local: r.run.Local, Remote: r.run.Remote, Encap: r.run.Encap, Packet: pkt, At: r.now})
		if !larval {
			r.open(spi, row[i:]) // installed or given up meanwhile: it is larval no more, so this ends
			return
		}
		if waits = waits || kept; !kept {
			r.drops.Drop(reason.LarvalOverflow, len(pkt))
		}
	}
	if waits && r.asked != spi && r.p.opt.Early != nil {
		r.asked = spi
		r.p.opt.Early(spi)
	}
}

// unknown counts and notes packets without an SA (K7 to K12). Which of these they are is found out off the packet path.
func (r *receiver) unknown(spi sa.SPI, row [][]byte) {
	local := r.run.Local.Addr()
	why := reason.InvalidSPI
	transit := r.p.opt.Ours != nil && !r.p.opt.Ours(local)
	switch {
	case transit:
		why = reason.TransitSPI
	case local.Is6() && !local.Is4In6():
		why = reason.InvalidSPIv6
	}
	for _, pkt := range row {
		r.drops.Drop(why, len(pkt))
	}
	if !transit {
		r.stray(&r.run, spi, row, r.now)
	}
}

// decrypt opens a row and delivers what comes out.
func (r *receiver) decrypt(in *sa.Inbound, row [][]byte) {
	n, lost := 0, 0
	r.hold(in)
	for _, pkt := range row {
		inner, why := in.Open(pkt, r.run.Remote, r.now)
		if why != reason.None {
			r.drops.Drop(why, len(pkt))
			if why != reason.DummyPacket {
				lost++
			}
			continue
		}
		r.good[n].pkt, r.good[n].packet = inner, *in.Inner()
		n++
	}
	r.letGo()
	t := (*r.p.tunnels.Load())[in.Child.Tunnel]
	for i := range n {
		if why := r.deliver(t, &r.good[i]); why != reason.None {
			r.drops.Drop(why, len(r.good[i].pkt))
			lost++
		}
	}
	if t != nil && lost > 0 {
		r.out.lost(t, lost)
	}
}

// deliver hands one decrypted packet to its tunnel.
func (r *receiver) deliver(t *tunnel, o *opened) reason.Drop {
	if t == nil {
		return reason.DeviceWriteFailed
	}
	if ip.TTL(o.pkt) == 0 {
		return reason.TTLExpired
	}
	if outer := r.run.TrafficClass & 3; outer != 0 {
		inner := ip.ECN(o.pkt)
		ecn, ok := ip.DecapsulatedECN(inner, outer) // RFC 6040 §4.2
		if !ok {
			return reason.CongestionLost
		}
		if ecn != inner {
			ip.SetECN(o.pkt, ecn)
		}
	}
	if mss := t.opt.Load().AdjustMSS; mss > 0 {
		clampMSS(o.pkt, &o.packet, mss)
	}
	r.out.add(t, o.pkt, &o.packet)
	return reason.None
}
