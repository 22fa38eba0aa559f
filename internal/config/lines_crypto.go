package config

// key is the part of a line that carries a secret: its type and the rest of the line.
const key = "[0|6|7|hex] LINE:key"

func keyTypes() map[string]string {
	return map[string]string{"6": whyNoMaster, "7": whyType7}
}

const dpd = "dpd <10-3600>:interval <2-60>:retry {on-demand|periodic}"

func cryptoLines() []line {
	out := []line{
		{id: "ikev2.proposal.default", pattern: "crypto ikev2 proposal default", on: true, help: "Lockstep's own proposal"},
		{id: "ikev2.proposal", pattern: "crypto ikev2 proposal WORD:name", enter: modeProposal, by: "name", help: "Define IKEv2 proposals"},
		{id: "ikev2.policy.default", pattern: "crypto ikev2 policy default", on: true, help: "The policy without a name"},
		{id: "ikev2.policy", pattern: "crypto ikev2 policy WORD:name", enter: modePolicy, by: "name", help: "Define IKEv2 policies"},
		{id: "ikev2.keyring", pattern: "crypto ikev2 keyring WORD:name", enter: modeKeyring, by: "name", help: "Define IKEv2 keyring"},
		{id: "ikev2.profile", pattern: "crypto ikev2 profile WORD:name", enter: modeIKE, by: "name", help: "Define IKEv2 profiles"},
		{id: "ikev2.dpd", pattern: "crypto ikev2 " + dpd, no: "crypto ikev2 dpd [<10-3600>:interval <2-60>:retry {on-demand|periodic}]", help: "Enable IKE liveness check for peers"},
		{id: "ikev2.cookie", pattern: "crypto ikev2 cookie-challenge <1-1000>:half-open", no: "crypto ikev2 cookie-challenge [<1-1000>:half-open]", help: "Set Cookie-challenge watermark"},
		{id: "ikev2.nat", pattern: "crypto ikev2 nat keepalive <5-3600>:seconds", no: "crypto ikev2 nat keepalive [<5-3600>:seconds]", help: "Set a NAT keepalive interval"},
		{id: "logging.session", pattern: "crypto logging session", help: "Log up and down of sessions"},
		{id: "invalid-spi", pattern: "crypto isakmp invalid-spi-recovery", help: "Initiate IKE and send Invalid SPI Notify"},
		{id: "recovery.extended", pattern: "crypto recovery extended", on: true, help: "Healing beyond what IOS does; its no form is parity mode"},
		{id: "recovery.gap", pattern: "crypto recovery budget gap milliseconds <100-300000>:milliseconds", no: "crypto recovery budget gap [milliseconds <100-300000>:milliseconds]", help: "Least time between two actions for one peer"},
		{id: "recovery.deletes", pattern: "crypto recovery budget deletes per-minute <1-600>:count", no: "crypto recovery budget deletes [per-minute <1-600>:count]", help: "Delete messages for one peer"},
		{id: "recovery.initiations", pattern: "crypto recovery budget initiations per-second <1-10000>:count [burst <1-100000>:burst]", no: "crypto recovery budget initiations [per-second <1-10000>:count [burst <1-100000>:burst]]", help: "New IKE SAs, all peers"},
		{id: "recovery.hints", pattern: "crypto recovery budget hints per-second <1-10000>:count", no: "crypto recovery budget hints [per-second <1-10000>:count]", help: "Unprotected notifies that are taken up, all peers"},
		{id: "sa.seconds", pattern: "crypto ipsec security-association lifetime seconds <120-86400>:seconds", no: "crypto ipsec security-association lifetime seconds [<120-86400>:seconds]", help: "Time-based key duration in seconds"},
		{id: "sa.kilobytes", pattern: "crypto ipsec security-association lifetime kilobytes {<2560-4294967295>:kilobytes|disable}", no: "crypto ipsec security-association lifetime kilobytes [<2560-4294967295>:kilobytes|disable]", help: "Volume-based key duration"},
		{id: "sa.idle", pattern: "crypto ipsec security-association idle-time <60-86400>:seconds", no: "crypto ipsec security-association idle-time [<60-86400>:seconds]", help: "Automatically delete IPSec SAs after a given idle period"},
		{id: "sa.replay", pattern: "crypto ipsec security-association replay {disable|window-size {64|128|256|512|1024}}", no: "crypto ipsec security-association replay {disable|window-size [64|128|256|512|1024]}", help: "Set replay checking"},
		{id: "ipsec.transform", pattern: "crypto ipsec transform-set WORD:name {" + transforms + "}...", no: "crypto ipsec transform-set WORD:name [LINE:rest]", enter: modeTransform, by: "name", help: "Define transform and settings", bad: weakTransforms()},
		{id: "nat-t", pattern: "crypto ipsec nat-transparency udp-encapsulation [force]", on: true, help: "UDP encapsulation of ESP"},
		{pattern: "crypto ipsec nat-transparency spi-matching", effect: refused, why: "SPI matching by NAT devices is not supported"},
		{id: "ipsec.profile", pattern: "crypto ipsec profile WORD:name", enter: modeProfile, by: "name", help: "Configure an ipsec policy profile"},
		{pattern: "crypto ipsec security-association dummy [LINE:rest]", effect: refused, why: "dummy packets are " + whyLater + ": without them the amount of traffic shows"},
		{pattern: "crypto ipsec optional [LINE:rest]", effect: refused, why: "it sends in the clear what it cannot encrypt: Lockstep never does"},
	}
	out = append(out, family(ignored, whyIKEv1, "crypto isakmp policy", "crypto isakmp key", "crypto isakmp keepalive", "crypto isakmp profile", "crypto isakmp identity",
		"crypto isakmp aggressive-mode", "crypto isakmp nat", "crypto isakmp fragmentation", "crypto isakmp enable", "crypto isakmp diagnose", "crypto isakmp default",
		"crypto isakmp xauth", "crypto isakmp performance", "crypto isakmp peer", "crypto isakmp client", "crypto isakmp disconnect-revoked-peers", "crypto keyring")...)
	out = append(out, family(ignored, "has no effect here: only certificates need it, and they are an error wherever a profile names them", "crypto pki", "crypto key", "crypto ca",
		"crypto ikev2 http-url", "crypto ikev2 certificate-cache", "crypto ikev2 disconnect-revoked-peers")...)
	out = append(out, family(ignored, "Lockstep has bounds of its own there", "crypto ikev2 limit", "crypto ikev2 window", "crypto ikev2 diagnose", "crypto call", "crypto session",
		"crypto engine", "crypto ikev2 fragmentation", "crypto ipsec fragmentation", "crypto ipsec df-bit", "crypto mib", "crypto logging ikev2", "crypto logging ezvpn",
		"crypto ipsec security-association ecn", "crypto ipsec security-association multi-sn", "crypto ipsec ipv4-deny")...)
	out = append(out, family(refused, whyMaps, "crypto map", "crypto dynamic-map")...)
	out = append(out, family(refused, whyFlex, "crypto ikev2 authorization", "crypto ikev2 client", "crypto ikev2 redirect", "crypto ikev2 reconnect",
		"crypto ikev2 cluster", "crypto ikev2 name-mangler", "crypto ikev2 cts")...)
	out = append(out, family(refused, whyLater, "crypto ipsec client", "crypto gdoi", "crypto gkm", "crypto identity", "crypto ssl", "crypto vpn", "crypto tls-tunnel")...)
	return out
}

