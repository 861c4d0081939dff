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

versions: ## run all tests on Postgres 14 to 18; VERSIONS='16 18', TESTS='-run Slot ./cdc'
	@bash internal/pgtest/versions.sh $(TESTS)

chaos: ## kill rowhook 100 times and Postgres 20 times under load; CHAOS_SEED plays a schedule again
	CHAOS_LONG=1 go test -count=1 -timeout 3h -v -run '^TestChaosLong$$' ./internal/chaos

soak: ## half an hour of steady load (SOAK=30m): memory, store and slot must stay flat, and nothing be lost; figures in soak.txt, soak.csv
	@bash -o pipefail -c 'SOAK=$${SOAK:-30m} SOAK_CSV=$(CURDIR)/soak.csv go test -count=1 -timeout 0 -v -run "^TestSoak$$" ./internal/chaos | tee soak.txt'

upgrade: ## upgrade from FROM (the newest tag) to the present one under load, roll back, kill; nothing is lost
	@bash internal/chaos/upgrade.sh

history: ## outages, replays and backfills with kills between them, SEEDS times (10); CHAOS_SEED plays a schedule again
	CHAOS_LONG=1 go test -count=$${SEEDS:-10} -timeout 3h -v -run '^TestHistoryLong$$' ./internal/chaos

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

manifests: ## decode the Kubernetes manifests strictly, with the types of Kubernetes
	cd deploy/kubernetes/validate && go test -count=1 .

release-check: ## check .goreleaser.yaml, and build the archives of all systems into dist/
	go run github.com/goreleaser/goreleaser/v2@v2.13.0 check
	go run github.com/goreleaser/goreleaser/v2@v2.13.0 release --snapshot --clean --skip=docker,sbom

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

console-bench: ## measure how long pages take with 100,000 subscriptions and 1,000,000 events
	ROWHOOK_CONSOLE_BENCH=1 go test -run '^TestMeasurePages$$' -count=1 -timeout 15m -v ./internal/console | grep -E 'median|events,|^(ok|FAIL|---)|_test.go'

console-pictures: ## take the pictures of docs/images again
	ROWHOOK_CONSOLE_PICTURES=1 go test -run '^TestPictures$$' -count=1 ./internal/console

console-script: ## build the console's script of its modules
	ROWHOOK_CONSOLE_SCRIPT=1 go test -run '^TestScriptIsBuilt$$' -count=1 ./internal/console

console-vendor: ## fetch what the console has of others again, and compare
	bash internal/console/vendor.sh

ci: ## what CI runs
	bash .ci/run

.PHONY: help demo build test race versions chaos upgrade history soak fuzz bench bench-proxy gobench latency memory isolation manifests release-check lint ci console-script console-vendor console-bench console-pictures
