# Lockstep. `make test` is what CI runs; it installs the Debian packages that it uses when they are missing.
GO       ?= go
TOOL      = $(GO) tool -modfile=tools/go.mod
FUZZTIME ?= 5s

.PHONY: test check fuzz bench packages

test: packages
	$(GO) vet ./...
	$(GO) test ./...

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
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg >/tmp/lockstep-fuzz.log 2>&1 || { cat /tmp/lockstep-fuzz.log; exit 1; }; \
	  done; done

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

packages:
	@scripts/packages.sh
