package ike

import (
	"errors"
	"fmt"
	"slices"

	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
)

// options are what policy permits in one proposal, by transform type in order of preference. A type whose options
// include NONE (ID 0, except ESN, where 0 is an algorithm) may be absent; any other must be there (RFC 7296 §3.3.3).
type options map[ike2.TransformType][]ike2.Transform

// pick takes the first permitted transform of each type from p, which must hold no other types (RFC 7296 §3.3.6:
// exactly one of each type that the proposal has; an unknown type spoils it, an unknown transform only itself).
func (o options) pick(p ike2.Proposal) ([]ike2.Transform, bool) {
	var chosen []ike2.Transform
	for _, t := range p.Transforms {
		if o[t.Type] == nil {
			return nil, false
		}
	}
	for _, kind := range []ike2.TransformType{ike2.ENCR, ike2.PRF, ike2.INTEG, ike2.DH, ike2.ESN} {
		permitted := o[kind]
		if permitted == nil {
			continue
		}
		if !hasType(p, kind) {
			if mayBeAbsent(permitted) {
				continue
			}
			return nil, false
		}
		i := slices.IndexFunc(permitted, func(t ike2.Transform) bool { return slices.Contains(p.Transforms, t) })
		if i < 0 {
			return nil, false
		}
		chosen = append(chosen, permitted[i])
	}
	return chosen, true
}

func hasType(p ike2.Proposal, kind ike2.TransformType) bool {
	return slices.ContainsFunc(p.Transforms, func(t ike2.Transform) bool { return t.Type == kind })
}

func mayBeAbsent(ts []ike2.Transform) bool {
	return slices.ContainsFunc(ts, func(t ike2.Transform) bool { return t.Type != ike2.ESN && t.ID == 0 })
}

// ErrAnswer is wrapped by every refusal of a responder's choice: it must be one of our proposals with one transform of
// each type, unchanged (RFC 7296 §3.3, §3.3.6).
var ErrAnswer = errors.New("the answer is none of our proposals")

// checkAnswer finds the proposal of offer that answer accepts.
func checkAnswer(offer, answer []ike2.Proposal) (ike2.Proposal, error) {
	if len(answer) != 1 {
		return ike2.Proposal{}, fmt.Errorf("%w: %d proposals", ErrAnswer, len(answer))
	}
	a := answer[0]
	i := slices.IndexFunc(offer, func(p ike2.Proposal) bool { return p.Number == a.Number && p.Protocol == a.Protocol })
	if i < 0 {
		return a, fmt.Errorf("%w: %v", ErrAnswer, a)
	}
	seen := map[ike2.TransformType]bool{}
	for _, t := range a.Transforms {
		if seen[t.Type] || !slices.Contains(offer[i].Transforms, t) {
			return a, fmt.Errorf("%w: %v", ErrAnswer, a)
		}
		seen[t.Type] = true
	}
	for _, t := range offer[i].Transforms {
		if !seen[t.Type] {
			return a, fmt.Errorf("%w: %v lacks %v", ErrAnswer, a, t.Type)
		}
	}
	return a, nil
}

// transformOf is the ID and key length of the transform of one type; zeros if there is none.
func transformOf(ts []ike2.Transform, kind ike2.TransformType) (id, keyLength uint16) {
	for _, t := range ts {
		if t.Type == kind {
			return t.ID, t.KeyLength
		}
	}
	return 0, 0
}

func cipherOf(ts []ike2.Transform) suite.Cipher {
	encr, bits := transformOf(ts, ike2.ENCR)
	integ, _ := transformOf(ts, ike2.INTEG)
	return suite.Cipher{Encr: encr, KeyBits: bits, Integ: integ}
}

func plain(kind ike2.TransformType, ids []uint16) []ike2.Transform {
	out := make([]ike2.Transform, len(ids))
	for i, id := range ids {
		out[i] = ike2.Transform{Type: kind, ID: id}
	}
	return out
}

// preferred is ids with first moved to the front, if it is one of them: the group that came in KE saves a round trip.
func preferred(ids []uint16, first uint16) []uint16 {
	i := slices.Index(ids, first)
	if i <= 0 {
		return ids
	}
	out := append([]uint16{first}, ids[:i]...)
	return append(out, ids[i+1:]...)
}
