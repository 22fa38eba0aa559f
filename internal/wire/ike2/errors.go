package ike2

import "fmt"

// SyntaxError says that the octets are not a message, or not the payload that they claim to be. Whether the
// peer hears of it (INVALID_SYNTAX, only inside SK and only after the ICV held) is the caller's decision
// (RFC 7296 §2.21, §3.10.1).
type SyntaxError struct {
	Payload PayloadType // the payload that is wrong; PayloadNone: header or chain
	Offset  int         // octets from the start of what was parsed to the place
	What    string      // what is wrong there
}

func (e *SyntaxError) Error() string {
	where := "message"
	if e.Payload != PayloadNone {
		where = e.Payload.String() + " payload"
	}
	return fmt.Sprintf("%s, octet %d: %s", where, e.Offset, e.What)
}

// CriticalError says that a payload of a type that this package does not know has its critical bit set: the
// whole message must be rejected, with UNSUPPORTED_CRITICAL_PAYLOAD and this type if it is a request
// (RFC 7296 §2.5).
type CriticalError struct {
	Kind PayloadType
}

func (e *CriticalError) Error() string {
	return fmt.Sprintf("critical payload of unknown type %d", uint8(e.Kind))
}

// syntaxf makes the error of a body parser: the offset counts from the start of the body, the chain walker
// adds the rest.
func syntaxf(offset int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Offset: offset, What: fmt.Sprintf(format, args...)}
}
