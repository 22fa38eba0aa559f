package story

import "lockstep/internal/gateway"

// silentStart imitates strongSwan with `unique = no`: a peer that has lost everything, and does not say so.
var silentStart = deviation{
	help: "does not say INITIAL_CONTACT when it starts (strongSwan with unique = no)",
	play: func(_ *site, o *gateway.Options, _ *world) { o.NoInitialContact = true },
}

// patient waits for a sign of life as long as it may: an IKE SA of a peer that has lost it stays for more than half a minute.
var patient = sabotage{
	help: "its liveness checks take as long as they do by default, although the story shortens them",
	play: func(_ *site, o *gateway.Options, _ *world) { o.Tuning.Probe.Tries = 0 },
}
