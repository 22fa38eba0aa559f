// Package exec is the commands of exec mode but those that change a session itself (operator/cli has them): one file a
// family, each row a pattern with its help and what it runs. Commands read published snapshots and ask the gateway for
// changes through the Gateway interface; they format with operator/show, and know no terminal.
package exec

import (
	"context"
	"time"

	"lockstep/internal/datapath/counters"
	"lockstep/internal/ike"
	"lockstep/internal/operator/logsink"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/recovery"
	"lockstep/internal/recovery/runner"
	"lockstep/internal/sa"
)

// Gateway is what the commands ask of a running gateway. Snapshots are shared or copies: nobody changes them. They hold
// no secrets; Running with reveal excepted.
type Gateway interface {
	Now() time.Time
	Started() time.Time
	Version() string
	// Identity tells of the SPI identity file: boot generation, when it was made, and whether this start made it.
	Identity() (generation uint64, created time.Time, fresh bool)

	Config() *policy.Config
	// Running is the configuration as text; keys only with reveal.
	Running(reveal bool) string

	// Log is the sink of `show logging` and the debug switches. Lost counts records that found no room on the way to it.
	Log() *logsink.Sink
	Lost() uint64

	IKE(ctx context.Context) []ike.Status
	// Quirks are the faults that peers have shown, also of those without an IKE SA.
	Quirks(ctx context.Context) map[sa.Owner]ike.Quirks
	Children() []sa.Pair
	Interfaces() []show.Interface
	Drops() counters.Totals

	Incidents() []recovery.Incident
	Standings() []recovery.Standing
	Flows(ctx context.Context) []recovery.Flow
	Trends(ctx context.Context) []recovery.Trend
	RecoveryStats() runner.Stats
	ClearRecovery(o sa.Owner) bool

	// Order hands a command to IKE and waits for its end. An error: it was not taken, or ctx ended first (the error is that
	// of ctx then, and the command goes on).
	Order(ctx context.Context, o sa.Owner, c ike.Command) (ike.Outcome, error)
}
