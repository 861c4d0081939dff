package app

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// letterMetrics counts the open dead letters when it is asked, of any process: what stands by shows them too.
type letterMetrics struct {
	app  *App
	desc *prometheus.Desc

	mu   sync.Mutex
	last map[string]int
}

func newLetterMetrics(a *App) *letterMetrics {
	return &letterMetrics{app: a, desc: prometheus.NewDesc("rowhook_dead_letters_open",
		"Dead letters that wait for a person, by resource; of resources that the config does not have any more under the empty name.", []string{"resource"}, nil)}
}

// letterTimeout bounds the count: metrics are there when the store is not.
const letterTimeout = time.Second

// Describe implements prometheus.Collector.
func (m *letterMetrics) Describe(out chan<- *prometheus.Desc) { out <- m.desc }

// Collect implements prometheus.Collector. While the store does not answer the last count is shown.
func (m *letterMetrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if st := m.app.store.Load(); st != nil {
		ctx, cancel := context.WithTimeout(context.Background(), letterTimeout)
		defer cancel()
		if open, err := m.app.openLetters(ctx, st); err == nil {
			m.last = open
		}
	}
	for resource, n := range m.last {
		out <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(n), resource)
	}
}
