package ike2

// Unknown is a payload of a type that this package does not know. Parsing yields only those without the
// critical bit, to be skipped; with it the message is refused by a *CriticalError (RFC 7296 §2.5).
type Unknown struct {
	Kind     PayloadType // never one that this package knows
	Critical bool
	Body     []byte
}

// Type is the number that the payload came with.
func (u *Unknown) Type() PayloadType { return u.Kind }

// AppendBody implements Payload.
func (u *Unknown) AppendBody(b []byte) []byte { return append(b, u.Body...) }
