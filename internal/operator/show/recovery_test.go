package show

import (
	"strings"
	"testing"
	"time"

	"lockstep/internal/recovery"
	"lockstep/internal/sa"
)

func TestRecoverySaysFirstWhatIsBroken(t *testing.T) {
	same(t, NewRecovery(busy(), trouble(), false), `Crypto recovery: parity mode, invalid-spi-recovery off
SPI identity: generation 2, made May  6 2026 06:08:09.250 UTC by this start: SPIs of before cannot be told from strangers'
Not the usual way: 0 strays came late, 1 orders were not taken, 0 inputs lost
2 tunnels, 1 incident open, 2 healings in 24 hours

Tunnel       Peer             Line  Recovery     For         Open  Healed/24h  Last heal
Tunnel3      203.0.113.20     up    Idle         00:29:00       0           2    1250 ms
    causes in 24 hours: D06 2 times
Tunnel4      2001:db8:77::20  down  Backoff      00:01:00       1           0          -
    pauses before the next try: no answer
    until May  6 07:09:09.250
    1 SPI is quarantined: the peer answers and sends on; others are healed, a person is needed for it

Open incidents
    ID  Tunnel       First packet         SPI                         Lost  Verdict     Class
     4  Tunnel4      May  6 07:08:08.250  0x00000100(256)                2  transient   K10 LOST
        cause unknown: no fact decides between several causes
        now: nothing yet
        quarantined until May  6 08:07:09.250
        unaided: by lifetime: not known, by DPD: not known

Last healings
    ID  Tunnel       Traffic back         Healer     Heal ms  Trips     Lost  Cause
     3  Tunnel3      May  6 06:38:10.500  peer          1250      1      125  D06
        the SA was rekeyed, and the peer has not switched to the new one
        unaided: by lifetime at 07:38:09 at the latest, by DPD: not known

1 incident more closed: show crypto recovery detail
`)
}

func TestAnIncidentIsATimeline(t *testing.T) {
	same(t, NewIncident(trouble().Incidents[1]), `Incident 3: healed
  Tunnel         Tunnel3, peer 203.0.113.20
  Packets        ESP from 203.0.113.20 to 203.0.113.10, SPI 0xDEADBEEF(3735928559)
  First packet   May  6 2026 06:38:09.250 UTC
  Last packet    May  6 2026 06:38:11.250 UTC
  Traffic back   May  6 2026 06:38:10.500 UTC, after 1250 ms
  Healed by      peer, with 1 IKE round trip
  Closed         May  6 2026 06:38:14.250 UTC
  Packets lost   125
  Class          K7 TOMBSTONE: we had this SA and removed it
  Verdict        persistent
  Cause          D06: the SA was rekeyed, and the peer has not switched to the new one
  Why            SA removed at 06:38:00: rekeyed
  Unaided        by lifetime at 07:38:09 at the latest, by DPD: not known

  Timeline
         after  at                   what
      0.000 ms  May  6 06:38:09.250  first packet
                                     K7
   1250.000 ms  May  6 06:38:10.500  refused:?forged line
                                     x?[0m
  3 moments of the middle left out
`)
}

func TestDetailTellsEveryIncident(t *testing.T) {
	got := text(t, NewRecovery(busy(), trouble(), true))
	for _, want := range []string{
		"    nothing to do\n    causes in 24 hours: D06 2 times\n",
		"\nOpen incidents\n\nIncident 4: open\n", "  Traffic back   not yet seen\n  Quarantined    until May  6 2026 08:07:09.250 UTC\n  Packets lost   2\n", "  Now            nothing yet\n",
		"\nClosed incidents\n\nIncident 3: healed\n", "\nIncident 2: transient\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Index(got, "Incident 3:") > strings.Index(got, "Incident 2:") {
		t.Error("the older one comes first")
	}
}

func TestTheShortFormListsTenHealings(t *testing.T) {
	r := trouble()
	for n := range 14 {
		i := r.Incidents[1]
		i.ID = uint64(100 + n)
		r.Incidents = append(r.Incidents, i)
	}
	got := text(t, NewRecovery(busy(), r, false))
	if n := strings.Count(got, "  D06\n"); n != shown || !strings.Contains(got, "\n6 incidents more closed") {
		t.Errorf("%d listed:\n%s", n, got)
	}
}

func TestAGatewayWithoutTroubleSaysSo(t *testing.T) {
	idle := &RecoverySource{Standings: []recovery.Standing{{Peer: "Tunnel3"}}}
	if got := text(t, NewRecovery(busy(), idle, false)); !strings.HasSuffix(got, "\nTunnel3      203.0.113.20     up    Idle         -              0           0          -\n") {
		t.Errorf("%s", got)
	}
	got := text(t, NewRecovery(&Snapshot{Now: now}, &RecoverySource{}, false))
	if !strings.HasSuffix(got, "made never\n0 tunnels, 0 incidents open, 0 healings in 24 hours\n") {
		t.Errorf("%s", got)
	}
	same(t, NewInvalidSPI(&Snapshot{Now: now}), "ESP without an SA: 0 flows, 0 packets; 0 persistent, 0 transient, 0 of strangers\n")
}

