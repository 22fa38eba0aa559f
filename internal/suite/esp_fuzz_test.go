package suite

import "testing"

// Whatever arrives as ESP is opened or refused, without a panic and without more payload than packet.
func FuzzOpener(f *testing.F) {
	for i, c := range espCiphers {
		s, _ := pair(f, c, 0x100, i%2 == 1)
		pkt := make([]byte, s.SealedLen(20))
		if _, err := s.Seal(pkt, 5, make([]byte, 20), 4); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), i%2 == 1, uint32(0), pkt)
	}
	f.Fuzz(func(t *testing.T, which uint8, esn bool, high uint32, pkt []byte) {
		c := espCiphers[int(which)%len(espCiphers)]
		_, o := pair(t, c, 0x100, esn)
		size := len(pkt)
		payload, _, err := o.Open(pkt, high)
		if err == nil && c.SealedLen(len(payload)) > size {
			t.Errorf("%d octets out of a packet of %d", len(payload), size)
		}
		if err != nil && payload != nil {
			t.Errorf("payload with %v", err)
		}
	})
}
