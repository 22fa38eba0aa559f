package main

import (
	"context"
	"errors"
	"os/signal"
	"syscall"

	"lockstep/internal/story"
)

// defaultStory is told where none is named.
const defaultStory = "reboot"

// demo is `lockstep demo`.
func demo(c subcommand, args []string, std stdio) int {
	fs := c.flags()
	asJSON := fs.Bool("json", false, "one JSON object a line; the last is the result")
	list := fs.Bool("list", false, "list the stories and their sabotage twins")
	twin := fs.String("sabotage", "", "break something on purpose: the `NAME` of a twin, see -list")
	names, exit, ok := c.parse(fs, args, std)
	if !ok {
		return exit
	}
	out := story.NewPrinter(std.out, *asJSON)
	if *list {
		return listStories(c, names, out, std)
	}
	if len(names) == 0 {
		names = []string{defaultStory}
	}
	if len(names) > 1 {
		return c.misused(fs, std, "one STORY at a time")
	}
	s, err := story.Load(names[0])
	if err != nil {
		return c.misused(fs, std, "%v", err)
	}
	if *twin != "" {
		if _, err := s.Twin(*twin); err != nil {
			return c.misused(fs, std, "%v", err)
		}
	}
	return tell(c, s, *twin, out, std)
}

func listStories(c subcommand, names []string, out *story.Printer, std stdio) int {
	if len(names) == 0 {
		names = story.Names()
	}
	var all []*story.Story
	for _, name := range names {
		s, err := story.Load(name)
		if err != nil {
			return c.failed(std, err)
		}
		all = append(all, s)
	}
	if out.List(all); out.Err != nil {
		return c.failed(std, out.Err)
	}
	return exitOK
}

// tell runs a story until its end, an interrupt, or until nobody reads any more.
func tell(c subcommand, s *story.Story, twin string, out *story.Printer, std stdio) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out.Begin(s)
	r, err := story.RunOnTime(ctx, s, story.Options{Twin: twin, Version: thisBuild().version, Tell: func(m story.Moment) {
		if out.Moment(m); out.Err != nil {
			cancel()
		}
	}})
	if errors.Is(err, context.Canceled) {
		r.Error, err = "interrupted", nil
	}
	out.End(r)
	switch {
	case err != nil:
		return c.failed(std, err)
	case out.Err != nil:
		return c.failed(std, out.Err)
	case !r.OK:
		return exitFailed
	}
	return exitOK
}
