// Package event is the closed set of things an operator sees: typed records with an IOS facility, severity, mnemonic and
// rate class, made by one function each, and a bounded fan-out with counted overflow. It does not format for a terminal
// or a network (operator/logsink does) and starts no goroutine of its own.
package event

import (
	"log/slog"
	"net/netip"
	"time"
)

// Severity is the syslog severity 0..7 (RFC 5424 §6.2.1).
type Severity uint8

const (
	Alert         Severity = 1
	Critical      Severity = 2
	Error         Severity = 3
	Warning       Severity = 4
	Notification  Severity = 5
	Informational Severity = 6
	Debugging     Severity = 7
)

// Topic names the `debug` switch that a severity-7 record needs; empty for messages that are always made.
type Topic string

const (
	TopicIKEv2    Topic = "ikev2"
	TopicIPsec    Topic = "ipsec"
	TopicRecovery Topic = "recovery"
)

// Record is one event. Facility, Severity and Mnemonic come from the catalogue; Text is the part behind the colon.
type Record struct {
	At       time.Time // zero: the sink stamps it
	Facility string
	Severity Severity
	Mnemonic string // empty for debug lines
	Topic    Topic
	Peer     netip.Addr
	Text     string
	Attrs    []slog.Attr // the same facts as data, no secrets
	RateKey  string      // records of one key share a rate limit; empty: unlimited
	Packets  uint64      // occurrences that this record stands for; 0: one
}
