package mgmt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// preamble is what a client says first. The number is that of the protocol.
const preamble = "lockstep/1\n"

// kind is the first octet of a frame.
type kind byte

const (
	kindExec   kind = 'E'
	kindShell  kind = 'S'
	kindInput  kind = 'I'
	kindWindow kind = 'W'
	kindOut    kind = 'O'
	kindErr    kind = 'R'
	kindEnd    kind = 'X'
)

const (
	frameHeader = 3
	maxBody     = 16 << 10 // octets
	maxCommand  = 4096     // octets of one line, typed or sent
)

// errFrame is wrapped by every refusal of what the other side sent.
var errFrame = errors.New("not understood")

type frame struct {
	kind kind
	body []byte
}

// appendFrame writes a frame behind b. The body has at most maxBody octets.
func appendFrame(b []byte, k kind, body []byte) []byte {
	b = append(b, byte(k))
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// readFrame reads one frame. io.EOF: the other side ended between two.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(head[0])}
	n := int(binary.BigEndian.Uint16(head[1:]))
	if n > maxBody {
		return frame{}, fmt.Errorf("%w: a frame %q of %d octets", errFrame, f.kind, n)
	}
	f.body = make([]byte, n)
	if _, err := io.ReadFull(r, f.body); err != nil {
		return frame{}, fmt.Errorf("within a frame: %w", noEOF(err))
	}
	return f, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// window is the size of a terminal.
type window struct{ cols, rows int }

func (w window) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(min(w.cols, 0xFFFF)))
	return binary.BigEndian.AppendUint16(b, uint16(min(w.rows, 0xFFFF)))
}

// parseWindow reads a window's size; a terminal that does not know its own says 0, and has that of a VT100.
func parseWindow(b []byte) (window, error) {
	if len(b) != 4 {
		return window{}, fmt.Errorf("%w: a window of %d octets", errFrame, len(b))
	}
	w := window{int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))}
	if w.cols == 0 {
		w.cols = 80
	}
	if w.rows == 0 {
		w.rows = 24
	}
	return w, nil
}

// request is the first frame: a command, or a shell.
type request struct {
	command string
	shell   bool
	window  *window // of the shell's terminal; nil: it is a pipe
}

func parseRequest(f frame) (request, error) {
	switch f.kind {
	case kindExec:
		if len(f.body) > maxCommand {
			return request{}, fmt.Errorf("%w: the command has %d octets, at most %d are read", errFrame, len(f.body), maxCommand)
		}
		return request{command: string(f.body)}, nil
	case kindShell:
		if len(f.body) == 0 {
			return request{shell: true}, nil
		}
		w, err := parseWindow(f.body)
		return request{shell: true, window: &w}, err
	}
	return request{}, fmt.Errorf("%w: a session cannot begin with %q", errFrame, f.kind)
}
