package ike2

// Vendor is the Vendor ID payload (RFC 7296 §3.12). One that is not recognised is ignored.
type Vendor struct {
	Data []byte
}

// Type is PayloadVendor.
func (v *Vendor) Type() PayloadType { return PayloadVendor }

// AppendBody implements Payload.
func (v *Vendor) AppendBody(b []byte) []byte { return append(b, v.Data...) }
