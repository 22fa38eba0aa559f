package recovery

import (
	"fmt"
	"time"

	"lockstep/internal/sa"
)

// UnknownCause is the cause where no fact decides between several.
const UnknownCause = "unknown"

// leakedCause: IKE holds a child that the data plane does not have.
const leakedCause = "D33"

// tombCauses maps what we know of a removal to the D-codes of protocol.md §1.1. A reason that is not here leaves the
// cause unknown: several would fit.
var tombCauses = [...]string{
	sa.TombRekeyed:        "D06", // sender switches late or never
	sa.TombPeerDeleted:    "D03", // it deleted the SA, or did not hear our answer, and sends on
	sa.TombIKEDeleted:     "D03", // the Delete of the IKE SA was lost with it
	sa.TombShutdown:       "D03",
	sa.TombCleared:        "D14",
	sa.TombExpiredTime:    "D12",
	sa.TombExpiredVolume:  "D13",
	sa.TombDPD:            "D15", // we found the peer dead; it has not noticed
	sa.TombReauth:         "D21",
	sa.TombCollisionLoser: "D07",
}

// causeOf names the cause with the facts that it rests on. untouched says that no child was offered to the owner since
// this start, and that it is so recent that every tombstone of it would still be there.
func causeOf(e Evidence, untouched bool) (code string, facts []string) {
	switch e.class {
	case Tombstone:
		facts = []string{fmt.Sprintf("SA removed at %s: %v", e.tomb.Deleted.Format(time.TimeOnly), e.tomb.Why)}
		if int(e.tomb.Why) < len(tombCauses) && tombCauses[e.tomb.Why] != "" {
			return tombCauses[e.tomb.Why], facts
		}
		return UnknownCause, facts
	case Lost:
		facts = []string{"the identity file says that we issued this SPI, and we have no record of it"}
		switch {
		case e.origin == OriginEarlier:
			return "D01", append(facts, "it was issued before this start of the gateway")
		case e.origin == OriginThisRun:
			return UnknownCause, append(facts, "it was issued since this start of the gateway")
		case untouched:
			return "D01", append(facts, "no child SA was offered to this peer since this start of the gateway, so it was issued before")
		}
		return UnknownCause, append(facts, "it may be of before this start, or was given up since")
	case Unknown:
		return UnknownCause, []string{"the identity file is younger than the longest-lived SA: whether we issued this SPI cannot be told"}
	case ForeignOwner:
		return "D29", []string{"the SPI names another member as its issuer"}
	}
	return UnknownCause, []string{"the identity file says that we never issued this SPI"}
}
