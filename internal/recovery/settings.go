package recovery

import (
	"net/netip"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

const (
	defaultGap         = 2 * time.Second // between two actions of one owner (protocol.md §2.8 rule 6)
	defaultDeletes     = 10              // a minute and owner
	defaultReauthRate  = 50              // new IKE SAs a second, all owners
	defaultReauthBurst = 100
	maxBatch           = 64 // SPIs of one Delete; open incidents of one owner

	leastT, mostT  = 300 * time.Millisecond, time.Second // protocol.md §1.3
	leastG         = time.Second
	freshFor       = 5 * time.Second  // evidence older than that is not acted on
	longestWait    = 30 * time.Second // for an exchange that never ends
	cleanFor       = 10 * time.Second // silence that confirms a healing
	seenAgain      = 2 * time.Second  // after the acknowledged reaction: next rung
	forgottenAfter = 5 * time.Minute  // silence that ends an incident without proof
	quarantine     = time.Hour
	firstPause     = time.Second
	mostPause      = 5 * time.Minute
	authPause      = time.Minute     // least pause after AUTHENTICATION_FAILED
	putOffMost     = 3 * time.Minute // of TEMPORARY_FAILURE alone; then the IKE SA goes (RFC 7296 §2.25)
	flightBound    = 5 * time.Minute // an order whose Outcome never comes
	strangeShare   = 10              // K11 has a tenth of the budget
)

// Owner is what the configuration says of one peer.
type Owner struct {
	ID        sa.Owner
	Name      string // interface name
	Remote    netip.Addr
	Initiate  bool
	NotifySPI bool          // `crypto recovery notify-invalid-spi`
	Lifetime  time.Duration // of its child SAs
	DPD       time.Duration // after which our own DPD setting would find a dead peer; 0: none
}

// Settings are the switches of protocol.md §2.7 and the budgets of §2.8, with the owners.
type Settings struct {
	InvalidSPI  bool // `crypto isakmp invalid-spi-recovery`
	Extended    bool // false: parity mode
	Gap         time.Duration
	Deletes     int
	ReauthRate  int
	ReauthBurst int
	Owners      []Owner
}

// dpdTries is how often a DPD request is repeated before the peer counts as dead (IOS).
const dpdTries = 5

// SettingsOf reads a configuration.
func SettingsOf(c *policy.Config) Settings {
	s := Settings{InvalidSPI: c.Recovery.InvalidSPI, Extended: c.Recovery.Extended, Gap: c.Recovery.PerOwnerGap,
		Deletes: c.Recovery.DeletesPerMin, ReauthRate: c.Recovery.ReauthPerSec, ReauthBurst: c.Recovery.ReauthBurst}
	for _, p := range c.Peers {
		o := Owner{ID: sa.Owner(p.ID), Name: p.Name(), Remote: p.Remote.Unmap(), Initiate: p.Initiate}
		if p.IPsec != nil {
			o.NotifySPI, o.Lifetime = p.IPsec.NotifyInvalidSPI, p.IPsec.Lifetime
		}
		dpd := c.DPDDefault
		if p.IKE != nil && p.IKE.DPD != nil {
			dpd = p.IKE.DPD
		}
		if dpd != nil {
			o.DPD = dpd.Interval + dpdTries*dpd.Retry
		}
		s.Owners = append(s.Owners, o)
	}
	return s
}

func (s Settings) withDefaults() Settings {
	if s.Gap <= 0 {
		s.Gap = defaultGap
	}
	if s.Deletes <= 0 {
		s.Deletes = defaultDeletes
	}
	if s.ReauthRate <= 0 {
		s.ReauthRate = defaultReauthRate
	}
	if s.ReauthBurst <= 0 {
		s.ReauthBurst = defaultReauthBurst
	}
	return s
}
