// Package evidence is the vocabulary of `lockstep diagnose`: what one line, packet or counter says, and where it stands.
// Readers make events, verdicts weigh them; neither knows the other. An Event claims no more than its source does: what
// is not in the source stays zero. Pure.
package evidence
