package ikev2

import (
	"testing"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

func TestAuthLifetimeAsksForReauthenticationInTime(t *testing.T) {
	for name, c := range map[string]struct {
		data  []byte
		first time.Duration // 0: never
	}{
		"an hour":                  {[]byte{0, 0, 0x0E, 0x10}, 54 * time.Minute},
		"at once, again and again": {[]byte{0, 0, 0, 0}, reauthAgain},
		"136 years":                {[]byte{0xFF, 0xFF, 0xFF, 0xFF}, 0},
		"no lifetime at all":       {nil, 0},
		"of another length":        {[]byte{0, 0, 0, 0, 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.a.cfg.Peer.IPsec.Lifetime, l.b.cfg.Peer.IPsec.Lifetime = 12*time.Hour, 12*time.Hour
			l.up()
			began := l.now
			l.arrive(l.b.inject(isakmp.Informational, 0, false, []ike2.Payload{&ike2.Notify{Kind: ike2.AuthLifetime, Data: c.data}}))
			l.b.mach().cur.send = ike.SendFrom(1)
			l.run()
			for l.a.noticed(ike.ReauthDue) == 0 && l.now.Sub(began) < 2*time.Hour {
				l.advance(time.Second)
			}
			got := l.now.Sub(began)
			if c.first == 0 {
				if l.a.noticed(ike.ReauthDue) != 0 {
					t.Errorf("asked after %v", got)
				}
				return
			}
			if got < c.first || got > c.first+time.Second {
				t.Errorf("asked after %v, want %v", got, c.first)
			}
			l.advance(10 * time.Minute)
			if n := l.a.noticed(ike.ReauthDue); n < 10 || n > 11 {
				t.Errorf("asked %d times in ten minutes", n)
			}
		})
	}
}
