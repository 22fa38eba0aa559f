package show

import "lockstep/internal/recovery"

// causes says in a few words what the causes of a divergence mean that recovery can tell apart. The codes are stable.
var causes = map[string]string{
	"D01": "this gateway restarted and lost its SAs; the peer sends on with the old ones",
	"D03": "the SA was deleted, and the peer has not heard of it or does not care",
	"D06": "the SA was rekeyed, and the peer has not switched to the new one",
	"D07": "both sides rekeyed at once, and the peer kept the SA that lost",
	"D12": "the SA's lifetime ended here before the peer replaced it",
	"D13": "the SA's volume was used up here before the peer replaced it",
	"D14": "an operator cleared the SA here, and the peer has not heard of it",
	"D15": "we found the peer dead and dropped its SAs; it was alive and has not noticed",
	"D24": "the peer's sequence numbers went back below what was seen: it was restored with old counters",
	"D21": "the SA went with a reauthentication before the peer had the new one",
	"D29": "the SPI belongs to another gateway of the fleet: the packets came the wrong way",

	"D33": "our packet path lost the SA, and our IKE had not noticed",

	recovery.UnknownCause: "no fact decides between several causes",
}

func causeText(code string) string {
	if text, ok := causes[code]; ok {
		return text
	}
	return "not described"
}

// classText says what a finding about an SPI means.
func classText(c recovery.Class) string {
	switch c {
	case recovery.Tombstone:
		return "we had this SA and removed it"
	case recovery.ForeignOwner:
		return "another member of the fleet issued this SPI"
	case recovery.Lost:
		return "we issued this SPI and have no record of its SA"
	case recovery.NeverOurs:
		return "we never issued this SPI"
	case recovery.Unknown:
		return "whether we issued this SPI cannot be told yet"
	case recovery.OneWay:
		return "we send on this child SA, and nothing comes back"
	case recovery.ReplayStuck:
		return "what comes on this child SA is older than its replay window"
	}
	return "not described"
}

// stateText says what recovery does in a state.
func stateText(s recovery.State) string {
	switch s {
	case recovery.Idle:
		return "nothing to do"
	case recovery.Watching:
		return "waits whether it is seen again"
	case recovery.Deleting:
		return "tells the peer over IKE that the SA is gone"
	case recovery.Probing:
		return "checks that the peer is alive"
	case recovery.Recreating:
		return "makes a child SA"
	case recovery.Reauth:
		return "makes an IKE SA"
	case recovery.Healing:
		return "watches for ten seconds that it holds"
	case recovery.Backoff:
		return "pauses before the next try"
	}
	return "not described"
}
