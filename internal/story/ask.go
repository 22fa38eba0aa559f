package story

import (
	"bytes"
	"context"
	"fmt"

	"lockstep/internal/operator/cli"
	"lockstep/internal/operator/exec"
)

// ask carries out an operator's command and gives what it prints.
func (s *site) ask(ctx context.Context, line string) (string, error) {
	if s.gw == nil {
		return "", errDown
	}
	table, err := exec.New(s.gw)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := cli.NewSession(table, cli.PrivilegedExec).Execute(ctx, line, &out); err != nil {
		return "", fmt.Errorf("%s: %s: %w", s.name, line, err)
	}
	return out.String(), nil
}
