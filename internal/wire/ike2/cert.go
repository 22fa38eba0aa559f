package ike2

// CertEncoding says how certificate data are encoded (RFC 7296 §3.6).
type CertEncoding uint8

// CertX509Signature is an X.509 certificate in DER, the encoding that everybody speaks (RFC 7296 §3.6).
const CertX509Signature CertEncoding = 4

// Cert is the Certificate payload (RFC 7296 §3.6). Data are octets of the network, not a certificate yet.
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// Type is PayloadCERT.
func (c *Cert) Type() PayloadType { return PayloadCERT }

// AppendBody implements Payload.
func (c *Cert) AppendBody(b []byte) []byte { return append(append(b, byte(c.Encoding)), c.Data...) }

func parseCert(b []byte) (*Cert, *SyntaxError) {
	if len(b) < 1 {
		return nil, syntaxf(0, "no encoding")
	}
	return &Cert{Encoding: CertEncoding(b[0]), Data: b[1:]}, nil
}
