package tracing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// ids are those that a delivery's span is to have.
type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

type idsKey struct{}

// idsOf are the same in every process and at every attempt.
func idsOf(event, subscription string) (i ids) {
	sum := sha256.Sum256([]byte(event))
	copy(i.trace[:], sum[:])
	sum = sha256.Sum256([]byte(event + "\x00" + subscription))
	copy(i.span[:], sum[:])
	return i
}

// generator gives a span the ids that its context names, and others random ones.
type generator struct{}

func (generator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if i, ok := ctx.Value(idsKey{}).(ids); ok {
		return i.trace, i.span
	}
	var t trace.TraceID
	for !t.IsValid() {
		binary.LittleEndian.PutUint64(t[:8], rand.Uint64())
		binary.LittleEndian.PutUint64(t[8:], rand.Uint64())
	}
	return t, randomSpan()
}

func (generator) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if i, ok := ctx.Value(idsKey{}).(ids); ok {
		return i.span
	}
	return randomSpan()
}

func randomSpan() (s trace.SpanID) {
	for !s.IsValid() {
		binary.LittleEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}
