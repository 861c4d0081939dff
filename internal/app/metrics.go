package app

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

// metrics are what /metrics shows. Labels are bounded: verdicts, typed reasons, events of the mapping.
type metrics struct {
	app      *App
	registry *prometheus.Registry

	changesTotal  prometheus.Counter
	mutedTotal    prometheus.Counter
	eventsTotal   *prometheus.CounterVec
	deadLetters   prometheus.Counter
	filterErrors  prometheus.Counter
	disabledTotal prometheus.Counter
	gapsTotal     prometheus.Counter
	droppedTotal  *prometheus.CounterVec
	attemptsTotal *prometheus.CounterVec
	// fallbacksTotal counts deliveries, not attempts at fallbacks.
	fallbacksTotal prometheus.Counter
	attemptTime    prometheus.Histogram
	latency        prometheus.Histogram
	reloads        *prometheus.CounterVec
	asked          *prometheus.CounterVec
	verifications  *prometheus.CounterVec
	endings        *prometheus.CounterVec
	jobsTotal      *prometheus.CounterVec
	gauges         map[*prometheus.Desc]func() float64
}

func newMetrics(a *App) *metrics {
	m := &metrics{
		app:           a,
		registry:      prometheus.NewRegistry(),
		changesTotal:  prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_changes_total", Help: "Committed changes read from the stream."}),
		mutedTotal:    prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_muted_changes_total", Help: "Changes of transactions that the application muted: nothing of them is sent."}),
		eventsTotal:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_events_total", Help: "Events that matched at least one subscription, by type."}, []string{"type"}),
		gapsTotal:     prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_gaps_accepted_total", Help: "Gaps that the operator accepted: changes that are never delivered."}),
		deadLetters:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_dead_letters_total", Help: "Changes that could not be mapped, and records that the store refused."}),
		disabledTotal: prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_subscriptions_disabled_total", Help: "Subscriptions that were disabled because their target took nothing for 5 days."}),
		filterErrors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_filter_errors_total", Help: "Deliveries that were not made because the subscription's filter failed on the event."}),
		attemptsTotal: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_attempts_total", Help: "Attempts that ended, by result: delivered, or the reason of the failure."}, []string{"result"}),
		attemptTime:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rowhook_attempt_duration_seconds", Help: "Time from the start of a request to the answer's headers.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		latency:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rowhook_delivery_latency_seconds", Help: "Time from commit to the answer of a first attempt that delivered, by both machines' clocks.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 20)}),
	}
	m.droppedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_deliveries_dropped_total",
		Help: "Deliveries that were matched and are not sent for themselves, by reason: shadow, feed, debounced."}, []string{"reason"})
	for _, reason := range []sender.DropReason{sender.DropShadow, sender.DropFeed, sender.DropDebounced} {
		m.droppedTotal.WithLabelValues(reason.String())
	}
	m.fallbacksTotal = prometheus.NewCounter(prometheus.CounterOpts{Name: "rowhook_fallbacks_total", Help: "Deliveries that went over to their subscription's fallback."})
	m.reloads = newReloads()
	m.verifications, m.endings = newVerifications(), newEndings()
	m.jobsTotal = newJobsTotal()
	m.asked = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_application_requests_total",
		Help: "Requests to the application for ${api.…}, by result: ok, missing (404), failed."}, []string{"result"})
	for _, result := range []string{askedOK, askedMissing, askedFailed} {
		m.asked.WithLabelValues(result)
	}
	m.gauges = map[*prometheus.Desc]func() float64{}
	gauge := func(name, help string, read func() float64) {
		m.gauges[prometheus.NewDesc(name, help, nil, nil)] = read
	}
	gauge("rowhook_resources_unfit", "Resources whose mapping does not fit their table any more: their changes are dead letters.", func() float64 {
		if m := a.mapper.Load(); m != nil {
			return float64(len(m.Unfit()))
		}
		return 0
	})
	source := func(read func(cdc.Status) float64) func() float64 {
		return func() float64 {
			if s := a.source.Load(); s != nil {
				return read(s.Status())
			}
			return 0
		}
	}
	counts := func(read func(sender.Counts) float64) func() float64 {
		return func() float64 {
			if d := a.dispatcher.Load(); d != nil {
				return read(d.Counts())
			}
			return 0
		}
	}
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("rowhook_ready", "1 while replicating and delivering, or standing by.", func() float64 { return truth(a.readiness().Ready) })
	gauge("rowhook_paused", "1 while nothing is sent because somebody has paused rowhook.", func() float64 { return truth(a.paused()) })
	gauge("rowhook_replication_streaming", "1 while streaming from the slot.", source(func(s cdc.Status) float64 { return truth(s.Phase == cdc.Streaming) }))
	gauge("rowhook_replication_received_lsn", "Position up to which everything was received, in bytes.", source(func(s cdc.Status) float64 { return float64(s.Received) }))
	gauge("rowhook_replication_acknowledged_lsn", "Position up to which everything is durable, in bytes.", source(func(s cdc.Status) float64 { return float64(s.Acknowledged) }))
	gauge("rowhook_replication_connections", "Replication connections made since the start.", source(func(s cdc.Status) float64 { return float64(s.Connections) }))
	gauge("rowhook_replication_unsettled_batches", "Batches that hold back the acknowledged position.", source(func(s cdc.Status) float64 { return float64(s.Unsettled) }))
	gauge("rowhook_attempts_in_flight", "Requests under way.", counts(func(c sender.Counts) float64 { return float64(c.InFlight) }))
	gauge("rowhook_deliveries_in_memory", "Deliveries that are not settled.", counts(func(c sender.Counts) float64 { return float64(c.InMemory) }))
	gauge("rowhook_memory_charged_bytes", "What is charged to the memory budget.", counts(func(c sender.Counts) float64 { return float64(c.Bytes) }))
	gauge("rowhook_deliveries_due", "Deliveries in the store that are to be sent.", counts(func(c sender.Counts) float64 { return float64(c.StoredRows) }))
	gauge("rowhook_subscriptions_behind", "Subscriptions that have deliveries in the store.", counts(func(c sender.Counts) float64 { return float64(c.StoredSubscriptions) }))
	gauge("rowhook_jobs_running", "Jobs under way, such as replays.", func() float64 { return float64(a.jobs.Load().count()) })
	circuit := func(state string, read func(sender.Counts) int) {
		m.gauges[prometheus.NewDesc("rowhook_circuits", "Targets in trouble, by state of their circuit breaker: open, tried after a pause; half_open, being tried.",
			nil, prometheus.Labels{"state": state})] = counts(func(c sender.Counts) float64 { return float64(read(c)) })
	}
	circuit("open", func(c sender.Counts) int { return c.CircuitsOpen })
	circuit("half_open", func(c sender.Counts) int { return c.CircuitsHalfOpen })
	gauge("rowhook_subscriptions_paused", "Subscriptions whose targets asked for time by Retry-After.", counts(func(c sender.Counts) float64 { return float64(c.Paused) }))
	reads := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rowhook_reads_total", Help: "Queries for values that the stream did not send, and for rows of relations."},
		func() float64 { return float64(a.reads.Queries()) })
	m.registry.MustRegister(m.changesTotal, m.mutedTotal, reads, m.eventsTotal, m.deadLetters, m.filterErrors, m.disabledTotal, m.gapsTotal, m.attemptsTotal, m.droppedTotal, m.fallbacksTotal, m.attemptTime, m.latency, m.reloads, m.asked, m.verifications, m.endings, m.jobsTotal, newSlotMetrics(a), newLetterMetrics(a), newStoreMetrics(a), m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for d := range m.gauges {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for d, read := range m.gauges {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, read())
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) changes(b *cdc.Batch) { m.changesTotal.Add(float64(len(b.Changes))) }

func (m *metrics) muted(n int) { m.mutedTotal.Add(float64(n)) }

func (m *metrics) matched(jobs []sender.Job) {
	for _, j := range jobs {
		if len(j.To) == 0 && j.Event.Data != nil {
			continue // its filters said no when it was complete
		}
		m.eventsTotal.WithLabelValues(j.Event.Type).Inc()
	}
}

func (m *metrics) dropped(r sender.DropReason) { m.droppedTotal.WithLabelValues(r.String()).Inc() }

func (m *metrics) buried(n int) { m.deadLetters.Add(float64(n)) }

// The results of attempts that are no typed reason of a failure.
const (
	resultDelivered   = "delivered"
	resultRetryAfter  = "retry_after"
	resultDropped     = "dropped"
	resultInterrupted = "interrupted"
)

func (m *metrics) attempt(r sender.Report) {
	result := r.Outcome.Reason
	switch r.Outcome.Verdict {
	case sender.Delivered:
		result = resultDelivered
		if r.Attempt == 1 && !r.Replay {
			m.latency.Observe(max(time.Since(r.Event.Time).Seconds(), 0))
			for _, ev := range r.Messages[:max(len(r.Messages)-1, 0)] { // the last one's time is that of all
				m.latency.Observe(max(time.Since(ev.Time).Seconds(), 0))
			}
		}
	case sender.Wait:
		if result != sender.ReasonProxy {
			result = resultRetryAfter
		}
	case sender.Drop:
		result = resultDropped
	case sender.Interrupted:
		result = resultInterrupted
	}
	m.attemptsTotal.WithLabelValues(result).Inc()
	if r.FallsBack {
		m.fallbacksTotal.Inc()
	}
	m.attemptTime.Observe(r.Outcome.Duration.Seconds())
}
