package evidence

import (
	"net/netip"
	"time"
)

// Counter is one named counter in a capture.
type Counter struct {
	Quote
	Device  string
	Table   string // the command that shows it
	Row     int    // number that the table gives it; 0: none
	Name    string
	Packets uint64
	Capture int // captures count up within and across files
}

// SA is one IPsec SA in a capture of a device.
type SA struct {
	Quote
	Device        string
	Capture       int
	Local, Remote netip.Addr // endpoints
	Proto         uint8
	SPI           uint32
	Inbound       bool
	Current       bool          // the device says that it sends on this one
	Left          time.Duration // of its lifetime; 0: not told
	Interface     string
	Encap         bool
	Packets       uint64 // carried, as far as told
}

// IKESA is one IKE SA in a capture of a device.
type IKESA struct {
	Quote
	Device        string
	Local, Remote netip.Addr
	Version       int // 1 or 2
	State         string
	Up            bool
	DPD           string // "on", "off", or empty: not told
}

// Span is what a file covers.
type Span struct {
	File        string
	Format      string
	Lines       int
	Bytes       int64
	First, Last time.Time
	Skipped     []Skip
	Notes       []string
}

// Skip counts what was not read, with the first example.
type Skip struct {
	Why   string
	Count int
	First Quote
}

// Sink takes what readers find. Its methods are called from one goroutine.
type Sink interface {
	Event(Event)
	Counter(Counter)
	SA(SA)
	IKESA(IKESA)
	ESP(Traffic)
	IKE(IKE)
}

// Traffic is one SPI's packets in a packet capture.
type Traffic struct {
	Source
	Flow
	Packets     uint64
	Octets      uint64
	First, Last time.Time
	Longest     time.Duration // without a packet between the first and the last
	SeqFirst    uint32
	SeqLast     uint32
	UDP         bool
}
