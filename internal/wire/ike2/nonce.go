package ike2

// Length of a nonce in octets (RFC 7296 §3.9). That it must also be half the key of every PRF offered is not
// seen here (RFC 7296 §2.10).
const (
	MinNonce = 16
	MaxNonce = 256
)

// Nonce is the Nonce payload, Ni or Nr (RFC 7296 §3.9).
type Nonce struct {
	Data []byte
}

// Type is PayloadNonce.
func (n *Nonce) Type() PayloadType { return PayloadNonce }

// AppendBody implements Payload.
func (n *Nonce) AppendBody(b []byte) []byte { return append(b, n.Data...) }

func parseNonce(b []byte) (*Nonce, *SyntaxError) {
	if len(b) < MinNonce || len(b) > MaxNonce {
		return nil, syntaxf(0, "nonce of %d octets, must be %d to %d", len(b), MinNonce, MaxNonce)
	}
	return &Nonce{Data: b}, nil
}
