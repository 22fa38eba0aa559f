package main

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const unknownSPI = "%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0x9A3C5E71(2587647601), srcaddr=198.51.100.9\n"

func TestDiagnoseExitsWithThreeOnABlackHole(t *testing.T) {
	once := "Sep 12 2025 13:27:57.707: " + unknownSPI
	again := once + "Sep 12 2025 13:28:58.459: " + unknownSPI
	for text, want := range map[string]int{once: 0, again: 3, "nothing to see\n": 0, "\x00\x01\x02\x03": 1, "": 1} {
		out, errs, exit := lockstep(text, "diagnose", "-json", "-")
		if exit != want || (errs != "") != (want == 1) {
			t.Errorf("%.40q: exit %d, %s", text, exit, errs)
		}
		var doc struct {
			Flows []struct{ Verdict string }
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if want == 3 && (len(doc.Flows) != 1 || doc.Flows[0].Verdict != "persistent") {
			t.Errorf("%+v", doc)
		}
	}
}

func TestDiagnoseReadsGzipAndWhatPowerShellWrites(t *testing.T) {
	dir := t.TempDir()
	text := "Sep 12 2025 13:27:57.707: " + unknownSPI
	zipped, wide := filepath.Join(dir, "a.gz"), filepath.Join(dir, "b.txt")
	f, err := os.Create(zipped)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	f.Close()
	units := []byte{0xFF, 0xFE}
	for _, c := range []byte(strings.Replace(text, "13:27", "13:28", 1)) {
		units = append(units, c, 0)
	}
	if err := os.WriteFile(wide, units, 0o600); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "page.html")
	out, errs, exit := lockstep("", "diagnose", "-html", page, zipped, wide)
	if exit != 0 || errs != "" || !strings.Contains(out, "2 transients") && !strings.Contains(out, "1 transient") {
		t.Errorf("exit %d %s\n%s", exit, errs, out)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "<svg") {
		t.Errorf("%v: %.200s", err, html)
	}
	// The rest is judged although one input is missing.
	out, errs, exit = lockstep("", "diagnose", zipped, filepath.Join(dir, "missing"))
	if exit != 1 || !strings.Contains(errs, "missing") || !strings.Contains(out, "TRANSIENT") {
		t.Errorf("exit %d %s\n%s", exit, errs, out)
	}
}

func TestDiagnoseListenWantsNoFilesAndALoopbackPage(t *testing.T) {
	if _, errs, exit := lockstep("", "diagnose", "-listen", "udp:127.0.0.1:0", "x.log"); exit != 2 || !strings.Contains(errs, "-listen takes no FILE") {
		t.Errorf("exit %d %s", exit, errs)
	}
	if _, errs, exit := lockstep("", "diagnose", "-listen", "udp:127.0.0.1:0", "-page", "192.0.2.1:80"); exit != 1 || !strings.Contains(errs, "not a loopback address") {
		t.Errorf("exit %d %s", exit, errs)
	}
}
