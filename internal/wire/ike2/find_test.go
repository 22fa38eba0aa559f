package ike2

import "testing"

func TestFindersTakeTheFirstThatFits(t *testing.T) {
	idr := IDFromFQDN(false, "east")
	idi := IDFromFQDN(true, "west")
	tsr, tsi := &TS{}, &TS{Initiator: true}
	a, b := &Notify{Kind: AdditionalIP4Address, Data: []byte{1}}, &Notify{Kind: AdditionalIP4Address, Data: []byte{2}}
	refused := &Notify{Kind: NoProposalChosen}
	ps := []Payload{idr, a, idi, tsr, b, tsi, refused, &Notify{Kind: TSUnacceptable}}

	if got, ok := Find[*ID](ps); got != idr || !ok {
		t.Errorf("first ID %v", got)
	}
	if got, ok := Find[*KE](ps); got != nil || ok {
		t.Errorf("KE %v where there is none", got)
	}
	if FindID(ps, true) != idi || FindID(ps, false) != idr || FindID(nil, true) != nil {
		t.Error("IDi and IDr")
	}
	if FindTS(ps, true) != tsi || FindTS(ps, false) != tsr || FindTS(nil, true) != nil {
		t.Error("TSi and TSr")
	}
	if FindNotify(ps, AdditionalIP4Address) != a || FindNotify(ps, Cookie) != nil {
		t.Error("notify")
	}
	if got := AllNotify(ps, AdditionalIP4Address); len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("notifies %v", got)
	}
	if got := All[*TS](ps); len(got) != 2 || got[0] != tsr {
		t.Errorf("selectors %v", got)
	}
	if FindError(ps) != refused || FindError(ps[:6]) != nil {
		t.Error("error notify")
	}
	if First(ps) != PayloadIDr || First(nil) != PayloadNone {
		t.Error("first type")
	}
}
