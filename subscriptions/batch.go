package subscriptions

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Batch lets several events come in one request, as an array of messages. It begins when Max messages or Bytes of them wait,
// or Wait after the first of them came.
type Batch struct {
	// Max is the most messages of a request.
	Max int `json:"max"`
	// Bytes is how large the array may be; a single larger message goes alone.
	Bytes Size `json:"bytes"`
	// Wait is how long an event may wait for others. Zero sends together what waits anyway.
	Wait Duration `json:"wait"`
}

// DefaultBatch is what a batch is that says nothing else.
var DefaultBatch = Batch{Max: 100, Bytes: 256 << 10, Wait: Duration(time.Second)}

// The bounds of a batch, and of max_body. A larger batch would be refused by the defaults of most servers, and less than a kilobyte
// has no room for what is left of a message.
const (
	maxBatch      = 1000
	minBatchBytes = 1 << 10
	maxBatchBytes = 1 << 20
	maxBatchWait  = time.Minute
	minMaxBody    = 1 << 10
	maxMaxBody    = 1 << 30
)

var batchMembers = []string{"max", "bytes", "wait"}

func readBatch(v any, m *mistakes) *Batch {
	const path = "delivery.batch"
	o, ok := v.(object)
	if !ok {
		m.add(path, `is %s: give an object such as {"max": 100}, or null for one event in each request`, kindOf(v))
		return nil
	}
	b := DefaultBatch
	for _, member := range o {
		at := join(path, member.name)
		if !slices.Contains(batchMembers, member.name) {
			unknown(m, path, member.name, batchMembers)
			continue
		}
		if member.value == nil {
			continue
		}
		switch member.name {
		case "max":
			if n, ok := wholeNumber(member.value); ok && n >= 1 && n <= maxBatch {
				b.Max = n
			} else {
				m.add(at, "is not a whole number from 1 to %d", maxBatch)
			}
		case "bytes":
			b.Bytes = readSize(m, at, member.value, minBatchBytes, maxBatchBytes)
		case "wait":
			b.Wait, _ = duration(m, at, member.value, 0, maxBatchWait)
		}
	}
	return &b
}

func writableBatch(b *Batch) object {
	return object{{"max", json.Number(strconv.Itoa(b.Max))}, {"bytes", b.Bytes.String()}, {"wait", time.Duration(b.Wait).String()}}
}

// checkBodies refuses options of delivery that the bodies have no place for.
func (s *Subscription) checkBodies(m *mistakes) {
	const (
		alone = `needs messages that carry their ids, and the format "representation" has none: choose another format, or leave it out`
		bare  = `has no place to say what is left out in the format "representation": choose another format, or leave it out`
	)
	if s.Delivery.MaxBody != 0 && s.RequestFormat() == FormatRepresentation {
		m.add("delivery.max_body", bare)
	}
	if s.Delivery.Batch != nil {
		switch {
		case s.RequestFormat() == FormatRepresentation:
			m.add("delivery.batch", alone)
		case s.Request != nil && s.Request.IsForm():
			m.add("delivery.batch", "needs a body of JSON, and this subscription gets forms: leave out request.encoding and request.method, or the batch")
		}
	}
}
