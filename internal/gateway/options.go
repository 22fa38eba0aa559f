package gateway

import (
	"io"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/ike/engine"
	"lockstep/internal/ike/ikev2"
	"lockstep/internal/policy"
)

// Options make a Gateway.
type Options struct {
	Config *policy.Config
	Tree   *config.Tree // of Config: what `show running-config` writes; nil: an empty one
	World  World
	// StateDir holds the SPI identity, and a lock so that two gateways never lease from the same one. It is made where it
	// is missing. Empty: the identity lives in memory, and a restart is a start without one.
	StateDir string
	Version  string
	// Console gets log lines as `logging console` says; nil: none.
	Console io.Writer
	// Keys gets the keys of every child SA as it is installed, as lines of Wireshark's esp_sa table; nil: nobody. Whoever
	// reads them reads the traffic.
	Keys io.Writer

	// Frozen: nothing is begun at start-up, after a loss or for traffic; recovery and calls of peers work all the same.
	Frozen bool
	// What follows is for stories and tests, each a way to be wrong on purpose.

	// NoRecovery: strays are counted and shown, and nobody acts on them.
	NoRecovery bool
	// NoInitialContact: a start does not say that it knows no older SA (RFC 7296 §2.4).
	NoInitialContact bool
	// Installer wraps the SA database on its way to the IKE engine; nil: as it is.
	Installer func(engine.Installer) engine.Installer
	// SPIs wraps the source of our inbound SPIs; nil: as it is.
	SPIs   func(engine.SPIs) engine.SPIs
	Tuning ikev2.Tuning
	Now    func() time.Time // nil: time.Now
}
