package ike

import (
	"net/netip"

	"lockstep/internal/wire/ike2"
)

// MaxSelectors bounds the selectors of one side of a child: what we answer, and what we accept.
const MaxSelectors = 32

// AnyIPv4 is the selector of a `tunnel mode ipsec ipv4` interface: routes decide, not selectors.
func AnyIPv4() []ike2.Selector {
	return []ike2.Selector{ike2.SelectorFromPrefix(netip.PrefixFrom(netip.IPv4Unspecified(), 0))}
}

// Narrow is the part of offered that allowed permits (RFC 7296 §2.9): all intersections, without those that lie inside
// another. If the first offered selector is permitted, it is part of the result, as §2.9 demands. Empty: nothing fits,
// which is TS_UNACCEPTABLE.
func Narrow(offered, allowed []ike2.Selector) []ike2.Selector {
	var out []ike2.Selector
	for _, o := range offered {
		for _, a := range allowed {
			both, ok := o.Intersect(a)
			if !ok || len(out) == MaxSelectors {
				continue
			}
			out = addSelector(out, both)
		}
	}
	return out
}

// addSelector keeps only selectors that no other contains.
func addSelector(set []ike2.Selector, s ike2.Selector) []ike2.Selector {
	kept := set[:0]
	for _, have := range set {
		if have.Contains(s) {
			return set
		}
		if !s.Contains(have) {
			kept = append(kept, have)
		}
	}
	return append(kept, s)
}

// Within says that an answer is a subset of what was offered, and not empty: the initiator's check (RFC 7296 §2.9).
func Within(answer, offered []ike2.Selector) bool {
	for _, s := range answer {
		if !covered(s, offered) {
			return false
		}
	}
	return len(answer) > 0 && len(answer) <= MaxSelectors
}

// Covers says that set contains every selector of want; an empty want is covered by anything.
func Covers(set, want []ike2.Selector) bool {
	for _, s := range want {
		if !covered(s, set) {
			return false
		}
	}
	return true
}

func covered(s ike2.Selector, set []ike2.Selector) bool {
	for _, o := range set {
		if o.Contains(s) {
			return true
		}
	}
	return false
}
