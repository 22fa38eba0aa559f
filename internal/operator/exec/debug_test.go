package exec

import "testing"

func TestDebugAnswersAsIOS(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct{ line, want string }{
		{"debug crypto ikev2", "IKEv2 default debugging is on\n"},
		{"debug crypto ipsec peer 192.0.2.2", "Crypto IPSEC debugging is on for peer 192.0.2.2\n"},
		{"deb cry ips pe 198.51.100.7", "Crypto IPSEC debugging is on for peer 192.0.2.2, 198.51.100.7\n"},
		{"no debug crypto ipsec peer 192.0.2.2", "Crypto IPSEC debugging is on for peer 198.51.100.7\n"},
		{"debug crypto recovery", "Crypto RECOVERY debugging is on\n"},
		{"no debug crypto ikev2 peer 192.0.2.2", "IKEv2 default debugging is on\n"}, // it is on for all
		{"undebug crypto ikev2", "IKEv2 default debugging is off\n"},
		{"show debugging", "Cryptographic Subsystem:\n  Crypto IPSEC debugging is on for peer 198.51.100.7\n  Crypto RECOVERY debugging is on\n"},
		{"u all", "All possible debugging has been turned off\n"},
		{"no debug all", "All possible debugging has been turned off\n"},
		{"show debugging", ""},
	} {
		if got := l.must(c.line); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
}

func TestClearLoggingEmptiesTheBuffer(t *testing.T) {
	l := newLab(t)
	if l.must("clear logging"); len(l.log.Lines()) != 0 {
		t.Error("lines are left")
	}
}
