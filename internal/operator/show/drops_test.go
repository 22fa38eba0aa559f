package show

import (
	"strings"
	"testing"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/reason"
)

func drops() *counters.Totals {
	var d counters.Totals
	d.Packets[reason.InvalidSPI], d.Octets[reason.InvalidSPI] = 1733, 208100
	d.Packets[reason.SPIZero], d.Octets[reason.SPIZero] = 2, 64
	d.Packets[reason.NoOutboundSA], d.Octets[reason.NoOutboundSA] = 4, 336
	return &d
}

func TestGlobalDropsHaveTheColumnsOfIOSXE(t *testing.T) {
	var b strings.Builder
	if err := StatisticsDrop(&b, drops(), false); err != nil {
		t.Fatal(err)
	}
	rule := strings.Repeat("-", 73)
	want := rule + "\n" +
		"Global Drop Stats                         Packets                  Octets  \n" +
		rule + "\n" +
		"IpsecIkeIndicate                                4                     336\n" +
		"IpsecInput                                   1735                  208164\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[3:] {
		if len(line) != 73 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

func TestDatapathDropsHaveTheColumnsOfIOSXE(t *testing.T) {
	var short, all strings.Builder
	if err := DatapathDrops(&short, drops(), false); err != nil {
		t.Fatal(err)
	}
	if err := DatapathDrops(&all, drops(), true); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(short.String(), "\n"), "\n")
	if len(lines) != 5 || lines[3] != "        4  IN_US_V4_PKT_SA_NOT_FOUND_SPI                            1733" ||
		lines[4] != "      111  OUT_IPV4_SA_NOT_FOUND                                       4" {
		t.Errorf("got\n%s", short.String())
	}
	if rows := strings.Count(all.String(), "\n") - 3; rows != len(reason.Rows()) {
		t.Errorf("%d rows with all, of %d", rows, len(reason.Rows()))
	}
	for _, name := range []string{"4  IN_US_V4_PKT_SA_NOT_FOUND_SPI", "7  IN_TRANS_V4_IPSEC_PKT_NOT_FOUND_SPI", "12  IN_US_V6_PKT_SA_NOT_FOUND_SPI"} {
		if !strings.Contains(all.String(), name) {
			t.Errorf("no row %s", name)
		}
	}
}

func TestTheFilterOfTheTechNoteShowsItsSevenCounters(t *testing.T) {
	var b strings.Builder
	if err := StatisticsDrop(&b, &counters.Totals{}, true); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "Ipsec"); n != 7 {
		t.Errorf("%d rows with Ipsec:\n%s", n, b.String())
	}
}
