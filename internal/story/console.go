package story

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// maxLines bounds what a console keeps.
const maxLines = 10000

// console is what an operator would have on a screen: the log lines of a gateway, each once, as they come.
type console struct {
	told func(line string)

	mu    sync.Mutex
	off   bool     // guarded by mu: whose console it is has crashed
	part  []byte   // guarded by mu: of a line that is not finished
	lines []logged // guarded by mu
}

type logged struct {
	at   time.Time
	text string
}

// Write implements io.Writer.
func (c *console) Write(b []byte) (int, error) {
	var whole []string
	c.mu.Lock()
	if c.off {
		c.mu.Unlock()
		return len(b), nil
	}
	c.part = append(c.part, b...)
	for {
		n := bytes.IndexByte(c.part, '\n')
		if n < 0 {
			break
		}
		text := string(c.part[:n])
		c.part = c.part[n+1:]
		if len(c.lines) < maxLines {
			c.lines = append(c.lines, logged{time.Now(), text})
		}
		whole = append(whole, text)
	}
	c.mu.Unlock()
	for _, text := range whole {
		c.told(text)
	}
	return len(b), nil
}

// turn switches the console off, as a crash does: what a gateway wrote while it died would never have been seen.
func (c *console) turn(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off, c.part = !on, nil
}

// since lists the lines that came at and after a time and have a text in them.
func (c *console) since(t time.Time, text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, l := range c.lines {
		if !l.at.Before(t) && strings.Contains(l.text, text) {
			out = append(out, l.text)
		}
	}
	return out
}

// message is a log line from its mnemonic on: what is before it is the time.
func message(line string) string {
	if at := strings.IndexByte(line, '%'); at >= 0 {
		return line[at:]
	}
	return line
}
