package live

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// idle is after how long a silent stream is closed: routers keep theirs open and speak seldom.
const idle = 24 * time.Hour

func (s *Service) streams(l net.Listener) {
	slots := make(chan struct{}, maxStreams)
	open := map[net.Conn]bool{}
	done := make(chan net.Conn, maxStreams)
	defer func() {
		for c := range open {
			c.Close()
		}
	}()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		for drained := false; !drained; {
			select {
			case gone := <-done:
				delete(open, gone)
			default:
				drained = true
			}
		}
		select {
		case slots <- struct{}{}:
		default:
			s.stats.refused.Add(1)
			c.Close()
			continue
		}
		open[c] = true
		s.stats.streams.Add(1)
		s.wg.Go(func() {
			s.stream(c)
			c.Close()
			<-slots
			select {
			case done <- c:
			default:
			}
		})
	}
}

// stream reads messages that are counted (`123 <188>…`) or end in a line feed (RFC 6587 §3.4); senders may not mix them,
// but nothing is lost if they do.
func (s *Service) stream(c net.Conn) {
	var from netip.Addr
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		from = a.AddrPort().Addr().Unmap()
	}
	r := bufio.NewReaderSize(c, longest)
	for {
		if err := c.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		text, err := s.frame(r)
		if len(text) > 0 {
			s.put(message{from, text, time.Now()})
		}
		if err != nil {
			return
		}
	}
}

func (s *Service) frame(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	if head[0] >= '1' && head[0] <= '9' {
		if n, ok := count(r); ok {
			if n > longest {
				s.stats.long.Add(1)
				_, err := io.CopyN(io.Discard, r, int64(n))
				return nil, err
			}
			text := make([]byte, n)
			_, err := io.ReadFull(r, text)
			return text, err
		}
	}
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		s.stats.long.Add(1)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		return nil, err
	}
	return append([]byte(nil), bytes.TrimRight(line, "\r\n\x00")...), err
}

// count reads `123 ` before `<`. It takes nothing if it is not that.
func count(r *bufio.Reader) (int, bool) {
	for n := 2; n <= 8; n++ {
		head, err := r.Peek(n)
		if err != nil {
			return 0, false
		}
		if head[n-1] != ' ' {
			continue
		}
		v, err := strconv.Atoi(string(head[:n-1]))
		if err != nil || v > 1<<20 {
			return 0, false
		}
		if next, err := r.Peek(n + 1); err != nil || next[n] != '<' {
			return 0, false
		}
		_, err = r.Discard(n)
		return v, err == nil
	}
	return 0, false
}
