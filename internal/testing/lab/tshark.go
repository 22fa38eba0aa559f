package lab

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"lockstep/internal/suite"
)

// ESPKey is what Wireshark needs to decrypt one SA.
type ESPKey struct {
	Src, Dst netip.Addr
	SPI      uint32
	Cipher   string // WiresharkGCM or WiresharkCBC
	Key      []byte // with the salt, for GCM
	Auth     string // WiresharkSHA256, WiresharkSHA384 or empty
	AuthKey  []byte
}

// Wireshark's names of the algorithms (4.0). "AES-GCM [RFC4106]" without the ICV's length silently decrypts nothing.
const (
	WiresharkGCM    = "AES-GCM with 16 octet ICV [RFC4106]"
	WiresharkCBC    = "AES-CBC [RFC3602]"
	WiresharkSHA256 = "HMAC-SHA-256-128 [RFC4868]"
	WiresharkSHA384 = "HMAC-SHA-384-192 [RFC4868]"
)

// KeyOf makes the ESPKey of one direction of a child SA from its KEYMAT (encryption key with salt, then integrity key:
// sa.Child.KeyIn and KeyOut).
func KeyOf(src, dst netip.Addr, spi uint32, c suite.Cipher, keymat []byte) ESPKey {
	k := ESPKey{Src: src, Dst: dst, SPI: spi, Cipher: WiresharkGCM, Key: keymat[:c.KeyLen()], AuthKey: keymat[c.KeyLen():]}
	if !c.AEAD() {
		k.Cipher, k.Auth = WiresharkCBC, WiresharkSHA256
		if c.Integ == suite.IntegHMACSHA384 {
			k.Auth = WiresharkSHA384
		}
	}
	return k
}

// Decrypted is one ESP packet as tshark read it.
type Decrypted struct {
	Outer, Inner [2]netip.Addr // source, destination; Inner is zero when tshark could not decrypt
	SPI          uint32
	Sequence     uint32
	Canary       bool // the payload is that of a Flow
}

// TsharkDecryptESP lets tshark decrypt the ESP packets of a pcap file with the given keys.
func TsharkDecryptESP(t testing.TB, pcap string, keys []ESPKey) []Decrypted {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	args := []string{"-n", "-r", pcap, "-Y", "esp", "-o", "esp.enable_encryption_decode:TRUE", "-T", "fields", "-E", "separator=;",
		"-e", "ip.src", "-e", "ip.dst", "-e", "esp.spi", "-e", "esp.sequence", "-e", "udp.payload", "-e", "data.data", "-e", "frame.protocols"}
	for _, k := range keys {
		auth, authKey := "NULL", ""
		if k.Auth != "" {
			auth, authKey = k.Auth, "0x"+hex.EncodeToString(k.AuthKey)
		}
		args = append(args, "-o", fmt.Sprintf(`uat:esp_sa:"IPv4","%s","%s","0x%08x","%s","0x%x","%s","%s"`, k.Src, k.Dst, k.SPI, k.Cipher, k.Key, auth, authKey))
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var res []Decrypted
	for line := range strings.Lines(string(out)) {
		if d, ok := decryptedOf(strings.TrimRight(line, "\n")); ok {
			res = append(res, d)
		}
	}
	return res
}

func decryptedOf(line string) (d Decrypted, ok bool) {
	col := strings.Split(line, ";")
	if len(col) < 7 {
		return d, false
	}
	if before, _, _ := strings.Cut(col[6], ":esp"); strings.Contains(before, ":icmp") {
		return d, false // an ICMP error that quotes an ESP packet
	}
	for i := range 2 {
		as := strings.Split(col[i], ",")
		d.Outer[i], _ = netip.ParseAddr(as[0])
		if len(as) > 1 {
			d.Inner[i], _ = netip.ParseAddr(as[1])
		}
	}
	spi, err := strconv.ParseUint(strings.TrimPrefix(strings.Split(col[2], ",")[0], "0x"), 16, 32)
	seq, _ := strconv.ParseUint(strings.Split(col[3], ",")[0], 10, 32)
	d.SPI, d.Sequence = uint32(spi), uint32(seq)
	d.Canary = strings.Contains(col[4]+col[5], hex.EncodeToString(canary))
	return d, err == nil
}
