package gateway

import (
	"strconv"
	"strings"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

// installed tells of a child SA (`debug crypto ipsec`), and exports its keys where that was asked for.
func (g *Gateway) installed(c sa.Child, h sa.Half, now time.Time) {
	if g.keys != nil {
		if err := g.keys.write(c, h); err != nil {
			g.bus.Publish(event.HostFailure(now, "write the keys of child SAs", err))
		}
	}
	s := event.IPsecSA{Tunnel: tunnelName(c.Tunnel), Local: c.Local, Remote: c.Remote, Transform: transformOf(c.Cipher), ConnID: int(c.Owner) + 1,
		LifeKB: c.HardBytes / 1024, TSLocal: c.TSLocal, TSRemote: c.TSRemote}
	if !c.Hard.IsZero() {
		s.Life = c.Hard.Sub(c.Created)
	}
	if h&sa.InboundHalf != 0 {
		s.Inbound, s.SPI = true, uint32(c.In)
		g.bus.Publish(event.IPsecCreated(now, s))
	}
	if h&sa.OutboundHalf != 0 {
		s.Inbound, s.SPI = false, uint32(c.Out)
		g.bus.Publish(event.IPsecCreated(now, s))
	}
}

// removed tells that both halves of a child SA are gone.
func (g *Gateway) removed(in sa.SPI, c placed, why sa.TombReason, now time.Time) {
	s := event.IPsecSA{Tunnel: tunnelName(c.tunnel), Local: c.local, Remote: c.remote, Transform: transformOf(c.cipher), ConnID: int(c.owner) + 1}
	s.Inbound, s.SPI = true, uint32(in)
	g.bus.Publish(event.IPsecDeleted(now, s, why.String()))
	s.Inbound, s.SPI = false, uint32(c.out)
	g.bus.Publish(event.IPsecDeleted(now, s, why.String()))
}

func tunnelName(unit int) string { return "Tunnel" + strconv.Itoa(unit) }

// transformOf is the cipher in the words of `crypto ipsec transform-set`.
func transformOf(c suite.Cipher) string {
	if c.AEAD() {
		return "esp-gcm " + strconv.Itoa(int(c.KeyBits))
	}
	hash := strings.ToLower(strings.ReplaceAll(wiresharkAuth(c.Integ), "HMAC-SHA-", "sha"))
	return "esp-aes " + strconv.Itoa(int(c.KeyBits)) + " esp-" + hash[:len("sha256")] + "-hmac"
}
