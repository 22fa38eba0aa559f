package story

import (
	"context"
	"sync"
	"time"
)

// instruction is a command for one gateway's operator.
type instruction struct{ name, line string }

// doBound is how long a story waits for an operator's command: longer than its request needs that is lost once. It goes on
// behind the story's back.
const doBound = 3 * time.Second

// parseDo reads operators' commands that are given at the same moment. The next line of the script follows when all have
// ended. One that comes to nothing is told, and for the claims to judge: in a collision it may.
func parseDo(p *parser, w *words) action {
	var all []instruction
	for first := true; first || w.more(); first = false {
		all = append(all, instruction{p.gateway(w), w.quoted("a command")})
	}
	return func(ctx context.Context, st *stage) error {
		for _, i := range all {
			if st.sites[i.name].gw == nil {
				return errDown
			}
		}
		var done sync.WaitGroup
		for _, i := range all {
			st.tell("fault", i.name+"#", i.line)
			done.Go(func() {
				within, cancel := context.WithTimeout(ctx, doBound)
				defer cancel()
				out, err := st.sites[i.name].ask(within, i.line)
				if err != nil {
					out += err.Error()
				}
				if out != "" && ctx.Err() == nil {
					st.tell("show", i.name+"#", out)
				}
			})
		}
		done.Wait()
		return ctx.Err()
	}
}
