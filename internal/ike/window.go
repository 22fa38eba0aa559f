package ike

import (
	"bytes"
	"time"
)

// SendWindow is the requesting half of RFC 7296 §2.1-2.3 with a window of one: at most one request is outstanding, and
// each transmission of it is the same octets. The zero value starts at Message ID 0.
type SendWindow struct {
	next     uint32
	waiting  bool
	msg      []byte
	schedule Schedule
	sent     int // transmissions so far
	first    time.Time
	due      time.Time
}

// SendFrom is a window whose next request has Message ID next.
func SendFrom(next uint32) SendWindow { return SendWindow{next: next} }

// Idle says that no request is outstanding, so that the next may go.
func (w *SendWindow) Idle() bool { return !w.waiting }

// ID is the Message ID of the outstanding request, or of the next one if there is none.
func (w *SendWindow) ID() uint32 { return w.next }

// Exhausted says that Message IDs are nearly used up: the SA must be rekeyed or closed (RFC 7296 §2.2).
func (w *SendWindow) Exhausted() bool { return w.next >= 1<<32-1<<16 }

// Start records msg, sent at now with Message ID ID(), as outstanding. A message that is outstanding already is replaced
// under the same ID: IKE_SA_INIT does that with COOKIE and INVALID_KE_PAYLOAD (RFC 7296 §2.6).
func (w *SendWindow) Start(now time.Time, msg []byte, s Schedule) {
	w.waiting, w.msg, w.schedule, w.sent, w.first = true, msg, s, 1, now
	w.due = now.Add(s.Wait(0))
}

// Answers says that a response with Message ID id answers what is outstanding.
func (w *SendWindow) Answers(id uint32) bool { return w.waiting && id == w.next }

// Done ends the outstanding request, whose response came at now. rtt is its round trip time, 0 if it cannot be told
// because the request went out more than once.
func (w *SendWindow) Done(now time.Time) (rtt time.Duration) {
	if w.sent == 1 {
		rtt = now.Sub(w.first)
	}
	w.waiting, w.msg = false, nil
	w.next++
	return rtt
}

// GiveUp forgets the outstanding request, whose answer does not matter any more.
func (w *SendWindow) GiveUp() {
	if w.waiting {
		w.waiting, w.msg = false, nil
		w.next++
	}
}

// Due is when the outstanding request wants another transmission or is to be given up; zero if there is none.
func (w *SendWindow) Due() time.Time {
	if !w.waiting {
		return time.Time{}
	}
	return w.due
}

// Again returns the octets to transmit once more at now and moves Due on; false: every try is used up, the peer is dead
// (RFC 7296 §2.1, §2.4).
func (w *SendWindow) Again(now time.Time) ([]byte, bool) {
	if !w.waiting || w.sent >= w.schedule.Tries {
		return nil, false
	}
	w.due = now.Add(w.schedule.Wait(w.sent))
	w.sent++
	return w.msg, true
}

// Kick returns the octets for a transmission out of turn, which counts as no try; nil if nothing is outstanding.
func (w *SendWindow) Kick() []byte { return w.msg }

// Hasten replaces the schedule of the outstanding request by a faster one from now on, after a hint that the peer is
// gone. It does nothing where the present one ends sooner.
func (w *SendWindow) Hasten(now time.Time, s Schedule) {
	if !w.waiting || w.left(w.schedule, w.due.Sub(now), w.sent) <= s.Total() {
		return
	}
	w.schedule, w.sent = s, 0
	w.due = now
}

// left is the time until s gives up, which waits another pause before transmission sent+1.
func (w *SendWindow) left(s Schedule, pause time.Duration, sent int) time.Duration {
	for n := sent; n < s.Tries; n++ {
		pause += s.Wait(n)
	}
	return pause
}

// Verdict is what a RecvWindow says of a request.
type Verdict uint8

const (
	Fresh    Verdict = iota // to be verified, and then processed with Begin
	Repeated                // the last one again, octet for octet: Response is the answer
	Pending                 // the one being processed: no answer yet
	Outside                 // neither next nor last: drop
)

// RecvWindow is the answering half with a window of one. The zero value expects Message ID 0.
type RecvWindow struct {
	next     uint32
	busy     bool
	request  []byte // being processed, or answered by response
	response []byte
}

// RecvFrom is a window that expects Message ID next.
func RecvFrom(next uint32) RecvWindow { return RecvWindow{next: next} }

// Expected is the Message ID of the next new request.
func (w *RecvWindow) Expected() uint32 { return w.next }

// Busy says that a request is being processed across a barrier.
func (w *RecvWindow) Busy() bool { return w.busy }

// Response is the answer to the last request, for Repeated.
func (w *RecvWindow) Response() []byte { return w.response }

// Judge places a request by Message ID and octets. It changes nothing, for nothing is verified yet.
func (w *RecvWindow) Judge(id uint32, msg []byte) Verdict {
	switch {
	case id == w.next && w.busy:
		return Pending
	case id == w.next:
		return Fresh
	case id+1 == w.next && w.response != nil && bytes.Equal(msg, w.request):
		return Repeated
	}
	return Outside
}

// Begin notes that msg, verified and Fresh, is being processed.
func (w *RecvWindow) Begin(msg []byte) { w.busy, w.request, w.response = true, msg, nil }

// Answer ends the processing with the response that every repetition gets, and moves the window on.
func (w *RecvWindow) Answer(response []byte) {
	w.busy, w.response = false, response
	w.next++
}
