package ikev2

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/wire/isakmp"
)

// FuzzDatagrams reads a script of datagrams for an established pair: forged ones from the fuzzer, made of its octets, of
// true messages changed, or of true headers with other content; and true ones, so that exchanges are under way. There is
// no panic, and what is not authentic changes nothing.
func FuzzDatagrams(f *testing.F) {
	f.Add([]byte{0, 40, 1, 2, 3})
	f.Add([]byte{1, 0, 20, 255, 2, 30, 7, 3, 0})
	f.Add([]byte{3, 0, 1, 1, 19, 32, 2, 33, 1, 3, 1, 1, 0, 30, 9})
	f.Add(append([]byte{4, 60}, bytes.Repeat([]byte{33, 0, 0, 8}, 15)...))
	f.Fuzz(fuzzScript)
}

func fuzzScript(t *testing.T, script []byte) {
	l := newLab(t)
	l.up()
	next := func() byte {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return b
	}
	for n := 0; len(script) > 0 && n < 50; n++ {
		switch next() % 6 {
		case 0: // the fuzzer's octets
			k := min(int(next()), len(script))
			l.forge(script[:k])
			script = script[k:]
		case 1, 2: // a true message with one octet changed
			p := l.b.sent[int(next())%len(l.b.sent)].msg
			p = bytes.Clone(p)
			p[int(next())%len(p)] ^= next() | 1
			l.forge(p)
		case 3: // something true begins
			l.a.command(ike.Command{Verb: []ike.Verb{ike.VerbRekeyChild, ike.VerbRekeyIKE, ike.VerbLiveness}[next()%3]})
		case 4: // a true header, the fuzzer's content
			k := min(int(next()), len(script))
			h := l.b.mach().cur.header(isakmp.Exchange(34+next()%5), next()%2 == 1, uint32(next()%4))
			h.NextPayload, h.Length = next(), uint32(isakmp.HeaderLen+k)
			if k > len(script) {
				k = len(script)
				h.Length = uint32(isakmp.HeaderLen + k)
			}
			l.forge(append(h.Append(nil), script[:k]...))
			script = script[k:]
		case 5:
			l.advance(time.Duration(next()) * 10 * time.Millisecond)
		}
		if l.a.closed != "" || l.b.closed != "" {
			t.Fatalf("closed: %q %q", l.a.closed, l.b.closed)
		}
	}
	l.settle(1)
	l.mustWork()
}

// forge gives a what nobody sealed, and compares its state before and after.
func (l *lab) forge(msg []byte) {
	for _, p := range l.b.sent {
		if bytes.Equal(p.msg, msg) {
			return // not forged after all
		}
	}
	m := l.a.mach()
	before, deadline, keys := l.a.m.Status(), l.a.m.Deadline(), m.cur.iv
	effects := l.a.m.Step(l.now, ike.Datagram{Local: l.a.cfg.Local, Remote: l.a.cfg.Remote, Bytes: bytes.Clone(msg)})
	for _, e := range effects {
		switch e.(type) {
		case ike.Dropped, ike.Report:
		default:
			l.fatalf("a forged message led to %T: %x", e, msg)
		}
	}
	if after := l.a.m.Status(); !reflect.DeepEqual(before, after) || l.a.m.Deadline() != deadline || m.cur.iv != keys {
		l.fatalf("a forged message changed the state: %x", msg)
	}
}
