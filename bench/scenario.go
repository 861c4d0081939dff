//go:build unix

package main

import (
	"context"
	"fmt"
)

// A scenario is measured by running its variants in turns: A B A B …
type scenario struct {
	Name string
	What string // in a sentence
	// large ones take minutes, and are run only if asked for.
	large    bool
	variants []variant
	ratios   []ratio
}

// variant is one of the things that are compared. It is run in a fresh database.
type variant struct {
	Name string
	run  func(ctx context.Context, b *bench, d *database) (*outcome, error)
}

// ratio compares a metric of two variants, turn by turn. With excess it is how much more the first has than the second,
// as a part of the second.
type ratio struct {
	metric
	of, to string
	excess bool
}

func (r ratio) name() string {
	if r.excess {
		return fmt.Sprintf("%s, %s over %s", r.metric.Name, r.of, r.to)
	}
	return fmt.Sprintf("%s, %s / %s", r.metric.Name, r.of, r.to)
}

// metric is one figure of a run.
type metric struct{ Name, Unit string }

var (
	rate            = metric{"rate", "events/s"}
	firstEvent      = metric{"first event after the start", "ms"}
	cpuPerEvent     = metric{"CPU", "us/event"}
	peakRSS         = metric{"peak RSS", "MiB"}
	receiverCPU     = metric{"receiver's CPU", "us/event"}
	postgresCPU     = metric{"Postgres' CPU", "us/event"}
	postgresPrivate = metric{"Postgres' private memory", "MiB"}

	latency50 = metric{"INSERT sent to receipt, p50", "ms"}
	latency99 = metric{"INSERT sent to receipt, p99", "ms"}
	insert50  = metric{"the INSERT's own, p50", "ms"}
	insert99  = metric{"the INSERT's own, p99", "ms"}
	over50    = metric{"p50 over the INSERT's own", "ms"}
	over99    = metric{"p99 over the INSERT's own", "ms"}
	commit50  = metric{"commit's timestamp to receipt, p50", "ms"}
	commit99  = metric{"commit's timestamp to receipt, p99", "ms"}
	late99    = metric{"load generator late, p99", "ms"}

	eventsPerRequest = metric{"events in a request", ""}

	behind         = metric{"behind at the last write", "events"}
	walPerWrite    = metric{"WAL per write", "bytes"}
	connectionsMax = metric{"connections, most", ""}
	transactions   = metric{"application", "tx/s"}
	transaction50  = metric{"transaction, p50", "ms"}
	transaction99  = metric{"transaction, p99", "ms"}
)

// outcome is what one run gave.
type outcome struct {
	Values map[string]float64 `json:"values"`
	// Expected are the events that had to arrive; the other three are what went wrong.
	Expected   int64 `json:"expected"`
	Lost       int64 `json:"lost"`
	Doubled    int64 `json:"doubled"`
	Disordered int64 `json:"out_of_order"`

	order []metric
}

func newOutcome(expected int64, got receipts) *outcome {
	return &outcome{Values: map[string]float64{}, Expected: expected, Lost: expected - got.Distinct, Doubled: got.Doubled, Disordered: got.Disordered}
}

func (o *outcome) set(m metric, value float64) {
	if _, ok := o.Values[m.Name]; !ok {
		o.order = append(o.order, m)
	}
	o.Values[m.Name] = value
}

// sizes are how much the scenarios move.
type sizes struct {
	// batch is how many events the requests with several have: fewer may all have come before the first look, from which on is measured.
	batch                             int64
	backlog, transaction, large, slow int64
	fanOutEvents, fanOut              int64
	subscriptions, accounts, matching int64
	tables, perTable                  int64
	isolation, retained, retention    int64
	latency, application              int64 // seconds
	wal, connections                  int64 // seconds
	latencyRates                      []int
	walRate, connectionRate           int
	applicationClients                int
	applicationInstances              int64
	proxy                             float64 // seconds
}

func sizesOf(quick bool) sizes {
	s := sizes{backlog: 100_000, batch: 100_000, transaction: 100_000, large: 1_000_000, slow: 8_000, fanOutEvents: 500, fanOut: 100,
		subscriptions: 100_000, accounts: 10_000, matching: 50_000, isolation: 5_000, retained: 1_000_000, retention: 50_000, tables: 1_000, perTable: 300,
		latency: 10, application: 15, wal: 10, connections: 5, proxy: 2}
	if quick {
		s = sizes{backlog: 2_000, batch: 8_000, transaction: 2_000, large: 5_000, slow: 500, fanOutEvents: 20, fanOut: 100,
			subscriptions: 2_000, accounts: 200, matching: 1_000, isolation: 200, retained: 5_000, retention: 1_000, tables: 20, perTable: 50,
			latency: 1, application: 2, wal: 1, connections: 1, proxy: 0.5}
	}
	s.latencyRates, s.walRate, s.connectionRate = []int{200, 1000}, 1000, 1000
	s.applicationClients, s.applicationInstances = 4, 10_000
	return s
}

// scenarios are all that there are, in the order in which they are run.
func scenarios(o options) []scenario {
	s := sizesOf(o.quick)
	all := []scenario{backlogScenario(s), transactionScenario(s, "transaction", s.transaction), transactionScenario(s, "transaction-large", s.large)}
	all[2].large = true
	for _, r := range s.latencyRates {
		all = append(all, latencyScenario(s, r))
	}
	return append(all, slowScenario(s), bodyScenario(s), batchScenario(s), fanOutScenario(s), subscriptionsScenario(s), isolationScenario(s),
		retentionScenario(s), eventLogScenario(s), tablesScenario(s), relationsScenario(s), walScenario(s), connectionsScenario(s), applicationScenario(s), proxyScenario(s, 1), proxyScenario(s, 200))
}
