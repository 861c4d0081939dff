package sender

import (
	"hash/fnv"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// orderingKey is the number of an ordering key within its subscription. Two instances with the same one only wait for
// each other without need.
func orderingKey(ev *mapping.Event, ordered bool) int64 {
	h := fnv.New64a()
	if !ordered {
		// Every event is a key of its own.
		p := ev.Position.Bytes()
		_, _ = h.Write(p[:])
		return int64(h.Sum64())
	}
	_, _ = h.Write([]byte(ev.Resource))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(ev.Instance))
	return int64(h.Sum64())
}

// delivery is an event on its way to a subscription, in memory.
type delivery struct {
	event *mapping.Event
	body  *body
	lane  *lane
	// receipt is nil for one that was read from the store.
	receipt     *cdc.Receipt
	attempts    int
	retryReason string
	// stored says that it has a due row, or that one is being written.
	stored    bool
	running   bool
	submitted time.Time
	// prev and next are the neighbours in the order of submission, while it can still expire.
	prev, next *delivery
	listed     bool
}

// lane is an ordering key of a subscription in memory. It is direct while the store has no row of it, else stored: then
// every later delivery is stored, until no row is left. A lane exists only while it has something.
type lane struct {
	sub *subscription
	key int64
	// queue waits behind current, in order; both are empty in turn when the lane is stored and nothing runs.
	queue   []*delivery
	current *delivery
	// rows counts the rows in the store and on the way there, unless the whole subscription is stored.
	rows int
}

// subscription is what the dispatcher knows of one that has, or had, something to be sent.
type subscription struct {
	sub    *subscriptions.Subscription
	target *target
	// broken is why the target cannot be used.
	broken  error
	lanes   map[int64]*lane
	timeout time.Duration
	retries []time.Duration
	ordered bool
	slots   int

	inFlight int
	// fresh are the lanes whose next delivery may start; due those of deliveries read from the store.
	fresh, due fifo[*delivery]
	// ready says that it stands in the dispatcher's queue.
	ready bool
	// bytes are charged for deliveries in memory.
	bytes    int64
	lastDone time.Time

	// whole says that every delivery goes through the store, until it has caught up. rows counts all its rows.
	whole bool
	rows  int
	// nextDue is when to look into the store, zero for never; fetching that somebody looks.
	nextDue  time.Time
	fetching bool
	// pending counts, by key, the records of rows that are not written yet; touched holds the keys of which something
	// was recorded or written during a look.
	pending map[int64]int
	touched map[int64]struct{}
	// gone says that it was deleted or disabled: nothing is sent any more.
	gone bool
}

// fifo is a queue that gives its memory back.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 1024 {
			q.items = nil
		}
	} else if q.head > 1024 && q.head*2 > len(q.items) {
		q.items, q.head = append([]T(nil), q.items[q.head:]...), 0
	}
	return v
}

// ages is the list of deliveries in memory in the order of their submission.
type ages struct{ first, last *delivery }

func (a *ages) add(d *delivery) {
	d.prev, d.next, d.listed = a.last, nil, true
	if a.last != nil {
		a.last.next = d
	} else {
		a.first = d
	}
	a.last = d
}

func (a *ages) remove(d *delivery) {
	if !d.listed {
		return
	}
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		a.first = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		a.last = d.prev
	}
	d.prev, d.next, d.listed = nil, nil, false
}
