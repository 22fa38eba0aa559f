package report_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lockstep/internal/diagnose/report"
)

// TestAPageIsDrawnByARealBrowser lets Chromium lay the page out: every flow has its bar, inside the picture.
func TestAPageIsDrawnByARealBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium here")
	}
	r := results(t)["ended-by-initial-contact.txtar"]
	dir := t.TempDir()
	page := filepath.Join(dir, "page.html")
	f, err := os.Create(page)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.HTML(f, r); err != nil {
		t.Fatal(err)
	}
	// The probe measures what was drawn; the page itself has no script.
	probe := `<script>document.title = [...document.querySelectorAll("rect.bar")].every(b => {
		const r = b.getBoundingClientRect(), s = b.ownerSVGElement.getBoundingClientRect();
		return r.width > 0 && r.left >= s.left && r.right <= s.right && r.top >= s.top && r.bottom <= s.bottom;
	}) ? "drawn " + document.querySelectorAll("rect.bar").length + " wide " + (document.documentElement.scrollWidth <= innerWidth) : "outside"</script>`
	if _, err := f.WriteString(probe); err != nil {
		t.Fatal(err)
	}
	f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+page).Output()
	if ctx.Err() != nil {
		t.Skip("chromium did not answer in a minute")
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := "<title>drawn 1 wide true</title>"; !strings.Contains(string(out), want) {
		_, title, _ := strings.Cut(string(out), "<title>")
		t.Errorf("the browser says %.60q, want %q", title, want)
	}
}
