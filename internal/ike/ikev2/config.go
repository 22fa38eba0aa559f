package ikev2

import (
	"net/netip"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/policy"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// Config is what a machine is made with. Only a reload changes it afterwards (Reconfigured).
type Config struct {
	Env ike.Env
	// Peer is whom we call; for a responder the first candidate, nil if Candidates says it all.
	Peer *policy.Peer
	// Candidates are the peers that the first message may come from; the identity in IKE_AUTH decides.
	Candidates    []*policy.Peer
	Local, Remote netip.AddrPort
	// InitialContact is asked when our first IKE_AUTH message is built: do we hold no other IKE SA of this identity
	// pair (RFC 7296 §2.4)? nil: never said.
	InitialContact func() bool
	NextID         func() ike.EffectID
	// TSLocal and TSRemote are what a child of ours may carry; nil: any IPv4, as a tunnel interface has it.
	TSLocal, TSRemote []ike2.Selector
	Encap             policy.Encap
	// Quirks are what is known of the peer's faults; nil: nothing, and nobody keeps what is met.
	Quirks *ike.Quirks
	Tuning Tuning
}

// Tuning holds our own tunables; a zero field means its default.
type Tuning struct {
	Request  ike.Schedule  // ordinary requests
	Probe    ike.Schedule  // liveness checks with a reason
	HalfOpen time.Duration // responder: from IKE_SA_INIT to IKE_AUTH (30 s)
	Grace    time.Duration // a rekeyed inbound SA stays this long (5 s; protocol.md §1.2)
	Switch   time.Duration // rekey responder: longest wait before it sends on the new SA (10 s)
	Linger   time.Duration // a closed IKE SA answers retransmissions this long (8 s)
	Retry    time.Duration // least wait after TEMPORARY_FAILURE, jitter of as much comes on top (5 s; RFC 7296 §2.25)
	Silent   time.Duration // sending on a child for so long while nothing comes is told (10 s)
	Hold     time.Duration // first wait before sending on a new child of a peer that is late with it (1 s; doubles up to 8)
	Recheck  time.Duration // age below which a protected INVALID_SPI means "still installing" (1 s; protocol.md §2.3)
	// Rewrite makes a peer that is wrong on purpose: it may put other payloads into a protected message, before it is sealed
	// or after it was opened. nil: nothing does.
	Rewrite func(Passing, []ike2.Payload) []ike2.Payload
}

// Passing is a protected message on its way out or in, for Tuning.Rewrite.
type Passing struct {
	Exchange           isakmp.Exchange
	Response, Received bool
}

func (t *Tuning) rewritten(p Passing, ps []ike2.Payload) []ike2.Payload {
	if t.Rewrite == nil {
		return ps
	}
	return t.Rewrite(p, ps)
}

func (t Tuning) withDefaults() Tuning {
	if t.Request.Tries == 0 {
		t.Request = ike.RequestSchedule()
	}
	if t.Probe.Tries == 0 {
		t.Probe = ike.ProbeSchedule()
	}
	orDefault(&t.HalfOpen, 30*time.Second)
	orDefault(&t.Grace, 5*time.Second)
	orDefault(&t.Switch, 10*time.Second)
	orDefault(&t.Linger, 8*time.Second)
	orDefault(&t.Retry, 5*time.Second)
	orDefault(&t.Silent, 10*time.Second)
	orDefault(&t.Hold, time.Second)
	orDefault(&t.Recheck, time.Second)
	return t
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// Bounds.
const (
	maxQueue     = 64 // tasks waiting for their turn; more commands end as Busy
	maxChildren  = 64 // children of one IKE SA; more are refused with NO_ADDITIONAL_SAS
	maxDeleteSPI = 64 // SPIs of one Delete (protocol.md §2.8)
	maxCookies   = 3  // COOKIE retries of one IKE_SA_INIT (protocol.md §5.3)
	maxKERetries = 3  // INVALID_KE_PAYLOAD retries of one IKE_SA_INIT
	maxDoomed    = 16 // remembered SPIs of Deletes that overtook their child
	maxCookieLen = 64 // RFC 7296 §2.6
	nonceLen     = 32 // octets: half the key of the largest PRF (RFC 7296 §2.10)
)

// tsLocal and tsRemote are what policy permits a child to carry.
func (c *Config) tsLocal() []ike2.Selector  { return selectorsOr(c.TSLocal) }
func (c *Config) tsRemote() []ike2.Selector { return selectorsOr(c.TSRemote) }

func selectorsOr(s []ike2.Selector) []ike2.Selector {
	if len(s) == 0 {
		return ike.AnyIPv4()
	}
	return s
}

// candidates are the peers in question before IKE_AUTH has decided.
func (c *Config) candidates() []*policy.Peer {
	if c.Peer == nil {
		return c.Candidates
	}
	out := []*policy.Peer{c.Peer}
	for _, p := range c.Candidates {
		if p != c.Peer {
			out = append(out, p)
		}
	}
	return out
}
