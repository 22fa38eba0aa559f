package ikev2

import "lockstep/internal/wire/ike2"

// vendorID lets two Lockstep gateways know each other: they then put ESP into UDP although no NAT asks for it
// (docs/configuration.md, nat-transparency). It says nothing that would need proof.
const vendorID = "Lockstep IPsec gateway 1"

func lockstepVendor() *ike2.Vendor { return &ike2.Vendor{Data: []byte(vendorID)} }

func hasLockstepVendor(ps []ike2.Payload) bool {
	for _, v := range ike2.All[*ike2.Vendor](ps) {
		if string(v.Data) == vendorID {
			return true
		}
	}
	return false
}
