// Package live keeps verdicts current while syslog arrives from a fleet, over UDP (RFC 5426) or TCP (RFC 6587, both
// framings). One loop owns the verdicts; listeners hand it messages over a bounded queue and count what does not fit; a
// page and metrics are served on loopback only; alerts go to a command or a webhook, one at a time. cmd/lockstep starts it.
package live
