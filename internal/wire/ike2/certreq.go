package ike2

// CertReq is the Certificate Request payload (RFC 7296 §3.7). For X.509, Authorities is a row of SHA-1 hashes
// of the accepted authorities' public keys, 20 octets each; for other encodings it means something else.
type CertReq struct {
	Encoding    CertEncoding
	Authorities []byte
}

// Type is PayloadCERTREQ.
func (c *CertReq) Type() PayloadType { return PayloadCERTREQ }

// AppendBody implements Payload.
func (c *CertReq) AppendBody(b []byte) []byte {
	return append(append(b, byte(c.Encoding)), c.Authorities...)
}

func parseCertReq(b []byte) (*CertReq, *SyntaxError) {
	if len(b) < 1 {
		return nil, syntaxf(0, "no encoding")
	}
	return &CertReq{Encoding: CertEncoding(b[0]), Authorities: b[1:]}, nil
}