const transforms = "esp-gcm [128|192|256]|esp-aes [128|192|256]|esp-192-aes|esp-256-aes|esp-sha256-hmac|esp-sha384-hmac|esp-sha512-hmac|esn|" +
	"esp-3des|esp-des|esp-null|esp-seal|esp-gmac [128|192|256]|esp-md5-hmac|esp-sha-hmac|ah-md5-hmac|ah-sha-hmac|ah-sha256-hmac|ah-sha384-hmac|ah-sha512-hmac|comp-lzs"

func weakTransforms() map[string]string {
	return join(words(whyWeak, "esp-3des", "esp-des", "esp-seal", "esp-md5-hmac", "esp-sha-hmac"),
		words("encrypts nothing, not supported", "esp-null", "esp-gmac"),
		words("AH is not supported", "ah-md5-hmac", "ah-sha-hmac", "ah-sha256-hmac", "ah-sha384-hmac", "ah-sha512-hmac"),
		words("IP compression is not supported", "comp-lzs"))
}

func proposalLines() []line {
	groups := "{14|19|20|31|1|2|5|15|16|21|24}..."
	hashes := "{sha256|sha384|sha512|md5|sha1}..."
	ciphers := "{aes-gcm-128|aes-gcm-256|aes-cbc-128|aes-cbc-192|aes-cbc-256|des|3des}..."
	weak := words(whyWeak, "md5", "sha1")
	return []line{
		{id: "encryption", pattern: "encryption " + ciphers, no: "encryption [LINE:rest]", help: "Set encryption algorithm(s) for proposal", bad: words(whyWeak, "des", "3des")},
		{id: "integrity", pattern: "integrity " + hashes, no: "integrity [LINE:rest]", help: "Set integrity hash algorithm(s) for proposal", bad: weak},
		{id: "prf", pattern: "prf " + hashes, no: "prf [LINE:rest]", help: "Set prf algorithm(s) for proposal", bad: weak},
		{id: "group", pattern: "group " + groups, no: "group [LINE:rest]", help: "Set the Diffie-Hellman group(s)",
			bad: join(words(whyWeak, "1", "2", "5", "24"), words(whyLater, "15", "16", "21"))},
	}
}

