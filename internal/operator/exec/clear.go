package exec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"lockstep/internal/ike"
	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/show"
	"lockstep/internal/policy"
	"lockstep/internal/sa"
)

const (
	// clearWait is how long `clear` waits for the peers' answers. A peer that is there answers in a round trip; the Deletes
	// to one that is not go on behind the operator's back, for a minute.
	clearWait = 10 * time.Second
	// burst orders are given at once, then a breath: clearing thousands of tunnels must not flood the mailboxes of IKE,
	// which have room for 1024 each. Silent peers hold up nobody.
	burst  = 256
	breath = 10 * time.Millisecond
	// maxFailures are named in the one line that tells what went wrong.
	maxFailures = 3
)

func clearCommands(g Gateway) []cli.Command {
	row := func(pattern, help string, r run) cli.Command {
		return cli.Command{Pattern: pattern, Help: help, Privilege: cli.PrivilegedExec, Run: r}
	}
	return []cli.Command{
		row("clear crypto sa [peer A.B.C.D|spi WORD:spi]", "Clear all crypto SAs", clearSA(g)),
		row("clear crypto ikev2 sa [remote A.B.C.D]", "Clear IKEv2 SAs", clearIKE(g)),
		row("clear crypto session [remote A.B.C.D]", "Clear crypto sessions", clearIKE(g)),
		row("clear crypto recovery [peer A.B.C.D]", "End pauses and quarantines of recovery", clearRecovery(g)),
	}
}

// order is one command to the IKE SAs of one tunnel.
type order struct {
	peer    *policy.Peer
	command ike.Command
}

func clearSA(g Gateway) run {
	return func(ctx context.Context, c *call) error {
		if text := c.Match.Text("spi"); text != "" {
			return clearSPI(ctx, g, text)
		}
		return clearPeers(ctx, g, c, ike.Command{Verb: ike.VerbClearChild, Why: "clear crypto sa"})
	}
}

func clearIKE(g Gateway) run {
	return func(ctx context.Context, c *call) error {
		return clearPeers(ctx, g, c, ike.Command{Verb: ike.VerbClearIKE, Why: c.Match.Canonical(nil)})
	}
}

func clearPeers(ctx context.Context, g Gateway, c *call, command ike.Command) error {
	peers, err := chosen(ctx, g, c)
	if err != nil {
		return err
	}
	var orders []order
	for _, p := range peers {
		orders = append(orders, order{p, command})
	}
	return carryOut(ctx, g, orders)
}

