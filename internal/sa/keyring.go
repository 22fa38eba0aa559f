package sa

import "crypto/sha256"

// maxKeys is how many keys are remembered; the oldest give way.
const maxKeys = 1 << 17

// keyMark tells keys apart without being one.
type keyMark [16]byte

func markOf(key []byte) keyMark {
	h := sha256.New()
	h.Write([]byte("lockstep: ESP key that was installed"))
	h.Write(key)
	return keyMark(h.Sum(nil)[:16])
}

// keyring remembers what was installed, so that no key comes a second time: sequence numbers would begin anew, and AES-GCM
// would repeat its nonces (RFC 4106 §2). Callers serialise its use.
type keyring struct {
	known map[keyMark]int // place in ring
	ring  []keyMark
	next  int
}

func (k *keyring) add(m keyMark) {
	if k.known == nil {
		k.known = make(map[keyMark]int)
	}
	if len(k.ring) < maxKeys {
		k.known[m] = len(k.ring)
		k.ring = append(k.ring, m)
		return
	}
	if old := k.ring[k.next]; k.known[old] == k.next {
		delete(k.known, old)
	}
	k.ring[k.next], k.known[m] = m, k.next
	k.next = (k.next + 1) % maxKeys
}

// claim marks the keys of the named halves as used, all or none.
func (t *Table) claim(c *Child, h Half) ([]keyMark, error) {
	var marks []keyMark
	if h&InboundHalf != 0 {
		marks = append(marks, markOf(c.KeyIn.Reveal()))
	}
	if h&OutboundHalf != 0 {
		marks = append(marks, markOf(c.KeyOut.Reveal()))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range marks {
		if _, used := t.keys.known[m]; used {
			return nil, ErrKeyReuse
		}
	}
	for _, m := range marks {
		t.keys.add(m)
	}
	return marks, nil
}

// unclaim forgets the marks of an install that did not happen: nothing was sealed with those keys.
func (t *Table) unclaim(marks []keyMark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range marks {
		delete(t.keys.known, m)
	}
}
