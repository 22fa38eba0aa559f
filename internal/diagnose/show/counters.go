package show

import (
	"strconv"
	"strings"

	"lockstep/internal/diagnose/evidence"
)

// The tables that counters stand in.
const (
	GlobalDrops   = "show platform hardware qfp active statistics drop"
	DatapathDrops = "show platform hardware qfp active feature ipsec datapath drops"
	XfrmStat      = "/proc/net/xfrm_stat"
)

// Meanings of the counters that matter here; of the others the name has to do.
var Meanings = map[string]string{
	"IpsecInput":                          "dropped by IPsec on the way in, for whatever reason",
	"IpsecOutput":                         "dropped by IPsec on the way out",
	"IpsecInvalidSa":                      "hit an SA that is not valid any more",
	"IpsecDenyDrop":                       "a policy says drop",
	"IpsecIkeIndicate":                    "dropped while IKE was asked for an SA",
	"IpsecTedIndicate":                    "dropped while a tunnel end point was looked for",
	"IpsecTailDrop":                       "dropped from a full queue",
	"IN_US_V4_PKT_SA_NOT_FOUND_SPI":       "IPv4 ESP to this router whose SPI has no SA: the counter of the invalid-SPI message",
	"IN_US_V6_PKT_SA_NOT_FOUND_SPI":       "IPv6 ESP to this router whose SPI has no SA",
	"IN_TRANS_V4_IPSEC_PKT_NOT_FOUND_SPI": "ESP in transit whose SPI has no SA: it was not addressed to this router",
	"IN_CD_SW_IPSEC_ANTI_REPLAY_FAIL":     "dropped as replayed: the SA is there",
	"IN_CD_SW_IPSEC_MAC_EXCEPTION":        "failed the integrity check: the SA is there",
	"OUT_IPV4_SA_NOT_FOUND":               "to be sent, and no SA for it",
	"OUT_V4_PKT_HIT_INVALID_SA":           "to be sent over an SA that is not valid any more",
	"XfrmInNoStates":                      "ESP whose SPI, address or protocol fits no SA",
	"XfrmInStateProtoError":               "failed the integrity check or another rule of the SA",
	"XfrmInStateSeqError":                 "dropped as replayed: the SA is there",
	"XfrmInStateMismatch":                 "arrived under an SA that its policy does not name",
	"XfrmInTmplMismatch":                  "arrived without the SA that its policy asks for",
}

// NoSA are the counters of packets whose SPI has no SA.
var NoSA = map[string]bool{"IN_US_V4_PKT_SA_NOT_FOUND_SPI": true, "IN_US_V6_PKT_SA_NOT_FOUND_SPI": true, "XfrmInNoStates": true}

// counter reads a row of a counter table, with or without its heading: `| include` leaves the rows alone.
func (c *Capture) counter(text string) bool {
	if strings.HasPrefix(text, "Global Drop Stats") || strings.HasPrefix(text, "Drop Type ") {
		c.table++
		return true
	}
	f := strings.Fields(text)
	switch {
	case len(f) >= 3 && strings.HasPrefix(f[0], "Ipsec") && number(f[1]) && number(f[2]):
		return c.row(GlobalDrops, 0, f[0], f[1])
	case (len(f) == 3 || len(f) == 4 && !number(f[3]) && !qfpName(f[3])) && number(f[0]) && qfpName(f[1]) && number(f[2]):
		row, _ := strconv.Atoi(f[0])
		return c.row(DatapathDrops, row, f[1], f[2])
	case len(f) == 2 && strings.HasPrefix(f[0], "Xfrm") && number(f[1]):
		return c.row(XfrmStat, 0, f[0], f[1])
	}
	return false
}

func (c *Capture) row(table string, row int, name, packets string) bool {
	n, err := strconv.ParseUint(packets, 10, 64)
	if err != nil {
		return false
	}
	c.sink.Counter(evidence.Counter{Quote: c.quote(), Device: c.device, Table: table, Row: row, Name: name, Packets: n, Capture: c.table})
	c.Found++
	return true
}

func number(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

func qfpName(s string) bool {
	for _, p := range []string{"IN_", "OUT_", "CD_", "MPASS_", "CRYPTO_", "PKT_", "OCT_"} {
		if strings.HasPrefix(s, p) {
			return strings.ToUpper(s) == s
		}
	}
	return false
}
