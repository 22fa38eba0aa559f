package ike2

// Find is the first payload of type T, as in Find[*KE](m.Payloads).
func Find[T Payload](ps []Payload) (T, bool) {
	for _, p := range ps {
		if t, ok := p.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// All is every payload of type T, in order.
func All[T Payload](ps []Payload) []T {
	var found []T
	for _, p := range ps {
		if t, ok := p.(T); ok {
			found = append(found, t)
		}
	}
	return found
}

// FindNotify is the first Notify of the kind, nil if there is none.
func FindNotify(ps []Payload, kind NotifyType) *Notify {
	for _, p := range ps {
		if n, ok := p.(*Notify); ok && n.Kind == kind {
			return n
		}
	}
	return nil
}

// AllNotify is every Notify of the kind, in order.
func AllNotify(ps []Payload, kind NotifyType) []*Notify {
	var found []*Notify
	for _, p := range ps {
		if n, ok := p.(*Notify); ok && n.Kind == kind {
			found = append(found, n)
		}
	}
	return found
}

// FindError is the first Notify of an error type, nil if there is none. In a response it means that the request
// failed, known type or not (RFC 7296 §3.10.1).
func FindError(ps []Payload) *Notify {
	for _, p := range ps {
		if n, ok := p.(*Notify); ok && n.Kind.IsError() {
			return n
		}
	}
	return nil
}

// FindID is IDi or IDr, nil if it is not there.
func FindID(ps []Payload, initiator bool) *ID {
	for _, p := range ps {
		if id, ok := p.(*ID); ok && id.Initiator == initiator {
			return id
		}
	}
	return nil
}

// FindTS is TSi or TSr, nil if it is not there.
func FindTS(ps []Payload, initiator bool) *TS {
	for _, p := range ps {
		if ts, ok := p.(*TS); ok && ts.Initiator == initiator {
			return ts
		}
	}
	return nil
}
