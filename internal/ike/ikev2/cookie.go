package ikev2

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"lockstep/internal/wire/ike2"
	"lockstep/internal/wire/isakmp"
)

// cookieEpoch is how long a cookie key serves; the one before it is honoured too (RFC 7296 §2.6).
const cookieEpoch = time.Minute

// CookieJar asks first messages for proof that they come from where they say, without keeping anything of them (RFC 7296
// §2.6). It is a value without state: its keys follow from a secret and the time.
type CookieJar struct{ secret [32]byte }

// NewCookieJar draws the secret.
func NewCookieJar(rand io.Reader) (*CookieJar, error) {
	j := &CookieJar{}
	if _, err := io.ReadFull(rand, j.secret[:]); err != nil {
		return nil, errors.New("draw the cookie secret")
	}
	return j, nil
}

// cookie covers Ni, the address and SPIi, not KEi or SAi: a cookie must survive INVALID_KE_PAYLOAD (RFC 7296 §2.6.1).
func (j *CookieJar) cookie(epoch uint64, spii isakmp.SPI, ni []byte, remote netip.AddrPort) []byte {
	mac := hmac.New(sha256.New, j.secret[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, epoch))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(spii)))
	mac.Write(remote.Addr().Unmap().AsSlice())
	mac.Write(ni)
	return append([]byte{byte(epoch)}, mac.Sum(nil)[:24]...)
}

// Check judges an IKE_SA_INIT request from remote. ok: it holds a good cookie and may make state. Otherwise reply asks
// for one; it is nil for what is no such request, which is to be dropped. A wrong cookie counts as none.
func (j *CookieJar) Check(msg []byte, remote netip.AddrPort, now time.Time) (ok bool, reply []byte) {
	m, err := ike2.Parse(msg)
	if err != nil || m.Exchange != isakmp.IKESAInit || m.Response() || !m.FromInitiator() || m.MessageID != 0 || m.SPIi == 0 || m.SPIr != 0 {
		return false, nil
	}
	ni, found := ike2.Find[*ike2.Nonce](m.Payloads)
	if !found {
		return false, nil
	}
	epoch := uint64(now.Unix()) / uint64(cookieEpoch/time.Second)
	if c := ike2.FindNotify(m.Payloads, ike2.Cookie); c != nil {
		for _, e := range []uint64{epoch, epoch - 1} {
			if hmac.Equal(c.Data, j.cookie(e, m.SPIi, ni.Data, remote)) {
				return true, nil
			}
		}
	}
	answer := &ike2.Message{Header: isakmp.Header{SPIi: m.SPIi, Version: isakmp.Version2, Exchange: isakmp.IKESAInit,
		Flags: isakmp.FlagResponse}, Payloads: []ike2.Payload{&ike2.Notify{Kind: ike2.Cookie, Data: j.cookie(epoch, m.SPIi, ni.Data, remote)}}}
	return false, answer.Append(nil)
}
