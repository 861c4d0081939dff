package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/internal/store"
)

func newJobsTotal() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_jobs_total",
		Help: "Jobs that ended, by kind (replay, backfill) and state: done, failed, cancelled."}, []string{"kind", "state"})
	for _, state := range []string{store.JobDone, store.JobFailed, store.JobCancelled} {
		v.WithLabelValues(jobReplay, state)
		v.WithLabelValues(jobBackfill, state)
	}
	return v
}

func (m *metrics) jobEnded(kind, state string) { m.jobsTotal.WithLabelValues(kind, state).Inc() }
