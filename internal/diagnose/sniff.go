package diagnose

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"unicode/utf16"

	"lockstep/internal/diagnose/capture"
)

// kind is what an input is, by its content. A text can be a capture and a configuration at once.
type kind struct {
	packets bool
	text    bool
	shown   bool // output of show commands
	config  bool
}

// sniffed is how much of a file decides what it is.
const sniffed = 256 << 10

var (
	errBinary = errors.New("binary, and no capture of packets")
	errEmpty  = errors.New("empty")
	errNested = errors.New("packed in itself too often")
	errCutOff = errors.New("the compressed file breaks off: what is before that was read")
)

// open unpacks gzip and looks at the beginning. The reader gives the whole content.
func open(in io.Reader) (*bufio.Reader, kind, error) { return unpack(in, 3) }

// unpack goes through at most depth layers: there are archives that hold themselves.
func unpack(in io.Reader, depth int) (*bufio.Reader, kind, error) {
	b := bufio.NewReaderSize(in, sniffed)
	head, err := b.Peek(sniffed)
	if len(head) == 0 {
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return b, kind{}, err
		}
		return b, kind{}, errEmpty
	}
	switch {
	case depth == 0:
		return b, kind{}, errNested
	case bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return b, kind{}, err
		}
		return unpack(&gzipReader{z}, depth-1)
	case capture.Magic(head):
		return b, kind{packets: true}, nil
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return unpack(&utf16Reader{in: b, low: 0, high: 1}, depth-1)
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return unpack(&utf16Reader{in: b, low: 1, high: 0}, depth-1)
	case mostlyBinary(head):
		return b, kind{}, errBinary
	}
	k := kind{text: true}
	k.shown, k.config = marks(string(head))
	return b, k, nil
}

// gzipReader names the end of a file that was cut: io.ReadFull would take it for an ordinary end.
type gzipReader struct{ z *gzip.Reader }

func (g *gzipReader) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutOff
	}
	return n, err
}

// mostlyBinary: a log may hold a stray octet; a file of another kind has them everywhere.
func mostlyBinary(head []byte) bool {
	n := 0
	for _, c := range head {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != 0x1B && c != '\a' && c != '\b' {
			n++
		}
	}
	return n > len(head)/20
}

// shownMarks stand in the output of commands and in no log line.
var shownMarks = []string{"#pkts encaps", "current outbound spi:", "Crypto ISAKMP SA", "Crypto IKEv2  SA", "Crypto IKEv2 SA", "Crypto session current status",
	"Global Drop Stats", "IN_US_V4_PKT_SA_NOT_FOUND_SPI", "IN_US_V6_PKT_SA_NOT_FOUND_SPI", "\tproto esp spi", ", ESTABLISHED, IKEv", "XfrmInNoStates", "inbound esp sas:"}

func marks(head string) (shown, config bool) {
	for _, m := range shownMarks {
		shown = shown || strings.Contains(head, m)
	}
	lines, hits := 0, 0
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		if lines++; lines > 4000 {
			break
		}
		shown = shown || counterRow(line)
		for _, p := range []string{"crypto map ", "crypto isakmp ", "crypto ipsec ", "crypto ikev2 ", "crypto dynamic-map ", "crypto ikev1 ", "tunnel protection ", "tunnel source ",
			"Building configuration", "Current configuration", "set peer ", "set transform-set ", "ip nhrp "} {
			if strings.HasPrefix(line, p) {
				hits++
			}
		}
	}
	return shown, hits >= 2
}

// counterRow is a row of the global drop counters without its heading.
func counterRow(line string) bool {
	f := strings.Fields(line)
	return len(f) >= 3 && len(f) <= 4 && strings.HasPrefix(f[0], "Ipsec") && strings.Trim(f[1]+f[2], "0123456789") == ""
}

// utf16Reader turns UTF-16, as PowerShell redirects it, into UTF-8.
type utf16Reader struct {
	in        *bufio.Reader
	low, high int
	out       []byte
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		units := make([]uint16, 0, 2048)
		for len(units) < cap(units) {
			var b [2]byte
			if _, err := io.ReadFull(u.in, b[:]); err != nil {
				if len(units) == 0 {
					return 0, io.EOF
				}
				break
			}
			unit := uint16(b[u.low]) | uint16(b[u.high])<<8
			if unit != 0xFEFF {
				units = append(units, unit)
			}
		}
		u.out = []byte(string(utf16.Decode(units)))
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}
