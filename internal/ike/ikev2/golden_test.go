package ikev2

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/collisions anew")

// TestCollisionsAreAsDrawn plays the situations that RFC 7296 §2.8.1, §2.8.2 and §2.25, and RFC 4718 §5.11, describe, and a
// few that they leave out, and holds them to the diagrams in testdata/collisions. Each is one case of the tables.
func TestCollisionsAreAsDrawn(t *testing.T) {
	aLoses, bLoses := [4]byte{0x01, 0x50, 0x60, 0x70}, [4]byte{0x60, 0x70, 0x50, 0x01}
	for _, c := range []struct {
		name, title string
		a, b        act
		nonces      [4]byte
		moves       string // the first of them; the others go in order
		losses      int
		ready       func(w *weave)
		rule        func(w *weave)
	}{
		{"child-rekeys-cross", "Both rekey the child; requests and answers cross. The lowest nonce is in a's answer: b deletes\nwhat it asked for, a the old child (RFC 7296 §2.8.1, first sequence).",
			rekeyChild, rekeyChild, bLoses, "a! b! b1 a1 a2 b2 a3 b3", 0, nil, (*weave).checkChildRekeys},
		{"child-rekey-request-lost", "a's request is lost, so only a learns that the rekeys collide. When it comes, b has finished:\nwhat b says is passed over (RFC 7296 §2.8.1, second sequence).",
			rekeyChild, rekeyChild, aLoses, "a! b! a1✗ b1", 1, nil, (*weave).checkChildRekeys},
		{"child-rekey-answer-lost", "b's answer to a is lost: b sees the collision at once, a a second later, and keeps both until then.",
			rekeyChild, rekeyChild, aLoses, "a! b! a1 b1 a2✗ b2", 1, nil, (*weave).checkChildRekeys},
		{"child-rekey-loser-deleted-early", "a deletes what lost before b has the answer that tells it of the collision.",
			rekeyChild, rekeyChild, aLoses, "a! b! a1 b1 a2 a3 a4 b2", 0, nil, (*weave).checkChildRekeys},
		{"child-rekey-old-deleted-early", "b has won and deletes the old child before a has the answer to its own rekey of it.",
			rekeyChild, rekeyChild, aLoses, "a! b! a1 b1 b2 b3 b4 a2", 0, nil, (*weave).checkChildRekeys},
		{"child-rekey-late-request", "a's request is slow: b has replaced the child by then, and is closing it.",
			rekeyChild, rekeyChild, aLoses, "a! b! b1 b2 a1 b3", 0, nil, (*weave).checkChildRekeys},
		{"ike-rekeys-cross", "Both rekey the IKE SA; requests and answers cross. The lowest nonce is a's: a deletes the IKE SA\nthat it asked for, b the old one, and the child goes to b's (RFC 7296 §2.8.2).",
			rekeyIKE, rekeyIKE, aLoses, "a! b! a1 b1 a2 b2", 0, nil, (*weave).checkIKERekeys},
		{"ike-rekey-one-notices", "a has finished before it notices b's rekey; b hears the end of the old IKE SA and forgets its\nown (RFC 7296 §2.8.2).",
			rekeyIKE, rekeyIKE, bLoses, "a! b! a1 a2 a3", 0, nil, (*weave).checkIKERekeys},
		{"ike-rekey-late-request", "a has finished; b's request comes before the end of the old IKE SA.",
			rekeyIKE, rekeyIKE, bLoses, "a! b! a1 a2 b1", 0, nil, (*weave).checkIKERekeys},
		{"ike-rekey-end-overtakes-answer", "Both have agreed, b has won and closes the old IKE SA before a has its answer: a forgets, and b\ndrops what nobody will ever use.",
			rekeyIKE, rekeyIKE, aLoses, "a! b! a1 b1 b2 b3 a2", 0, nil, (*weave).checkIKERekeys},
		{"ike-rekey-request-lost", "a's request is lost; b's rekey is done before it is sent again.",
			rekeyIKE, rekeyIKE, aLoses, "a! b! a1✗ b1", 1, nil, (*weave).checkIKERekeys},
		{"child-rekey-and-delete", "a rekeys the child that b deletes (RFC 7296 §2.25.1).",
			rekeyChild, deleteChild, aLoses, "a! b! a1 b1", 0, nil, func(w *weave) { w.mustHold() }},
		{"child-deletes-cross", "Both delete the child: the answers carry no Delete (RFC 7296 §1.4.1).",
			deleteChild, deleteChild, aLoses, "a! b! a1 b1", 0, nil, func(w *weave) { w.mustHold() }},
		{"child-rekey-and-ike-rekey", "a rekeys the child, b the IKE SA: both are refused, and try again after pauses of their own\n(RFC 7296 §2.25.2).",
			rekeyChild, rekeyIKE, aLoses, "a! b! a1 b1", 0, nil, (*weave).mustHoldOneOther},
		{"ike-rekey-and-delete", "a rekeys the IKE SA that b deletes (RFC 7296 §2.25.2).",
			rekeyIKE, deleteIKE, aLoses, "a! b! a1 b1", 0, nil, (*weave).mustBeOver},
		{"new-child-deleted-before-its-answer", "b deletes the child before a has the answer that makes it (RFC 4718 §5.11.6).",
			createChild, deleteNewest, aLoses, "a! a1 b!", 0, withoutChild, func(w *weave) { w.mustHold() }},
		{"new-child-rekeyed-before-its-answer", "b rekeys the child before a has the answer that makes it (RFC 4718 §5.11.7).",
			createChild, rekeyNewest, aLoses, "a! a1 b! b1", 0, withoutChild, (*weave).mustHoldOneOther},
		{"two-children-for-one-packet", "A packet wants a child at both ends. The RFCs have no rule: the lowest nonce goes here too.",
			createChild, createChild, aLoses, "a! b! a1 b1 a2 b2", 0, withoutChild, twinRule},
		{"two-children-one-notices", "The same; b has finished when a's request comes, and sees two children that were wanted. a knows\nbetter, waits for b, and deletes its own.",
			createChild, createChild, bLoses, "a! b! b1 b2 a1", 0, withoutChild, twinRule},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeave(t, nil, apart)
			w.replay(c.moves)
			w.losses, w.busy, w.gap, w.wide = c.losses, true, c.a > rekeyChild || c.b > rekeyChild, c.a == rekeyIKE || c.b == rekeyIKE
			w.a.plane.lossy, w.b.plane.lossy = w.gap, w.gap
			if c.ready != nil {
				c.ready(w)
			}
			w.force(c.nonces)
			w.starts = []start{{of: w.a, act: c.a}, {of: w.b, act: c.b}}
			w.run()
			story := c.title + "\n\n" + w.drawing.String() + "\n\n" + w.ends()
			c.rule(w)
			w.mustBeClean()
			golden(t, c.name, story)
		})
	}
}

// ends is what is left and what went, of both.
func (w *weave) ends() string {
	var out strings.Builder
	fmt.Fprintf(&out, "moves   %s\n", w.schedule())
	for _, s := range w.sides() {
		fmt.Fprintf(&out, "%s holds %s", s.name, s.plane.holds())
		if s.closed == "" && w.wide {
			fmt.Fprintf(&out, " under IKE SA %s", ikeNames(s))
		}
		var gone []string
		for _, spi := range slices.Sorted(maps.Keys(s.tombs)) {
			gone = append(gone, fmt.Sprintf("%X %v", uint32(spi), s.tombs[spi]))
		}
		if len(gone) > 0 {
			fmt.Fprintf(&out, "; gone: %s", strings.Join(gone, ", "))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "collisions", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew.\ngot\n%s\nwant\n%s", path, got, want)
	}
}
