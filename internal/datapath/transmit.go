package datapath

import (
	"errors"
	"strconv"
	"time"

	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/esp"
	"lockstep/internal/wire/ip"
	"lockstep/internal/wire/isakmp"
)

// frameCap holds any frame.
const frameCap = VirtioLen + 1<<16

// transmitter is the loop of one device.
type transmitter struct {
	*worker
	t     *tunnel
	buf   []byte
	error []byte // ICMP errors of ours
	n     int    // octets of the frame in buf
	frame frame
	send  sendRun
	round func()

	second   time.Time // from which acquired counts
	acquired int
}

func newTransmitter(p *Plane, t *tunnel) *transmitter {
	x := &transmitter{worker: p.worker("Tunnel" + strconv.Itoa(t.unit)), t: t, buf: make([]byte, frameCap)}
	x.send.init(x.worker, &t.out)
	x.round, x.reset = x.burst, x.send.forget
	return x
}

func (x *transmitter) loop() {
	pause := firstPause
	for {
		var err error
		if x.n, err = x.t.device.ReadFrame(x.buf); err != nil {
			if !x.again(err, &pause) {
				x.gone(err)
				return
			}
			continue
		}
		pause = 0
		x.turn(x.round)
	}
}

// gone tells of a device that ended although nobody closed it.
func (x *transmitter) gone(err error) {
	if errors.Is(err, ErrGone) && x.p.opt.Gone != nil {
		x.p.opt.Gone(x.t.unit)
	}
}

// burst carries the frame that is there and those that follow without a wait; then the run leaves.
func (x *transmitter) burst() {
	for err := error(nil); err == nil; x.n, err = x.t.device.TryReadFrame(x.buf) {
		x.carry(x.buf[:x.n])
	}
	x.send.flush()
}

// carry sends one frame, or counts its packets as dropped.
func (x *transmitter) carry(b []byte) {
	f := &x.frame
	if !f.parse(b) {
		x.drops.Drop(reason.DeviceMalformed, max(0, len(b)-VirtioLen))
		x.t.out.add(0, 0, 1, time.Time{})
		return
	}
	now := x.p.opt.Now()
	out, why := x.route(f, now)
	if why != reason.None {
		x.drop(why, 0)
		return
	}
	if mss := x.t.opt.Load().AdjustMSS; mss > 0 {
		clampMSS(f.pkt, &f.packet, mss)
	}
	x.seal(out, now)
}

// drop counts the packets of the frame from packet k on.
func (x *transmitter) drop(why reason.Drop, k int) {
	n := x.frame.count()
	x.t.out.add(0, 0, n-k, time.Time{})
	for ; k < n; k++ {
		x.drops.Drop(why, x.frame.length(k))
	}
}

// route finds the child for a frame, once for all its packets.
func (x *transmitter) route(f *frame, now time.Time) (*sa.Outbound, reason.Drop) {
	if ip.TTL(f.pkt) == 0 {
		return nil, reason.TTLExpired
	}
	out := x.t.egress.Pick(&f.packet)
	if x.ours(f, out) {
		if x.p.opt.Recursive != nil {
			x.p.opt.Recursive(x.t.unit)
		}
		return nil, reason.RecursiveRoute
	}
	if mtu := int(x.t.mtu.Load()); mtu > 0 && f.length(0) > mtu && f.packet.DF {
		x.tooBig(f, mtu)
		return nil, reason.TooBigDF
	}
	if out != nil {
		return out, reason.None
	}
	x.acquire(&f.packet, now)
	if x.t.egress.Up() {
		return nil, reason.NoSelectorMatch
	}
	return nil, reason.NoOutboundSA
}

// ours says that a packet is IKE or ESP that we sent ourselves: the way to the peer leads into a tunnel.
func (x *transmitter) ours(f *frame, out *sa.Outbound) bool {
	p := &f.packet
	switch {
	case p.Protocol == ip.ProtoESP:
	case p.Protocol == ip.ProtoUDP && (p.SrcPort == isakmp.Port || p.SrcPort == isakmp.PortNAT):
	default:
		return false
	}
	if out != nil && p.Src == out.Path().Local.Addr().Unmap() {
		return true
	}
	return x.p.opt.Ours != nil && x.p.opt.Ours(p.Src)
}

