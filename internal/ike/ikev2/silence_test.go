package ikev2

import (
	"testing"
	"time"

	"lockstep/internal/ike"
)

// told lists the notices of a kind.
func (s *side) told(k ike.NoticeKind) (out []ike.Notice) {
	for _, n := range s.notices {
		if n.Kind == k {
			out = append(out, n)
		}
	}
	return out
}

// speak lets a second pass and then sends on the newest child, n times.
func (l *lab) speak(n int) {
	for range n {
		l.advance(time.Second)
		c, _ := l.a.out()
		l.a.step(ike.Traffic{SPI: c.In, Kind: ike.Outbound})
		l.run()
	}
}

func (l *lab) hear() {
	c, _ := l.a.out()
	l.a.step(ike.Traffic{SPI: c.In, Kind: ike.Inbound})
}

func TestAChildThatSendsAndHearsNothingIsToldEveryTenSeconds(t *testing.T) {
	l := newLab(t)
	l.up()
	begun := l.now
	l.speak(10)
	if got := l.a.told(ike.ChildSilent); len(got) != 0 {
		l.fatalf("told after 9 s: %+v", got)
	}
	l.speak(1)
	got := l.a.told(ike.ChildSilent)
	if len(got) != 1 || got[0].In != 0xA001 || got[0].Out != 0xB001 || !got[0].Since.Equal(begun.Add(time.Second)) {
		l.fatalf("told %+v", got)
	}
	if st := l.a.m.Status().Children[0]; !st.SilentSince.Equal(begun.Add(time.Second)) {
		t.Errorf("silent since %v", st.SilentSince)
	}
	l.speak(30)
	if got := l.a.told(ike.ChildSilent); len(got) != 4 {
		t.Errorf("told %d times in 40 s", len(got))
	}
	l.hear()
	if got := l.a.told(ike.ChildHeard); len(got) != 1 || got[0].In != 0xA001 || !l.a.m.Status().Children[0].SilentSince.IsZero() {
		t.Errorf("heard %+v", got)
	}
	l.hear()
	if got := l.a.told(ike.ChildHeard); len(got) != 1 {
		t.Error("told twice that it is heard")
	}
}

func TestSilenceThatSaysNothing(t *testing.T) {
	for name, play := range map[string]func(l *lab){
		"the peer answers now and then": func(l *lab) {
			for range 10 {
				l.speak(9)
				l.hear()
			}
		},
		"two packets an hour apart": func(l *lab) {
			l.speak(1)
			l.advance(50 * time.Minute)
			l.speak(1)
		},
		"we send nothing": func(l *lab) { l.advance(40 * time.Minute) },
		"it answers on a child that it has not left yet": func(l *lab) {
			l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
			for range 4 { // in its grace
				l.advance(time.Second)
				l.a.step(ike.Traffic{SPI: 0xA002, Kind: ike.Outbound})
				l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
			}
			l.speak(9)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.up()
			play(l)
			if got := l.a.told(ike.ChildSilent); len(got) != 0 {
				l.fatalf("told %+v", got)
			}
		})
	}
}

func TestNarrowedChildrenAreSilentEachForItself(t *testing.T) {
	l := newLab(t)
	l.up()
	other := ike.Acquire{TSLocal: prefix("10.1.0.1/32"), TSRemote: prefix("10.2.0.1/32")}
	l.a.mach().childIn(0xA001).spec.TSRemote = prefix("10.9.0.0/16") // the first child was narrowed to another site
	l.b.mach().childIn(0xB001).spec.TSLocal = prefix("10.9.0.0/16")
	l.a.step(other)
	l.run()
	if len(l.a.mach().children) != 2 {
		l.fatalf("%d children", len(l.a.mach().children))
	}
	for range 12 {
		l.advance(time.Second)
		l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
		l.a.step(ike.Traffic{SPI: 0xA002, Kind: ike.Outbound})
	}
	if got := l.a.told(ike.ChildSilent); len(got) == 0 || got[0].In != 0xA002 {
		t.Errorf("told %+v", got)
	}
}

func TestAPeerWhoseNumbersWentBackIsToldWithItsPackets(t *testing.T) {
	l := newLab(t)
	l.up()
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.ReplayStuck, Value: 23})
	if got := l.a.told(ike.ChildReplays); len(got) != 1 || got[0].In != 0xA001 || got[0].Count != 23 {
		t.Errorf("told %+v", got)
	}
	l.a.step(ike.Traffic{SPI: 0xA001, Kind: ike.Inbound})
	if got := l.a.told(ike.ChildHeard); len(got) != 1 {
		t.Errorf("heard %+v", got)
	}
}

// A year of hourly rekeys: a child holds its predecessor for as long as that is there, and no keys of what is gone.
func TestARekeyedChildKeepsNoAncestors(t *testing.T) {
	l := newLab(t)
	l.up()
	var all []*child
	for range 20 {
		all = append(all, l.a.mach().children[0])
		l.a.command(ike.Command{Verb: ike.VerbRekeyChild})
		l.advance(10 * time.Second)
	}
	for n, c := range all {
		if c.state != gone {
			t.Errorf("child %d is %v", n, c.state)
		}
		if c.old != nil || !c.spec.KeyIn.IsZero() || !c.spec.KeyOut.IsZero() {
			t.Errorf("child %d keeps its ancestor or its keys", n)
		}
	}
	l.mustAgree(1)
}
