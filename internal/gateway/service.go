package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/event"
	"lockstep/internal/host"
	"lockstep/internal/operator/exec"
	"lockstep/internal/operator/mgmt"
	"lockstep/internal/policy"
)

// Service is `lockstep run`: one gateway on this host, in the foreground, with its socket for operators.
type Service struct {
	File     string // configuration
	StateDir string
	Socket   string // of exec and shell
	KeyFile  string // keys of child SAs, for Wireshark; empty: none
	Frozen   bool
	Version  string
	Log      io.Writer // findings about configuration and host, and the console's log lines
}

// loaded is a configuration in both forms.
type loaded struct {
	config *policy.Config
	tree   *config.Tree
}

// Run runs the gateway until SIGTERM or SIGINT: Deletes are sent then, a second one ends it at once. SIGHUP reads the
// configuration again. It may be called once. An error is what kept it from starting, or ended it.
func (s *Service) Run() error {
	signal.Ignore(syscall.SIGPIPE) // a console that went away is no reason to end
	out := newConsole(s.Log)
	defer out.Close()
	s.Log = out
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	conf, err := s.load()
	if err != nil {
		return err
	}
	if err := s.checkHost(conf.config); err != nil {
		return err
	}
	keys, err := s.openKeys()
	if err != nil {
		return err
	}
	if keys != nil {
		defer keys.Close()
	}
	g, err := s.start(conf, keys)
	if err != nil {
		return err
	}
	if keys != nil {
		g.bus.Publish(event.KeysExported(g.now(), s.KeyFile))
	}
	server, err := s.listen(g)
	if err != nil {
		g.Kill()
		return err
	}
	return s.serve(g, server, signals)
}

// load reads the configuration file and prints every finding about it.
func (s *Service) load() (loaded, error) {
	text, err := os.ReadFile(s.File)
	if err != nil {
		return loaded{}, fmt.Errorf("read the configuration: %w", err)
	}
	tree, found := config.Parse(s.File, text)
	var cfg *policy.Config
	if !config.HasErrors(found) {
		var more []config.Diagnostic
		cfg, more = config.Compile(tree)
		found = append(found, more...)
	}
	for _, d := range found {
		fmt.Fprintln(s.Log, d)
	}
	if config.HasErrors(found) {
		return loaded{}, fmt.Errorf("%s has errors, nothing of it was applied", s.File)
	}
	return loaded{cfg, tree}, nil
}

// checkHost prints what stands in the way on this host. What keeps the gateway from running is an error; a single tunnel
// may wait for its address or route, as on a router: the others run, and what leads into it is guarded from now on.
func (s *Service) checkHost(cfg *policy.Config) error {
	fatal := false
	for _, f := range host.Check(HostTunnels(cfg)) {
		kind := "warning"
		if f.Fatal {
			kind = "error"
		}
		fatal = fatal || f.Fatal && f.Tunnel == ""
		fmt.Fprintf(s.Log, "host: %s: %s\n", kind, f)
	}
	if fatal {
		return errors.New("the host is not ready, see above")
	}
	return nil
}

// HostTunnels is what host.Check must know of the tunnels that are not shut down.
func HostTunnels(cfg *policy.Config) []host.Tunnel {
	var out []host.Tunnel
	for _, t := range cfg.Tunnels {
		if t.Shutdown {
			continue
		}
		h := host.Tunnel{Name: t.Name(), SourceIF: t.SourceIF, Source: t.Source, Destination: t.Destination}
		for _, r := range cfg.Routes {
			if r.Tunnel == t.Unit || r.Tunnel < 0 && t.Address.IsValid() && t.Address.Contains(r.Via) {
				h.Routes = append(h.Routes, r.Prefix)
			}
		}
		out = append(out, h)
	}
	return out
}

// openKeys makes the key file, for this user alone; what stands in it stays. A file that others may read or have made is
// refused: they would read the traffic.
func (s *Service) openKeys() (*os.File, error) {
	if s.KeyFile == "" {
		return nil, nil
	}
	f, err := os.OpenFile(s.KeyFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	if err := private(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// private says that nobody else can read a file; pipes and terminals are what they are.
func private(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the key file: %w", err)
	}
	owner, known := st.Sys().(*syscall.Stat_t)
	foreign := known && int(owner.Uid) != os.Geteuid()
	if st.Mode().IsRegular() && (foreign || st.Mode().Perm()&0o077 != 0) {
		return fmt.Errorf("the key file %s belongs to another user or can be read by others (mode %v): remove it, or name another one", f.Name(), st.Mode().Perm())
	}
	return nil
}

func (s *Service) start(conf loaded, keys *os.File) (*Gateway, error) {
	world, err := NewHost()
	if err != nil {
		return nil, err
	}
	o := Options{Config: conf.config, Tree: conf.tree, World: world, StateDir: s.StateDir, Version: s.Version, Console: s.Log, Frozen: s.Frozen}
	if keys != nil {
		o.Keys = keys
	}
	g, err := New(o)
	if err != nil {
		return nil, errors.Join(err, world.Close())
	}
	return g, nil
}

// listen opens the operators' socket.
func (s *Service) listen(g *Gateway) (*mgmt.Server, error) {
	table, err := exec.With(g, mgmt.Glossary(), mgmt.Commands())
	if err != nil {
		return nil, err
	}
	return mgmt.Listen(mgmt.Options{Path: s.Socket, Table: table, Hostname: func() string { return g.Config().Hostname }, Log: g.Log()})
}

// serve runs both until a signal or the gateway ends them.
func (s *Service) serve(g *Gateway, server *mgmt.Server, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	parts.Go(func() { _ = server.Serve(ctx) })
	ended := make(chan error, 1)
	parts.Go(func() { ended <- g.Run(ctx) })
	stopping := false
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP && !stopping:
				s.reload(g)
			case sig == syscall.SIGHUP:
			case stopping:
				signal.Reset(syscall.SIGTERM, syscall.SIGINT) // a third one ends the process whatever hangs
				parts.Go(g.Kill)
			default:
				stopping = true
				parts.Go(func() { g.Stop(ctx) })
			}
		}
	}
}

// reload applies the file as it is now. One with errors changes nothing.
func (s *Service) reload(g *Gateway) {
	began := time.Now()
	conf, err := s.load()
	if err != nil {
		g.bus.Publish(event.HostFailure(g.now(), "reload", err))
		return
	}
	diff, err := g.Apply(conf.config, conf.tree, "file", "SIGHUP")
	if err != nil {
		g.bus.Publish(event.HostFailure(g.now(), "reload", err))
	}
	fmt.Fprintf(s.Log, "reload: %s in %d ms\n", summary(diff), time.Since(began).Milliseconds())
}

// summary is a Difference in one line.
func summary(d config.Difference) string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	add("added", d.Added)
	add("removed", d.Removed)
	for _, c := range d.Changed {
		how := "changed"
		if c.SAs {
			how = "made anew"
		}
		add(how, []string{c.Tunnel + " (" + strings.Join(c.What, ", ") + ")"})
	}
	add("global", d.Global)
	if len(parts) == 0 {
		return "nothing changed"
	}
	return strings.Join(parts, "; ")
}
