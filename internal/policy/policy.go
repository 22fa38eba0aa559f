// Package policy is the compiled configuration: immutable values that every other part reads and nobody writes.
// It is not the text (internal/config) and holds no running state. One *Config is published at a time; a reload
// publishes another. Pure.
package policy

import (
	"net/netip"
	"strconv"
	"time"
)

// Config is everything the gateway was told to do, with every name resolved.
type Config struct {
	Hostname string
	Tunnels  []*Tunnel // ordered by unit
	Routes   []Route   // `ip route` lines
	Peers    []*Peer   // one for each protected tunnel, same order as Tunnels; Peer.ID names one, its index does not
	Recovery Recovery
	Encap    Encap
	Logging  Logging
	Store    Persistence
	// DPDDefault is the global `crypto ikev2 dpd`; nil: none.
	DPDDefault *DPD
	// CookieChallenge is the number of half-open SAs from which cookies are asked (RFC 7296 §2.6); 0: our default.
	CookieChallenge int

	FreeID int // no peer ever had this number or a greater one (KeepIDs)
}

// Persistence is the `store persistence` line.
type Persistence uint8

const (
	PersistNone Persistence = iota
)

// Encap says when ESP goes into UDP 4500 (RFC 3948): see docs/configuration.md, nat-transparency.
type Encap uint8

const (
	EncapAuto  Encap = iota // NAT found, or the peer is a Lockstep gateway (by vendor ID)
	EncapForce              // `crypto ipsec nat-transparency udp-encapsulation force`
	EncapNever              // `no crypto ipsec nat-transparency udp-encapsulation`: only when NAT is found it is impossible to avoid
)

// Recovery is the table "What may be done, when" (protocol.md §2.7): two independent switches, and the budgets of
// protocol.md §2.8.
type Recovery struct {
	InvalidSPI bool // `crypto isakmp invalid-spi-recovery`; off by default
	Extended   bool // `crypto recovery extended`; on by default
	// Budgets; zero means the default of protocol.md §2.8.
	PerOwnerGap    time.Duration // least time between two actions of one owner (2 s)
	DeletesPerMin  int           // Delete messages an owner a minute (10)
	ReauthPerSec   int           // new IKE SAs a second, all owners (50)
	ReauthBurst    int           // (100)
	HintsPerSecond int           // unprotected notifies that are taken up a second, all peers (100)
}

// Logging is what the `logging` lines say. A severity is 0..7 (RFC 5424 §6.2.1): that one and all more urgent ones; Off
// switches the destination off.
type Logging struct {
	Buffered int      // octets; 0: the default
	Severity int      // of the buffer; default 7
	Console  int      // standard error; default 7
	Monitor  int      // sessions with `terminal monitor`; default 7
	Trap     int      // syslog hosts; default 6
	Session  bool     // `crypto logging session`
	Hosts    []string // "192.0.2.9" or "192.0.2.9:5514": syslog over UDP
}

// Off is the Logging severity of a destination that gets nothing.
const Off = -1

// Tunnel is `interface TunnelN` in `tunnel mode ipsec ipv4` (an sVTI).
type Tunnel struct {
	Unit        int
	Description string
	Address     netip.Prefix // zero: none
	MTU         int          // `ip mtu`; 0: derived from the path and the ESP overhead
	AdjustMSS   int          // `ip tcp adjust-mss`; 0: off
	SourceIF    string       // `tunnel source wan0`
	Source      netip.Addr   // `tunnel source 192.0.2.1`; zero when SourceIF is given
	Destination netip.Addr
	Shutdown    bool
	Protection  *IPsecProfile // nil: unprotected, which is refused for `tunnel mode ipsec`
}

// Route is one `ip route PREFIX MASK {TunnelN | next hop} [distance]` line.
type Route struct {
	Prefix   netip.Prefix
	Tunnel   int        // unit, or -1
	Via      netip.Addr // next hop; zero when Tunnel ≥ 0
	Distance int        // 1..255, default 1
}

// IPsecProfile is `crypto ipsec profile NAME`, with the global `crypto ipsec security-association` values filled in.
type IPsecProfile struct {
	Name             string
	TransformSets    []TransformSet
	IKE              *IKEv2Profile
	PFS              uint16        // group of `set pfs`; 0: none
	Lifetime         time.Duration // hard, default 3600 s
	LifetimeKB       uint64        // kilobytes of 1024 octets; 0: disabled; default 4,608,000
	IdleTime         time.Duration // 0: off
	ReplayWindow     int           // packets; 0: disabled; default 64
	ResponderOnly    bool
	NotifyInvalidSPI bool // `crypto recovery notify-invalid-spi`: M2 of protocol.md §2.2
}

// Cipher names an ENCR, its key length in bits and an INTEG transform by IANA number (INTEG 0: none, for AEADs).
// It converts to suite.Cipher.
type Cipher struct {
	Encr    uint16
	KeyBits uint16
	Integ   uint16
}

// TransformSet is `crypto ipsec transform-set`.
type TransformSet struct {
	Name   string
	Cipher Cipher
	ESN    bool
}

