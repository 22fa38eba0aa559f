package gateway

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/internal/policy"
	"lockstep/internal/sa"
	"lockstep/internal/suite"
)

func TestAStateDirectoryServesOneGateway(t *testing.T) {
	dir := t.TempDir()
	first, err := openState(dir, &policy.Config{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openState(dir, &policy.Config{}, time.Now()); err == nil || !strings.Contains(err.Error(), "in use by another lockstep (pid ") {
		t.Errorf("a second gateway on one directory: %v", err)
	}
	first.close()
	again, err := openState(dir, &policy.Config{}, time.Now())
	if err != nil {
		t.Fatal("after the first is gone:", err)
	}
	defer again.close()
	if again.identity.Generation() != first.identity.Generation()+1 {
		t.Errorf("generation %d after %d", again.identity.Generation(), first.identity.Generation())
	}
}

func TestAStateDirectoryThatCannotBeMadeIsExplained(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openState(file+"/below", &policy.Config{}, time.Now()); err == nil || !strings.Contains(err.Error(), "-state") {
		t.Errorf("%v", err)
	}
}

func TestKeyLinesAreThoseOfWireshark(t *testing.T) {
	gcm := suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 128}
	cbc := suite.Cipher{Encr: suite.EncrAESCBC, KeyBits: 128, Integ: suite.IntegHMACSHA256}
	for _, c := range []struct {
		cipher suite.Cipher
		want   string
	}{
		{gcm, `"IPv4","192.0.2.2","192.0.2.1","0x0badcafe","AES-GCM with 16 octet ICV [RFC4106]","0x000102030405060708090a0b0c0d0e0f10111213","NULL",""` + "\n"},
		{cbc, `"IPv4","192.0.2.2","192.0.2.1","0x0badcafe","AES-CBC [RFC3602]","0x000102030405060708090a0b0c0d0e0f","HMAC-SHA-256-128 [RFC4868]",` +
			`"0x101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"` + "\n"},
	} {
		n := c.cipher.KeyLen() + c.cipher.IntegKeyLen()
		keymat := make([]byte, n)
		for i := range keymat {
			keymat[i] = byte(i)
		}
		var out bytes.Buffer
		k := keyLog{to: &out}
		err := k.write(sa.Child{In: 0x0badcafe, Out: 1, Cipher: c.cipher, KeyIn: policy.NewSecret(keymat), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
			Remote: netip.MustParseAddrPort("192.0.2.2:4500")}, sa.InboundHalf)
		if err != nil || out.String() != c.want {
			t.Errorf("%v\ngot  %swant %s", err, out.String(), c.want)
		}
	}
}

func TestAnEndpointBelongsToItsLastChildsOwner(t *testing.T) {
	g := &Gateway{}
	g.lines = newLines(g)
	g.table = sa.NewTable(sa.Options{})
	i := newInstaller(g, g.table)
	local, remote := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("192.0.2.2:4500")
	child := func(in, out sa.SPI, seed byte) sa.Child {
		key := func(b byte) policy.Secret { return policy.NewSecret(bytes.Repeat([]byte{seed, b}, 18)) }
		return sa.Child{Owner: 3, In: in, Out: out, Cipher: suite.Cipher{Encr: suite.EncrAESGCM16, KeyBits: 256}, KeyIn: key(1), KeyOut: key(2),
			Local: local, Remote: remote, Encap: sa.EncapUDP}
	}
	now := time.Now()
	for _, spi := range []sa.SPI{1000, 2000} {
		g.table.Reserve(spi, 3, now)
		if err := i.Install(child(spi, spi+1, byte(spi/1000)), sa.BothHalves, now); err != nil {
			t.Fatal(err)
		}
	}
	i.Remove(1000, 1001, 3, sa.BothHalves, sa.TombRekeyed, now)
	if o, ok := i.ownerAt(local, remote, sa.EncapUDP); !ok || o != 3 {
		t.Errorf("owner %v, %v while one child is left", o, ok)
	}
	i.Remove(2000, 2001, 3, sa.BothHalves, sa.TombRekeyed, now)
	if _, ok := i.ownerAt(local, remote, sa.EncapUDP); ok {
		t.Error("an endpoint without a child has an owner")
	}
}
