# Targets: make help

.DEFAULT_GOAL := help

help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: ## watch hooks arrive from a throw-away Postgres
	go run ./cmd/rowhook demo

build: ## build ./rowhook, one static binary
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" -o rowhook ./cmd/rowhook

test: ## run all tests
	go test ./...

race: ## run all tests with the race detector
	go test -race ./...

chaos: ## kill rowhook 100 times and Postgres 20 times under load; CHAOS_SEED plays a schedule again
	CHAOS_LONG=1 go test -count=1 -timeout 3h -v -run '^TestChaosLong$$' ./internal/chaos

fuzz: ## fuzz everything that reads bytes from outside, FUZZTIME each (30s)
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
			echo "$$n in $$(dirname $$f)"; \
			go test -run '^$$' -fuzz "^$$n\$$" -fuzztime $${FUZZTIME:-30s} ./$$(dirname $$f) || exit 1; \
		done; \
	done

bench: ## measure rowhook beside the limit of the machine; BENCH='-quick -run backlog', PROFILE=1 for CPU profiles
	go run ./bench -json bench.json $(if $(PROFILE),-profile profiles) $(BENCH)

bench-proxy: ## measure an application bare, through rowhook proxy and through nginx
	go run ./bench -run '^proxy' -json bench-proxy.json $(if $(PROFILE),-profile profiles) $(BENCH)

gobench: ## run the Go benchmarks of single packages
	go test -run '^$$' -bench . -benchmem ./cdc ./mapping ./subscriptions ./sender ./internal/store

latency: ## measure commit to receipt, one row at a time
	go run ./cmd/rowhook demo --latency 2000

memory: ## measure the peak of memory: a transaction of a million rows, a backlog, slow receivers
	ROWHOOK_MEMORY=large go test -run '^TestMemoryIsBounded$$' -count=1 -timeout 30m -v ./internal/app | grep -E 'peak|^(ok|FAIL|---)'

isolation: ## measure what healthy targets get beside hanging and failing ones
	ROWHOOK_ISOLATION=1 go test -run '^TestMeasureIsolation$$' -count=1 -timeout 30m -v ./sender | grep -E '/s|ratio|^(ok|FAIL)'

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

ci: ## what CI runs
	bash .ci/run

.PHONY: help demo build test race chaos fuzz bench bench-proxy gobench latency memory isolation lint ci