func policyLines() []line {
	return []line{
		{id: "proposal", pattern: "proposal WORD:name", many: true, help: "Specify Proposal"},
		{id: "match.local", pattern: "match address local {A.B.C.D:address|X:X:X:X::X:address6}", many: true, help: "Match local address", bad: words(whyIPv6, ":address6")},
		{id: "match.fvrf", pattern: "match fvrf {any|WORD:vrf}", help: "Match front door vrf", bad: words(whyVRF, ":vrf")},
	}
}

func keyringLines() []line {
	return []line{{id: "peer", pattern: "peer WORD:name", enter: modePeer, by: "name", help: "Configure a Peer and associated keys"}}
}

func keyringPeerLines() []line {
	return []line{
		{id: "description", pattern: "description LINE:text", no: "description [LINE:text]", help: "Specify a description of this peer"},
		{id: "address", pattern: "address {A.B.C.D:address [A.B.C.D:mask]|X:X:X:X::X:address6|WORD:prefix6}", no: "address [LINE:rest]", help: "Specify IPv4 address of peer", bad: words(whyIPv6, ":address6", ":prefix6")},
		{id: "identity", pattern: "identity " + identities, no: "identity [LINE:rest]", help: "Specify IKE identity to use", bad: words(whyIPv6, ":address6")},
		{id: "key", pattern: "pre-shared-key " + key, no: "pre-shared-key [LINE:key]", help: "Specify the pre-shared key", bad: keyTypes(), secret: "key"},
		{id: "key.local", pattern: "pre-shared-key local " + key, no: "pre-shared-key local [LINE:key]", bad: keyTypes(), secret: "key"},
		{id: "key.remote", pattern: "pre-shared-key remote " + key, no: "pre-shared-key remote [LINE:key]", bad: keyTypes(), secret: "key"},
		{pattern: "hostname LINE:name", effect: refused, why: "a peer is given by its address or identity: no name is resolved"},
	}
}

const identities = "{address {A.B.C.D:address|X:X:X:X::X:address6}|fqdn [domain] WORD:fqdn|email [domain] WORD:email|key-id LINE:key-id}"

func ikeProfileLines() []line {
	out := []line{
		{id: "description", pattern: "description LINE:text", no: "description [LINE:text]", help: "Specify a description of this profile"},
		{id: "match.identity", pattern: "match identity remote {address {A.B.C.D:address [A.B.C.D:mask]|X:X:X:X::X:address6}|fqdn [domain] WORD:fqdn|email [domain] WORD:email|key-id LINE:key-id|any}", many: true,
			help: "Remote identity", bad: words(whyIPv6, ":address6")},
		{id: "match.fvrf", pattern: "match fvrf {any|WORD:vrf}", help: "Match front door vrf", bad: words(whyVRF, ":vrf")},
		{id: "identity", pattern: "identity local {address {A.B.C.D:address|X:X:X:X::X:address6}|fqdn WORD:fqdn|email WORD:email|key-id LINE:key-id|dn}", no: "identity local [LINE:rest]", help: "Specify the local IKE identity to use for the negotiation",
			bad: join(words(whyCerts, "dn"), words(whyIPv6, ":address6"))},
		{id: "authentication.local", pattern: "authentication local {pre-share [key " + key + "]|rsa-sig|ecdsa-sig|eap [LINE:rest]|dynamic}", no: "authentication local [LINE:rest]", help: "Set local authentication method",
			bad: authentications(), secret: "key"},
		{id: "authentication.remote", pattern: "authentication remote {pre-share [key " + key + "]|rsa-sig|ecdsa-sig|eap [LINE:rest]|anyconnect-eap [LINE:rest]}", no: "authentication remote [LINE:rest]", help: "Set remote authentication method",
			bad: authentications(), secret: "key"},
		{id: "keyring", pattern: "keyring {local WORD:name|aaa LINE:rest|WORD:name}", no: "keyring [LINE:rest]", help: "Specify keyring to use", bad: words("AAA servers are not supported: keyring local is", "aaa")},
		{id: "lifetime", pattern: "lifetime <120-86400>:seconds", no: "lifetime [<120-86400>:seconds]", help: "Set lifetime for ISAKMP security association"},
		{id: "dpd", pattern: dpd, no: "dpd [LINE:rest]", help: "Enable IKE liveness check for peers"},
		{id: "initial-contact", pattern: "initial-contact force", help: "Process of initial-contact"},
		{id: "nat.keepalive", pattern: "nat keepalive <5-3600>:seconds", no: "nat keepalive [<5-3600>:seconds]", help: "Set a NAT keepalive interval"},
		{id: "nat.force", pattern: "nat force-encap", help: "Force UDP encapsulation"},
		{pattern: "match certificate [LINE:rest]", effect: refused, why: whyCerts},
		{pattern: "match address local [LINE:rest]", effect: refused, why: whyLater + ": without it the profile would serve every local address"},
		{pattern: "match inbound-only", effect: refused, why: whyLater + ": responder-only in the ipsec profile is"},
		{pattern: "shutdown", effect: refused, why: whyLater + " in a profile: shut the tunnel down instead"},
	}
	out = append(out, family(refused, whyCerts, "pki", "ca")...)
	out = append(out, family(refused, whyVRF, "ivrf")...)
	out = append(out, family(refused, whyFlex, "virtual-template", "config-exchange", "aaa", "redirect", "reconnect", "config-mode")...)
	return append(out, family(ignored, whyNotIPsec, "accounting", "qos-group")...)
}

