package ike2

// SK is the Encrypted and Authenticated payload, sealed (RFC 7296 §3.14, RFC 5282 §3 for AEAD). It is the last
// payload of its message. How Body divides, only the cipher suite knows.
type SK struct {
	First PayloadType // of the first payload inside, PayloadNone if it is empty
	Body  []byte      // IV | ciphertext | ICV
}

// Type is PayloadSK.
func (s *SK) Type() PayloadType { return PayloadSK }

// AppendBody implements Payload.
func (s *SK) AppendBody(b []byte) []byte { return append(b, s.Body...) }
