package verdict

import "time"

// Verdict is what a flow amounts to.
type Verdict uint8

const (
	Transient Verdict = iota
	Persistent
	Stranger
)

func (v Verdict) String() string { return [...]string{"transient", "persistent", "stranger"}[v] }

// Confidence is how sure something is, in words.
type Confidence uint8

const (
	Unknown  Confidence = iota
	Possible            // fits what was seen; so do other things
	Likely              // what was seen points here, and nothing points elsewhere
	Certain             // the evidence says it
)

func (c Confidence) String() string {
	return [...]string{"unknown", "possible", "likely", "certain"}[c]
}

// UnknownCause is the cause where no evidence decides.
const UnknownCause = "unknown"

// Causes are the D-codes that a log can show, in one line each (docs/protocol.md §1.1).
var Causes = map[string]string{
	"D01": "the receiver restarted and lost its SAs; the sender did not notice",
	"D02": "the sender restarted",
	"D03": "a Delete was lost, or not honoured",
	"D04": "the receiver was not ready yet for a new SPI: a packet overtook its installation",
	"D06": "the sender went on with an old SPI after it was replaced",
	"D07": "both ends rekeyed the IPsec SA at once",
	"D12": "the lifetime ran out at one end and not at the other",
	"D13": "the volume ran out at one end and not at the other",
	"D14": "an operator cleared SAs at one end",
	"D15": "one end gave the other up, which did not notice: no DPD there, or a slow one",
	"D20": "the member of a redundant pair that took over does not have the SAs",
	"D21": "a reauthentication removed SAs before their successors were in use",
	"D26": "INITIAL_CONTACT removed SAs of somebody else",
	"D28": "the packet was meant for another gateway that has, or had, this address",
	"D32": "the sender has several SAs and uses one whose other half is gone",
}

// Again is T of the rule.
const Again = time.Second

const (
	// longestLife is beyond any lifetime that IOS takes: the same SPI after that is a new SA's.
	longestLife = 30 * 24 * time.Hour
	// beforeFirst is how far back the loss of an SA can explain a packet: IOS's longest usual lifetime.
	beforeFirst = 24 * time.Hour
	// longestCrossing is within what time packets may cross one rekey; lines that can be further apart may be a black hole.
	longestCrossing = 3 * time.Second
	// reaction is how soon before the line of a packet a Delete may be the answer to it.
	reaction = time.Second
	// around is how near to a rekey a transient of it is.
	around = 10 * time.Second
	// maxSkew is what the clocks of two devices may differ by, unless shown otherwise.
	maxSkew = 5 * time.Second
)
