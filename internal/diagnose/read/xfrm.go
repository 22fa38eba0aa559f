package read

import (
	"strconv"
	"strings"
	"time"

	"lockstep/internal/diagnose/evidence"
)

// asaLimit is how seldom ASA prints its IPsec packet messages.
const asaLimit = 5 * time.Second

// xfrmMessage reads what the Linux kernel says: audit records of XFRM, and /proc/net/xfrm_stat.
func xfrmMessage(d *dressed, ev *evidence.Event) understood {
	if name, count, ok := strings.Cut(d.msg, " "); ok && strings.HasPrefix(name, "XfrmIn") {
		if n, err := strconv.ParseUint(strings.TrimSpace(count), 10, 64); err == nil && name == "XfrmInNoStates" {
			ev.Kind, ev.Count, ev.Word = evidence.NoSACounter, n, name
			return taken
		}
		return foreign
	}
	op := wordAfter(d.msg, "op=")
	switch op {
	case "SA-notfound":
		ev.Kind = evidence.InvalidSPI
	case "SA-replayed-pkt":
		ev.Kind = evidence.Replay
	case "SA-icv-failure":
		ev.Kind = evidence.BadICV
	case "SAD-add":
		ev.Kind = evidence.Installed
	case "SAD-delete":
		ev.Kind = evidence.ChildDown
	default:
		return foreign
	}
	ev.Word = op
	src, okSrc := addrAfter(d.msg, " src=")
	dst, okDst := addrAfter(d.msg, " dst=")
	spi, okSPI := numberAfter(d.msg, " spi=")
	if !okSrc || !okDst || !okSPI || spi > 1<<32-1 {
		return cut
	}
	if hex, _, ok := hexAfter(d.msg, "("+"0x"); ok && strings.Contains(d.msg, "spi="+strconv.FormatUint(spi, 10)+"(0x") && uint64(hex) != spi {
		return contradicts
	}
	auditTime(d)
	if ev.Kind == evidence.Installed || ev.Kind == evidence.ChildDown {
		// The kernel logs both halves alike: only the destination tells whose inbound SA it is.
		ev.SPI, ev.Dst, ev.Src = uint32(spi), dst, src
		return taken
	}
	ev.Flow = evidence.Flow{Src: src, Dst: dst, Proto: 50, SPI: uint32(spi)}
	ev.Peer, ev.Local = src, dst
	return taken
}

// auditTime takes the record's own time: `audit(1764324000.123:456):`.
func auditTime(d *dressed) {
	rest, ok := after(d.msg, "audit(")
	if !ok {
		return
	}
	whole, rest, _ := strings.Cut(rest, ".")
	milli, _, _ := strings.Cut(rest, ":")
	s, err := strconv.ParseInt(whole, 10, 64)
	ms, err2 := strconv.ParseUint(milli, 10, 16)
	if err != nil || err2 != nil || ms > 999 || s <= 0 {
		return
	}
	d.device, d.hasDevice = written{epoch: s, nano: int(ms) * 1e6, grain: time.Millisecond}, true
}
