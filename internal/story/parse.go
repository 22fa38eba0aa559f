package story

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"lockstep/internal/config"
	"lockstep/internal/policy"
)

// Bounds of a script. No story needs more, and a typing error should not become an hour.
const (
	maxText  = 1 << 20
	maxWait  = time.Minute
	maxDelay = time.Second
	maxRate  = 1000 // packets a second
	maxSites = 8
)

// Story is one story, read and checked.
type Story struct {
	Name  string
	About string // what it tells, in one paragraph
	Twins []Twin

	file  string
	delay time.Duration
	casts []*cast
	steps []step
	kinds []string // of its claims, in order

	crashes map[string]bool // gateways that crash
}

// Twin is the same story with something broken on purpose.
type Twin struct {
	Name   string   // of a sabotage
	At     string   // gateway
	Breaks []string // kinds of the claims that must not hold
}

// Twin finds a sabotage twin.
func (s *Story) Twin(name string) (Twin, error) {
	var have []string
	for _, t := range s.Twins {
		if t.Name == name {
			return t, nil
		}
		have = append(have, t.Name)
	}
	return Twin{}, fmt.Errorf("story %s has no sabotage twin %s: it has %s", s.Name, name, orElse(strings.Join(have, ", "), "none"))
}

// cast is one gateway as the script brings it in.
type cast struct {
	name   string
	config *policy.Config
	tree   *config.Tree

	outside netip.Addr // of the NAT before it; zero: none
}

// step is one line of the script.
type step struct {
	line int
	text string
	do   action
}

// action carries a line out. An error means that the story cannot be told.
type action func(ctx context.Context, st *stage) error

// Parse reads a story. file is its name in errors, which have the form FILE:LINE: what was expected.
func Parse(file string, text []byte) (*Story, error) { return parse(file, text, compile) }

