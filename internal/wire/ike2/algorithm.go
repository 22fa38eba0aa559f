package ike2

import "strconv"

// Transform IDs of type ENCR (RFC 7296 §3.3.2, RFC 5282, RFC 7634).
const (
	EncrTripleDES        uint16 = 3
	EncrNull             uint16 = 11
	EncrAESCBC           uint16 = 12
	EncrAESCTR           uint16 = 13
	EncrAESGCM8          uint16 = 18
	EncrAESGCM12         uint16 = 19
	EncrAESGCM16         uint16 = 20
	EncrNullAESGMAC      uint16 = 21
	EncrChaCha20Poly1305 uint16 = 28
)

// Transform IDs of type PRF (RFC 7296 §3.3.2, RFC 4868).
const (
	PRFHMACSHA1   uint16 = 2
	PRFAES128XCBC uint16 = 4
	PRFHMACSHA256 uint16 = 5
	PRFHMACSHA384 uint16 = 6
	PRFHMACSHA512 uint16 = 7
)

// Transform IDs of type INTEG (RFC 7296 §3.3.2, RFC 4868).
const (
	IntegNone       uint16 = 0
	IntegSHA1_96    uint16 = 2
	IntegSHA256_128 uint16 = 12
	IntegSHA384_192 uint16 = 13
	IntegSHA512_256 uint16 = 14
)

// Transform IDs of type DH (RFC 7296 §3.3.2, RFC 5903, RFC 8031).
const (
	DHNone       uint16 = 0
	DHMODP1024   uint16 = 2
	DHMODP1536   uint16 = 5
	DHMODP2048   uint16 = 14
	DHMODP3072   uint16 = 15
	DHMODP4096   uint16 = 16
	DHECP256     uint16 = 19
	DHECP384     uint16 = 20
	DHECP521     uint16 = 21
	DHCurve25519 uint16 = 31
)

// Transform IDs of type ESN (RFC 7296 §3.3.2).
const (
	ESNNone uint16 = 0 // 32-bit sequence numbers
	ESNYes  uint16 = 1 // 64-bit ones, of which the low half travels
)

// String is the type's name in RFC 7296 §3.3.2, or its number.
func (t TransformType) String() string {
	switch t {
	case ENCR:
		return "ENCR"
	case PRF:
		return "PRF"
	case INTEG:
		return "INTEG"
	case DH:
		return "DH"
	case ESN:
		return "ESN"
	}
	return "transform-" + strconv.Itoa(int(t))
}

// String is the algorithm for people: "AES_GCM_16_256", "PRF_HMAC_SHA2_256"; type and number for one without a
// name. A question mark marks one with an attribute that is not understood.
func (t Transform) String() string {
	s := t.name()
	if s == "" {
		s = t.Type.String() + "_" + strconv.Itoa(int(t.ID))
	}
	if t.KeyLength != 0 {
		s += "_" + strconv.Itoa(int(t.KeyLength))
	}
	if t.UnknownAttribute {
		s += "?"
	}
	return s
}

func (t Transform) name() string {
	switch t.Type {
	case ENCR:
		return encrName(t.ID)
	case PRF:
		return prfName(t.ID)
	case INTEG:
		return integName(t.ID)
	case DH:
		return dhName(t.ID)
	case ESN:
		return esnName(t.ID)
	}
	return ""
}

func encrName(id uint16) string {
	switch id {
	case EncrTripleDES:
		return "3DES_CBC"
	case EncrNull:
		return "NULL"
	case EncrAESCBC:
		return "AES_CBC"
	case EncrAESCTR:
		return "AES_CTR"
	case EncrAESGCM8:
		return "AES_GCM_8"
	case EncrAESGCM12:
		return "AES_GCM_12"
	case EncrAESGCM16:
		return "AES_GCM_16"
	case EncrNullAESGMAC:
		return "NULL_AES_GMAC"
	case EncrChaCha20Poly1305:
		return "CHACHA20_POLY1305"
	}
	return ""
}

func prfName(id uint16) string {
	switch id {
	case PRFHMACSHA1:
		return "PRF_HMAC_SHA1"
	case PRFAES128XCBC:
		return "PRF_AES128_XCBC"
	case PRFHMACSHA256:
		return "PRF_HMAC_SHA2_256"
	case PRFHMACSHA384:
		return "PRF_HMAC_SHA2_384"
	case PRFHMACSHA512:
		return "PRF_HMAC_SHA2_512"
	}
	return ""
}

func integName(id uint16) string {
	switch id {
	case IntegNone:
		return "INTEG_NONE"
	case IntegSHA1_96:
		return "HMAC_SHA1_96"
	case IntegSHA256_128:
		return "HMAC_SHA2_256_128"
	case IntegSHA384_192:
		return "HMAC_SHA2_384_192"
	case IntegSHA512_256:
		return "HMAC_SHA2_512_256"
	}
	return ""
}

func dhName(id uint16) string {
	switch id {
	case DHNone:
		return "DH_NONE"
	case DHMODP1024:
		return "MODP_1024"
	case DHMODP1536:
		return "MODP_1536"
	case DHMODP2048:
		return "MODP_2048"
	case DHMODP3072:
		return "MODP_3072"
	case DHMODP4096:
		return "MODP_4096"
	case DHECP256:
		return "ECP_256"
	case DHECP384:
		return "ECP_384"
	case DHECP521:
		return "ECP_521"
	case DHCurve25519:
		return "CURVE_25519"
	}
	return ""
}

func esnName(id uint16) string {
	switch id {
	case ESNNone:
		return "ESN_NONE"
	case ESNYes:
		return "ESN"
	}
	return ""
}
