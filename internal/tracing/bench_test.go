package tracing

import (
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// BenchmarkAttempt is what a delivered attempt costs, without what sends the spans.
func BenchmarkAttempt(b *testing.B) {
	for name, ratio := range map[string]float64{"Sampled": 1, "NotSampled": 0} {
		b.Run(name, func(b *testing.B) {
			tracer := newTracer("1", sdktrace.WithSampler(sdktrace.TraceIDRatioBased(ratio)), sdktrace.WithBatcher(tracetest.NewNoopExporter()))
			defer func() { _ = tracer.Close(b.Context()) }()
			r := sender.Report{Event: &mapping.Event{ID: "evt_1", Type: "contact.update", Time: time.Now()}, Attempt: 1,
				Subscription: &subscriptions.Subscription{ID: "sub_1", TargetURL: "https://example.com/hooks"}}
			done := r
			done.Outcome = sender.Outcome{Verdict: sender.Delivered, Status: 200, Started: time.Now(), Duration: time.Millisecond}
			b.ReportAllocs()
			for b.Loop() {
				_, end := tracer.Attempt(r)
				end(done)
			}
		})
	}
}
