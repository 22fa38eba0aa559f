package ikev2

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// letter is one message of a case as whoever could read it would tell it. Retransmissions are the same letter.
type letter struct {
	packet
	asker *side          // whose exchange it belongs to
	sa    string         // the IKE SA it travels in, as SPIs of a and b
	n     int            // its number among the letters of the asker's exchanges, from 1
	left  int            // how many had come when it first left
	ps    []ike2.Payload // nil if it could not be read
}

// name of a letter in schedules: whose exchange, and which message of it.
func (x letter) name() string { return fmt.Sprintf("%s%d", x.asker.name, x.n) }

// read opens a message as its sender made it.
func (l *lab) read(p packet) letter {
	x := letter{packet: p, asker: p.from}
	h := p.header()
	if h.Response() {
		x.asker = p.to
	}
	for _, s := range p.from.mach().sas {
		if spii, spir := s.spis(); h.SPIi == spii && h.SPIr == spir && s.sealer != nil {
			x.sa = saName(spii, spir)
			x.ps = openWith(s, p.msg)
		}
	}
	return x
}

// openWith decrypts with the keys of the sender, who has them too.
func openWith(s *ikeSA, msg []byte) []ike2.Payload {
	outer, err := ike2.Parse(msg)
	if err != nil || len(outer.Payloads) == 0 {
		return nil
	}
	sk, ok := outer.Payloads[len(outer.Payloads)-1].(*ike2.SK)
	if !ok {
		return nil
	}
	plain, err := s.sealer.Open(msg[:len(msg)-len(sk.Body)], sk.Body)
	if err != nil {
		return nil
	}
	ps, err := ike2.ParsePayloads(sk.First, plain)
	if err != nil {
		return nil
	}
	return ps
}

// ikeName is an IKE SPI as diagrams have it: whose, and the how-manieth.
func ikeName(spi isakmp.SPI) string {
	name := "a"
	if spi>>32 == 0xB000 {
		name = "b"
	}
	return fmt.Sprintf("%s.%d", name, uint32(spi))
}

func saName(spii, spir isakmp.SPI) string { return ikeName(spii) + "-" + ikeName(spir) }

// String is the letter in the notation of RFC 7296.
func (x letter) String() string {
	if len(x.ps) == 0 {
		return "()"
	}
	var words []string
	response := x.header().Response()
	for _, p := range x.ps {
		switch p := p.(type) {
		case *ike2.Notify:
			word := p.Kind.String()
			if spi, ok := p.ChildSPI(); ok {
				word += fmt.Sprintf(" %X", spi)
			}
			words = append(words, "N("+word+")")
		case *ike2.SA:
			words = append(words, "SA("+proposed(p.Proposals[0].SPI)+")")
		case *ike2.Nonce:
			name := "Ni"
			if response {
				name = "Nr"
			}
			words = append(words, fmt.Sprintf("%s %02X", name, p.Data[0]))
		case *ike2.Delete:
			words = append(words, deleteText(p))
		case *ike2.TS:
		default:
			words = append(words, p.Type().String())
		}
	}
	return strings.Join(words, " ")
}

func deleteText(d *ike2.Delete) string {
	if d.Protocol == ike2.ProtoIKE {
		return "D(IKE)"
	}
	var spis []string
	for _, spi := range d.SPIs {
		spis = append(spis, fmt.Sprintf("%X", spi))
	}
	return "D(" + strings.Join(spis, " ") + ")"
}

func proposed(spi []byte) string {
	switch len(spi) {
	case 4:
		return fmt.Sprintf("%X", binary.BigEndian.Uint32(spi))
	case 8:
		return ikeName(isakmp.SPI(binary.BigEndian.Uint64(spi)))
	}
	return "?"
}

// spiOf is the ESP or IKE SPI in the SA payload, 0 if there is none.
func (x *letter) spiOf() uint64 {
	if x == nil {
		return 0
	}
	p, ok := ike2.Find[*ike2.SA](x.ps)
	if !ok || len(p.Proposals) == 0 {
		return 0
	}
	var wide [8]byte
	copy(wide[8-len(p.Proposals[0].SPI):], p.Proposals[0].SPI)
	return binary.BigEndian.Uint64(wide[:])
}

func (x letter) nonce() []byte {
	if n, ok := ike2.Find[*ike2.Nonce](x.ps); ok {
		return n.Data
	}
	return nil
}

// diagram draws what happens between two lifelines, one line an event.
type diagram struct {
	began time.Time
	lines []string
}

const (
	lifeline = 72 // columns between the lifelines
	margin   = 9
)

func newDiagram(began time.Time) *diagram {
	d := &diagram{began: began}
	d.lines = append(d.lines, strings.Repeat(" ", margin)+"a"+strings.Repeat(" ", lifeline)+"b")
	return d
}

// draw puts text at the lifeline of a or b; its last or first rune touches it.
func (d *diagram) draw(now time.Time, atA bool, text string) {
	room := max(0, lifeline-utf8.RuneCountInString(text))
	line := text + strings.Repeat(" ", room)
	if !atA {
		line = strings.Repeat(" ", room) + text
	}
	d.lines = append(d.lines, fmt.Sprintf("%7.2f  │%s│", now.Sub(d.began).Seconds(), line))
}

// leaves, comes and vanishes draw the ways of a letter; again says that it left before.
func (d *diagram) leaves(now time.Time, x letter, again, withSA bool) {
	text := x.String()
	if withSA {
		text = x.sa + ": " + text
	}
	if again {
		text = "(again)"
	}
	if x.from.name == "a" {
		d.draw(now, true, fmt.Sprintf("─%s─► %s", x.name(), text))
		return
	}
	d.draw(now, false, fmt.Sprintf("%s ◄─%s─", text, x.name()))
}

func (d *diagram) comes(now time.Time, x letter) {
	if x.to.name == "a" {
		d.draw(now, true, fmt.Sprintf("◄─%s─", x.name()))
		return
	}
	d.draw(now, false, fmt.Sprintf("─%s─►", x.name()))
}

func (d *diagram) vanishes(now time.Time, x letter) {
	if x.to.name == "a" {
		d.draw(now, true, fmt.Sprintf("  ✗ %s is lost", x.name()))
		return
	}
	d.draw(now, false, fmt.Sprintf("%s is lost ✗  ", x.name()))
}

func (d *diagram) String() string { return strings.Join(d.lines, "\n") }
