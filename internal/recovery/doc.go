// Package recovery is the healing brain: what was seen of ESP packets on SPIs that we do not have, and what is known of
// the peer, become verdicts, incidents and orders to IKE, each with its why. It is pure: the same inputs at the same
// times give the same actions. It sends nothing, logs nothing and holds no SA; package runner is its only caller.
//
// Two rules carry it (protocol.md §1.0, §1.3). An ESP packet proves nothing, so it never changes SA state: it only makes
// us ask or tell the peer over IKE. And an SPI that is larval, installing or installed cannot come in here at all:
// Evidence has no constructor for it (CSCvn31824).
//
// # One machine per owner (protocol.md §2.6)
//
//	  ┌──────────── 5 s silent ───────────┐
//	  ▼                                   │
//	Idle ──evidence──► (decide) ──wait──► Watching ──seen again──► (decide)
//	  ▲                   │
//	  │    ┌──────────────┼───────────────┬───────────────┐
//	  │    ▼              ▼               ▼               ▼
//	  │ Deleting ──no── Recreating     Reauth          Probing
//	  │    │  child──►    │               │               │
//	  │    └─────ok───────┴──────ok───────┘               │
//	  │                   ▼                               │
//	  ├─10 s clean──── Healed ──seen again──► next rung   │
//	  ├─pause over──── Backoff ◄──failed (any)            │
//	  └──── the key is quarantined for an hour ◄──alive, and ignores us
//
// A peer that says INITIAL_CONTACT ends whatever we do in Healed: it has begun anew. TEMPORARY_FAILURE is tried again from
// Backoff for some minutes, then the IKE SA is deleted (RFC 7296 §2.25).
//
// Silence, a child that sends and hears nothing, has the same states and flights, and rules of its own (quiet.go).
//
// Rungs over a live IKE SA: Delete or rekey, a fresh child, liveness, quarantine. Each key climbs for itself, and it is the
// key that is left alone at the end: others of the same peer are not (quarantine.go). Deviation: protocol.md §2.6 has a new IKE SA as the
// last rung; rule 3 of §2.8 allows one only where none is live, so a live one is probed, and goes only when it is dead.
package recovery
