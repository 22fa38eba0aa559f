package grammar

import (
	"fmt"
	"strconv"
	"strings"
)

// position is one token of a pattern. A compiled pattern is the automaton of its positions (Glushkov): which may come
// first, which may follow which, and after which the line may end.
type position struct {
	kind   Kind
	text   string // the keyword, or the variable as `?` shows it
	name   string // variables only
	lo, hi uint64 // Number: range
	glued  bool   // this keyword takes the next variable also without a space
	help   string
}

type program struct {
	positions []position
	first     []int
	follow    [][]int
	last      map[int]bool
	keywords  int // how many tokens lead the pattern as plain keywords
}

// fragment is a part of a pattern under construction.
type fragment struct {
	empty       bool // it may be absent
	first, last []int
}

type patternParser struct {
	tokens []string
	at     int
	prog   *program
}

func compile(pattern string) (*program, error) {
	p := &patternParser{tokens: patternTokens(pattern), prog: &program{last: map[int]bool{}}}
	for _, t := range p.tokens {
		if strings.ContainsAny(t[:1], "[]{}|<") || variableKind(t) != Keyword {
			break
		}
		p.prog.keywords++
		if strings.Contains(t, "<") {
			break
		}
	}
	f, err := p.alternatives()
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("%q closes nothing", p.tokens[p.at])
	}
	if err == nil && f.empty {
		err = fmt.Errorf("nothing is required")
	}
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	p.prog.first = f.first
	for _, i := range f.last {
		p.prog.last[i] = true
	}
	return p.prog, nil
}

func patternTokens(pattern string) []string {
	for _, b := range []string{"[", "]", "{", "}", "|"} {
		pattern = strings.ReplaceAll(pattern, b, " "+b+" ")
	}
	return strings.Fields(strings.ReplaceAll(pattern, "...", " ... "))
}

func (p *patternParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *patternParser) alternatives() (fragment, error) {
	out, err := p.sequence()
	for err == nil && p.peek() == "|" {
		p.at++
		var f fragment
		if f, err = p.sequence(); err == nil {
			out = fragment{out.empty || f.empty, append(out.first, f.first...), append(out.last, f.last...)}
		}
	}
	return out, err
}

func (p *patternParser) sequence() (fragment, error) {
	out := fragment{empty: true}
	for t := p.peek(); t != "" && t != "|" && t != "]" && t != "}"; t = p.peek() {
		f, err := p.item()
		if err != nil {
			return out, err
		}
		p.link(out.last, f.first)
		if out.empty {
			out.first = append(out.first, f.first...)
		}
		if f.empty {
			out.last = append(out.last, f.last...)
		} else {
			out.last = f.last
		}
		out.empty = out.empty && f.empty
	}
	if out.first == nil {
		return out, fmt.Errorf("an empty part")
	}
	return out, nil
}

func (p *patternParser) link(from, to []int) {
	for _, i := range from {
		p.prog.follow[i] = append(p.prog.follow[i], to...)
	}
}

func (p *patternParser) item() (f fragment, err error) {
	t := p.peek()
	p.at++
	switch t {
	case "[", "{":
		if f, err = p.alternatives(); err != nil {
			return f, err
		}
		if closing := map[string]string{"[": "]", "{": "}"}[t]; p.peek() != closing {
			return f, fmt.Errorf("%q is not closed", t)
		}
		p.at++
		f.empty = f.empty || t == "["
	default:
		if f, err = p.token(t); err != nil {
			return f, err
		}
	}
	if p.peek() == "..." {
		p.at++
		p.link(f.last, f.first)
	}
	return f, nil
}

// token adds the position of one keyword or variable, or the two of `Tunnel<0-99>`.
func (p *patternParser) token(t string) (fragment, error) {
	if i := strings.IndexByte(t, '<'); i > 0 {
		v, err := variable(t[i:])
		k := p.add(position{text: t[:i], glued: true})
		n := p.add(v)
		p.link([]int{k}, []int{n})
		return fragment{first: []int{k}, last: []int{n}}, err
	}
	if variableKind(t) == Keyword {
		i := p.add(position{text: t})
		return fragment{first: []int{i}, last: []int{i}}, nil
	}
	v, err := variable(t)
	i := p.add(v)
	return fragment{first: []int{i}, last: []int{i}}, err
}

func (p *patternParser) add(at position) int {
	p.prog.positions = append(p.prog.positions, at)
	p.prog.follow = append(p.prog.follow, nil)
	return len(p.prog.positions) - 1
}

var variables = []struct {
	text string
	kind Kind
	name string // unless the pattern gives one
}{
	{"A.B.C.D/M", Prefix, "prefix"}, {"A.B.C.D", IPv4, "address"}, {"X:X:X:X::X", IPv6, "address"},
	{"WORD", Word, "word"}, {"LINE", Line, "line"}, {"REST", Rest, "rest"},
}

func variableKind(t string) Kind {
	if strings.HasPrefix(t, "<") {
		return Number
	}
	for _, v := range variables {
		if t == v.text || strings.HasPrefix(t, v.text+":") {
			return v.kind
		}
	}
	return Keyword
}

func variable(t string) (position, error) {
	for _, v := range variables {
		if rest, ok := strings.CutPrefix(t, v.text); ok && (rest == "" || rest[0] == ':') {
			out := position{kind: v.kind, text: v.text, name: v.name}
			if v.kind == Rest {
				out.text = "LINE"
			}
			if rest != "" {
				out.name = rest[1:]
			}
			return out, nil
		}
	}
	body, name, _ := strings.Cut(t, ":")
	lo, hi, ok := strings.Cut(strings.Trim(body, "<>"), "-")
	out := position{kind: Number, text: body, name: name}
	if name == "" {
		out.name = "number"
	}
	var e1, e2 error
	out.lo, e1 = strconv.ParseUint(lo, 10, 64)
	out.hi, e2 = strconv.ParseUint(hi, 10, 64)
	if !ok || e1 != nil || e2 != nil || out.lo > out.hi || !strings.HasSuffix(body, ">") {
		return out, fmt.Errorf("%q is not a range", t)
	}
	return out, nil
}
