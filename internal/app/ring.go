package app

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rowhook/rowhook/client"
)

const (
	// stepEvery is the time between two readings of the counters, ringSteps how many are kept: fifteen minutes.
	stepEvery = 10 * time.Second
	ringSteps = 15*60/10 + 1
	// rateWindow is what rates are means of, at most.
	rateWindow = time.Minute
)

// reading is what the counters said at a time.
type reading struct {
	at                                 time.Time
	changes, events, delivered, failed float64
	lag                                int64
	latency, attempts                  cumulative
}

// cumulative is a histogram: how many were at most bounds[i], for each.
type cumulative struct {
	bounds []float64
	counts []uint64
	count  uint64
}

// ring are the last readings. The counters are those of /metrics: what happens is not counted twice, and nothing is counted for it
// where it happens.
type ring struct {
	metrics *metrics
	lag     func() int64

	mu       sync.Mutex
	readings []reading
}

func newRing(m *metrics, lag func() int64) *ring {
	r := &ring{metrics: m, lag: lag}
	r.take(time.Now())
	return r
}

// take reads the counters and keeps what they say.
func (r *ring) take(now time.Time) {
	next := r.metrics.read(now)
	next.lag = r.lag()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.readings) == ringSteps {
		r.readings = append(r.readings[:0], r.readings[1:]...)
	}
	r.readings = append(r.readings, next)
}

// loop takes a reading for each step.
func (r *ring) loop(ctx context.Context) {
	tick := time.NewTicker(stepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.take(now)
		}
	}
}

// series are the steps that are over, the oldest first, and rates what the last minute came to, with what has been counted since.
func (r *ring) series(now time.Time) ([]client.StatusStep, *client.StatusRates) {
	current := r.metrics.read(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := []client.StatusStep{}
	for i := 1; i < len(r.readings); i++ {
		a, b := &r.readings[i-1], &r.readings[i]
		latency := b.latency.since(a.latency)
		steps = append(steps, client.StatusStep{At: b.at.UTC(), Changes: int64(b.changes - a.changes), Events: int64(b.events - a.events),
			Delivered: int64(b.delivered - a.delivered), Failed: int64(b.failed - a.failed), LagBytes: b.lag,
			P50: latency.quantile(0.5), P99: latency.quantile(0.99)})
	}
	from := &r.readings[0]
	for i := range r.readings {
		if now.Sub(r.readings[i].at) >= rateWindow {
			from = &r.readings[i]
		}
	}
	seconds := max(now.Sub(from.at).Seconds(), 1)
	latency, attempts := current.latency.since(from.latency), current.attempts.since(from.attempts)
	rate := func(now, then float64) float64 { return math.Round((now-then)/seconds*1000) / 1000 }
	return steps, &client.StatusRates{WindowSeconds: int(math.Round(seconds)), ChangesPerSecond: rate(current.changes, from.changes),
		EventsPerSecond: rate(current.events, from.events), DeliveriesPerSecond: rate(current.delivered, from.delivered),
		FailuresPerSecond: rate(current.failed, from.failed), LatencySeconds: latency.quantiles(), AttemptSeconds: attempts.quantiles()}
}

// since is what was added to an earlier reading of the same histogram.
func (c cumulative) since(before cumulative) cumulative {
	if len(before.counts) != len(c.counts) {
		return c
	}
	d := cumulative{bounds: c.bounds, counts: make([]uint64, len(c.counts)), count: c.count - before.count}
	for i := range c.counts {
		d.counts[i] = c.counts[i] - before.counts[i]
	}
	return d
}

// quantile is the value that the share q is at most, by the bounds of the histogram; nil where there is none. What is beyond the last
// bound counts as that.
func (c cumulative) quantile(q float64) *float64 {
	if c.count == 0 || len(c.bounds) == 0 {
		return nil
	}
	rank := q * float64(c.count)
	value := c.bounds[len(c.bounds)-1]
	for i, n := range c.counts {
		if float64(n) < rank {
			continue
		}
		low, below := 0.0, uint64(0)
		if i > 0 {
			low, below = c.bounds[i-1], c.counts[i-1]
		}
		if n > below {
			value = low + (c.bounds[i]-low)*(rank-float64(below))/float64(n-below)
		} else {
			value = c.bounds[i]
		}
		break
	}
	return &value
}

func (c cumulative) quantiles() client.StatusQuantiles {
	return client.StatusQuantiles{P50: c.quantile(0.5), P90: c.quantile(0.9), P99: c.quantile(0.99)}
}

// read is what the counters say now. Attempts that were cut by our own stop are no failures, nor is a target that asks for time.
func (m *metrics) read(now time.Time) reading {
	r := reading{at: now, changes: valueOf(m.changesTotal), events: sumOf(m.eventsTotal, nil), latency: histogramOf(m.latency), attempts: histogramOf(m.attemptTime)}
	r.delivered = sumOf(m.attemptsTotal, func(result string) bool { return result == resultDelivered })
	r.failed = sumOf(m.attemptsTotal, func(result string) bool {
		return result != resultDelivered && result != resultInterrupted && result != resultRetryAfter && result != resultDropped
	})
	return r
}

func valueOf(c prometheus.Metric) float64 {
	var d dto.Metric
	if c.Write(&d) != nil {
		return 0
	}
	return d.GetCounter().GetValue()
}

// sumOf adds the counters whose one label's value is wanted; nil is all.
func sumOf(v *prometheus.CounterVec, wanted func(label string) bool) (sum float64) {
	all := make(chan prometheus.Metric)
	go func() {
		v.Collect(all)
		close(all)
	}()
	for m := range all {
		var d dto.Metric
		if m.Write(&d) == nil && (wanted == nil || len(d.Label) == 1 && wanted(d.Label[0].GetValue())) {
			sum += d.GetCounter().GetValue()
		}
	}
	return sum
}

func histogramOf(h prometheus.Metric) (c cumulative) {
	var d dto.Metric
	if h.Write(&d) != nil {
		return c
	}
	c.count = d.GetHistogram().GetSampleCount()
	for _, b := range d.GetHistogram().GetBucket() {
		c.bounds, c.counts = append(c.bounds, b.GetUpperBound()), append(c.counts, b.GetCumulativeCount())
	}
	return c
}
