package suite

import (
	"bytes"
	"testing"
)

func TestPRFGivesTheOutputsOfRFC4231(t *testing.T) {
	for _, v := range []struct {
		id             uint16
		key, data, out string
	}{
		// §4.2, test case 1.
		{5, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{6, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
		// §4.3, test case 2: key "Jefe".
		{5, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	} {
		prf, ok := PRFByID(v.id)
		if !ok {
			t.Fatalf("PRF %d is not supported", v.id)
		}
		data := unhex(t, v.data)
		if got := prf.Sum(unhex(t, v.key), data[:3], data[3:]); !bytes.Equal(got, unhex(t, v.out)) {
			t.Errorf("%v: %x", prf, got)
		}
	}
}

func TestPRFAndPRFPlusGiveTheCAVPOutputs(t *testing.T) {
	ids := map[string]uint16{"PRF_HMAC_SHA2_256": 5, "PRF_HMAC_SHA2_384": 6, "PRF_HMAC_SHA2_512": 7}
	for _, name := range []string{"kdf_prf", "kdf_prf_plus"} {
		var vectors []struct {
			ID, Key, Salt, Out string
			PRF                string `json:"arg.prf"`
		}
		load(t, "strongswan-vectors/"+name+".json", &vectors)
		for _, v := range vectors {
			prf, ok := PRFByID(ids[v.PRF])
			if !ok {
				t.Fatalf("%s: %s is not supported", v.ID, v.PRF)
			}
			key, salt, want := unhex(t, v.Key), unhex(t, v.Salt), unhex(t, v.Out)
			var got []byte
			if name == "kdf_prf" {
				got = prf.Sum(salt, key) // SKEYSEED = prf(Ni | Nr, g^ir), RFC 7296 §2.14
			} else {
				var err error
				if got, err = prf.Plus(key, len(want), salt); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %x", v.ID, got)
			}
		}
	}
}

func TestPRFPlusEndsAt255Blocks(t *testing.T) {
	prf, _ := PRFByID(5)
	if b, err := prf.Plus([]byte{1}, 255*prf.Size(), []byte{2}); err != nil || len(b) != 255*32 {
		t.Errorf("255 blocks: %d octets, %v", len(b), err)
	}
	if _, err := prf.Plus([]byte{1}, 255*prf.Size()+1, []byte{2}); err == nil {
		t.Error("one octet more is given (RFC 7296 §2.13)")
	}
}

func TestUnknownPRFIsRefused(t *testing.T) {
	for _, id := range []uint16{0, 1, 3, 4, 8, 65535} {
		if p, ok := PRFByID(id); ok {
			t.Errorf("PRF %d is %v", id, p)
		}
	}
}