func parse(file string, text []byte, compile func(file string, text []byte) (*cast, error)) (*Story, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%s: %d octets: at most %d are read", file, len(text), maxText)
	}
	ar := txtar.Parse(text)
	name, _ := strings.CutSuffix(file[strings.LastIndexByte(file, '/')+1:], ".txtar")
	p := &parser{s: &Story{Name: name, file: file, crashes: map[string]bool{}}, compile: compile, files: map[string][]byte{}, used: map[string]bool{}, flowing: map[string]bool{}}
	for _, f := range ar.Files {
		if _, twice := p.files[f.Name]; twice {
			return nil, fmt.Errorf("%s: two files %s", file, f.Name)
		}
		p.files[f.Name] = f.Data
	}
	for i, line := range strings.Split(string(ar.Comment), "\n") {
		p.line = i + 1
		if err := p.read(strings.TrimRight(line, "\r")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := p.finish(ar.Files); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p.s, nil
}

// parser reads the lines of one script.
type parser struct {
	s       *Story
	compile func(file string, text []byte) (*cast, error)
	files   map[string][]byte
	used    map[string]bool
	line    int
	began   bool            // a command was read
	shown   bool            // `show` came before
	flowing map[string]bool // gateways with traffic

	rehearsed bool // `rehearse` came before
}

func (p *parser) read(line string) error {
	text := strings.TrimSpace(line)
	if about, isComment := strings.CutPrefix(text, "#"); isComment && !p.began {
		p.s.About = strings.TrimSpace(p.s.About + " " + strings.TrimSpace(about))
	}
	ws, err := split(line)
	if err != nil || len(ws) == 0 {
		return err
	}
	first := !p.began
	p.began = true
	name := ws[0].text
	c, known := commands[name]
	switch {
	case !known || ws[0].quoted:
		return fmt.Errorf("a command is expected (%s), not %s", strings.Join(commandNames(), ", "), name)
	case first != (name == "relay"):
		return errors.New("`relay DURATION` is expected as the first command, and there alone")
	}
	w := &words{rest: ws[1:]}
	do := c.parse(p, w)
	w.end()
	if w.err != nil {
		return fmt.Errorf("%w (usage: %s)", w.err, c.usage)
	}
	if do != nil {
		p.s.steps = append(p.s.steps, step{p.line, text, do})
	}
	return nil
}

// finish checks what only the whole script tells.
func (p *parser) finish(files []txtar.File) error {
	if !p.began {
		return errors.New("no script: commands are expected before the first file")
	}
	for _, f := range files {
		if !p.used[f.Name] {
			return fmt.Errorf("no gateway has the file %s", f.Name)
		}
	}
	if len(p.s.kinds) == 0 {
		return errors.New("no claim: a story without one cannot fail")
	}
	for _, t := range p.s.Twins {
		for _, kind := range t.Breaks {
			if !slices.Contains(p.s.kinds, kind) {
				return fmt.Errorf("twin %s breaks the claim %s, which the story does not make", t.Name, kind)
			}
		}
	}
	return nil
}

// gateway is the name of one that was brought in.
func (p *parser) gateway(w *words) string {
	name := w.plain("the name of a gateway")
	if w.err == nil && p.cast(name) == nil {
		w.fail("the name of a gateway is expected, not %s: bring it in with `gateway %s FILE`", name, name)
	}
	return name
}

// pair is two different ones.
func (p *parser) pair(w *words) (a, b string) {
	if a, b = p.gateway(w), p.gateway(w); w.err == nil && a == b {
		w.fail("two gateways are expected, not %s twice", a)
	}
	return a, b
}

func (p *parser) cast(name string) *cast {
	at := slices.IndexFunc(p.s.casts, func(c *cast) bool { return c.name == name })
	if at < 0 {
		return nil
	}
	return p.s.casts[at]
}

func (p *parser) pattern(w *words) *regexp.Regexp {
	text := w.quoted("a regular expression")
	re, err := regexp.Compile("(?m)" + text)
	if w.err == nil && err != nil {
		w.fail("a regular expression is expected: %v", err)
	}
	return re
}

// bring reads the configuration of one more gateway.
func (p *parser) bring(w *words) {
	name, file := w.plain("the name of a gateway"), w.plain("the name of a file below the script")
	text, there := p.files[file]
	switch {
	case w.err != nil:
		return
	case p.cast(name) != nil:
		w.fail("another name is expected: %s is a gateway already", name)
		return
	case len(p.s.casts) >= maxSites:
		w.fail("at most %d gateways are expected", maxSites)
		return
	case !there:
		w.fail("the name of a file below the script is expected: there is no %s", file)
		return
	}
	p.used[file] = true
	c, err := p.compile(file, text)
	if err != nil {
		w.err = err
		return
	}
	for _, other := range p.s.casts {
		for _, a := range addressesOf(c.config) {
			if slices.Contains(addressesOf(other.config), a) {
				w.fail("another address is expected: %s has %v", other.name, a)
			}
		}
	}
	c.name = name
	p.s.casts = append(p.s.casts, c)
}

// compile makes a policy of a configuration, which must suit a story.
func compile(file string, text []byte) (*cast, error) {
	tree, ds := config.Parse(file, text)
	var cfg *policy.Config
	if !config.HasErrors(ds) {
		var more []config.Diagnostic
		cfg, more = config.Compile(tree)
		ds = append(ds, more...)
	}
	for _, d := range ds {
		if d.Severity != config.Note {
			return nil, errors.New(d.String()) // nothing in a story may be without effect
		}
	}
	if len(addressesOf(cfg)) == 0 {
		return nil, fmt.Errorf("%s: a tunnel with `tunnel source ADDRESS` is expected", file)
	}
	for _, t := range cfg.Tunnels {
		if !t.Source.IsValid() {
			return nil, fmt.Errorf("%s: %s: `tunnel source` is expected with an address, a story has no interface %s", file, t.Name(), t.SourceIF)
		}
		if !t.Source.Is4() {
			return nil, fmt.Errorf("%s: %s: an IPv4 address is expected as its source", file, t.Name())
		}
	}
	return &cast{config: cfg, tree: tree}, nil
}

// inside is where the hosts behind peer are, as c's routes say: the tenth address of the prefix that leads into the
// tunnel to it.
func (c *cast) inside(peer *cast) (netip.Addr, bool) {
	for _, r := range c.config.Routes {
		if r.Tunnel < 0 || !r.Prefix.Addr().Is4() {
			continue
		}
		p := c.config.PeerByTunnel(r.Tunnel)
		if p == nil || p.Remote != peer.outside && !slices.Contains(addressesOf(peer.config), p.Remote) {
			continue
		}
		a := r.Prefix.Masked().Addr()
		for i := 0; i < 10 && r.Prefix.Contains(a.Next()); i++ {
			a = a.Next()
		}
		return a, true
	}
	return netip.Addr{}, false
}
