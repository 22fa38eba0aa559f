package exec

import (
	"context"
	"errors"

	"lockstep/internal/ike"
	"lockstep/internal/operator/cli"
)

// rekeyCommands are ours: IOS has no way to ask for a rekey but to clear the SA, which breaks the tunnel. The form is that
// of `crypto gdoi ks rekey`.
func rekeyCommands(g Gateway) []cli.Command {
	row := func(pattern, help string, verb ike.Verb) cli.Command {
		return cli.Command{Pattern: pattern, Help: help, Privilege: cli.PrivilegedExec, Run: rekey(g, verb)}
	}
	return []cli.Command{
		row("crypto ikev2 rekey [peer A.B.C.D]", "Replace IKE SAs by new ones, without a gap", ike.VerbRekeyIKE),
		row("crypto ipsec rekey [peer A.B.C.D]", "Replace child SAs by new ones, without a gap", ike.VerbRekeyChild),
	}
}

func rekey(g Gateway, verb ike.Verb) run {
	return func(ctx context.Context, c *call) error {
		peers, err := chosen(ctx, g, c)
		if err != nil {
			return err
		}
		var orders []order
		for _, p := range peers {
			orders = append(orders, order{p, ike.Command{Verb: verb, Why: c.Match.Canonical(nil)}})
		}
		return carryOutAs(ctx, g, orders, rekeyFailure)
	}
}

// rekeyFailure says in what way a rekey came to nothing; empty: it did not.
func rekeyFailure(o ike.Outcome, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer from the peer yet: the request is repeated until there is one, or the IKE SA counts as dead"
	case err != nil:
		return failure(o, err)
	}
	switch o.Result {
	case ike.NoIKE:
		return "there is no SA to rekey"
	case ike.TimedOut:
		return "the peer does not answer: the IKE SA is dead"
	}
	return failure(o, nil)
}
