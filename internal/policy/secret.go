package policy

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Secret is a key that never prints itself: every formatting, logging and JSON path gives "<redacted>".
type Secret struct{ b []byte }

const redacted = "<redacted>"

// NewSecret copies b.
func NewSecret(b []byte) Secret { return Secret{append([]byte(nil), b...)} }

// Reveal returns the octets, for the one place that computes with them; the caller must not keep or change them.
func (s Secret) Reveal() []byte { return s.b }

// IsZero reports an absent secret.
func (s Secret) IsZero() bool { return len(s.b) == 0 }

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s.b, o.b) == 1 }

func (s Secret) String() string                      { return redacted }
func (s Secret) GoString() string                    { return redacted }
func (s Secret) Format(f fmt.State, _ rune)          { f.Write([]byte(redacted)) }
func (s Secret) LogValue() slog.Value                { return slog.StringValue(redacted) }
func (s Secret) MarshalText() (text []byte, e error) { return []byte(redacted), nil }
func (s Secret) MarshalJSON() ([]byte, error)        { return []byte(`"` + redacted + `"`), nil }
