package show

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Version is `show version`.
type Version struct {
	Version  string    `json:"version"`
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	Hostname string    `json:"hostname"`
	Started  time.Time `json:"started"`
	Uptime   int64     `json:"uptime_seconds"`
	Identity Identity  `json:"spi_identity"`
}

// Text writes the lines that operators of IOS look for: version, uptime, restart.
func (v *Version) Text(w io.Writer) error {
	p := &page{w: w}
	p.line("Lockstep IPsec gateway, Version %s", v.Version)
	p.line("Compiled with %s for %s\n", v.Go, v.Platform)
	p.line("%s uptime is %s", v.Hostname, uptime(time.Duration(v.Uptime)*time.Second))
	p.line("System restarted at %s", v.Started.Format("15:04:05 MST Mon Jan 2 2006"))
	p.line("SPI identity: generation %d, made %s%s", v.Identity.Generation, fullStamp(v.Identity.Created), yesNo(v.Identity.Fresh, " by this start", ""))
	return p.err
}

// uptime is years, weeks, days, hours and minutes, without leading zeros, as IOS writes it.
func uptime(d time.Duration) string {
	d = max(d, 0)
	var parts []string
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{year, "year"}, {week, "week"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		n := int(d / u.unit)
		d %= u.unit
		if n > 0 || len(parts) > 0 || u.unit == time.Minute {
			parts = append(parts, count(n, u.name))
		}
	}
	return strings.Join(parts, ", ")
}

// Clock is `show clock`.
type Clock struct {
	Time time.Time `json:"time"`
}

// Text writes the time; the asterisk says that it is not known to be right, as in log lines.
func (v *Clock) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "*%s\n", v.Time.Format("15:04:05.000 MST Mon Jan 2 2006"))
	return err
}

// Running is `show running-config`. Its lines hold keys only where the caller asked for them.
type Running struct {
	Hostname string   `json:"hostname"`
	Lines    []string `json:"lines"`
	text     string
}

// NewRunning makes the view of a configuration as text.
func NewRunning(hostname, text string) *Running {
	return &Running{Hostname: hostname, Lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n"), text: text}
}

// Text writes IOS's head and the configuration.
func (v *Running) Text(w io.Writer) error {
	p := &page{w: w}
	p.line("Building configuration...\n\nCurrent configuration : %d bytes", len(v.text))
	if p.err == nil {
		_, p.err = io.WriteString(w, v.text)
	}
	return p.err
}
