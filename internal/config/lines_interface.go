package config

func tunnelLines() []line {
	out := []line{
		{id: "description", pattern: "description LINE:text", no: "description [LINE:text]", help: "Interface specific description"},
		{id: "ip.address", pattern: "ip address A.B.C.D:address A.B.C.D:mask [secondary]", no: "ip address [LINE:rest]", help: "Set the IP address of an interface",
			bad: words("one address to a tunnel is supported", "secondary")},
		{id: "ip.mtu", pattern: "ip mtu <68-9216>:octets", no: "ip mtu [<68-9216>:octets]", help: "Set IP Maximum Transmission Unit"},
		{id: "ip.mss", pattern: "ip tcp adjust-mss <500-1460>:octets", no: "ip tcp adjust-mss [<500-1460>:octets]", help: "Adjust the mss of transit packets"},
		{id: "source", pattern: "tunnel source {A.B.C.D:address|X:X:X:X::X:address6|WORD:interface}", no: "tunnel source [LINE:rest]", help: "Source of tunnel packets", bad: words(whyIPv6, ":address6")},
		{id: "destination", pattern: "tunnel destination {A.B.C.D:address|X:X:X:X::X:address6|dynamic|WORD:host}", no: "tunnel destination [LINE:rest]", help: "Destination of tunnel",
			bad: join(words(whyIPv6, ":address6"), words("dynamic destinations are "+whyLater, "dynamic"), words("not an IPv4 address, and no name is resolved", ":host"))},
		{id: "mode", pattern: "tunnel mode {ipsec {ipv4|ipv6|dual-overlay}|gre {ip|ipv6|multipoint}|ipip|ipv6|ipv6ip [LINE:rest]|udp LINE:rest|vxlan LINE:rest|ethernet LINE:rest|sdwan}", no: "tunnel mode [LINE:rest]", help: "Tunnel encapsulation method",
			bad: join(words("tunnel mode ipsec ipv4 is the only one so far", "ipv6", "dual-overlay", "ipip", "ipv6ip", "udp", "vxlan", "ethernet", "sdwan"),
				words("GRE tunnels are not supported yet: tunnel mode ipsec ipv4 is", "gre"))},
		{id: "protection", pattern: "tunnel protection ipsec profile WORD:name [shared|ikev2-profile WORD:ike|isakmp-profile WORD:ikev1]", no: "tunnel protection [LINE:rest]", help: "IPSec profile",
			bad: join(words("SAs shared by several tunnels are "+whyLater, "shared"), words("IKEv1 is not supported yet", "isakmp-profile"),
				words("write it in the ipsec profile: set ikev2-profile", "ikev2-profile"))},
		{id: "shutdown", pattern: "shutdown", help: "Shutdown the selected interface"},
		{pattern: "tunnel protection ipsec initiate", effect: ignored, why: "an sVTI initiates when its interface comes up"},
		{pattern: "tunnel protection ipsec policy [LINE:rest]", effect: refused, why: "selectors by access list are " + whyLater + ": without it the tunnel would take all packets"},
		{pattern: "tunnel protection psk [LINE:rest]", effect: refused, why: "write the key in a crypto ikev2 keyring"},
		{pattern: "tunnel route-via [LINE:rest]", effect: refused, why: whyLater + ": without it outer packets would take another way"},
		{pattern: "mtu [LINE:rest]", effect: ignored, why: "ip mtu is the one that counts on a tunnel"},
		{pattern: "ip unnumbered [LINE:rest]", effect: ignored, why: "a tunnel without an address works; the host chooses the source of its own packets"},
		{pattern: "ip nhrp [LINE:rest]", effect: refused, why: whyNHRP},
		{pattern: "if-state [LINE:rest]", effect: refused, why: whyNHRP},
		{pattern: "ip nat [LINE:rest]", effect: refused, why: whyNAT},
	}
	out = append(out, family(refused, whyVRF, "tunnel vrf", "vrf", "ip vrf")...)
	out = append(out, family(refused, whyFilter, "ip access-group", "ip verify", "ip inspect", "zone-member", "ip policy", "ipv6 traffic-filter")...)
	out = append(out, family(refused, whyIPv6, "ipv6")...)
	out = append(out, family(refused, whyGRE, "tunnel key", "tunnel checksum", "tunnel sequence-datagrams")...)
	out = append(out, family(refused, whyMaps, "crypto map")...)
	out = append(out, family(ignored, whyHost, "tunnel ttl", "tunnel tos", "tunnel path-mtu-discovery", "tunnel bandwidth", "tunnel flow", "tunnel snooping", "tunnel entropy", "tunnel qos",
		"bandwidth", "delay", "load-interval", "keepalive", "bfd", "carrier-delay", "hold-queue", "logging event", "snmp", "service-policy", "qos", "cdp", "lldp", "arp",
		"crypto ipsec df-bit", "crypto ipsec fragmentation", "ip ospf", "ip pim", "ip igmp", "ip rip", "ip hello-interval", "ip hold-time", "ip summary-address", "ip split-horizon",
		"ip next-hop-self", "ip bandwidth-percent", "ip authentication", "ip virtual-reassembly", "ip flow", "ip redirects", "ip unreachables", "ip proxy-arp",
		"ip route-cache", "ip nbar", "ip directed-broadcast", "ip mask-reply", "ip mroute-cache", "ip router", "isis", "mpls", "random-detect", "fair-queue", "max-reserved-bandwidth", "standby", "vrrp")...)
	return out
}

// interfaceLines are those of a host interface: what would open or encrypt something is an error, the rest is the host's.
func interfaceLines() []line {
	out := family(refused, whyMaps, "crypto map")
	out = append(out, family(refused, "tunnel lines belong to interface TunnelN", "tunnel")...)
	out = append(out, family(refused, "EzVPN is not supported yet", "crypto ipsec client")...)
	out = append(out, family(refused, whyFilter, "ip access-group", "ip verify", "ip inspect", "zone-member", "ipv6 traffic-filter")...)
	out = append(out, family(refused, whyVRF, "vrf forwarding", "ip vrf")...)
	out = append(out, family(ignored, whyHost, "ip", "ipv6", "description", "shutdown", "mtu", "duplex", "speed", "negotiation", "media-type", "encapsulation", "bandwidth", "delay",
		"crypto ipsec df-bit", "crypto ipsec fragmentation", "switchport", "spanning-tree", "channel-group", "service-policy", "load-interval", "cdp", "lldp", "standby", "vrrp")...)
	return out
}
