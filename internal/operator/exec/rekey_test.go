package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lockstep/internal/ike"
)

func TestRekeyOrdersWhatItSays(t *testing.T) {
	child, whole := fmt.Sprint(ike.VerbRekeyChild), fmt.Sprint(ike.VerbRekeyIKE)
	for line, want := range map[string][]string{
		"crypto ipsec rekey":                   {"0 verb " + child + " spi 00000000: crypto ipsec rekey", "1 verb " + child + " spi 00000000: crypto ipsec rekey"},
		"crypto ikev2 rekey peer 198.51.100.7": {"1 verb " + whole + " spi 00000000: crypto ikev2 rekey peer 198.51.100.7"},
	} {
		l := newLab(t)
		if out := l.must(line); out != "" || !slices.Equal(l.orders, want) {
			t.Errorf("%s: %q, %q", line, out, l.orders)
		}
	}
	l := newLab(t)
	if _, err := l.run("crypto ipsec rekey peer 203.0.113.9"); err == nil || !strings.Contains(err.Error(), "No tunnel has the peer") || len(l.orders) > 0 {
		t.Errorf("%v, %q", err, l.orders)
	}
}

func TestARekeyOfNothingIsAFailure(t *testing.T) {
	for result, want := range map[ike.Result]string{
		ike.OK: "", ike.Moot: "", ike.NoIKE: "there is no SA to rekey", ike.TimedOut: "the IKE SA is dead", ike.Refused: "the peer refused: no",
	} {
		if got := rekeyFailure(ike.Outcome{Result: result, Detail: "no"}, nil); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("result %d: %q, want %q", result, got, want)
		}
	}
	if got := rekeyFailure(ike.Outcome{}, context.DeadlineExceeded); !strings.Contains(got, "repeated") {
		t.Errorf("no answer: %q", got)
	}
}
