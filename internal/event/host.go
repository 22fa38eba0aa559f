package event

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// HostFailure tells that the host refused something that the gateway needs. what names it ("Tunnel0: line protocol"), for the
// rate limit too; it may be empty where err says so itself.
func HostFailure(at time.Time, what string, err error) Record {
	text := err.Error()
	if what != "" {
		text = fmt.Sprintf("%s: %v", what, err)
	}
	r := hostFailure.record(at, text, slog.String("what", what))
	r.RateKey = "HOST_FAILURE " + cmp.Or(what, text)
	return r
}
