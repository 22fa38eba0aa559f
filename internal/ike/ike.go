package ike

import (
	"io"
	"net/netip"
	"time"

	"lockstep/internal/event"
	"lockstep/internal/policy"
	"lockstep/internal/reason"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// Machine is one IKE SA, of either version: a value that is stepped, never a goroutine.
type Machine interface {
	Step(now time.Time, in Input) []Effect
	// Deadline is when a Tick is wanted; zero: never.
	Deadline() time.Time
	Status() Status
	// Record is for the store alone: it holds keys.
	Record() Record
}

// Input is what can happen to a machine: Datagram, Tick, Done, Command, Traffic, Hint, Acquire, Reconfigured.
type Input interface{ input() }

// Datagram is one IKE message (without the non-ESP marker) that arrived at Local from Remote.
type Datagram struct {
	Local, Remote netip.AddrPort
	Bytes         []byte // owned by the machine from here on
}

// Tick says that time has passed; machines act on now ≥ Deadline.
type Tick struct{}

// EffectID pairs an Install, Persist or Compute with its Done; unique within one peer.
type EffectID uint64

// Done reports that a barrier effect ended. Value is what Compute.Run gave.
type Done struct {
	ID    EffectID
	Value any
	Err   error
}

// Verb is what an operator, the recovery engine or start-up may ask.
type Verb uint8

const (
	VerbInitiate   Verb = iota + 1 // bring the tunnel up: IKE SA and first child
	VerbDeleteSPI                  // Delete(SPI) for an SPI that we do not have (protocol.md §2.1 M1)
	VerbRekeySPI                   // CREATE_CHILD_SA with REKEY_SA(SPI) for a lost inbound SPI (§2.6 Decide, extended mode)
	VerbNotifySPI                  // protected INVALID_SPI (§2.1 M2)
	VerbLiveness                   // one empty INFORMATIONAL
	VerbRekeyChild                 // rekey the child whose inbound SPI is SPI (0: every child)
	VerbRekeyIKE                   //
	VerbClearChild                 // Delete child SPI (0: every child), then let traffic or policy make another
	VerbClearIKE                   // Delete the IKE SA with everything on it
	VerbShutdown                   // Delete the IKE SA, and do not come back
	VerbKickLarval                 // an early packet came on larval SPI: retransmit the outstanding request now (D05)
	VerbDiscard                    // forget the IKE SA and its children without a word to the peer (INITIAL_CONTACT, RFC 7296 §2.4)
	VerbReauth                     // a new IKE SA with children first, then Delete the old one (RFC 7296 §2.8.3)
)

// Command asks a peer or a machine for something. Its end is told by an Outcome with the same Ref, exactly one.
type Command struct {
	Verb Verb
	SPI  sa.SPI
	Ref  uint64 // 0: nobody waits
	Why  string
	// Cause is written into tombstones by verbs that remove SAs; zero: the verb's usual one.
	Cause sa.TombReason
}

// TrafficKind is what the data plane saw of one child SA.
type TrafficKind uint8

const (
	FirstInbound  TrafficKind = iota + 1 // first packet verified on this inbound SA
	SoftBytes                            // a soft limit of sa.Child passed
	SoftPackets                          //
	HardBytes                            // the hard volume passed: the SA must not be used
	SeqHigh                              // sequence space or lease nearly used up
	EndpointMoved                        // an authenticated fresh packet came from Remote (RFC 7296 §2.23)
	Inbound                              // proof of life: authenticated ESP since the last such note (at most one a second)
	Outbound                             // ESP was sent since the last such note (at most one a second)
	ReplayStuck                          // Value packets came, all of them below the replay window (protocol.md D24)
)

// Traffic is a note from the data plane about the child whose inbound SPI is SPI.
type Traffic struct {
	SPI    sa.SPI
	Kind   TrafficKind
	Value  uint64
	Remote netip.AddrPort
}

// Hint says that somebody at Remote claims, in the clear, to have no SA for packets on Out, which is the outbound SPI of the
// child whose inbound one is In. It proves nothing: at most a liveness check comes of it (RFC 7296 §2.21.4).
type Hint struct {
	In, Out sa.SPI
	Remote  netip.AddrPort
}

// Acquire asks for a child for a packet that found none: TSLocal and TSRemote are its exact selectors, zero Selector
// slices mean "any" (an interface that came up).
type Acquire struct {
	TSLocal, TSRemote []ike2.Selector
}

// Reconfigured says that another configuration is in force, under which the SAs stay: Peer, of the same number, is what it
// says of their peer. Times that run on go on; lifetimes and liveness checks that begin from here on are the new ones.
type Reconfigured struct{ Peer *policy.Peer }

func (Datagram) input()     {}
func (Tick) input()         {}
func (Done) input()         {}
func (Command) input()      {}
func (Traffic) input()      {}
func (Hint) input()         {}
func (Acquire) input()      {}
func (Reconfigured) input() {}

// Effect is what a machine wants done: Persist, Install, Remove, Moved, Release, Send, Compute, Report, Outcome, Notice, Claim, Closed.
// The caller's duties are numbered in doc.go.
type Effect interface{ effect() }

// Persist asks the store to keep Rec; barrier.
type Persist struct {
	ID  EffectID
	Rec Record
}

// Install asks the data plane for the named half or halves of a child; barrier. OutboundHalf also switches the tunnel to it.
type Install struct {
	ID    EffectID
	Half  sa.Half
	Child sa.Child
}

// Remove takes halves out of the data plane; never fails. The inbound half leaves a tombstone with Why.
type Remove struct {
	In, Out sa.SPI // of one child
	Owner   sa.Owner
	Half    sa.Half
	Why     sa.TombReason
}

// Moved tells the data plane that the peer of one child is reached at Remote from now on (RFC 7296 §2.23); never fails.
// Keys, sequence numbers and windows stay: it is not an Install.
type Moved struct {
	In, Out       sa.SPI
	Owner         sa.Owner
	Local, Remote netip.AddrPort
}

// Release gives up a larval SPI that was offered and came to nothing.
type Release struct{ SPI sa.SPI }

// Send hands one message to the network; Marker adds the non-ESP marker (port 4500).
type Send struct {
	Local, Remote netip.AddrPort
	Bytes         []byte
	Marker        bool
}

// Compute runs slow crypto off the loop; barrier. Run is pure and captures copies only.
type Compute struct {
	ID  EffectID
	Run func() (any, error)
}

// Dropped counts a message that was discarded.
type Dropped struct{ Why reason.Drop }

// Report is an operator-visible event.
type Report struct{ Event event.Record }

// Outcome ends a Command with a Ref.
type Outcome struct {
	Ref    uint64
	Verb   Verb
	Owner  sa.Owner
	Result Result
	// RoundTrips counts request/response pairs of IKE that the command took.
	RoundTrips int
	Detail     string
}

// Result is how a Command ended.
type Result uint8

const (
	OK             Result = iota + 1
	Moot                  // the SPI is installed, larval or in grace by now (protocol.md §1.3): nothing was sent
	NoIKE                 // needs a live IKE SA and there is none
	Busy                  // single flight: something of this peer is under way and will do the same
	TimedOut              // retransmissions exhausted; the IKE SA is dead
	Refused               // the peer said no (Detail: its notify)
	ChildNotFound         // CHILD_SA_NOT_FOUND: the peer lost it too
	AuthFailed            //
	NotInitiable          // responder-only or unknown address
	InternalFailed        // install or persist failed
)

// NoticeKind is a fact about a peer that recovery, show commands and line protocol listen to.
type NoticeKind uint8

const (
	ExchangeStarted NoticeKind = iota + 1 // a request of ours left, or one of theirs is being answered across a barrier
	ExchangeEnded
	IKEUp          // authenticated; InitialContact tells what the peer said
	IKEDown        //
	ChildUp        // inbound installed and outbound switched
	ChildDown      //
	PeerAlive      // an authenticated fresh IKE message
	FirstInboundOK // Traffic FirstInbound was seen for In
	ChildSilent    // we have been sending on Out since Since, and nothing came on In; again while it lasts
	ChildReplays   // Count packets came on In, all of them below its replay window; again while it lasts
	ChildHeard     // a packet was verified on In, of which one of the two before was told
	ReauthDue      // the peer wants to be authenticated to again (RFC 4478); between a machine and its Peer alone
)

// Notice is told to the recovery runner and to publishers of status.
type Notice struct {
	Kind           NoticeKind
	Owner          sa.Owner
	At             time.Time
	IKE            isakmp.SPI // ours
	In, Out        sa.SPI
	Exchange       isakmp.Exchange
	InitialContact bool
	Initiator      bool
	LocalID        policy.Identity // of IKEUp: the authenticated pair
	RemoteID       policy.Identity
	Cause          sa.TombReason // of ChildDown and IKEDown
	SRTT           time.Duration // measured on IKE exchanges; 0: not known
	Since          time.Time     // of ChildSilent
	Count          uint64        // of ChildReplays
	// ByCommand is the Ref of the command that led to it; 0: none (start-up, peer, traffic).
	ByCommand uint64
}

// Claim routes messages with our IKE SPI to this machine; Disclaim ends that. Closed ends the machine.
type (
	Claim    struct{ SPI isakmp.SPI }
	Disclaim struct{ SPI isakmp.SPI }
	Closed   struct{ Why string }
)

func (Persist) effect()  {}
func (Install) effect()  {}
func (Remove) effect()   {}
func (Moved) effect()    {}
func (Release) effect()  {}
func (Send) effect()     {}
func (Compute) effect()  {}
func (Dropped) effect()  {}
func (Report) effect()   {}
func (Outcome) effect()  {}
func (Notice) effect()   {}
func (Claim) effect()    {}
func (Disclaim) effect() {}
func (Closed) effect()   {}

// Env is all a machine may ask of the world; calls are quick and never block.
type Env struct {
	Rand io.Reader
	// KE makes an ephemeral key for a group (deterministic in tests).
	KE func(group uint16) (suite.KeyExchange, error)
	// AllocSPI gives a fresh inbound ESP SPI and registers it as larval for owner.
	AllocSPI func(owner sa.Owner) (sa.SPI, error)
	// AllocIKE gives a fresh IKE SPI of ours, its low bits naming the shard.
	AllocIKE func() isakmp.SPI
	// SPIState tells what the SAD knows of one of our inbound SPIs (for the moot check).
	SPIState func(sa.SPI) sa.State
	Jitter   func(max time.Duration) time.Duration
	Config   func() *policy.Config
}

// Quirks are faults of a peer's implementation that we have met, each with the time since when (docs/peers.md). They outlive
// IKE SAs: who makes the machines of one peer keeps them, and the machines write them. Zero: not met.
type Quirks struct {
	// NoM2: it answers INVALID_SPI with INVALID_SYNTAX, which costs the IKE SA (CSC..40554). It is sent none.
	NoM2 time.Time
	// AvoidFF: nothing comes on an SPI that begins with 0xFF (CSCvp16730). It is offered none.
	AvoidFF time.Time
	// HoldSwitch: it deletes a new SA whose first packet came before it was ready (CSCvn31824, CSCvx23833). We send on a new
	// SA when it does, or after Hold.
	HoldSwitch time.Time
	Hold       time.Duration
}

// Record is what the store keeps of an IKE SA and its children. It holds keys: only the store may read it.
type Record struct {
	IKE      isakmp.SPI
	Owner    sa.Owner
	Sealed   []byte // encoded state; format of the store issue. `store none` ignores it
	Deleting bool
}

// Status is a machine's public state for show commands: no secrets.
type Status struct {
	Owner                            sa.Owner
	Peer                             string // interface name
	State                            string // READY, IN-NEG, DELETE
	Local, Remote                    netip.AddrPort
	LocalSPI, RemoteSPI              isakmp.SPI
	Initiator                        bool
	Cipher                           suite.Cipher
	PRF, Group                       uint16
	LocalID, RemoteID                string
	Established                      time.Time
	Lifetime                         time.Duration
	SendMID, RecvMID                 uint32
	NATLocal, NATRemote, NATDetected bool
	PeerLockstep                     bool
	DPD                              *policy.DPD
	Children                         []ChildStatus
	SRTT                             time.Duration
	LastDown                         string
	Quirks                           Quirks // of the peer
}

// ChildStatus is the control plane's view of one child.
type ChildStatus struct {
	In, Out           sa.SPI
	State             string
	Created           time.Time
	Hard              time.Time
	TSLocal, TSRemote []ike2.Selector
	Cipher            suite.Cipher
	ESN               bool
	Encap             sa.Encap
	Initiator         bool
	PFSGroup          uint16
	SilentSince       time.Time // we send since then, and nothing comes; zero: something came, or we do not send
}