func TestFlowsWithoutAnSA(t *testing.T) {
	s := busy()
	s.Flows = append(s.Flows, recovery.Flow{Key: recovery.Key{Src: west, Dst: here, SPI: 0xCAFE0001}, Class: recovery.Tombstone, Verdict: recovery.Persistent, Owner: 5,
		OwnerBy: "tombstone", Peer: "Tunnel3", First: now.Add(-time.Hour), Last: now.Add(-time.Minute), Count: 7, Incident: 8,
		Tomb: sa.Tombstone{Tunnel: 3, IKE: 0xFEED, Created: now.Add(-2 * time.Hour), Deleted: now.Add(-time.Hour), Why: sa.TombRekeyed}})
	same(t, NewInvalidSPI(s), `ESP without an SA: 2 flows, 28 packets; 1 persistent, 1 transient, 0 of strangers

Source           Destination      SPI                       Packets  Verdict     Class
203.0.113.20     203.0.113.10     0x00000077(119)                21  transient   K12 UNKNOWN
    first May  6 07:08:07.250, last May  6 07:08:08.250, 00:00:01 ago
    UDP from port 33001 to 4500, owner: Tunnel3 (by live IKE SA)
    whether we issued this SPI cannot be told yet
    previous owner: offered May  6 07:07:09.250, never installed; given up May  6 07:08:08.250: install failed
2001:db8:77::20  203.0.113.10     0xCAFE0001(3405643777)          7  persistent  K7 TOMBSTONE
    first May  6 06:08:09.250, last May  6 07:07:09.250, 00:01:00 ago
    protocol 50, owner: Tunnel3 (by tombstone)
    we had this SA and removed it
    previous owner: Tunnel3 since May  6 05:08:09.250; removed May  6 06:08:09.250: rekeyed, IKE SA 000000000000FEED
    incident 8
`)
}

func TestRecoveryAsDataHasTheSameFacts(t *testing.T) {
	v := data(t, NewRecovery(busy(), trouble(), false))
	closed := v["closed"].([]any)
	first, second := closed[0].(map[string]any), closed[1].(map[string]any)
	if first["heal_ms"] != 1250.0 || first["healer"] != "peer" || first["cause"] != "D06" || first["packets_lost"] != 125.0 || first["timeline_omitted"] != 3.0 {
		t.Errorf("%v", first)
	}
	if _, healed := second["heal_ms"]; healed || second["result"] != "transient" {
		t.Errorf("%v", second)
	}
	tunnel := v["tunnels"].([]any)[1].(map[string]any)
	if tunnel["state"] != "Backoff" || tunnel["keys_quarantined"] != 1.0 || tunnel["peer"] != "2001:db8:77::20" || tunnel["until"] != "2026-05-06T07:09:09.25Z" || v["orders_not_taken"] != 1.0 {
		t.Errorf("%v", v)
	}
	flow := data(t, NewInvalidSPI(busy()))["flows"].([]any)[0].(map[string]any)
	if flow["previous_owner"].(map[string]any)["why"] != "install failed" || flow["source"] != "203.0.113.20:33001" || flow["class_code"] != "K12" {
		t.Errorf("%v", flow)
	}
}

// Every cause, class and state that recovery can produce is described: the causes are taken from engines that have met
// each finding.
func TestEveryCauseClassAndStateIsDescribed(t *testing.T) {
	seen := recovery.Seen{Src: addrPort("203.0.113.20:0"), Dst: addrPort("203.0.113.10:0"), At: now, First: now, Count: 1, Owner: 1, OwnerBy: "configuration"}
	owner := recovery.Owner{ID: 1, Name: "Tunnel3", Remote: east}
	findings := []recovery.Evidence{recovery.FromLost(seen, recovery.OriginEarlier), recovery.FromLost(seen, recovery.OriginThisRun), recovery.FromUnknown(seen)}
	for why := sa.TombRekeyed; why.String() != "unknown"; why++ {
		findings = append(findings, recovery.FromTombstone(seen, sa.Tombstone{Owner: 1, Why: why, Deleted: now.Add(-time.Minute)}))
	}
	for n, f := range findings {
		e := recovery.New(recovery.Options{Started: now, Settings: recovery.Settings{Owners: []recovery.Owner{owner}}})
		e.Step(now, f)
		list := e.Incidents()
		if len(list) != 1 {
			t.Fatalf("finding %d: %d incidents", n, len(list))
		}
		if text := causeText(list[0].Cause); text == "not described" {
			t.Errorf("cause %s is not described", list[0].Cause)
		}
	}
	for c := recovery.Tombstone; c.String() != "invalid"; c++ {
		if classText(c) == "not described" {
			t.Errorf("class %v", c)
		}
	}
	for s := recovery.Idle; s.String() != "invalid"; s++ {
		if stateText(s) == "not described" {
			t.Errorf("state %v", s)
		}
	}
	if causeText("D99") != "not described" {
		t.Error("a cause out of nothing")
	}
}
