package advise

import (
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// line is one line of a configuration with the lines of the section that it opens.
type line struct {
	no    int
	text  string
	words []string
	kids  []*line
}

// heads begin a section or stand alone at the margin; they tell sections apart in a text that lost its indentation.
var heads = []string{"crypto ", "interface ", "hostname ", "ip route ", "ip access-list ", "access-list ", "router ", "line ", "end", "username ",
	"event ", "ip local ", "version ", "logging ", "service ", "ntp ", "vrf definition ", "ip vrf ", "object ", "tunnel-group ", "route ", "snmp-server ", "no crypto "}

// parse makes sections of a text. Prompts and command echoes of a terminal capture are passed over.
func parse(text string) []*line {
	raw := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	indented := false
	for _, l := range raw {
		indented = indented || strings.HasPrefix(l, " ") && strings.TrimSpace(l) != ""
	}
	var top []*line
	for i, l := range raw {
		l = strings.TrimRight(l, "\r \t")
		body := strings.TrimLeft(l, " \t")
		if body == "" || body[0] == '!' || len(body) > 4096 || strings.HasPrefix(body, ": ") {
			continue
		}
		n := &line{no: i + 1, text: body, words: strings.Fields(body)}
		inner := len(l) != len(body)
		if !indented {
			inner = len(top) > 0 && !head(body) && opens(top[len(top)-1])
		}
		if !inner || len(top) == 0 {
			top = append(top, n)
			continue
		}
		nest(top[len(top)-1], n, len(l)-len(body))
	}
	return top
}

// nest puts a line into a section; what is indented deeper than by one (`address` below `peer` in a keyring) goes one
// level further down.
func nest(section, n *line, depth int) {
	if depth > 1 && len(section.kids) > 0 {
		last := section.kids[len(section.kids)-1]
		last.kids = append(last.kids, n)
		return
	}
	section.kids = append(section.kids, n)
}

func head(body string) bool {
	for _, h := range heads {
		if strings.HasPrefix(body, h) {
			return true
		}
	}
	return false
}

// opens reports that a line begins a section in a text without indentation.
func opens(l *line) bool {
	return l.is("interface") || l.is("crypto", "isakmp", "profile") || l.is("crypto", "isakmp", "policy") || l.is("crypto", "map") ||
		l.is("crypto", "dynamic-map") || l.is("crypto", "ipsec") || l.is("crypto", "ikev2") || l.is("crypto", "keyring") || l.is("ip", "access-list") || l.is("router") || l.is("line")
}

// is reports that a line begins with these words.
func (l *line) is(words ...string) bool {
	if len(l.words) < len(words) {
		return false
	}
	for i, w := range words {
		if !strings.EqualFold(l.words[i], w) {
			return false
		}
	}
	return true
}

// word is the i-th word, or nothing.
func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

func (l *line) find(words ...string) *line {
	for _, k := range l.kids {
		if k.is(words...) {
			return k
		}
	}
	return nil
}

// secrets are words behind which a key stands.
var secrets = []string{"key", "pre-shared-key", "secret", "password", "authentication", "session-key", "cipher", "authenticator", "community", "key-string", "md5", "passphrase", "auth", "priv"}

// quote shows a line without what must not be shown.
func (l *line) quote(file string) evidence.Quote {
	text := l.text
	for i, w := range l.words {
		for _, s := range secrets {
			if strings.EqualFold(w, s) && i+1 < len(l.words) && !l.is("tunnel", "key") {
				text = strings.Join(l.words[:i+1], " ") + " <redacted>"
				return evidence.Quote{Source: evidence.Source{File: file, Line: l.no}, Text: text}
			}
		}
	}
	if len(text) > 200 {
		text = text[:200]
	}
	return evidence.Quote{Source: evidence.Source{File: file, Line: l.no}, Text: text}
}
