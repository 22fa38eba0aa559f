package recovery

// Class is the finding about an SPI without an SA (protocol.md §1.2). The classes K0 to K5 are not evidence of anything
// lost and have no value here.
type Class uint8

const (
	Tombstone    Class = iota + 1 // K7: we removed the SA, and know why
	ForeignOwner                  // K9: another member of the fleet issued it
	Lost                          // K10: we issued it and have no record
	NeverOurs                     // K11: we did not issue it
	Unknown                       // K12: the identity file is too young to tell

	// Findings about an SA that we have; no Evidence has them.
	OneWay      // we send on it and hear nothing
	ReplayStuck // its sender's sequence numbers went back (D24)
)

var classNames = [...]string{"", "TOMBSTONE", "FOREIGN_OWNER", "LOST", "NEVER_OURS", "UNKNOWN", "ONE_WAY", "REPLAY_STUCK"}
var classCodes = [...]string{"", "K7", "K9", "K10", "K11", "K12", "K3", "K3"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "invalid"
}

// Code is the K-number of protocol.md §1.2.
func (c Class) Code() string {
	if int(c) < len(classCodes) {
		return classCodes[c]
	}
	return ""
}

// certain says that the SPI was ours once, or may have been: such evidence acts at the first packet.
func (c Class) certain() bool { return c == Tombstone || c == Lost || c == Unknown }

// silent says that it is about an SA on which nothing comes.
func (c Class) silent() bool { return c == OneWay || c == ReplayStuck }

// Verdict is what the operator is told of a flow (protocol.md §1.3). It may be revised.
type Verdict uint8

const (
	Transient  Verdict = iota + 1 // explained by an exchange, or seen within one T only
	Persistent                    // seen at least T apart, no exchange outstanding
	Stranger                      // no owner
)

var verdictNames = [...]string{"", "transient", "persistent", "stranger"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "invalid"
}
