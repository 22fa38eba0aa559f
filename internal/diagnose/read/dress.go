package read

import (
	"encoding/json"
	"strconv"
	"strings"
)

// dressed is a line without its dressing: what relays, journals and sequence numbers put around a message.
type dressed struct {
	relay, device written // device: the innermost time, if there are two
	hasRelay      bool
	hasDevice     bool
	headed        bool // a host stands behind the time, as in the header that the first relay writes (RFC 3164 §4.3)
	host          string
	app           string
	msg           string
}

// undress takes a line apart: RFC 3164 and RFC 5424 headers, journald's text and JSON forms, IOS's sequence numbers and
// the message behind them.
func undress(line string) dressed {
	if strings.HasPrefix(line, "{") {
		if d, ok := journalJSON(line); ok {
			return d
		}
	}
	c := cursor{line}
	c.blanks()
	var d dressed
	if rest, ok := priority(c.s); ok {
		c.s = rest
		if e, ok := rfc5424(rest); ok {
			return e
		}
	}
	d.walk(&c)
	return d
}

// priority strips `<188>`.
func priority(s string) (string, bool) {
	if s == "" || s[0] != '<' {
		return s, false
	}
	end := strings.IndexByte(s[:min(len(s), 6)], '>')
	if end < 2 {
		return s, false
	}
	if _, err := strconv.ParseUint(s[1:end], 10, 8); err != nil {
		return s, false
	}
	return s[end+1:], true
}

// rfc5424 reads `1 TIME HOST APP PROCID MSGID SD MSG` (RFC 5424 §6).
func rfc5424(s string) (dressed, bool) {
	var d dressed
	if !strings.HasPrefix(s, "1 ") {
		return d, false
	}
	c := cursor{s[2:]}
	if !c.byte('-') {
		w, ok := c.stamp()
		if !ok {
			return d, false
		}
		d.relay, d.hasRelay = w, true
	}
	var field [4]string
	for i := range field {
		c.byte(' ')
		word, rest, ok := strings.Cut(c.s, " ")
		if !ok {
			return d, false
		}
		field[i], c.s = word, rest
	}
	if field[0] != "-" {
		d.host = field[0]
	}
	if field[1] != "-" {
		d.app = field[1]
	}
	c.s = structured(c.s)
	c.s = strings.TrimPrefix(strings.TrimLeft(c.s, " "), "\ufeff")
	inner := dressed{host: d.host, app: d.app}
	inner.walk(&c)
	inner.relay, inner.hasRelay = d.relay, d.hasRelay
	if d.host != "" {
		inner.host = d.host
	}
	if inner.app == "" {
		inner.app = d.app
	}
	return inner, true
}

// structured skips STRUCTURED-DATA (RFC 5424 §6.3).
func structured(s string) string {
	if strings.HasPrefix(s, "-") {
		return s[1:]
	}
	for strings.HasPrefix(s, "[") {
		quoted, i := false, 1
		for ; i < len(s); i++ {
			switch {
			case s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == ']' && !quoted:
				goto closed
			}
		}
		return ""
	closed:
		s = s[i+1:]
	}
	return s
}

// journalJSON reads a line of `journalctl -o json`.
func journalJSON(line string) (dressed, bool) {
	var j struct {
		Message json.RawMessage `json:"MESSAGE"`
		At      string          `json:"__REALTIME_TIMESTAMP"`
		Source  string          `json:"_SOURCE_REALTIME_TIMESTAMP"`
		Host    string          `json:"_HOSTNAME"`
		App     string          `json:"SYSLOG_IDENTIFIER"`
	}
	if json.Unmarshal([]byte(line), &j) != nil {
		return dressed{}, false
	}
	var text string
	if json.Unmarshal(j.Message, &text) != nil {
		var octets []int // what is not UTF-8 stands as an array of octets; []byte would mean base64
		if json.Unmarshal(j.Message, &octets) != nil {
			return dressed{}, false
		}
		raw := make([]byte, 0, len(octets))
		for _, o := range octets {
			raw = append(raw, byte(o))
		}
		text = string(raw)
	}
	var d dressed
	c := cursor{text}
	d.walk(&c)
	if d.host == "" {
		d.host = j.Host
	}
	if d.app == "" {
		d.app = j.App
	}
	if j.Source == "" {
		j.Source = j.At
	}
	if micros, err := strconv.ParseInt(j.Source, 10, 64); err == nil && micros > 0 {
		d.relay, d.hasRelay = written{epoch: micros / 1e6, nano: int(micros%1e6) * 1000, grain: 1000}, true
	}
	return d, true
}

// walk reads times, hosts, sequence numbers and tags in the order in which they come, up to the message.
func (d *dressed) walk(c *cursor) {
	stamps := 0
	for range 12 {
		c.blanks()
		if c.s == "" || begins(c.s) {
			break
		}
		if w, ok := c.stamp(); ok {
			c.byte(':')
			if stamps++; stamps == 1 {
				d.device, d.hasDevice = w, true
			} else {
				if !d.hasRelay {
					d.relay, d.hasRelay = d.device, true
				}
				d.device = w
			}
			continue
		}
		word, rest, _ := strings.Cut(c.s, " ")
		switch {
		case sequence(word):
		case word == ":":
		case strings.HasSuffix(word, ":") && len(word) < 80:
			d.tag(strings.TrimSuffix(word, ":"))
		case stamps > 0 && d.host == "" && len(word) < 256 && plausibleHost(word):
			d.host, d.headed = word, true
		default:
			d.msg = c.s
			return
		}
		c.s = rest
	}
	d.msg = c.s
}

// begins reports that the message itself starts here.
func begins(s string) bool {
	switch s[0] {
	case '%', '"':
		return true
	}
	for _, p := range []string{"ISAKMP", "IPSEC(", "IPSEC-EVENT", "IKEv2:", "IKEv2-", "SA ID:", "audit", "type="} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return len(s) > 6 && s[2] == '[' && s[0] >= '0' && s[0] <= '9' && s[6] == ']' // 05[IKE]
}

// sequence is `000123:`, with which IOS numbers its lines.
func sequence(word string) bool {
	if len(word) < 2 || len(word) > 12 || word[len(word)-1] != ':' {
		return false
	}
	for _, c := range word[:len(word)-1] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// tag is `host:`, `charon[812]:` or `kernel:`.
func (d *dressed) tag(word string) {
	name, _, process := strings.Cut(word, "[")
	switch {
	case process || name == "kernel" || name == "pluto" || name == "charon" || name == "charon-systemd" || name == "ipsec":
		d.app = name
	case d.host == "":
		d.host = name
	default:
		d.app = name
	}
}

func plausibleHost(word string) bool {
	for _, c := range word {
		if c != '.' && c != '-' && c != '_' && c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
