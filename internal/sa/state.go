package sa

// State is what the SAD knows of an SPI of ours (classes K3 to K7 of protocol.md §1.2).
type State uint8

const (
	Unknown    State = iota // no record at all
	Larval                  // allocated and offered, exchange outstanding (K5)
	Installing              // the data plane was told and has not acknowledged (K4)
	Installed               // K3
	Grace                   // tombstone, packets on it still expected
	Tombed                  // tombstone after its grace (K7)
)

var stateNames = [...]string{"unknown", "larval", "installing", "installed", "grace", "tombstone"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}
