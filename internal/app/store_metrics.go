package app

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// storeMetrics are what is in the store, of any process: what stands by shows them too. Reading them is bounded as for a status, with
// which they share what was read.
type storeMetrics struct {
	app                                                         *App
	bytes, logBytes, logDays, logEvents, logOldest              *prometheus.Desc
	oldestDue, subscriptions, failing, clock, build, streamLate *prometheus.Desc
}

func newStoreMetrics(a *App) *storeMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &storeMetrics{
		app:           a,
		bytes:         desc("rowhook_store_bytes", "What the store takes on disk, with the event log. At most a minute old."),
		logBytes:      desc("rowhook_event_log_bytes", "What events, attempts and outcomes take on disk, with indexes. At most a minute old."),
		logDays:       desc("rowhook_event_log_partitions", "Days of which something is kept."),
		logEvents:     desc("rowhook_event_log_events", "Events that are kept: an estimate."),
		logOldest:     desc("rowhook_event_log_oldest_age_seconds", "Time since the oldest event that is kept was committed; 0 where there is none."),
		oldestDue:     desc("rowhook_deliveries_oldest_due_age_seconds", "Time since the commit of the oldest change of which a delivery is in the store; 0 where there is none."),
		subscriptions: desc("rowhook_subscriptions", "Subscriptions, by state.", "state"),
		failing:       desc("rowhook_subscriptions_failing", "Active subscriptions whose targets take nothing."),
		clock:         desc("rowhook_clock_offset_seconds", "How much the clock of the database is ahead of this process's."),
		streamLate:    desc("rowhook_replication_lag_seconds", "How long ago what is being sent was committed; 0 where nothing is."),
		build:         desc("rowhook_build_info", "1, with the version of rowhook and of Go.", "version", "go_version"),
	}
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.bytes, m.logBytes, m.logDays, m.logEvents, m.logOldest, m.oldestDue, m.subscriptions, m.failing, m.clock, m.streamLate, m.build} {
		out <- d
	}
}

// Collect implements prometheus.Collector. What is not known yet is left out.
func (m *storeMetrics) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	age := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(now.Sub(t).Seconds(), 0)
	}
	gauge(m.build, 1, m.app.opts.Version, runtime.Version())
	if !m.app.opts.ProxyAlone {
		repl := m.app.replication()
		gauge(m.streamLate, m.app.streamStatus(repl, now).LagSeconds)
		if !repl.Lag.At.IsZero() {
			gauge(m.clock, repl.Lag.Clock.Seconds())
		}
	}
	if z := m.app.sizes(context.Background()); z != nil {
		gauge(m.bytes, float64(z.Store))
		gauge(m.logBytes, float64(z.Log))
		gauge(m.logDays, float64(z.Days))
		gauge(m.logEvents, float64(z.Events))
		gauge(m.logOldest, age(z.Oldest))
	}
	// While the store does not answer what was read last is shown.
	if c, _ := m.app.measured(context.Background()); c != nil {
		gauge(m.oldestDue, age(c.OldestDue))
		gauge(m.failing, float64(c.Failing))
		for _, state := range []string{"active", "shadow", "pending", "disabled", "expired"} {
			gauge(m.subscriptions, float64(c.States[state]), state)
		}
	}
}
