package isakmp

// MarkerLen is the length of the non-ESP marker: four zero octets before an IKE message on port 4500, where
// ESP would have its SPI (RFC 3948 §2.2).
const MarkerLen = 4

// AppendMarker appends the non-ESP marker to b.
func AppendMarker(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// StripMarker tells the three kinds of datagrams on port 4500 apart (RFC 3948 §2.2-2.4): an IKE message, which
// comes back in msg without its marker; a NAT keepalive, a single octet 0xFF, which nobody may answer; and
// otherwise ESP, which comes back whole, whatever its length. msg is part of b, nothing is copied.
func StripMarker(b []byte) (msg []byte, isIKE, isKeepalive bool) {
	if len(b) == 1 && b[0] == 0xff {
		return nil, false, true
	}
	if len(b) >= MarkerLen && b[0]|b[1]|b[2]|b[3] == 0 {
		return b[MarkerLen:], true, false
	}
	return b, false, false
}
