package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/cdc"
)

// walLevel is how much log the slot keeps, against database.max_wal_lag.
type walLevel uint8

const (
	walFine walLevel = iota
	// walHalf is half of it and more, walOver more than all.
	walHalf
	walOver
)

// levelOf places a lag. It takes a little less to come down than to go up, so that each crossing is told once.
func levelOf(retained, budget int64, was walLevel) walLevel {
	reached := func(l walLevel, bound int64) bool {
		if was >= l {
			bound -= bound / 8
		}
		return retained > bound
	}
	switch {
	case budget <= 0:
		return walFine
	case reached(walOver, budget):
		return walOver
	case reached(walHalf, budget/2):
		return walHalf
	}
	return walFine
}

// walReason says that the slot keeps more than it should, what holds it, and what to do; empty while all is well. Over
// says that it is more than all.
func (a *App) walReason(s cdc.Status) (reason string, over bool) {
	budget := a.live.Load().Database.MaxWALLag
	level := levelOf(s.Lag.Retained, budget, walFine)
	if level == walFine {
		return "", false
	}
	much := "more than half of"
	if level == walOver {
		much = "more than"
	}
	text := fmt.Sprintf("the slot %s keeps %s of WAL on the server, %s database.max_wal_lag (%s): %s", a.cfg.Database.Slot,
		megabytes(s.Lag.Retained), much, megabytes(budget), a.walHolder(s))
	if s.Lag.Bounded {
		text += fmt.Sprintf("\n  max_slot_wal_keep_size: the slot is lost after %s more", megabytes(max(s.Lag.Safe, 0)))
	}
	return text, level == walOver
}

// walHolder says what keeps the slot from moving, and the next step.
func (a *App) walHolder(s cdc.Status) string {
	d := a.dispatcher.Load()
	if d == nil {
		if w := a.waiting.Load(); w != nil {
			return "rowhook has not started: " + *w
		}
		return "rowhook has not started"
	}
	switch s.Phase {
	case cdc.Streaming:
	case cdc.Standby:
		return "this process stands by, another one reads the slot\n  hint: its own log and /readyz say what holds it"
	default:
		if s.Reason == "" {
			return "replication is " + string(s.Phase)
		}
		return "replication is " + string(s.Phase) + ": " + s.Reason
	}
	switch {
	case s.Lag.Behind < s.Lag.Retained/2:
		return fmt.Sprintf("all but %s is acknowledged, the rest is held by a transaction that was begun long ago, in any database of the server"+
			"\n  hint: look for it, and end it:\n    SELECT pid, datname, usename, application_name, state, xact_start FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;"+
			"\n    SELECT gid, database, owner, prepared FROM pg_prepared_xacts ORDER BY prepared;", megabytes(s.Lag.Behind))
	case d.WriteError() != "":
		return "outcomes cannot be stored: " + d.WriteError()
	}
	if c := d.Counts(); c.Unwritten > 0 {
		return fmt.Sprintf("%d outcomes wait for the store, which does not answer, or is slower than the changes come"+
			"\n  hint: look at the database of store.url: locks, disk, load", c.Unwritten)
	}
	if s.Unsettled > 0 {
		return fmt.Sprintf("rowhook is behind: %d batches are under way\n  hint: if it stays so, raise limits.memory or delivery.max_in_flight", s.Unsettled)
	}
	return "rowhook is behind, and waits for the server, which decodes the log\n  hint: a large transaction comes only when it is decoded whole; see pg_stat_replication_slots"
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// replication is what the source does, with what the slot keeps; before it runs that is measured here.
func (a *App) replication() cdc.Status {
	var s cdc.Status
	if src := a.source.Load(); src != nil {
		s = src.Status()
	}
	if early := a.earlyLag.Load(); early != nil && s.Lag.At.IsZero() {
		s.Lag = *early
	}
	return s
}

const (
	// walEvery is how often the measured lag is looked at, earlyEvery how often it is measured while the start waits.
	walEvery   = time.Second
	earlyEvery = 5 * time.Second
)

// watchWAL tells in the log when the slot keeps too much, once for each crossing. A start that waits may take long, and
// nobody reads the slot meanwhile: so it measures then.
func (a *App) watchWAL(ctx context.Context) {
	tick := time.NewTicker(walEvery)
	defer tick.Stop()
	began, was := time.Now(), walFine
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if a.dispatcher.Load() == nil && time.Since(began) > earlyEvery {
			began = time.Now()
			// What is wrong with the database is told by what waits for it.
			if lag, err := cdc.MeasureLag(ctx, a.sourceConfig()); err == nil {
				a.earlyLag.Store(&lag)
			}
		}
		s := a.replication()
		now := levelOf(s.Lag.Retained, a.live.Load().Database.MaxWALLag, was)
		if now == was {
			continue
		}
		reason, _ := a.walReason(s)
		switch {
		case now == walFine:
			a.log.Info("the slot keeps less than half of database.max_wal_lag again", "bytes", s.Lag.Retained)
		case now == walHalf && was == walOver:
			a.log.Warn("the slot keeps less than database.max_wal_lag again", "bytes", s.Lag.Retained)
		case now == walHalf:
			a.log.Warn("the slot keeps much WAL", "reason", reason)
		default:
			a.log.Error("the slot keeps too much WAL", "reason", reason)
		}
		was = now
	}
}

// slotMetrics are the slot's, from when it was measured first.
type slotMetrics struct {
	app                                    *App
	retained, behind, safe, budget, status *prometheus.Desc
}

func newSlotMetrics(a *App) *slotMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &slotMetrics{
		app:      a,
		retained: desc("rowhook_slot_retained_bytes", "WAL that the slot keeps on the server: from restart_lsn on."),
		behind:   desc("rowhook_slot_confirmed_lag_bytes", "WAL that is not acknowledged: from confirmed_flush_lsn on."),
		safe:     desc("rowhook_slot_safe_wal_bytes", "WAL that may be written before the slot is in danger of being lost, by max_slot_wal_keep_size; +Inf where nothing bounds it."),
		budget:   desc("rowhook_slot_max_wal_lag_bytes", "database.max_wal_lag."),
		status:   desc("rowhook_slot_wal_status", "1 for the wal_status that the server gives the slot.", "status"),
	}
}

// Describe implements prometheus.Collector.
func (m *slotMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.retained, m.behind, m.safe, m.budget, m.status} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *slotMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(m.budget, float64(m.app.live.Load().Database.MaxWALLag))
	lag := m.app.replication().Lag
	if lag.At.IsZero() {
		return
	}
	gauge(m.retained, float64(lag.Retained))
	gauge(m.behind, float64(lag.Behind))
	safe := math.Inf(1)
	if lag.Bounded {
		safe = float64(lag.Safe)
	}
	gauge(m.safe, safe)
	if lag.WALStatus != "" {
		gauge(m.status, 1, lag.WALStatus)
	}
}
