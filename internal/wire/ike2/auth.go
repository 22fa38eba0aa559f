package ike2

import "strconv"

// AuthMethod says how a party proves who it is (RFC 7296 §3.8).
type AuthMethod uint8

// Authentication methods (RFC 7296 §3.8; RFC 4754; RFC 7619; RFC 7427).
const (
	AuthRSA       AuthMethod = 1
	AuthSharedKey AuthMethod = 2
	AuthDSS       AuthMethod = 3
	AuthECDSA256  AuthMethod = 9
	AuthECDSA384  AuthMethod = 10
	AuthECDSA521  AuthMethod = 11
	AuthNull      AuthMethod = 13
	AuthSignature AuthMethod = 14 // Digital Signature, with the algorithm in the data
)

// String is a short name of the method, or its number.
func (m AuthMethod) String() string {
	switch m {
	case AuthRSA:
		return "RSA"
	case AuthSharedKey:
		return "PSK"
	case AuthDSS:
		return "DSS"
	case AuthECDSA256:
		return "ECDSA-256"
	case AuthECDSA384:
		return "ECDSA-384"
	case AuthECDSA521:
		return "ECDSA-521"
	case AuthNull:
		return "NULL"
	case AuthSignature:
		return "signature"
	}
	return "method-" + strconv.Itoa(int(m))
}

// Auth is the Authentication payload (RFC 7296 §3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// Type is PayloadAUTH.
func (a *Auth) Type() PayloadType { return PayloadAUTH }

// AppendBody implements Payload.
func (a *Auth) AppendBody(b []byte) []byte {
	return append(append(b, byte(a.Method), 0, 0, 0), a.Data...)
}

func parseAuth(b []byte) (*Auth, *SyntaxError) {
	if len(b) < 4 {
		return nil, syntaxf(0, "body of %d octets, at least 4 are needed", len(b))
	}
	return &Auth{Method: AuthMethod(b[0]), Data: b[4:]}, nil
}
