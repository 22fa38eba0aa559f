// Package diagnose answers for gateways that people already have: from logs, captures of commands, configurations and
// packets it says which tunnel is out of step, since when, whether it is a transient or a black hole, why, whether
// invalid-SPI recovery can help there, and what to type next. It recognises its inputs by content, streams them, and keeps
// bounded state. It changes nothing anywhere. cmd/lockstep calls Run; package live feeds the same verdicts from the
// network; package report prints a Result.
//
// The parts: evidence is the vocabulary, read the logs, show the captured commands, capture the packets, advise the
// configurations, verdict the judgement.
package diagnose
