package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// Attempt begins the span of an attempt, and returns what its request says of it and what ends it: see sender.Config.Trace.
func (t *Tracer) Attempt(r sender.Report) (traceparent string, end func(sender.Report)) {
	events := r.Messages
	if events == nil {
		events = []*mapping.Event{r.Event}
	}
	deliveries := make([]trace.Span, len(events))
	parent := 0
	for i, ev := range events {
		deliveries[i] = t.delivery(ev, r.Subscription)
		if !deliveries[parent].IsRecording() && deliveries[i].IsRecording() {
			parent = i // of a batch of which some are sampled
		}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(about(r)...)}
	if r.Messages == nil {
		options = append(options, trace.WithAttributes(aboutEvent(r.Event)...))
	} else {
		options = append(options, trace.WithAttributes(attribute.Int("messaging.batch.message_count", len(events))))
		for _, d := range deliveries {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: d.SpanContext()}))
		}
	}
	ctx, span := t.tracer.Start(trace.ContextWithSpan(context.Background(), deliveries[parent]), "attempt "+r.Event.Type, options...)
	if t.header {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		traceparent = carrier["traceparent"]
	}
	return traceparent, func(r sender.Report) {
		at := r.Outcome.Started.Add(r.Outcome.Duration)
		finish(span, r, at)
		if r.Replay || !r.Next.IsZero() || r.Outcome.Verdict == sender.Interrupted || r.Outcome.Verdict == sender.Split {
			return // not over, or ended long ago
		}
		for _, d := range deliveries {
			d.SetAttributes(attribute.Int("rowhook.attempts", r.Attempt))
			finish(d, r, at)
		}
	}
}

// delivery begins the span of a delivery at the commit, as a child of what the application was doing in its transaction, if it
// said so. Of one that goes on with another attempt it is thrown away, and begun again there.
func (t *Tracer) delivery(ev *mapping.Event, s *subscriptions.Subscription) trace.Span {
	ctx := context.WithValue(parentOf(ev.Context), idsKey{}, idsOf(ev.ID, s.ID))
	_, span := t.tracer.Start(ctx, "deliver "+ev.Type, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(ev.Time),
		trace.WithAttributes(aboutEvent(ev)...), trace.WithAttributes(attribute.String("rowhook.subscription.id", s.ID)))
	return span
}

// parentOf is the span that the application named in the transaction's context, by the members traceparent and tracestate.
func parentOf(said []byte) context.Context {
	ctx := context.Background()
	if !bytes.Contains(said, []byte(`"traceparent"`)) {
		return ctx
	}
	var c struct {
		Traceparent string `json:"traceparent"`
		Tracestate  string `json:"tracestate"`
	}
	if json.Unmarshal(said, &c) != nil {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": c.Traceparent, "tracestate": c.Tracestate})
}

// aboutEvent leaves out the instance and the account: they are values of the row.
func aboutEvent(ev *mapping.Event) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("rowhook.event.id", ev.ID),
		attribute.String("rowhook.event.type", ev.Type),
		attribute.String("rowhook.event.position", ev.Position.String()),
		attribute.String("rowhook.commit.time", ev.Time.UTC().Format(time.RFC3339Nano)),
	}
}

func about(r sender.Report) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("rowhook.subscription.id", r.Subscription.ID),
		attribute.Int("rowhook.attempt", r.Attempt),
	}
	if r.Replay {
		all = append(all, attribute.Bool("rowhook.replay", true))
	}
	return all
}

// finish writes how it ended, and ends it.
func finish(span trace.Span, r sender.Report, at time.Time) {
	if !span.IsRecording() {
		return
	}
	o := &r.Outcome
	result := resultOf(o)
	span.SetAttributes(attribute.String("rowhook.result", result))
	if o.Fallback {
		span.SetAttributes(attribute.Bool("rowhook.fallback", true))
	} else {
		span.SetAttributes(attribute.String("server.address", r.Subscription.TargetHost()))
	}
	if o.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", o.Status))
	}
	if o.Verdict != sender.Delivered && o.Verdict != sender.Interrupted {
		span.SetAttributes(attribute.String("error.type", result))
		span.SetStatus(codes.Error, result)
	}
	span.End(trace.WithTimestamp(at))
}

// resultOf is the verdict, and of a failure its typed reason: as rowhook_attempts_total has it.
func resultOf(o *sender.Outcome) string {
	switch o.Verdict {
	case sender.Delivered:
		return "delivered"
	case sender.Gone:
		return "gone"
	case sender.Interrupted:
		return "interrupted"
	case sender.Drop:
		return "dropped"
	case sender.Split:
		return "split"
	case sender.Wait:
		if o.Reason != sender.ReasonProxy {
			return "retry_after"
		}
	}
	return o.Reason
}
