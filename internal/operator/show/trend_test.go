package show

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

func trends() []recovery.Trend {
	flapper := recovery.Trend{Owner: 6, Peer: "Tunnel4", Remote: west, Healings: 2, Recurring: true, Days: [7]int{6: 2}, Healers: map[recovery.Healer]int{recovery.ByPeer: 1, recovery.ByDPD: 1},
		Worst: time.Second, Median: time.Second, Trips: 1, First: now.Add(-time.Hour), Last: now.Add(-time.Minute),
		Causes: []recovery.CauseCount{{Cause: "D14", Healings: 2, Here: "who clears SAs: show logging", There: "does our Delete arrive?"}}}
	flapper.Hours[22], flapper.Hours[23] = 1, 1
	calm := recovery.Trend{Owner: 5, Peer: "Tunnel3", Remote: east, Healings: 5, Days: [7]int{0: 3, 1: 2}, Healers: map[recovery.Healer]int{recovery.ByRecovery: 5},
		Median: 80 * time.Millisecond, Worst: 90 * time.Millisecond, Trips: 2, Lost: 44, First: now.AddDate(0, 0, -6), Last: now.AddDate(0, 0, -5)}
	return []recovery.Trend{calm, flapper}
}

func TestATrendSaysFirstWhatRecurs(t *testing.T) {
	same(t, NewTrend(busy(), trends()), `Healings within 7 days: 2 of 2 tunnels, 1 recurring

Tunnel4, peer 2001:db8:77::20: 2 healings, 2 in the last 24 hours: recurring, somebody should remove the cause
  Healed in    1000 ms in the median, 1000 ms at worst; 1 IKE round trip in the median
  Healed by    dpd 1, peer 1
  Packets lost 0
  Last         May  6 07:07:09.250, 00:01:00 ago
  By hour      . . . . . . . . . . . . . . . . . . . . . . 1 1  (the last one ends now)
  By day       . . . . . . 2  (the last one ends now)
  Cause        D14: an operator cleared the SA here, and the peer has not heard of it
               healed 2 times
    look here  who clears SAs: show logging
    and there  does our Delete arrive?

Tunnel3, peer 203.0.113.20: 5 healings, 0 in the last 24 hours
  Healed in    80 ms in the median, 90 ms at worst; 2 IKE round trips in the median
  Healed by    recovery 5
  Packets lost 44
  Last         May  1 07:08:09.250, 5d00h ago
  By hour      . . . . . . . . . . . . . . . . . . . . . . . .  (the last one ends now)
  By day       3 2 . . . . .  (the last one ends now)
`)
	same(t, NewTrend(busy(), nil), "Healings within 7 days: 0 of 2 tunnels, 0 recurring\n")
}

func TestATrendAsDataHasTheSameFacts(t *testing.T) {
	b, err := json.Marshal(NewTrend(busy(), trends()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"tunnel":"Tunnel4"`, `"recurring":true`, `"by_day_7d":[3,2,0,0,0,0,0]`, `"healings_24h":2`, `"healers":{"dpd":1,"peer":1}`,
		`"median_heal_ms":80`, `"packets_lost":44`, `"cause":"D14"`, `"look_at_the_peer":"does our Delete arrive?"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func TestATunnelThatGoesOneWayIsShown(t *testing.T) {
	s, r := busy(), trouble()
	r.Standings[0].OneWaySince, r.Standings[0].OneWayUntil = now.Add(-time.Hour), now.Add(100*time.Second)
	s.IKE = nil // what is known outlives the IKE SAs
	s.Quirks = map[sa.Owner]ike.Quirks{5: {AvoidFF: now.Add(-time.Minute), HoldSwitch: now.Add(-2 * time.Minute), Hold: 2 * time.Second, NoM2: now.Add(-3 * time.Minute)}}
	got := text(t, NewRecovery(s, r, true))
	for _, want := range []string{
		"    one-way by nature: nothing comes back since May  6 06:08:09.250; looked at again at May  6 07:09:49.250\n",
		"    the peer has CSCvp16730, met May  6 07:07:09.250: it is offered no SPI that begins with 0xFF\n",
		"    the peer has CSCvn31824, met May  6 07:06:09.250: we send on a new SA when it does, or after 2s\n",
		"    the peer has CSC..40554, met May  6 07:05:09.250: it is sent no INVALID_SPI\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	s.IKE = busy().IKE
	s.IKE[0].Children[0].SilentSince = now.Add(-time.Minute)
	if got := text(t, NewIPsec(s, false, nil)); !strings.Contains(got, "    one-way: packets go out since May  6 07:07:09.250 and none comes (show crypto recovery)\n") {
		t.Errorf("not in\n%s", got)
	}
}

func TestAnIncidentOfSilenceIsAboutAChildSA(t *testing.T) {
	i := recovery.Incident{ID: 9, Peer: "Tunnel3", Remote: east, Key: recovery.Key{Src: east, SPI: 0xFF001234}, Class: recovery.OneWay, Verdict: recovery.Persistent,
		Cause: recovery.UnknownCause, Evidence: []string{"we send on it", "0xFF001234(4278194740) begins with 0xFF: CSCvp16730"}, First: now.Add(-time.Minute), Last: now, Result: recovery.ByNature, Closed: now}
	got := text(t, NewIncident(i))
	for _, want := range []string{"Incident 9: one-way by nature\n", "  Child SA       inbound SPI 0xFF001234(4278194740)\n", "  Silent since   May  6 2026 07:07:09.250 UTC\n",
		"  Class          K3 ONE_WAY: we send on this child SA, and nothing comes back\n", "CSCvp16730"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Packets        ") {
		t.Errorf("tells of packets from nowhere:\n%s", got)
	}
}
