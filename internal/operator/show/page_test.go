package show

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 5, 6, 7, 8, 9, 250e6, time.UTC)

func text(t testing.TB, v View) string {
	t.Helper()
	var b strings.Builder
	if err := v.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func same(t testing.TB, v View, want string) {
	t.Helper()
	if d := cmp.Diff(want, text(t, v)); d != "" {
		t.Error(d)
	}
}

// data is a view as `| json` gives it.
func data(t testing.TB, v View) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTextOfOthersIsOneHarmlessLine(t *testing.T) {
	for in, want := range map[string]string{
		"vpn.example.net":                     "vpn.example.net",
		"a b \"c\" é 漢":                       "a b \"c\" é 漢",
		"x\nIncident 1: healed":               "x?Incident 1: healed",
		"\x1b[2J\x9b\u009b\u2028\u202e\u0000": "?[2J?????",
		"\xff\xfe":                            "??",
		strings.Repeat("ä", 300):              strings.Repeat("ä", 255),
		"":                                    "",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestAgesAreThoseOfIOS(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "00:00:00", 0: "00:00:00", 332 * time.Second: "00:05:32", day - 1: "23:59:59", day: "1d00h",
		3*day + 18*time.Hour: "3d18h", week - 1: "6d23h", week: "1w0d", 17*day + time.Hour: "2w3d", 400 * day: "1y5w",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if since(time.Time{}, now) != "never" || since(now.Add(-61*time.Second), now) != "00:01:01" {
		t.Error("since")
	}
}

func TestUptimeLeavesOutLeadingZerosOnly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0 minutes",
		61 * time.Second:              "1 minute",
		2*time.Hour + time.Minute:     "2 hours, 1 minute",
		week + 5*time.Minute:          "1 week, 0 days, 0 hours, 5 minutes",
		year + 2*week + day:           "1 year, 2 weeks, 1 day, 0 hours, 0 minutes",
		3*day + 18*time.Hour + 4*60e9: "3 days, 18 hours, 4 minutes",
	} {
		if got := uptime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestSPIsHaveEightDigitsAndTheirDecimal(t *testing.T) {
	b, err := json.Marshal(SPI(0xABC))
	if got := SPI(0xABC).String(); got != "0x00000ABC(2748)" || err != nil || string(b) != `{"hex":"0x00000ABC","number":2748}` {
		t.Error(got, string(b), err)
	}
}

type broken struct{ left int }

var errBroken = errors.New("broken pipe")

func (b *broken) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestABrokenOutputIsReportedByEveryView(t *testing.T) {
	s := busy()
	for name, v := range map[string]View{
		"version": &Version{}, "clock": &Clock{}, "running": NewRunning("a", "hostname a\n"), "interfaces": NewInterfaces(s.Interfaces, now),
		"ikev2": NewIKEv2SAs(s, true), "sessions of IKE": NewIKEv2Sessions(s), "ipsec": NewIPsec(s, true, nil), "sessions": NewSessions(s, true),
		"spi": NewSPILookup(s, 0), "recovery": NewRecovery(s, trouble(), true), "incident": NewIncident(trouble().Incidents[0]), "invalid": NewInvalidSPI(s),
	} {
		for left := range 2 {
			if err := v.Text(&broken{left}); !errors.Is(err, errBroken) && strings.Count(text(t, v), "\n") > left {
				t.Errorf("%s after %d writes: %v", name, left, err)
			}
		}
	}
}
