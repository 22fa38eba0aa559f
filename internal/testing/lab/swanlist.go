package lab

import (
	"fmt"
	"strconv"
	"strings"
)

// SwanSA is one IKE SA of strongSwan's list.
type SwanSA struct {
	Name      string
	State     string // ESTABLISHED, CONNECTING, REKEYED…
	Initiator bool
	SPIi      uint64
	SPIr      uint64
	Children  []SwanChild
}

// SwanChild is one child SA.
type SwanChild struct {
	Name     string // of the configuration, "net"
	State    string // INSTALLED, REKEYED, DELETED…
	Encap    bool
	In, Out  uint32 // SPIs as strongSwan sees them: its In is our Out
	Cipher   string // "AES_GCM_16-256"
	BytesIn  uint64
	BytesOut uint64
	Local    []string // traffic selectors
	Remote   []string
}

// node is a section of swanctl's raw output: {key=value key=[a b] name {…}}.
type node struct {
	values map[string]string
	lists  map[string][]string
	names  []string // of subs, in order
	subs   map[string]*node
}

// parseSAs reads `swanctl --list-sas --raw`.
func parseSAs(out string) ([]SwanSA, error) {
	var sas []SwanSA
	for line := range strings.Lines(out) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), "list-sa event ")
		if !found {
			continue
		}
		p := parser{rest: rest}
		n, err := p.section()
		if err != nil {
			return nil, fmt.Errorf("list of strongSwan's SAs: %w in %q", err, line)
		}
		for _, name := range n.names {
			sas = append(sas, ikeOf(name, n.subs[name]))
		}
	}
	return sas, nil
}

func ikeOf(name string, n *node) SwanSA {
	sa := SwanSA{Name: name, State: n.values["state"], Initiator: n.values["initiator"] == "yes",
		SPIi: hexOf(n.values["initiator-spi"]), SPIr: hexOf(n.values["responder-spi"])}
	children := n.subs["child-sas"]
	if children == nil {
		return sa
	}
	for _, id := range children.names {
		c := children.subs[id]
		cipher := c.values["encr-alg"]
		if k := c.values["encr-keysize"]; k != "" {
			cipher += "-" + k
		}
		if i := c.values["integ-alg"]; i != "" {
			cipher += "/" + i
		}
		sa.Children = append(sa.Children, SwanChild{Name: c.values["name"], State: c.values["state"], Encap: c.values["encap"] == "yes",
			In: uint32(hexOf(c.values["spi-in"])), Out: uint32(hexOf(c.values["spi-out"])), Cipher: cipher,
			BytesIn: decimal(c.values["bytes-in"]), BytesOut: decimal(c.values["bytes-out"]),
			Local: c.lists["local-ts"], Remote: c.lists["remote-ts"]})
	}
	return sa
}

func hexOf(s string) uint64   { v, _ := strconv.ParseUint(s, 16, 64); return v }
func decimal(s string) uint64 { v, _ := strconv.ParseUint(s, 10, 64); return v }

// parser walks the raw text.
type parser struct{ rest string }

func (p *parser) section() (*node, error) {
	n := &node{values: map[string]string{}, lists: map[string][]string{}, subs: map[string]*node{}}
	if !p.eat("{") {
		return nil, fmt.Errorf("no section at %.20q", p.rest)
	}
	for !p.eat("}") {
		end := strings.IndexAny(p.rest, "={")
		if end < 0 {
			return nil, fmt.Errorf("no end of the section at %.20q", p.rest)
		}
		name := strings.TrimSpace(p.rest[:end])
		if p.rest[end] == '{' {
			p.rest = p.rest[end:]
			sub, err := p.section()
			if err != nil {
				return nil, err
			}
			n.names = append(n.names, name)
			n.subs[name] = sub
			continue
		}
		p.rest = p.rest[end+1:]
		if p.eat("[") {
			list, rest, ok := strings.Cut(p.rest, "]")
			if !ok {
				return nil, fmt.Errorf("no end of list %s", name)
			}
			n.lists[name], p.rest = strings.Fields(list), rest
			continue
		}
		end = strings.IndexAny(p.rest, " }")
		if end < 0 {
			return nil, fmt.Errorf("no end of value %s", name)
		}
		n.values[name], p.rest = p.rest[:end], p.rest[end:]
	}
	return n, nil
}

func (p *parser) eat(s string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}
