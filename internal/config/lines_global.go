package config

const severities = "{<0-7>:severity|alerts|critical|debugging|emergencies|errors|informational|notifications|warnings}"

func globalLines() []line {
	out := []line{
		{id: "hostname", pattern: "hostname WORD:name", no: "hostname [WORD:name]", help: "Set system's network name"},
		{id: "logging.buffered", pattern: "logging buffered [<4096-2147483647>:size] [" + severities + "]", on: true, help: "Set buffered logging parameters"},
		{id: "logging.console", pattern: "logging console [" + severities + "]", on: true, help: "Set console logging parameters"},
		{id: "logging.monitor", pattern: "logging monitor [" + severities + "]", on: true, help: "Set terminal line (monitor) logging parameters"},
		{id: "logging.trap", pattern: "logging trap [" + severities + "]", on: true, help: "Set syslog server logging level"},
		{id: "logging.host", pattern: "logging host {A.B.C.D:address|WORD:host} [transport {udp [port <1-65535>:port]|tcp [LINE:rest]|tls [LINE:rest]}|vrf LINE:rest]", many: true,
			help: "Set syslog server IP address and parameters",
			bad: join(words("syslog goes over UDP only, so far", "tcp", "tls"), words(whyVRF, "vrf"),
				words("a syslog server is given by its IPv4 address: no name is resolved", ":host"))},
		{id: "store.persistence", pattern: "store persistence {none|journal|full}", no: "store persistence [none|journal|full]", help: "Which SA state survives a restart",
			bad: words("a later capability: the only store is none, SAs are healed instead of restored", "journal", "full")},
		{pattern: "store {bolt|etcd} [LINE:rest]", effect: refused, why: "SA stores are a later capability: store persistence none is the only one"},
	}
	out = append(out, family(ignored, whyNotIPsec, "logging", "version", "service", "boot-start-marker", "boot-end-marker", "boot",
		"Building", "Current", "Using", "Last", "NVRAM",
		"enable", "username", "aaa", "line", "password", "privilege", "security", "banner", "alias", "archive", "clock", "ntp", "snmp-server", "snmp",
		"ip", "ipv6", "vtp", "spanning-tree", "vlan", "router", "control-plane", "call-home", "license", "diagnostic", "memory", "platform",
		"redundancy", "multilink", "subscriber", "transceiver", "login", "mgcp", "voice", "voice-card", "dial-peer", "gatekeeper", "sip-ua",
		"scheduler", "netconf", "netconf-yang", "restconf", "cdp", "lldp", "tftp-server", "telemetry", "flow", "sampler", "monitor", "track",
		"event", "parser", "process", "exception", "hw-module", "controller", "mpls", "bridge", "cef", "card", "frame-relay", "bfd", "lacp", "device",
		"dot1x", "radius", "radius-server", "tacacs", "tacacs-server", "key", "wsma", "cns", "rmon", "fhrp", "standby", "vpdn", "appfw", "arp", "errdisable", "kron", "macro", "mac", "object", "nbar", "l2vpn", "bba-group", "virtual-service", "app-hosting", "iox", "guestshell", "pnp")...)
	out = append(out, family(ignored, whyReference, "access-list", "ip access-list", "ip prefix-list", "ip local pool", "ip vrf", "vrf", "route-map", "class-map", "policy-map",
		"object-group", "parameter-map", "zone", "zone-pair", "time-range")...)
	out = append(out, family(ignored, whyHost, "ip domain", "ip name-server", "ip forward-protocol", "ip http", "ip ssh", "ip cef", "ip source-route", "ip tcp", "ip host", "ip nat")...)
	return out
}

// networkLines stand behind the crypto lines that they refer to, as IOS writes them.
func networkLines() []line {
	return []line{
		{id: "interface.tunnel", pattern: "interface Tunnel<0-99999999>:unit", enter: modeTunnel, by: "unit", help: "Tunnel interface"},
		{id: "interface", pattern: "interface WORD:name [WORD:number] [point-to-point|multipoint]", enter: modeInterface, by: "name", help: "Select an interface to configure"},
		{id: "ip.route", pattern: "ip route A.B.C.D:prefix A.B.C.D:mask {Tunnel<0-99999999>:unit [A.B.C.D:via]|A.B.C.D:via|WORD:interface [A.B.C.D:via]} [<1-255>:distance] [name WORD:name] [permanent|track <1-1000>:track] [tag <1-4294967295>:tag]",
			many: true, help: "Establish static routes",
			bad: join(words("a route into an interface of the host is the host's: give the next hop alone, or a Tunnel", ":interface"),
				words("object tracking is not supported: the line protocol of the tunnel moves its routes", "track"))},
		{pattern: "ip route vrf LINE:rest", effect: refused, why: whyVRF},
		{pattern: "ip routing", on: true, effect: ignored, why: whyHost},
	}
}