// tooBig tells the sender of a packet what fits (RFC 1191, RFC 8201), through the device from which it came.
func (x *transmitter) tooBig(f *frame, mtu int) {
	opt := x.t.opt.Load()
	from := opt.Address4
	if f.packet.Version == 6 {
		from = opt.Address6
	}
	if !from.IsValid() {
		from = f.packet.Dst
	}
	b, ok := ip.AppendTooBig(append(x.error[:0], make([]byte, VirtioLen)...), from, mtu, f.pkt)
	if x.error = b; !ok {
		return
	}
	if err := x.t.device.WriteFrame([][]byte{b}); err != nil {
		x.drops.Drop(reason.DeviceWriteFailed, len(b)-VirtioLen)
		x.report(err)
	}
}

// acquire asks for a child, within the budget.
func (x *transmitter) acquire(p *ip.Packet, now time.Time) {
	if x.p.opt.Acquire == nil {
		return
	}
	if now.Sub(x.second) >= time.Second {
		x.second, x.acquired = now, 0
	}
	if x.acquired < x.p.opt.AcquirePerSecond {
		x.acquired++
		x.p.opt.Acquire(x.t.unit, *p)
	}
}

// seal puts the packets of the frame into the run, as many at a time as go into it.
func (x *transmitter) seal(out *sa.Outbound, now time.Time) {
	f, path := &x.frame, out.Path()
	wire := x.p.wireFor(path.Local, out.Encap)
	if wire == nil {
		x.drop(reason.WireSendFailed, 0)
		x.report(ErrNoWire)
		return
	}
	x.send.aim(wire, path, out.Encap, ip.TrafficClass(f.pkt), now)
	for k, count := 0, f.count(); k < count; {
		length := f.length(k)
		sealed := out.Cipher.SealedLen(length)
		if sealed > MaxRunOctets {
			x.drop(reason.TooBigDF, k)
			return
		}
		n := x.send.room(sealed)
		if n == 0 {
			x.send.flush()
			n = x.send.room(sealed)
		}
		if k+n > count || f.length(k+n-1) != length {
			n = 1
			for k+n < count && f.length(k+n) == length {
				n++
			}
		}
		if why := x.sealRow(out, k, n, sealed, now); why != reason.None {
			x.drop(why, k)
			return
		}
		k += n
	}
}

// sealRow seals packets k to k+n-1, all of one length, behind what is in the run. The SA is held meanwhile.
func (x *transmitter) sealRow(out *sa.Outbound, k, n, sealed int, now time.Time) reason.Drop {
	f, length := &x.frame, x.frame.length(k)
	x.hold(out)
	defer x.letGoIfHeld()
	seq, why := out.Reserve(n, now)
	if why != reason.None {
		out.Dropped(why, f.count()-k)
		return why
	}
	sealer, next := out.Sealer(), nextHeader(f)
	head := sealer.HeaderLen()
	for i := range n {
		slot := x.send.slot(sealed)
		pkt := slot[head : head+length]
		f.put(pkt, k+i)
		if _, err := sealer.Seal(slot, seq+uint64(i), pkt, next); err != nil {
			out.Dropped(reason.SeqExhausted, f.count()-k-i)
			return sealFailure(err)
		}
		x.send.took(sealed, length)
	}
	out.Sent(n, n*length, now)
	return reason.None
}

// sealFailure: a number that cannot be used is the only way; anything else is a fault of ours.
func sealFailure(err error) reason.Drop {
	if errors.Is(err, suite.ErrSequence) {
		return reason.SeqExhausted
	}
	return reason.PathPanic
}

func nextHeader(f *frame) uint8 {
	if f.packet.Version == 6 {
		return esp.NextIPv6
	}
	return esp.NextIPv4
}
