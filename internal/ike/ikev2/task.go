package ikev2

import (
	"slices"

	"lockstep/internal/ike"
	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// task is one thing that we want of the peer: one exchange, or a few in a row. It ends in exactly one of finish, lost.
type task interface {
	// start ends in request, or in finish if there is nothing to ask any more. It may go across barriers before.
	start(m *machine, s *ikeSA)
	// answer gets the payloads of the response to the last request.
	answer(m *machine, s *ikeSA, ps []ike2.Payload)
	// lost gives up what the task holds (larval SPIs) and ends its commands: the IKE SA is gone, or the response
	// cannot be used at all.
	lost(m *machine, s *ikeSA, result ike.Result, detail string)
	// roundTrip counts one answered request.
	roundTrip()
}

// order is a command on its way to an Outcome.
type order struct {
	cmd   ike.Command
	trips int
}

// orders are the commands that one task serves; embedded in every task.
type orders []order

func (o orders) roundTrip() {
	for i := range o {
		o[i].trips++
	}
}

// ref is the Ref of the first command, 0 if nobody asked.
func (o orders) ref() uint64 {
	if len(o) == 0 {
		return 0
	}
	return o[0].cmd.Ref
}

// end tells all commands how they ended.
func (o orders) end(m *machine, result ike.Result, detail string) {
	for _, one := range o {
		m.outcome(one.cmd, result, one.trips, detail)
	}
}

func (m *machine) outcome(cmd ike.Command, result ike.Result, trips int, detail string) {
	if cmd.Ref == 0 {
		return
	}
	m.emit(ike.Outcome{Ref: cmd.Ref, Verb: cmd.Verb, Owner: m.owner(), Result: result, RoundTrips: trips, Detail: detail})
}

// orderOf is the order list of a command, empty for tasks that nobody asked for.
func orderOf(cmd *ike.Command) orders {
	if cmd == nil {
		return nil
	}
	return orders{{cmd: *cmd}}
}

// enqueue puts a task behind the others; false: there are too many, nothing was done.
func (m *machine) enqueue(t task) bool {
	if len(m.queue) >= maxQueue {
		return false
	}
	m.queue = append(m.queue, t)
	return true
}

// enqueueOrdered is enqueue for a command's task: too many end it as Busy.
func (m *machine) enqueueOrdered(cmd ike.Command, t task) {
	if !m.enqueue(t) {
		m.outcome(cmd, ike.Busy, 0, "too many commands are waiting")
	}
}

// begin makes t the task of s.
func (m *machine) begin(s *ikeSA, t task) {
	s.active = t
	t.start(m, s)
}

// finish ends the task of s: the next may begin.
func (m *machine) finish(s *ikeSA) {
	s.active = nil
	m.exchangeOver(s)
}

// pump starts waiting tasks where an IKE SA is free: replaced ones are deleted, the current one serves the queue. While
// the peer's rekey of it is answered they wait for its successor.
func (m *machine) pump() {
	for _, s := range slices.Clone(m.sas) {
		if s.phase == replaced && s.deleteIt && s.active == nil {
			s.deleteIt = false
			m.begin(s, &deleteIKETask{})
		}
	}
	for !m.closed && m.up() && m.cur.active == nil && !m.cur.leaving() && len(m.queue) > 0 {
		t := m.queue[0]
		m.queue = m.queue[1:]
		m.begin(m.cur, t)
	}
}

// request sends a request of the task of s and waits for its answer.
func (m *machine) request(s *ikeSA, e isakmp.Exchange, ps []ike2.Payload, schedule ike.Schedule) {
	msg, err := m.seal(s, e, false, s.send.ID(), ps)
	if err != nil {
		m.abandon(s, ike.InternalFailed, err.Error())
		return
	}
	m.requestBytes(s, e, msg, schedule)
}

func (m *machine) requestBytes(s *ikeSA, e isakmp.Exchange, msg []byte, schedule ike.Schedule) {
	m.exchangeOver(s)
	if s.send.Exhausted() && !s.rekeyAt.IsZero() {
		s.rekeyAt = m.now // RFC 7296 §2.2: Message IDs must not wrap
	}
	s.asking = e
	s.send.Start(m.now, msg, schedule)
	m.exchange(ike.ExchangeStarted, s, e)
	m.send(msg)
}

// exchangeOver tells that the last exchange of s is done, with all that its answer led to.
func (m *machine) exchangeOver(s *ikeSA) {
	if s.asking != 0 {
		m.exchange(ike.ExchangeEnded, s, s.asking)
		s.asking = 0
	}
}

// abandon ends the task of s without an answer; the IKE SA lives on.
func (m *machine) abandon(s *ikeSA, result ike.Result, detail string) {
	if t := s.active; t != nil {
		m.finish(s)
		t.lost(m, s, result, detail)
	}
}
