# Parley needs Go, git and make. Every target is a line one could type.

export CGO_ENABLED ?= 0

GOLANGCI  := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.2
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME  ?= 10s
BENCHTIME ?= 1s
ROUNDS    ?= 300
DATA      ?= .parley

.DEFAULT_GOAL := help
.PHONY: help demo run build test race lint fuzz bench crash conformance duckdb verify golden clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## run the main job on real input, with a crash in the middle
	go run ./cmd/parley demo

run: ## serve from the folder .parley (DATA=…)
	go run ./cmd/parley serve --data $(DATA)

build: ## build the static binary bin/parley
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/parley ./cmd/parley

test: ## run all tests
	go test ./...

race: ## run the tests, the long ones shortened, under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -short -timeout 8m ./...

lint: ## check format, vet and lint
	@gofmt -l . | { ! grep .; } || { echo 'not formatted: run gofmt -w on these files' >&2; exit 1; }
	go vet ./...
	go run $(GOLANGCI) run

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed 's|/[^/]*:func | |' | while read -r folder name; do \
		echo "$$folder $$name"; go test "$$folder" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) || exit 1; done

bench: ## run the benchmarks (BENCHTIME=1s) and sum up the ratios they print
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) -timeout 60m ./store/... ./projections/... ./timers/... ./internal/bus/... ./internal/engine/... ./internal/httpapi/... ./internal/esdbwire/... ./internal/export/... ./internal/webhooks/... ./internal/channels | tee bench-latest.txt
	go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./internal/endtoend -args -sustain=60s | tee -a bench-latest.txt
	@echo && echo 'Ratios:' && grep -o 'ratio .*' bench-latest.txt | sed 's/^ratio /  /'

crash: ## kill the engine ROUNDS (300) times under load, hurt its files, and compare everything
	go test ./internal/crashtest -run TestCrash -timeout 60m -v -args -rounds=$(ROUNDS)

verify: ## check that generated files and go.mod are up to date
	go run ./internal/generate -check
	go mod tidy -diff
	go mod verify

conformance: ## run the vendor's client suites against the server for EventStoreDB's protocol; ports 2111 to 2115 must be free
	go run ./internal/conformance

duckdb: ## ask the questions of docs/analytics.md of exported files, in DuckDB, which is a module of its own (needs a C compiler)
	cd internal/duckdb && CGO_ENABLED=1 go test -count=1 .

golden: ## rewrite golden files and generated documents; a changed golden is a storage change
	go test ./events -run Golden -update
	go run ./internal/generate

clean: ## remove what was built
	rm -rf bin bench-latest.txt
