package read

import (
	"bytes"
	"io"
)

const (
	blockSize = 256 << 10
	// longestLine is far above what a device writes (RFC 5424 §6.1 asks for 2,048 octets); a longer one is no log line.
	longestLine = 64 << 10
)

// scanner walks over text in blocks and hands out the lines that matter, and the first and last line of each block so that
// the reader knows what time it is, and up to when the text goes.
type scanner struct {
	all   bool                                  // every line matters
	each  func(line []byte, no int) (more bool) // more: hand out the next line too, whatever it is
	clock func(line []byte)
	long  func(no int, head []byte)

	lines int // ended so far
	bytes int64
	more  bool
}

func (s *scanner) run(in io.Reader) error {
	buf := make([]byte, blockSize)
	kept, skipping := 0, false
	for {
		n, err := io.ReadFull(in, buf[kept:])
		s.bytes += int64(n)
		text := buf[:kept+n]
		end := bytes.LastIndexByte(text, '\n') + 1
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			if !skipping {
				s.take(text)
			}
			return err
		}
		if skipping {
			first := bytes.IndexByte(text, '\n') + 1
			if first == 0 {
				if last {
					s.lines++
					return nil
				}
				kept = 0
				continue
			}
			s.lines++
			skipping = false
			text, end = text[first:], end-first
		}
		if last {
			s.take(text)
			return nil
		}
		if end == 0 {
			s.long(s.lines+1, text[:min(len(text), 200)])
			kept, skipping = 0, true
			continue
		}
		s.take(text[:end])
		kept = copy(buf, text[end:])
	}
}

// take walks over whole lines.
func (s *scanner) take(text []byte) {
	if len(text) == 0 {
		return
	}
	s.clock(cutLine(text))
	defer s.clock(lastLine(text))
	for len(text) > 0 {
		if s.all || s.more {
			text = s.line(text, 0)
			continue
		}
		hit := marked.find(text)
		if hit < 0 {
			s.lines += bytes.Count(text, newline)
			if text[len(text)-1] != '\n' {
				s.lines++
			}
			return
		}
		from := bytes.LastIndexByte(text[:hit], '\n') + 1
		s.lines += bytes.Count(text[:from], newline)
		text = s.line(text, from)
	}
}

var newline = []byte{'\n'}

// line hands out the line that begins at from, and returns what is behind it.
func (s *scanner) line(text []byte, from int) []byte {
	s.lines++
	line, rest := text[from:], []byte(nil)
	if n := bytes.IndexByte(line, '\n'); n >= 0 {
		line, rest = line[:n], line[n+1:]
	}
	if len(line) > longestLine {
		s.long(s.lines, line[:200])
		s.more = false
		return rest
	}
	s.more = s.each(bytes.TrimSuffix(line, []byte{'\r'}), s.lines)
	return rest
}

// lastLine is the last line that is whole.
func lastLine(text []byte) []byte {
	text = bytes.TrimRight(text, "\r\n")
	return cutLine(text[bytes.LastIndexByte(text, '\n')+1:])
}

func cutLine(text []byte) []byte {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		text = text[:n]
	}
	return bytes.TrimSuffix(text[:min(len(text), longestLine)], []byte{'\r'})
}
