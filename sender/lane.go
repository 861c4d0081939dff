package sender

import (
	"hash/fnv"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// OrderingKeys are the numbers of the ordering keys that an event can have within a subscription: with an order of its
// instance's events, and without.
func OrderingKeys(ev *mapping.Event) (ordered, loose int64) {
	return orderingKey(ev, true), orderingKey(ev, false)
}

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
	lane  *lane
	// body and receipt are nil for one that was read from the store; that one is charged for price to its own budget.
	body        *body
	receipt     *cdc.Receipt
	price       int64
	attempts    int
	retryReason string
	// before counts the attempts that were made before it was sent again: the schedule does not know of them.
	before int
	// stored says that it has a due row, or that one is being written.
	stored  bool
	running bool
	// refused says that the store refused its row: a record of its end counts none, and frees its key if that is busy.
	refused bool
	// deferred says that it is to go through the store, replay that it is sent again.
	deferred bool
	replay   bool
	// first says that its row is due before all others.
	first bool
	// waits says that it is counted among its subscription's bytes.
	waits     bool
	submitted time.Time
	// merged is what it stands for beside its event, nil for nothing.
	merged *merged
	// fallback is nil while it goes to the target.
	fallback *Fallback
	// rendered is what its body is charged for while it runs.
	rendered int64
	// with is the next delivery of the same request, those of a key one after another; of what was read from the store and does
	// not run yet, the next of its key. rides says that it is not the first of them, batched that they are an array, and trails
	// that there is an older row of its key.
	with                   *delivery
	rides, batched, trails bool
	// prev and next are the neighbours in the order of submission, while it can still expire.
	prev, next *delivery
	listed     bool
}

// weight is what is charged for it and its event: what is left when it is the last of them.
func (dl *delivery) weight() int64 { return dl.body.price + deliveryOverhead }

// decided is called when what becomes of it for now is on its way to the store: its subscription has done its part.
func (dl *delivery) decided() {
	if dl.waits {
		dl.waits = false
		dl.lane.sub.bytes -= dl.weight()
		dl.lane.sub.waiting--
	}
}

// lane is an ordering key of a subscription in memory. It is direct while the store has no row of it, else stored: then
// every later delivery is stored, until no row is left. A lane exists only while it has something.
type lane struct {
	sub *subscription
	key int64
	// current runs or may run; queue waits behind it, in order, and is empty when there is no current. A queue is never
	// behind a current that is stored.
	current *delivery
	queue   []*delivery
	// rows counts the rows in the store and on the way there, unless the whole subscription is stored.
	rows int
}

// keep makes a lane one of its subscription's.
func (s *subscription) keep(l *lane) {
	if s.lanes == nil {
		s.lanes = map[int64]*lane{}
	}
	s.lanes[l.key] = l
}

// markBusy says that the oldest row of a key is under way.
func (s *subscription) markBusy(key int64) {
	if s.busy == nil {
		s.busy = map[int64]struct{}{}
	}
	s.busy[key] = struct{}{}
}

// forget drops a lane that has nothing.
func (d *Dispatcher) forget(l *lane) {
	if l.current == nil && len(l.queue) == 0 && l.rows == 0 && l.sub.lanes[l.key] == l {
		delete(l.sub.lanes, l.key)
	}
}
