package engine

import (
	"net/netip"
	"sync"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// versionReplies holds down the answers to messages of a newer IKE: unprotected replies are one in ten seconds to an
// address (protocol.md §2.8), and only configured peers get any, which bounds the table.
type versionReplies struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time // guarded by mu
}

const versionGap = 10 * time.Second

func (v *versionReplies) allow(a netip.Addr, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if last, ok := v.last[a]; ok && now.Sub(last) < versionGap {
		return false
	}
	if v.last == nil {
		v.last = map[netip.Addr]time.Time{}
	}
	v.last[a] = now
	return true
}

// replyVersion answers a request of a higher major version with INVALID_MAJOR_VERSION: SPIs, Message ID and exchange as
// received, our version in the header (RFC 7296 §1.5, §2.5). Never more octets than the request had.
func (e *Engine) replyVersion(local, remote netip.AddrPort, h isakmp.Header, length int) {
	if h.Major() <= 2 || h.Response() || len(e.plan.Load().at[remote.Addr()]) == 0 {
		return
	}
	flags := isakmp.FlagResponse
	if !h.FromInitiator() {
		flags |= isakmp.FlagInitiator
	}
	m := &ike2.Message{Header: isakmp.Header{SPIi: h.SPIi, SPIr: h.SPIr, Version: isakmp.Version2, Exchange: h.Exchange,
		Flags: flags, MessageID: h.MessageID}, Payloads: []ike2.Payload{&ike2.Notify{Kind: ike2.InvalidMajorVersion}}}
	reply := m.Append(nil)
	if len(reply) > length || !e.versions.allow(remote.Addr(), e.opt.Now()) {
		return
	}
	e.opt.Send(send(local, remote, reply))
}

// send is a message of the engine's own.
func send(local, remote netip.AddrPort, msg []byte) ike.Send {
	return ike.Send{Local: local, Remote: remote, Bytes: msg, Marker: local.Port() == isakmp.PortNAT}
}
