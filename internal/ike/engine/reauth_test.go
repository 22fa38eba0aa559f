package engine

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/sa"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// neverBroken looks at both ends for a while: what either sends has an SA at the other when it arrives, or at least an SPI
// that waits for one.
func (n *network) neverBroken(a, b *gateway, during time.Duration) {
	n.t.Helper()
	ways := [][2]*gateway{{a, b}, {b, a}}
	var flying [][2]sa.SPI // by the millisecond
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(time.Millisecond) {
		flying = append(flying, [2]sa.SPI{a.sendsOn(), b.sendsOn()})
		if len(flying) <= int(oneWay/time.Millisecond) {
			continue
		}
		for i, on := range flying[0] {
			from, to := ways[i][0], ways[i][1]
			if _, ok := to.table.Lookup(on); !ok && !to.table.Larval(on) {
				n.t.Fatalf("%v after the start a packet of %s comes on %v, which the other does not have\n%s\na %v\nb %v",
					time.Since(n.began), from.name, on, strings.Join(n.trace, "\n"), pairs(a.table.Snapshot()), pairs(b.table.Snapshot()))
			}
		}
		flying = flying[1:]
	}
}

func TestReauthenticationIsMakeBeforeBreak(t *testing.T) {
	for name, do := range map[string]func(a, b *gateway){
		"by the initiator": func(a, _ *gateway) { a.do(ike.Command{Verb: ike.VerbReauth, Ref: 1}) },
		"by the responder": func(_, b *gateway) { b.do(ike.Command{Verb: ike.VerbReauth, Ref: 1}) },
		"by both at once": func(a, b *gateway) {
			a.do(ike.Command{Verb: ike.VerbReauth, Ref: 1})
			b.do(ike.Command{Verb: ike.VerbReauth, Ref: 1})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
			b := n.gateway("b", configOf(peerOf(0, addrB, addrA)), addrB, nil)
			a.e.Start()
			time.Sleep(time.Second)
			b.e.Start()
			time.Sleep(time.Minute)
			old := a.ikeSAs()[0].LocalSPI
			oldChild := a.table.Snapshot()[0].Child.In
			do(a, b)
			n.neverBroken(a, b, 10*time.Second)
			n.wantAgreement(a, b, 1, 1)
			if a.ikeSAs()[0].LocalSPI == old {
				t.Errorf("%s: the IKE SA is the old one", name)
			}
			if tomb, ok := a.table.Tombstone(oldChild, time.Now()); !ok || tomb.Why != sa.TombReauth && tomb.Why != sa.TombIKEDeleted {
				t.Errorf("%s: the old child went as %v", name, tomb.Why)
			}
			for _, g := range []*gateway{a, b} {
				for _, o := range g.outcomes {
					if o.Ref == 1 && o.Result != ike.OK {
						t.Errorf("%s: %s ended as %+v", name, g.name, o)
					}
				}
			}
		})
	}
}

// b says AUTH_LIFETIME in IKE_AUTH, and closes an IKE SA that is older (RFC 4478). a never lets it come to that.
func TestAPeerThatWantsAuthenticationHourlyGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		const life = time.Hour
		wish := func(p ikev2.Passing, ps []ike2.Payload) []ike2.Payload {
			if p.Exchange != isakmp.IKEAuth || !p.Response {
				return ps
			}
			return append(ps, &ike2.Notify{Kind: ike2.AuthLifetime, Data: binary.BigEndian.AppendUint32(nil, uint32(life.Seconds()))})
		}
		a := n.gateway("a", configOf(peerOf(0, addrA, addrB)), addrA, nil)
		b := n.gateway("b", configOf(responder(peerOf(0, addrB, addrA))), addrB, func(o *Options) { o.Tuning.Rewrite = wish })
		a.e.Start()
		time.Sleep(time.Minute)
		a.do(ike.Command{Verb: ike.VerbRekeyIKE, Ref: 1}) // the wish outlives it
		calls := 0
		for range 10 * 60 {
			time.Sleep(time.Minute)
			for _, st := range b.ikeSAs() {
				if age := time.Since(st.Established); age > life {
					t.Fatalf("an IKE SA is %v old", age)
				}
			}
		}
		n.behindRekeys(a, b)
		n.wantAgreement(a, b, 1, 1)
		if calls = a.count("IKE_SA_INIT request"); calls < 11 || calls > 13 {
			t.Errorf("called %d times in ten hours", calls)
		}
	})
}
