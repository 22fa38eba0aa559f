package advise

import (
	"net/netip"

	"lockstep/internal/diagnose/evidence"
)

// Defaults of IOS.
const (
	defaultSeconds = 3600
	defaultKB      = 4_608_000
)

// Config is what was understood of one device's configuration.
type Config struct {
	File     string
	Hostname string
	ASA      bool

	recovery   *line // crypto isakmp invalid-spi-recovery
	keepalive  *line // crypto isakmp keepalive …
	dpd        *line // crypto ikev2 dpd …
	life       life
	transforms map[string]*line
	profiles   map[string]*profile // crypto ipsec profile
	ikev2      map[string]*line    // crypto ikev2 profile
	maps       map[string][]*entry // crypto map
	dynamic    map[string][]*entry // crypto dynamic-map
	ezvpn      map[string]*line    // crypto ipsec client ezvpn
	flex       map[string]*line    // crypto ikev2 client flexvpn
	acls       map[string][]rule
	ifaces     []*iface
	mapLocal   map[string]string // crypto map NAME local-address IF
	mapIfaces  map[string]bool   // maps that are applied

	// Made once all lines are read.
	entries []Entry
	addrs   []netip.Addr
	has     map[netip.Addr]bool   // addrs
	named   map[string]netip.Addr // first address of an interface, by its name in lower case
}

// life is an IPsec lifetime with the lines that set it.
type life struct {
	seconds, kb uint64
	line        *line
}

// profile is `crypto ipsec profile`.
type profile struct {
	name       string
	at         *line
	transforms []string
	pfs        string
	life       life
	ikev2      string
}

// entry is one `crypto map NAME SEQ` or `crypto dynamic-map NAME SEQ`.
type entry struct {
	profile
	seq     string
	kind    string // ipsec-isakmp, ipsec-manual, gdoi
	dynamic string // name of the dynamic map it leads to
	peers   []netip.Addr
	names   []string // peers by name
	acl     string
}

// iface is one interface.
type iface struct {
	name       string
	at         *line
	addrs      []netip.Addr
	shutdown   bool
	source     string
	dest       netip.Addr
	destWord   string
	mode       string // "gre ip" by default
	protection string // IPsec profile
	protectAt  *line
	cryptoMap  string
	ezvpn      string
	static     []netip.Addr // NBMA addresses of static NHRP mappings
	staticAt   []*line
	virtual    bool // Virtual-Template
}

// rule is one permit line of an access list that selects traffic.
type rule struct {
	at       *line
	proto    string
	src, dst netip.Prefix
	plain    bool // both are prefixes, so that a mirror can be recognised
}

// Entry is one crypto entry of a device.
type Entry struct {
	Name     string
	Type     string
	Peer     string // address; empty: not named
	Recovery string // yes, no, n/a
	Why      string

	Local      netip.Addr // source address; zero: not known
	Peers      []netip.Addr
	IKEv2      bool
	DPD        bool
	Life       life
	PFS        string
	Transforms []string
	rules      []rule
	quote      evidence.Quote
	lifeQuote  evidence.Quote
}

// Types of entries: the table of the tech note, and what it does not name.
const (
	StaticMap   = "static crypto map"
	DynamicMap  = "dynamic crypto map"
	P2PGRE      = "P2P GRE with tunnel protection"
	MGREStatic  = "mGRE with static NHRP mapping"
	MGREDynamic = "mGRE with dynamic NHRP mapping"
	SVTI        = "sVTI"
	EzVPNClient = "EzVPN client"
	DVTI        = "dVTI"
	ManualMap   = "manual crypto map"
	GDOIMap     = "GDOI crypto map"
	FlexClient  = "FlexVPN client"
)

// Finding is something to know about a configuration, or about two.
type Finding struct {
	Severity string // error, warning, note
	Code     string
	Text     string
	Quotes   []evidence.Quote
}
