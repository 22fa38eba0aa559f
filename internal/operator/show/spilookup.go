package show

import (
	"cmp"
	"io"
	"net/netip"
	"slices"

	"lockstep/internal/sa"
)

// SPIRow is one inbound SPI in use.
type SPIRow struct {
	SPI    SPI            `json:"spi"`
	Tunnel string         `json:"tunnel"`
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	Encap  string         `json:"encapsulation"`
	Out    SPI            `json:"outbound_spi"`
}

// SPILookup is `show crypto ipsec spi-lookup [SPI]`: whose an inbound SPI is. Of an SPI without an SA it tells what is
// remembered.
type SPILookup struct {
	Active  []SPIRow         `json:"active"`
	Unknown []InvalidSPIFlow `json:"without_sa"`
	asked   sa.SPI
}

// NewSPILookup makes the view; spi 0 asks for all that are in use.
func NewSPILookup(s *Snapshot, spi sa.SPI) *SPILookup {
	v := &SPILookup{Active: []SPIRow{}, Unknown: []InvalidSPIFlow{}, asked: spi}
	for _, c := range s.Children {
		if spi != 0 && spi != c.Child.In {
			continue
		}
		v.Active = append(v.Active, SPIRow{SPI(c.Child.In), tunnelName(c.Child.Tunnel), c.Child.Local, c.Child.Remote, c.Child.Encap.String(), SPI(c.Child.Out)})
	}
	slices.SortFunc(v.Active, func(a, b SPIRow) int { return cmp.Compare(a.SPI, b.SPI) })
	if spi == 0 || len(v.Active) > 0 {
		return v
	}
	for _, f := range s.Flows {
		if f.SPI == spi {
			v.Unknown = append(v.Unknown, newInvalidSPIFlow(s, f))
		}
	}
	return v
}

// Text writes IOS's table of two lines an SPI, and what is known of an SPI that is not in it.
func (v *SPILookup) Text(w io.Writer) error {
	p := &page{w: w}
	if v.asked != 0 && len(v.Active) == 0 {
		v.without(p)
		return p.err
	}
	p.line("Active SPI table")
	p.line("     SPI Prot Local Address            Type")
	p.line("  Handle VRF  Remote Address           IDB")
	for _, r := range v.Active {
		p.line("%8X %-4s %-24s %s", uint32(r.SPI), "ESP", address(r.Local.Addr()), r.Encap)
		p.line("%8d %-4d %-24s %s", 0, 0, address(r.Remote.Addr()), r.Tunnel)
	}
	return p.err
}

func (v *SPILookup) without(p *page) {
	if len(v.Unknown) == 0 {
		p.line("%v: no SA, and no packet with it is remembered", v.asked)
		return
	}
	p.line("%v: no SA; packets with it came:\n", v.asked)
	invalidSPIHead(p)
	for i := range v.Unknown {
		v.Unknown[i].block(p)
	}
}
