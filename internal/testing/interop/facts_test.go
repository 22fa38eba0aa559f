package interop

import (
	"strconv"
	"strings"
	"testing"

	"lockstep/internal/testing/lab"
)

// spi is an ESP SPI as `| json` writes it.
type spi struct {
	Number uint32 `json:"number"`
}

// ikeSAs is `show crypto ikev2 sa | json`.
type ikeSAs struct {
	SAs []ikeSA `json:"sas"`
}

type ikeSA struct {
	Status    string `json:"status"`
	LocalSPI  string `json:"local_spi"`
	RemoteSPI string `json:"remote_spi"`
	Initiator bool   `json:"initiator"`
	Children  []struct {
		In             spi      `json:"inbound_spi"`
		Out            spi      `json:"outbound_spi"`
		State          string   `json:"state"`
		LocalSelector  []string `json:"local_selectors"`
		RemoteSelector []string `json:"remote_selectors"`
	} `json:"children"`
}

func ikeOf(g *lab.Lockstep) (v ikeSAs) { g.ExecJSON("show crypto ikev2 sa detailed", &v); return v }

// ourSPIs lists our working child SAs.
func (s *site) ourSPIs() []spis { s.t.Helper(); return childrenOf(s.ours) }

func childrenOf(g *lab.Lockstep) (out []spis) {
	for _, ike := range ikeOf(g).SAs {
		for _, c := range ike.Children {
			if c.State == "working" {
				out = append(out, spis{c.In.Number, c.Out.Number})
			}
		}
	}
	return out
}

// ourIKE lists our IKE SAs as (initiator's, responder's) SPI.
func (s *site) ourIKE() (out [][2]uint64) {
	s.t.Helper()
	for _, ike := range ikeOf(s.ours).SAs {
		if ike.Status != "READY" {
			continue
		}
		pair := [2]uint64{hex(s.t, ike.LocalSPI), hex(s.t, ike.RemoteSPI)}
		if !ike.Initiator {
			pair[0], pair[1] = pair[1], pair[0]
		}
		out = append(out, pair)
	}
	return out
}

func hex(t testing.TB, s string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// logLines are the lines of `show logging` that have all of these words.
func logLines(g *lab.Lockstep, words ...string) (out []string) {
next:
	for line := range strings.Lines(g.Exec("show logging")) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		out = append(out, strings.TrimRight(line, "\n"))
	}
	return out
}

// drops is `show platform hardware qfp … | json`.
type drops struct {
	Counters []struct {
		Name    string `json:"name"`
		Row     int    `json:"row"`
		Packets uint64 `json:"packets"`
	} `json:"counters"`
	Reasons []struct {
		Reason  string `json:"reason"`
		Packets uint64 `json:"packets"`
	} `json:"reasons"`
}

// dropped gives the packets that each reason has counted.
func dropped(g *lab.Lockstep) map[string]uint64 {
	var v drops
	g.ExecJSON(qfpIPsec, &v)
	out := map[string]uint64{}
	for _, r := range v.Reasons {
		out[r.Reason] = r.Packets
	}
	return out
}

// counter is one counter of a command of that kind by its IOS XE name; 0 where it is not shown.
func counter(g *lab.Lockstep, command, name string) uint64 {
	var v drops
	g.ExecJSON(command, &v)
	for _, c := range v.Counters {
		if c.Name == name {
			return c.Packets
		}
	}
	return 0
}

const (
	qfpGlobal = "show platform hardware qfp active statistics drop"
	qfpIPsec  = "show platform hardware qfp active feature ipsec datapath drops"
)

// incident is what `show crypto recovery | json` has of each.
type incident struct {
	ID         uint64   `json:"id"`
	Result     string   `json:"result"`
	Peer       string   `json:"peer"`
	SPI        spi      `json:"spi"`
	Class      string   `json:"class_code"`
	Verdict    string   `json:"verdict"`
	Cause      string   `json:"cause"`
	Why        []string `json:"why"`
	Healer     string   `json:"healer"`
	HealMS     *int64   `json:"heal_ms"`
	RoundTrips int      `json:"round_trips"`
	Lost       uint64   `json:"packets_lost"`
}

func incidentsOf(g *lab.Lockstep) (open, closed []incident) {
	var v struct {
		Open   []incident `json:"open"`
		Closed []incident `json:"closed"`
	}
	g.ExecJSON("show crypto recovery", &v)
	return v.Open, v.Closed
}