func authentications() map[string]string {
	return join(keyTypes(), words(whyCerts, "rsa-sig", "ecdsa-sig"), words("EAP is not supported yet: pre-share is", "eap", "anyconnect-eap", "dynamic"))
}

func transformLines() []line {
	return []line{{id: "mode", pattern: "mode {tunnel|transport [require]}", no: "mode [tunnel|transport [require]]", help: "Encapsulation mode (transport/tunnel)",
		bad: words("transport mode carries no whole packets, which tunnel mode ipsec ipv4 has; it belongs to GRE, not supported yet", "transport")}}
}

func ipsecProfileLines() []line {
	const lifetime = "set security-association lifetime "
	out := []line{
		{id: "description", pattern: "description LINE:text", no: "description [LINE:text]", help: "Description of the crypto map statement policy"},
		{id: "transform-set", pattern: "set transform-set WORD:name...", no: "set transform-set [LINE:rest]", help: "Specify list of transform sets in priority order"},
		{id: "ikev2-profile", pattern: "set ikev2-profile WORD:name", no: "set ikev2-profile [WORD:name]", help: "Specify ikev2 Profile"},
		{id: "pfs", pattern: "set pfs [group14|group19|group20|group31|group1|group2|group5|group15|group16|group21|group24]", help: "Specify pfs settings",
			bad: join(words(whyWeak, "group1", "group2", "group5", "group24"), words(whyLater, "group15", "group16", "group21"))},
		{id: "seconds", pattern: lifetime + "seconds <120-2592000>:seconds", no: lifetime + "seconds [<120-2592000>:seconds]", help: "Time-based key duration in seconds"},
		{id: "seconds", pattern: lifetime + "days <1-30>:days", no: lifetime + "days [<1-30>:days]", help: "Time-based key duration in days"},
		{id: "kilobytes", pattern: lifetime + "kilobytes {<2560-4294967295>:kilobytes|disable}", no: lifetime + "kilobytes [<2560-4294967295>:kilobytes|disable]", help: "Volume-based key duration"},
		{id: "idle", pattern: "set security-association idle-time <60-86400>:seconds [default]", no: "set security-association idle-time [LINE:rest]", help: "Automatically delete IPSec SAs after a given idle period",
			bad: words("there is one peer to a tunnel, none to fall back to", "default")},
		{id: "replay", pattern: "set security-association replay {disable|window-size {64|128|256|512|1024}}", no: "set security-association replay [LINE:rest]", help: "Set replay checking"},
		{id: "responder-only", pattern: "responder-only", help: "Do not initiate SAs from this device"},
		{id: "notify-invalid-spi", pattern: "crypto recovery notify-invalid-spi", help: "Tell the peer of SPIs that are unknown here"},
		{pattern: "set isakmp-profile [LINE:rest]", effect: refused, why: "IKEv1 is not supported yet: set ikev2-profile is"},
		{pattern: "set mixed-mode", effect: refused, why: whyIPv6},
		{pattern: "set identity [LINE:rest]", effect: refused, why: whyCerts},
		{pattern: "set security-association level [LINE:rest]", effect: refused, why: "an SA pair for each host is " + whyLater},
		{pattern: "set security-association dummy [LINE:rest]", effect: refused, why: "dummy packets are " + whyLater + ": without them the amount of traffic shows"},
		{pattern: "redundancy [LINE:rest]", effect: refused, why: "stateful redundancy is " + whyLater},
	}
	return append(out, family(ignored, "has no effect on a tunnel interface", "reverse-route", "set reverse-route", "set security-policy", "set security-association dfbit",
		"set security-association ecn", "dialer")...)
}
