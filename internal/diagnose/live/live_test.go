package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/diagnose/verdict"
)

// lines collects what the service prints.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// started runs a service until the test ends.
func started(t *testing.T, o Options) (*Service, *lines) {
	t.Helper()
	out := &lines{}
	o.Out, o.Errors = out, out
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, out
}

// until waits for a condition of another goroutine.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func invalid(seq int, at time.Time, spi uint32) string {
	return fmt.Sprintf("<188>%d: hub-1: %s: %%CRYPTO-4-RECVD_PKT_INV_SPI: decaps: rec'd IPSEC packet has invalid spi for destaddr=192.0.2.2, prot=50, spi=0x%X(%d), srcaddr=198.51.100.9",
		seq, at.UTC().Format("Jan _2 15:04:05.000"), spi, spi)
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAFlowBecomesPersistentAndEverybodyIsTold(t *testing.T) {
	hooked := make(chan Alert, 4)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a Alert
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		hooked <- a
	}))
	defer hook.Close()
	file := filepath.Join(t.TempDir(), "alert.json")
	s, out := started(t, Options{Listen: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}, Page: "127.0.0.1:0", Command: "cat > " + file, Webhook: hook.URL,
		Known: verdict.Known{Ends: []verdict.End{{File: "hub.cfg", Addrs: map[netip.Addr]bool{netip.MustParseAddr("192.0.2.2"): true}, Peers: map[netip.Addr]verdict.Entry{netip.MustParseAddr("198.51.100.9"): {Name: "Tunnel0", Type: "sVTI", Recovery: "yes"}}}}}})
	udp, err := net.Dial("udp", s.Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	at := time.Now()
	fmt.Fprint(udp, invalid(1, at, 0xC0FFEE01))
	until(t, "transient", func() bool {
		return strings.Contains(out.String(), " transient 198.51.100.9 -> 192.0.2.2 SPI 0xC0FFEE01")
	})
	fmt.Fprint(udp, invalid(2, at.Add(61*time.Second), 0xC0FFEE01))
	until(t, "persistent", func() bool { return strings.Contains(out.String(), " persistent 198.51.100.9") })
	fmt.Fprint(udp, invalid(3, at.Add(122*time.Second), 0xC0FFEE01))

	a := <-hooked
	if a.Event != "persistent" || a.SPI != "0xC0FFEE01" || a.Class != "configured peer" || a.Device != "hub-1" {
		t.Errorf("webhook got %+v", a)
	}
	var fromFile Alert
	until(t, "command", func() bool {
		body, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(body, &fromFile) == nil
	})
	if fromFile.SPI != a.SPI {
		t.Errorf("command got %+v", fromFile)
	}

	base := "http://" + s.Addrs[2].String()
	if code, page := fetch(t, base+"/"); code != 200 || !strings.Contains(page, "OUT OF STEP: 1 black hole") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("page %d: %.300s", code, page)
	}
	if code, text := fetch(t, base+"/metrics"); code != 200 || !strings.Contains(text, "lockstep_diagnose_flows_persistent 1\n") {
		t.Errorf("metrics %d: %s", code, text)
	}
	var doc struct {
		Flows []struct{ SPI, Verdict string }
	}
	if _, text := fetch(t, base+"/json"); json.Unmarshal([]byte(text), &doc) != nil || len(doc.Flows) != 1 || doc.Flows[0].Verdict != "persistent" {
		t.Errorf("json: %+v", doc)
	}
	if n := strings.Count(out.String(), "SPI 0xC0FFEE01"); n != 2 {
		t.Errorf("%d changes are told, want 2:\n%s", n, out)
	}
}

func TestBothFramingsOfTCP(t *testing.T) {
	s, out := started(t, Options{Listen: []string{"tcp:127.0.0.1:0"}})
	c, err := net.Dial("tcp", s.Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	now := time.Now()
	a, b, long := invalid(1, now, 0xA0000001), invalid(2, now, 0xA0000002), strings.Repeat("x", longest+100)
	fmt.Fprintf(c, "%d %s%s\n%s\n%d %s%d %s", len(a), a, b, long, len(long)+5, "<1>: "+long, len(a), strings.ReplaceAll(strings.ReplaceAll(a, "A0000001", "A0000003"), fmt.Sprint(0xA0000001), fmt.Sprint(0xA0000003)))
	until(t, "three flows", func() bool { return strings.Count(out.String(), " transient ") == 3 })
	if n := s.stats.long.Load(); n != 2 {
		t.Errorf("%d too long, want 2", n)
	}
}

// TestTenThousandMessagesASecondAreNotLost sends two seconds' worth, of which one in a hundred is of IPsec.
func TestTenThousandMessagesASecondAreNotLost(t *testing.T) {
	s, out := started(t, Options{Listen: []string{"udp:127.0.0.1:0"}})
	c, err := net.Dial("udp", s.Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const rate, total = 10_000, 20_000
	start := time.Now()
	for i := range total {
		m := fmt.Sprintf("<189>%d: r%d: %s: %%LINK-3-UPDOWN: Interface GigabitEthernet0/1, changed state to up", i, i%100, start.UTC().Format(time.Stamp))
		if i%100 == 0 {
			m = invalid(i, start, uint32(0xB0000000+i))
		}
		if _, err := io.WriteString(c, m); err != nil {
			t.Fatal(err)
		}
		if due := start.Add(time.Duration(i) * time.Second / rate); i%100 == 99 {
			time.Sleep(time.Until(due))
		}
	}
	sent := time.Since(start)
	until(t, "all messages", func() bool {
		return s.stats.received.Load() == total && strings.Count(out.String(), " transient ") == total/100
	})
	if n, host := s.stats.overflow.Load(), kernelDrops(s.ports); n != 0 || host != 0 {
		t.Errorf("%d lost here, %d by the host", n, host)
	}
	t.Logf("%d messages in %v, none lost", total, sent.Round(time.Millisecond))
}

func TestThePageStaysAtHome(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:80", "[::]:0", "localhost:1"} {
		if s, err := Start(Options{Page: addr, Out: io.Discard, Errors: io.Discard}); err == nil {
			s.close()
			t.Errorf("%s is served", addr)
		}
	}
	s, _ := started(t, Options{Listen: []string{"udp:127.0.0.1:0"}, Page: "127.0.0.1:0"})
	req, err := http.NewRequest(http.MethodGet, "http://"+s.Addrs[1].String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "attacker.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another name gets %d", resp.StatusCode)
	}
}

func TestAWrongListenIsRefused(t *testing.T) {
	for _, where := range []string{"127.0.0.1:514", "sctp:127.0.0.1:514", "udp:nowhere", ""} {
		if s, err := Start(Options{Listen: []string{where}, Out: io.Discard, Errors: io.Discard}); err == nil {
			s.close()
			t.Errorf("%q is accepted", where)
		}
	}
}

// TestWhatTheHostDropsIsCounted stops reading, and sends more than the socket holds.
func TestWhatTheHostDropsIsCounted(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	if err := pc.(*net.UDPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 1000 {
		if _, err := io.WriteString(c, strings.Repeat("x", 200)); err != nil {
			t.Fatal(err)
		}
	}
	port := pc.LocalAddr().(*net.UDPAddr).Port
	if n := kernelDrops([]int{port}); n < 900 || n > 1000 {
		t.Errorf("%d dropped of 1000", n)
	}
	if n := kernelDrops(nil); n != 0 {
		t.Errorf("%d dropped of no socket", n)
	}
}
