package show

import (
	"net/netip"
	"time"
)

// Interface is how one tunnel interface stands: `show interfaces TunnelN`. The gateway publishes it.
type Interface struct {
	Name        string
	Description string
	Unit        int
	AdminUp     bool      // not `shutdown`
	LineUp      bool      // a working child SA carries it
	Recursive   bool      // held down: the way to its destination leads into a tunnel
	Since       time.Time // of the last change of the line protocol; zero: none yet
	Flaps       uint64    // changes of the line protocol since start
	Address     netip.Prefix
	MTU         int // of inner packets, octets; 0: not known
	AdjustMSS   int
	SourceIF    string
	Source      netip.Addr // present outer address; zero: none
	Destination netip.Addr
	Profile     string // IPsec profile
	In, Out     Traffic
}

// Traffic is what one direction of an interface carried: inner packets and octets.
type Traffic struct {
	Packets, Octets uint64
	Dropped         uint64    // packets
	Last            time.Time // zero: never
}
