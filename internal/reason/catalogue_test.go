package reason

import (
	"slices"
	"testing"
)

func TestEveryReasonHasItsEntry(t *testing.T) {
	if len(entries) != Count-1 {
		t.Fatalf("%d entries for %d reasons", len(entries), Count-1)
	}
	names, numbers := map[string]Drop{}, map[int]bool{}
	for _, r := range Rows() {
		numbers[r.Number] = true
	}
	for i, e := range entries {
		if int(e.Drop) != i+1 {
			t.Errorf("entry %d (%s) is out of order", i, e.Mnemonic)
		}
		if e.Mnemonic == "" || e.Meaning == "" || names[e.Mnemonic] != None {
			t.Errorf("entry %d: %+v", i, e)
		}
		if e.Row != 0 && !numbers[e.Row] {
			t.Errorf("%s: there is no row %d", e.Mnemonic, e.Row)
		}
		if e.Global == "" && e.Row != 0 {
			t.Errorf("%s counts in a row and not in all", e.Mnemonic)
		}
		names[e.Mnemonic] = e.Drop
		if e.Drop.String() != e.Mnemonic {
			t.Errorf("%v prints as %s", e, e.Drop)
		}
	}
	for _, d := range []Drop{None, Drop(Count), 255} {
		if _, ok := Of(d); ok || d.String() != "none" {
			t.Errorf("%d has an entry", d)
		}
	}
}

func TestTheThreeSPIRowsAreThoseOfIOSXE(t *testing.T) {
	byNumber := map[int]string{}
	last := 0
	for _, r := range Rows() {
		if r.Number <= last {
			t.Errorf("row %d behind %d", r.Number, last)
		}
		last, byNumber[r.Number] = r.Number, r.Name
	}
	for d, name := range map[Drop]string{
		InvalidSPI: "IN_US_V4_PKT_SA_NOT_FOUND_SPI", InvalidSPIv6: "IN_US_V6_PKT_SA_NOT_FOUND_SPI", TransitSPI: "IN_TRANS_V4_IPSEC_PKT_NOT_FOUND_SPI",
	} {
		if e, _ := Of(d); byNumber[e.Row] != name || e.Global != "IpsecInput" {
			t.Errorf("%v counts in %s and %s", d, e.Global, byNumber[e.Row])
		}
	}
}

func TestGlobalNamesAreThoseOfTheTechNoteInOrder(t *testing.T) {
	want := []string{"IpsecDenyDrop", "IpsecIkeIndicate", "IpsecInput", "IpsecInvalidSa", "IpsecOutput", "IpsecTailDrop", "IpsecTedIndicate"}
	if got := GlobalNames(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
