package gateway

import (
	"fmt"
	"io"
	"net/netip"
	"sync"

	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

// keyLog writes the keys of child SAs for Wireshark: lines of its esp_sa table (Preferences, Protocols, ESP), so that
// captures of the outer packets can be read. It is off unless somebody asks for it by name.
type keyLog struct {
	mu sync.Mutex
	to io.Writer // guarded by mu
}

// write adds one line for each named half.
func (k *keyLog) write(c sa.Child, h sa.Half) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h&sa.InboundHalf != 0 {
		if _, err := io.WriteString(k.to, keyLine(c.Remote.Addr(), c.Local.Addr(), c.In, c.Cipher, c.KeyIn.Reveal())); err != nil {
			return err
		}
	}
	if h&sa.OutboundHalf != 0 {
		if _, err := io.WriteString(k.to, keyLine(c.Local.Addr(), c.Remote.Addr(), c.Out, c.Cipher, c.KeyOut.Reveal())); err != nil {
			return err
		}
	}
	return nil
}

// keyLine is one row of the table as Wireshark 4 reads it. keymat is the encryption key with its salt, then the
// integrity key (RFC 7296 §2.17).
func keyLine(src, dst netip.Addr, spi sa.SPI, c suite.Cipher, keymat []byte) string {
	family := "IPv4"
	if src.Unmap().Is6() {
		family = "IPv6"
	}
	cipher, auth, authKey := "AES-GCM with 16 octet ICV [RFC4106]", "NULL", ""
	if !c.AEAD() {
		cipher, auth = "AES-CBC [RFC3602]", wiresharkAuth(c.Integ)
		authKey = fmt.Sprintf("0x%x", keymat[c.KeyLen():])
	}
	return fmt.Sprintf("%q,%q,%q,\"0x%08x\",%q,\"0x%x\",%q,%q\n", family, src.Unmap(), dst.Unmap(), uint32(spi), cipher, keymat[:c.KeyLen()], auth, authKey)
}

func wiresharkAuth(integ uint16) string {
	switch integ {
	case suite.IntegHMACSHA256:
		return "HMAC-SHA-256-128 [RFC4868]"
	case suite.IntegHMACSHA384:
		return "HMAC-SHA-384-192 [RFC4868]"
	}
	return "HMAC-SHA-512-256 [RFC4868]"
}
