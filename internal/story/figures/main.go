// Command figures tells every story many times and writes what came of those in which a tunnel had to heal: a table into
// docs/performance.md and a picture beside it. `make figures` runs it; it has no part in the gateway.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"lockstep/internal/story"
)

func main() {
	runs := flag.Int("runs", 200, "tellings of each story")
	atOnce := flag.Int("at-once", 4, "stories at a time: they mostly wait, but too many make each other late")
	dir := flag.String("docs", "docs", "`folder` of performance.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := figures(ctx, flag.Args(), *runs, *atOnce, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func figures(ctx context.Context, names []string, runs, atOnce int, dir string) error {
	began := time.Now()
	healing, err := healingStories(ctx, names)
	if err != nil {
		return err
	}
	var all []series
	for _, name := range healing {
		s, err := tell(ctx, name, runs, atOnce)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(s.row())
		all = append(all, s)
	}
	about := fmt.Sprintf("%s, %d cores, %s, %d tellings of each, %d at a time, %s in all.", time.Now().Format(time.DateOnly), runtime.NumCPU(),
		runtime.Version(), runs, atOnce, time.Since(began).Round(time.Second))
	if err := os.WriteFile(filepath.Join(dir, "healing.svg"), []byte(draw(all)), 0o644); err != nil {
		return err
	}
	return replaceTable(filepath.Join(dir, "performance.md"), table(all, about))
}

// healingStories are those of names, or of all, that end with a healing.
func healingStories(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		names = story.Names()
	}
	var out []string
	for _, name := range names {
		s, err := story.Load(name)
		if err != nil {
			return nil, err
		}
		r, err := story.Run(ctx, s, story.Options{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r.HealMS != nil {
			out = append(out, name)
		}
	}
	return out, nil
}

// tell runs one story again and again. A telling that a late machine spoiled is left out, and counted.
func tell(ctx context.Context, name string, runs, atOnce int) (series, error) {
	st, err := story.Load(name)
	if err != nil {
		return series{}, err
	}
	s := series{name: name}
	var mu sync.Mutex
	var group sync.WaitGroup
	turns := make(chan struct{}, runs)
	for range runs {
		turns <- struct{}{}
	}
	close(turns)
	for range max(1, atOnce) {
		group.Go(func() {
			for range turns {
				r, runErr := story.Run(ctx, st, story.Options{})
				mu.Lock()
				s.add(r, runErr)
				if runErr != nil && err == nil {
					err = runErr
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	s.sort()
	return s, err
}

const (
	tableBegin = "<!-- healing: written by make figures -->\n"
	tableEnd   = "<!-- end -->\n"
)

// replaceTable puts the table where the page has it.
func replaceTable(page, text string) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, begins := strings.Cut(string(b), tableBegin)
	_, tail, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return fmt.Errorf("%s has no place for the table: a line %q and one %q", page, strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return os.WriteFile(page, []byte(head+tableBegin+text+tableEnd+tail), 0o644)
}
