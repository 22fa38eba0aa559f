package diagnose

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
)

const sightingLine = "Feb 20 13:04:09.100: %CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0x5001(20481), srcaddr=198.51.100.9\n"

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// standardInput is the result of one input that is not a file.
func standardInput(data []byte) *Result {
	return Run(Options{Files: []string{"-"}, In: bytes.NewReader(data), Now: asOf})
}

func TestACutArchiveIsReadUpToThereAndReported(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		text.WriteString(strings.Replace(sightingLine, "13:04", "13:"+string(rune('0'+i%6))+string(rune('0'+i%10)), 1))
	}
	whole := zipped(t, []byte(text.String()))
	r := standardInput(whole[:len(whole)*2/3])
	if len(r.Bad) != 1 || !errors.Is(r.Bad[0], errCutOff) || len(r.Flows) != 1 || r.Flows[0].Count < 5 {
		t.Errorf("%v, %d flows", r.Bad, len(r.Flows))
	}
}

func TestAnArchiveInItselfEnds(t *testing.T) {
	data := []byte(sightingLine)
	for range 2 {
		data = zipped(t, data)
	}
	if r := standardInput(data); len(r.Flows) != 1 {
		t.Errorf("twice packed: %v", r.Bad)
	}
	for range 3 {
		data = zipped(t, data)
	}
	if r := standardInput(data); len(r.Bad) != 1 || !errors.Is(r.Bad[0], errNested) {
		t.Errorf("five times packed: %v", r.Bad)
	}
}

func FuzzRun(f *testing.F) {
	f.Add([]byte(sightingLine))
	f.Add(zipped(f, []byte(sightingLine)))
	f.Add([]byte("\xff\xfeh\x00i\x00\n\x00"))
	f.Add([]byte("hub#show crypto ipsec sa\ncrypto map M 10 ipsec-isakmp\n set peer 192.0.2.1\nIpsecInput 1 2\n" + sightingLine))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := standardInput(data)
		for _, j := range r.Flows {
			if len(j.Evidence) == 0 || j.Least == 0 {
				t.Fatalf("%+v", j)
			}
		}
	})
}
