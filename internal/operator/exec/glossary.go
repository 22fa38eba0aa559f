package exec

import "lockstep/internal/config/grammar"

// glossary explains the words that several commands share; the last leading keyword of each has its help in its row.
func glossary() grammar.Glossary {
	return grammar.Glossary{
		"show": "Show running system information", "clear": "Reset functions", "debug": "Debugging functions", "undebug": "Disable debugging functions",
		"no": "Disable debugging functions", "no debug": "Debugging functions",

		"crypto": "Encryption module", "show crypto ikev2": "Show IKEv2 information", "show crypto ipsec": "Show IPSEC policy",
		"clear crypto ikev2": "Clear IKEv2 information", "crypto ikev2": "Act on IKEv2 SAs", "crypto ipsec": "Act on IPsec SAs",

		"platform": "Show platform information", "hardware": "Hardware", "qfp": "Packet path (named as the Quantum Flow Processor)", "active": "Active instance",
		"statistics": "Counters of everything", "feature": "Counters of one feature", "show platform hardware qfp active feature ipsec": "IPsec",
		"datapath": "Packet path", "all": "Rows of zero too",

		"detail": "With every fact", "detailed": "With every fact", "peer": "Of one peer", "remote": "Of one peer", "interface": "Of one interface",
		"Tunnel": "Tunnel interface", "spi": "Of one SPI", "incident": "One incident with its timeline",
		"trend": "Healings by hour and day, with their causes",

		":address": "IP address of the peer", ":unit": "Interface number", ":spi": "SPI, as 0xB761863E or 3076621886", ":incident": "Number of the incident",
	}
}