// IKEv2Profile is `crypto ikev2 profile`.
type IKEv2Profile struct {
	Name                string
	MatchRemote         []IdentityMatch
	Local               Identity // zero: our address
	Keyring             *Keyring
	Lifetime            time.Duration // default 86400 s
	DPD                 *DPD          // nil: the global one
	InitialContactForce bool
	NATKeepalive        time.Duration // default 20 s
	ForceEncap          bool          // `nat force-encap`
}

// DPD is `dpd INTERVAL RETRY on-demand|periodic` (RFC 7296 §2.4).
type DPD struct {
	Interval, Retry time.Duration
	Periodic        bool
}

// IKEProposal is one `crypto ikev2 proposal`: every combination of its lists is offered (RFC 7296 §3.3); AEAD and
// other ciphers go into separate proposals on the wire.
type IKEProposal struct {
	Name   string
	Encr   []Cipher // Integ unused here
	Integ  []uint16
	PRF    []uint16
	Groups []uint16 // in order of preference; the first is sent in KE
}

// IDKind is the RFC 7296 §3.5 identification type.
type IDKind uint8

const (
	IDIPv4   IDKind = 1
	IDFQDN   IDKind = 2
	IDRFC822 IDKind = 3
	IDIPv6   IDKind = 5
	IDKeyID  IDKind = 11
)

// Identity is an IKE identity; Value is the body of the ID payload without its four header octets.
type Identity struct {
	Kind  IDKind
	Value string
}

// IsZero reports that no identity was configured.
func (i Identity) IsZero() bool { return i.Kind == 0 }

// AddressIdentity is the ID_IPV4_ADDR or ID_IPV6_ADDR identity of a.
func AddressIdentity(a netip.Addr) Identity {
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return Identity{IDIPv4, string(b[:])}
	}
	b := a.As16()
	return Identity{IDIPv6, string(b[:])}
}

func (i Identity) String() string {
	switch i.Kind {
	case IDIPv4, IDIPv6:
		if a, ok := netip.AddrFromSlice([]byte(i.Value)); ok {
			return a.String()
		}
	}
	return i.Value
}

// IdentityMatch is one `match identity remote` line.
type IdentityMatch struct {
	Any    bool
	Prefix netip.Prefix // address form; zero for the others
	Exact  Identity     // fqdn, email, key-id
	Domain string       // `fqdn domain D`, `email domain D`
	Kind   IDKind       // for Domain
}

// Matches reports whether the authenticated identity id satisfies the line.
func (m IdentityMatch) Matches(id Identity) bool {
	switch {
	case m.Any:
		return true
	case m.Prefix.IsValid():
		a, ok := netip.AddrFromSlice([]byte(id.Value))
		return ok && (id.Kind == IDIPv4 || id.Kind == IDIPv6) && m.Prefix.Contains(a)
	case m.Domain != "":
		n := len(id.Value) - len(m.Domain)
		return id.Kind == m.Kind && n > 0 && id.Value[n:] == m.Domain && (id.Value[n-1] == '.' || id.Value[n-1] == '@')
	}
	return id == m.Exact
}

// Keyring is `crypto ikev2 keyring`.
type Keyring struct {
	Name  string
	Peers []KeyringPeer
}

// KeyringPeer is one `peer NAME` of a keyring.
type KeyringPeer struct {
	Name     string
	Address  netip.Prefix // zero: any
	Identity Identity     // zero: none
	Local    Secret       // with what we prove ourselves
	Remote   Secret       // with what the peer does
}

// Peer is the static other end of one tunnel, with everything that IKE and recovery must know of it.
type Peer struct {
	ID        int // number by which SAs and incidents name it: unique in a Config, kept across reloads by KeepIDs
	Tunnel    *Tunnel
	Remote    netip.Addr
	IKE       *IKEv2Profile
	IPsec     *IPsecProfile
	Proposals []IKEProposal
	Key       KeyringPeer
	Initiate  bool // false: responder-only
}

// Name is the tunnel's interface name, by which operators know the peer.
func (p *Peer) Name() string { return p.Tunnel.Name() }

// Name is the IOS interface name.
func (t *Tunnel) Name() string { return "Tunnel" + strconv.Itoa(t.Unit) }

// Device is the host's interface name of the TUN: "Tunnel0" fits IFNAMSIZ for units up to 99999999.
func (t *Tunnel) Device() string { return t.Name() }

// PeersAt lists the peers whose address is a: candidates for a first message from there.
func (c *Config) PeersAt(a netip.Addr) []*Peer {
	a = a.Unmap()
	var out []*Peer
	for _, p := range c.Peers {
		if p.Remote == a {
			out = append(out, p)
		}
	}
	return out
}

// PeerByTunnel finds the peer of `interface TunnelUNIT`; nil if there is none.
func (c *Config) PeerByTunnel(unit int) *Peer {
	for _, p := range c.Peers {
		if p.Tunnel.Unit == unit {
			return p
		}
	}
	return nil
}
