# Lockstep. `make test` is what CI runs; it installs the Debian packages that it uses when they are missing.
GO       ?= go
TOOL      = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 5s

# Packages whose tests measure time or losses: one after the other, with nothing beside them.
TIMED = ./internal/story/... ./internal/testing/...

.PHONY: demo figures test check fuzz bench interop lab packages

# The main job, with Go alone: a gateway loses its SAs, and the tunnel heals.
demo:
	@$(GO) run ./cmd/lockstep demo

test: packages
	$(GO) vet ./...
	$(GO) test $$($(GO) list ./... | grep -v -e /internal/story -e /internal/testing/)
	$(GO) test -p 1 $(TIMED)
	@$(GO) test -count=1 -run '^TestCorpus$$' -v ./internal/diagnose | grep -E 'plain,|precision'

check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt: $$out"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@$(TOOL) govulncheck ./... || { [ $$? -eq 3 ] && exit 1; echo "govulncheck: no verdict (is the vulnerability database reachable?)"; }
	$(GO) test ./internal/testing/archtest
	$(GO) test -race ./...
	$(MAKE) fuzz

# Every fuzz target for FUZZTIME.
fuzz:
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg >"$$log" 2>&1 || { cat "$$log"; exit 1; }; \
	  done; done

# As root BenchmarkHealAfterRestart is among them: our heal time, and strongSwan alone in our place for 45 seconds.
bench: packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Heal times of every story, told 200 times each: the table and picture of docs/performance.md. Wants an idle machine.
figures:
	$(GO) run ./internal/story/figures

# Lockstep against strongSwan in network namespaces, case by case (root).
interop: packages
	$(GO) test -count=1 -v -timeout 20m ./internal/testing/lab ./internal/testing/interop

# The tutorial's namespaces, with Lockstep and strongSwan in them, and a shell (root). Leaving the shell removes them.
lab: packages
	@scripts/lab.sh

packages:
	@scripts/packages.sh
