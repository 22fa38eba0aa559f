package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync/atomic"
	"time"

	"lockstep/internal/diagnose/verdict"
)

const (
	waitingAlerts = 256
	alertTime     = 10 * time.Second
	alertTries    = 3
)

// Alert is what a command or a webhook gets.
type Alert struct {
	Event      string    `json:"event"` // persistent, quiet
	At         time.Time `json:"at"`
	Device     string    `json:"device"`
	Src        string    `json:"src"`
	Dst        string    `json:"dst"`
	Proto      uint8     `json:"proto"`
	SPI        string    `json:"spi"`
	Class      string    `json:"class"`
	Count      uint64    `json:"count"`
	Cause      string    `json:"cause"`
	Confidence string    `json:"confidence"`
	Ended      string    `json:"ended_by,omitempty"`
	Why        []string  `json:"why"`
}

func alertOf(event string, j verdict.Judged, at time.Time) Alert {
	return Alert{Event: event, At: at.UTC(), Device: j.Device, Src: j.Src.String(), Dst: j.Dst.String(), Proto: j.Proto, SPI: fmt.Sprintf("0x%08X", j.SPI),
		Class: string(j.Class), Count: j.Least, Cause: j.Cause, Confidence: j.Confidence.String(), Ended: j.Ended, Why: j.Why}
}

// alerts delivers them one by one, so that a slow receiver holds up nothing but alerts.
type alerts struct {
	o       Options
	queue   chan Alert
	sent    atomic.Uint64
	failed  atomic.Uint64
	dropped atomic.Uint64
}

func newAlerts(o Options) *alerts { return &alerts{o: o, queue: make(chan Alert, waitingAlerts)} }

func (a *alerts) put(x Alert) {
	if a.o.Command == "" && a.o.Webhook == "" {
		return
	}
	select {
	case a.queue <- x:
	default:
		a.dropped.Add(1)
	}
}

func (a *alerts) run(ctx context.Context) {
	for {
		select {
		case x := <-a.queue:
			a.deliver(ctx, x)
		case <-ctx.Done():
			return
		}
	}
}

func (a *alerts) deliver(ctx context.Context, x Alert) {
	body, err := json.Marshal(x)
	if err != nil {
		a.failed.Add(1)
		return
	}
	ways := map[string]func(context.Context, []byte) error{}
	if a.o.Command != "" {
		ways["command"] = a.command
	}
	if a.o.Webhook != "" {
		ways["webhook"] = a.post
	}
	for name, way := range ways {
		if err := a.try(ctx, way, body); err != nil {
			a.failed.Add(1)
			fmt.Fprintf(a.o.Errors, "alert by %s: %v\n", name, err)
			continue
		}
		a.sent.Add(1)
	}
}

func (a *alerts) try(ctx context.Context, way func(context.Context, []byte) error, body []byte) (err error) {
	for n := range alertTries {
		if n > 0 {
			select {
			case <-time.After(time.Duration(n) * time.Second):
			case <-ctx.Done():
				return err
			}
		}
		once, cancel := context.WithTimeout(ctx, alertTime)
		err = way(once, body)
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

// command runs in a shell, with the alert on its standard input: nothing that a device wrote becomes part of a command.
func (a *alerts) command(ctx context.Context, body []byte) error {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", a.o.Command)
	c.Stdin = bytes.NewReader(body)
	c.WaitDelay = time.Second
	return c.Run()
}

func (a *alerts) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.o.Webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
