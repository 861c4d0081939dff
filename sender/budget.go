package sender

import (
	"sync/atomic"

	"github.com/rowhook/rowhook/mapping"
)

// The price of what is under way, in bytes, beside the bodies themselves: what the structures around them take.
const (
	eventOverhead    = 400
	deliveryOverhead = 440
	// knownOverhead is what a value of a dead letter takes beside its texts.
	knownOverhead = 64
)

// subscriptionState is what a subscription takes that has something in memory, in bytes, beside what its deliveries are
// charged for: its state, its first key and what was made for sending to it.
const subscriptionState = 1 << 10

// StateSize is about how much memory the state of the subscriptions takes that are remembered now, in bytes: of those that
// have something to be sent, or due, and of the last ones that had.
func (d *Dispatcher) StateSize() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return subscriptionState * int64(len(d.subs))
}

// StateSize is about how much memory the state of so many subscriptions can take at once beyond Memory, in bytes: of those
// that have something to be sent.
func (c Config) StateSize(subscriptions int) int64 {
	return subscriptionState * min(int64(subscriptions), idleKept+c.Memory/(eventOverhead+deliveryOverhead))
}

// priceOf is what a job's event is charged for, until the last of its deliveries is settled; each of these is charged
// deliveryOverhead beside.
func priceOf(j *Job) int64 {
	price := int64(j.Event.Size()) + eventOverhead
	if len(j.To) > 1 {
		price += int64(j.Event.Size()) + standardOverhead // what is sent is kept for all of them
	}
	return price
}

// body is an event under way, as long as one of its deliveries is not settled. Its price is priceOf's.
type body struct {
	price      int64
	deliveries int
	// shared says that it goes to several, for which text keeps what is sent once it was written.
	shared bool
	text   atomic.Pointer[[]byte]
	// stored says that the event's row is in the store. It belongs to the recorder.
	stored bool
}

// textOf is what is sent of an event that goes to several, not to be changed: a transport may read it for a moment longer
// than an attempt takes, and others that of the same event.
func (b *body) textOf(ev *mapping.Event) []byte {
	if text := b.text.Load(); text != nil {
		return *text
	}
	// Two may write it at the same time; it is the same.
	text := AppendStandard(make([]byte, 0, ev.Size()+standardOverhead), ev)
	b.text.Store(&text)
	return text
}

// budget bounds what is under way. It is guarded by the dispatcher's mutex.
type budget struct {
	limit, used int64
	// freed is signalled when something was given back.
	freed chan struct{}
}

// room says whether something of the price is admitted: also when it is larger than the limit, if it is alone.
func (b *budget) room(price int64) bool { return b.used == 0 || b.used+price <= b.limit }

func (b *budget) take(price int64) { b.used += price }

func (b *budget) give(price int64) {
	b.used -= price
	wake(b.freed)
}
