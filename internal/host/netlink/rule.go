package netlink

import (
	"errors"
	"fmt"

	lib "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rule is one IPv4 routing rule on a mark. It is comparable.
type Rule struct {
	Priority int
	Mark     uint32
	Table    int // where to look; 0 with Refuse
	// AvoidGroup discards what Table answers when the way leads through an interface of this group; 0: never.
	AvoidGroup uint32
	Refuse     bool // unreachable
	Proto      uint8
}

func (r Rule) String() string {
	s := fmt.Sprintf("%d: from all fwmark %#x ", r.Priority, r.Mark)
	if r.Refuse {
		return s + "unreachable"
	}
	s += fmt.Sprintf("lookup %d", r.Table)
	if r.AvoidGroup != 0 {
		s += fmt.Sprintf(" suppress_ifgroup %d", r.AvoidGroup)
	}
	return s
}

// Rules lists the rules that carry proto.
func (h *Handle) Rules(proto uint8) ([]Rule, error) {
	rs, err := steady(func() ([]lib.Rule, error) { return h.h.RuleList(lib.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	var out []Rule
	for _, r := range rs {
		if r.Protocol != proto {
			continue
		}
		o := Rule{Priority: r.Priority, Mark: r.Mark, Table: r.Table, Proto: r.Protocol, Refuse: r.Table == 0}
		if r.SuppressIfgroup > 0 {
			o.AvoidGroup = uint32(r.SuppressIfgroup)
		}
		out = append(out, o)
	}
	return out, nil
}

// AddRule adds r; one that is there already is no error.
func (h *Handle) AddRule(r Rule) error {
	if err := h.h.RuleAdd(ruleOf(r)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add rule %s: %w", r, permission(err))
	}
	return nil
}

// DeleteRule removes r; one that is gone already is no error.
func (h *Handle) DeleteRule(r Rule) error {
	if err := h.h.RuleDel(ruleOf(r)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule %s: %w", r, permission(err))
	}
	return nil
}

func ruleOf(r Rule) *lib.Rule {
	out := lib.NewRule()
	mask := ^uint32(0)
	out.Family, out.Priority, out.Mark, out.Mask, out.Table, out.Protocol = lib.FAMILY_V4, r.Priority, r.Mark, &mask, r.Table, r.Proto
	if r.Refuse {
		out.Type = unix.RTN_UNREACHABLE
	}
	if r.AvoidGroup != 0 {
		out.SuppressIfgroup = int(r.AvoidGroup)
	}
	return out
}
