package ikev2

import (
	"lockstep/internal/ike"
	"lockstep/internal/sa"
)

var phaseNames = [...]string{"IN-NEG", "READY", "READY", "DELETE", "DELETE"}

// Status implements ike.Machine.
func (m *machine) Status() ike.Status {
	s := m.cur
	st := ike.Status{Owner: m.owner(), State: phaseNames[s.phase], Local: m.path.local, Remote: m.path.remote,
		LocalSPI: s.ours, RemoteSPI: s.theirs, Initiator: s.initiator, Cipher: s.suite.Cipher, PRF: s.suite.PRF.ID(),
		Group: s.suite.Group, Established: s.created, SendMID: s.send.ID(), RecvMID: s.recv.Expected(),
		NATLocal: m.path.natLocal, NATRemote: m.path.natRemote, NATDetected: m.path.natLocal || m.path.natRemote,
		PeerLockstep: m.path.peerLockstep, SRTT: m.srtt, LastDown: m.lastDown, Quirks: *m.quirks}
	if m.peer != nil {
		st.Peer, st.DPD, st.Lifetime = m.peer.Name(), m.dpd(), m.ikeLife()
		st.LocalID, st.RemoteID = m.localID.String(), m.remoteID.String()
	}
	for _, c := range m.children {
		st.Children = append(st.Children, c.status())
	}
	return st
}

func (c *child) status() ike.ChildStatus {
	return ike.ChildStatus{In: c.spec.In, Out: c.spec.Out, State: c.state.String(), Created: c.spec.Created, Hard: c.spec.Hard,
		TSLocal: c.spec.TSLocal, TSRemote: c.spec.TSRemote, Cipher: c.spec.Cipher, ESN: c.spec.ESN, Encap: c.spec.Encap,
		Initiator: c.spec.Initiator, PFSGroup: c.group, SilentSince: c.silentSince()}
}

// Record implements ike.Machine. The sealed state comes with the store's format; `store none` needs none.
func (m *machine) Record() ike.Record {
	owner := sa.NoOwner
	if m.peer != nil {
		owner = m.owner()
	}
	return ike.Record{IKE: m.cur.ours, Owner: owner, Deleting: m.cur.phase >= closing}
}
