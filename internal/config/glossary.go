package config

import "lockstep/internal/config/grammar"

// glossary explains the words that many lines share.
func glossary() grammar.Glossary {
	return grammar.Glossary{
		"hostname": "Set system's network name", "logging": "Modify message logging facilities", "store": "Where SAs are kept",
		"crypto": "Encryption module", "crypto ikev2": "Configure IKEv2 Options", "crypto isakmp": "Configure ISAKMP policy", "crypto ipsec": "Configure IPSEC policy",
		"crypto recovery": "Healing of lost SA agreement", "crypto recovery budget": "Bounds of healing", "crypto logging": "Logging of crypto events",
		"crypto ipsec security-association": "Security association parameters", "crypto ipsec security-association lifetime": "Security association lifetime",
		"crypto ipsec nat-transparency": "IPsec NAT transparency model", "crypto ikev2 nat": "NAT traversal",
		"interface": "Select an interface to configure", "ip": "Global IP configuration subcommands", "set": "Set values for encryption/decryption",
		"set security-association": "Security association parameters", "tunnel": "Protocol-over-protocol tunneling", "tunnel mode ipsec": "IPSec tunnel encapsulation",
		"tunnel protection": "Enable tunnel protection", "ipsec": "IPSec", "match": "Match values of peer", "match identity": "Match peer identity", "match address": "Match an address",
		"identity": "IKE identity", "authentication": "Set authentication method", "nat": "NAT traversal", "initial-contact": "Process of initial-contact", "mode": "Encapsulation mode", "address": "IPv4 address", "fqdn": "Fully qualified domain name",
		"email": "Email address", "key-id": "Opaque string", "any": "Any peer", "domain": "Match any name of a domain", "local": "Local", "remote": "Remote",
		"on-demand": "Send only when there is traffic and silence", "periodic": "Send every interval", "pre-share": "Pre-shared key", "key": "Key in the line itself",
		"0": "The key follows as it is", "6": "An encrypted key follows", "7": "A hidden key follows", "hex": "The key follows in hexadecimal",
		"seconds": "Time-based", "kilobytes": "Volume-based", "disable": "Disable", "window-size": "Size of the window in packets", "force": "Always",
		"no": "Negate a command or set its defaults", "burst": "As many at once",
		":name": "Name", ":severity": "Logging severity level", ":size": "Logging buffer size in octets", ":address": "IP address", ":mask": "IP subnet mask", ":host": "Host name",
		":port": "Port number", ":unit": "Interface number", ":prefix": "Destination prefix", ":via": "Forwarding router's address", ":distance": "Distance metric for this route",
		":interval": "Seconds between checks", ":retry": "Seconds between retries", ":half-open": "Half-open SAs", ":seconds": "Seconds", ":kilobytes": "Kilobytes of 1024 octets",
		":days": "Days", ":milliseconds": "Milliseconds", ":count": "How many", ":burst": "How many at once", ":octets": "Octets", ":key": "The key", ":text": "Up to the end of the line",
		":rest": "Up to the end of the line", ":fqdn": "Name", ":email": "Address", ":key-id": "Key ID", ":interface": "Interface of the host", ":tag": "Tag",
	}
}