// chosen lists the tunnels of the address in the line, or all; those that are shut down have no SAs, and IKE takes no
// command for them.
func chosen(ctx context.Context, g Gateway, c *call) ([]*policy.Peer, error) {
	a, one := c.Match.Var("address")
	if !one {
		return inService(g.Config().Peers), nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	peers := at(g.Config(), g.IKE(ctx), a.Addr)
	switch some := inService(peers); {
	case len(some) > 0:
		return some, nil
	case len(peers) > 0:
		return nil, fmt.Errorf("%% %s (%v) is shut down", peers[0].Name(), a.Addr)
	case ctx.Err() != nil:
		return nil, errStuck
	}
	return nil, noPeer(a.Addr)
}

func inService(peers []*policy.Peer) (out []*policy.Peer) {
	for _, p := range peers {
		if !p.Tunnel.Shutdown {
			out = append(out, p)
		}
	}
	return out
}

// clearSPI clears the child SA with that inbound SPI, or, where there is none, the one with that outbound SPI.
func clearSPI(ctx context.Context, g Gateway, text string) error {
	spi, err := parseSPI(text)
	if err != nil {
		return err
	}
	var in, out []sa.Child
	for _, c := range g.Children() {
		if c.Child.In == spi {
			in = append(in, c.Child)
		}
		if c.Child.Out == spi && c.Both {
			out = append(out, c.Child)
		}
	}
	switch {
	case len(in) > 0:
		out = in
	case len(out) == 0:
		return fmt.Errorf("%% No SA has the SPI %v", spi)
	case len(out) > 1: // outbound SPIs are the peers' choice: two may choose the same (RFC 4301 §4.4.2)
		return fmt.Errorf("%% %v is the outbound SPI of %d SAs: give the inbound SPI of the one that is meant", spi, len(out))
	}
	for _, p := range g.Config().Peers {
		if sa.Owner(p.ID) == out[0].Owner {
			return carryOut(ctx, g, []order{{p, ike.Command{Verb: ike.VerbClearChild, SPI: out[0].In, Why: "clear crypto sa spi"}}})
		}
	}
	return fmt.Errorf("%% The tunnel of SPI %v is no longer configured: its SA goes by itself", spi)
}

// carryOut gives the orders and waits for their ends. Nothing is said of success, as in IOS.
func carryOut(ctx context.Context, g Gateway, orders []order) error {
	return carryOutAs(ctx, g, orders, failure)
}

// carryOutAs is carryOut with other words for what an end means; empty: the order did what it should.
func carryOutAs(ctx context.Context, g Gateway, orders []order, tell func(ike.Outcome, error) string) error {
	ctx, cancel := context.WithTimeout(ctx, clearWait)
	defer cancel()
	failures := make([]string, len(orders))
	var all sync.WaitGroup
	for i, o := range orders {
		if i > 0 && i%burst == 0 {
			time.Sleep(breath)
		}
		all.Go(func() {
			outcome, err := g.Order(ctx, sa.Owner(o.peer.ID), o.command)
			failures[i] = tell(outcome, err)
		})
	}
	all.Wait()
	return summary(orders, failures)
}

// failure says in what way an order came to nothing; empty: it did not.
func failure(o ike.Outcome, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer from the peer yet: the Delete is repeated until there is one, or the IKE SA counts as dead"
	case errors.Is(err, context.Canceled):
		return "not waited for: it goes on"
	case err != nil:
		return err.Error()
	}
	switch o.Result {
	case ike.OK, ike.Moot, ike.NoIKE, ike.ChildNotFound:
		return "" // nothing of it is left
	case ike.TimedOut:
		return "cleared here, but the peer does not answer: it may keep its SAs until their lifetime ends"
	case ike.Busy:
		return "not done, something else is under way with this peer" + detail(o)
	case ike.Refused:
		return "the peer refused" + detail(o)
	case ike.NotInitiable:
		return "the tunnel may not call its peer" + detail(o)
	case ike.AuthFailed:
		return "authentication failed" + detail(o)
	}
	return "failed inside the gateway" + detail(o)
}

func detail(o ike.Outcome) string {
	if o.Detail == "" {
		return ""
	}
	return ": " + show.Clean(o.Detail)
}

// summary is one line about all failures.
func summary(orders []order, failures []string) error {
	var told []string
	failed := 0
	for i, text := range failures {
		if text == "" {
			continue
		}
		if failed++; failed <= maxFailures {
			told = append(told, fmt.Sprintf("%s (%v): %s", orders[i].peer.Name(), orders[i].peer.Remote, text))
		}
	}
	switch {
	case failed == 0:
		return nil
	case failed > maxFailures:
		told = append(told, fmt.Sprintf("and %d more of %d tunnels", failed-maxFailures, len(orders)))
	}
	return errors.New("% " + strings.Join(told, "; "))
}

func clearRecovery(g Gateway) run {
	return func(ctx context.Context, c *call) error {
		owners := []sa.Owner{sa.NoOwner} // everybody
		if _, one := c.Match.Var("address"); one {
			peers, err := chosen(ctx, g, c)
			if err != nil {
				return err
			}
			owners = owners[:0]
			for _, p := range peers {
				owners = append(owners, sa.Owner(p.ID))
			}
		}
		for _, o := range owners {
			if !g.ClearRecovery(o) {
				return errors.New("% Recovery is overloaded and did not take it: try again")
			}
		}
		return nil
	}
}
