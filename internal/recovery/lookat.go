package recovery

// looks is what to look at for each cause: at this end, and at the peer's. A cause that is healed again and again is a fault
// that somebody can remove.
var looks = map[string][2]string{
	"D01": {"why this gateway restarts: show version, the log of its service, the host's",
		"dead peer detection, so that it notices sooner: its DPD settings, debug of IKEv2 at the moment of the restart"},
	"D03": {"debug crypto ikev2: does each Delete of ours get its answer? Loss on UDP 500 and 4500 towards the peer",
		"debug of IKEv2 and IPsec: does it see our Delete, and which SA does it send on after it?"},
	"D06": {"show crypto ipsec sa: which outbound SPI does the peer still use a minute after a rekey?",
		"debug of IPsec: when does it switch to the new SA? Its soft and hard lifetimes"},
	"D07": {"give this end another lifetime than the peer's, so that they do not rekey at the same moment",
		"debug of IKEv2: which of the two SAs does it delete after a collision?"},
	"D12": {"set security-association lifetime seconds: it is shorter here than at the peer",
		"its lifetime by time, and whether its rekeys fail: debug of IKEv2"},
	"D13": {"set security-association lifetime kilobytes: it is used up here before the peer rekeys",
		"its lifetime by volume"},
	"D14": {"who clears SAs: show logging", "debug of IKEv2: does our Delete arrive?"},
	"D15": {"crypto ikev2 dpd: interval and retries, and loss on the path: the peer was alive",
		"its load, and whether it answers our liveness checks: debug of IKEv2"},
	"D21": {"lifetimes of the IKE SA at both ends: one of them is made anew before its successor is in use",
		"whether it reauthenticates make-before-break"},
	"D24": {"nothing: our replay window is right to refuse what came before",
		"why its sequence numbers go back: a restart or a fail-over that restores SAs with old counters"},
	"D29": {"the path between the members of the fleet", "the route by which it reaches this address"},

	"D33": {"the log of this gateway at the time when the SA vanished: its packet path lost what its IKE had installed",
		"nothing: it sends on an SA that this end has agreed to"},

	UnknownCause: {"debug crypto ikev2, debug crypto ipsec and debug crypto recovery for this peer when it happens next",
		"debug of IKEv2 and IPsec at the same time, and its log around the times of the incidents"},
}

// lookAt is the advice for a cause.
func lookAt(code string) (here, there string) {
	l, ok := looks[code]
	if !ok {
		l = looks[UnknownCause]
	}
	return l[0], l[1]
}
