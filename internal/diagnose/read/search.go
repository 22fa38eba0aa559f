package read

// marks are what a line of interest has at least one of, each at least markLen octets long. Finding them is all that
// happens to most of a log, so the list names message numbers where a product's tag stands in every line.
var marks = []string{
	"%CRYPTO-", "%IPSEC-", "ISAKMP", "IPSEC(", "IPSEC-EVENT", "IKEv2:", "IKEv2-ERROR", "DELETE INFO message",
	"%SYS-5-RE", "%SYS-6-SUPPRESSED", "%SYS-6-CLOCK", "-5-77100", "%HSRP-5-STATE", "%VRRP-6-STATE", "%REDUNDANCY-", "%DMVPN-5", "%PARSER-5-CFG", "Interface Tunnel",
	"-402101", "-4-40211", "-4-40212", "-6-6023", "-5-7131", "-5-7132", "-3-7131", "-4-113019", "-5-75000", "-4-75000", "-6-1990",
	"-5-1990", "-1-1040", "-5-11100", "-5-11101", "EV_SEND_INVALID_SPI", "Sending INVALID_SPI",
	"charon", "CHILD_SA", "IKE_SA", "does not belong to an installed SA", "after 5 retransmits", "pluto[", "pluto:", "IPsec SA", "Child SA", "Delete SA", "liveness",
	"IPsec State", "op=SA-", "op=SAD-", "XfrmIn", "proto esp spi", "retransmits",
}

// search finds the first of several words in one pass (Wu and Manber, 1994, with blocks of two octets): where the two
// octets at the end of a window stand in no word, the window moves on by nearly its length.
type search struct {
	width int // of the window: the length of the shortest word
	// shift is by how much a window that ends in these two octets may move; from stop on it is an index into ends, which
	// names the words whose window ends so.
	shift [1 << 16]uint8
	ends  [][]string
}

// stop marks in shift: the rest is an index into ends.
const stop = 128

func newSearch(words []string) *search {
	s := &search{width: len(words[0])}
	for _, w := range words {
		s.width = min(s.width, len(w))
	}
	for i := range s.shift {
		s.shift[i] = uint8(s.width - 1)
	}
	at := map[uint16][]string{}
	for _, w := range words {
		for end := 2; end < s.width; end++ {
			b := block(w[end-2], w[end-1])
			s.shift[b] = min(s.shift[b], uint8(s.width-end))
		}
		b := block(w[s.width-2], w[s.width-1])
		at[b] = append(at[b], w)
	}
	for b, words := range at {
		s.shift[b] = stop + uint8(len(s.ends))
		s.ends = append(s.ends, words)
	}
	return s
}

func block(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// find is where the first word begins in text, or -1.
func (s *search) find(text []byte) int {
	for i := s.width - 1; i < len(text); {
		step := s.shift[uint16(text[i-1])<<8|uint16(text[i])]
		if step < stop {
			i += int(step)
			continue
		}
		from := i - s.width + 1
		for _, w := range s.ends[step-stop] {
			if text[from] == w[0] && len(text)-from >= len(w) && string(text[from:from+len(w)]) == w {
				return from
			}
		}
		i++
	}
	return -1
}

var marked = newSearch(marks)

// Marked reports that text holds a word by which lines of interest are found.
func Marked(text []byte) bool { return marked.find(text) >= 0 }
