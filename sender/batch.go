package sender

import (
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// BatchType is the webhook-type of a request with an array of messages. No subscription has it among its events.
const BatchType = mapping.NoticeResource + ".batch"

// messageOverhead is room for what a message of a batch has beside what it has alone.
const messageOverhead = 64

// gathering is what a subscription knows whose deliveries go several at a time.
type gathering struct {
	subscriptions.Batch
	// limit is the most bytes that its target took lately, after it had refused more; 0 for no limit but Bytes. taken counts
	// the batches since.
	limit, taken int
	// since is when the first of those came that wait; zero when none does.
	since time.Time
	// short and shortBytes are how much must come at least before they are enough. Until then nobody has to count.
	short, shortBytes int
	// size is what those come to that were counted last.
	size int
	// armed says that a timer ends the wait, asked that the store was asked for what it has for the batch.
	armed, asked bool
}

// limitTries is how many batches a target must take before it gets larger ones again.
const limitTries = 100

// askedMax is how long a batch whose time has come waits for what the store has for it.
const askedMax = time.Second

// gatheringOf is what a subscription's options come to; what is known of its target stays.
func gatheringOf(s *subscription) *gathering {
	b := s.sub.Delivery.Batch
	if b == nil {
		return nil
	}
	g := &gathering{Batch: *b}
	if old := s.batch; old != nil {
		g.since, g.limit, g.taken = old.since, old.limit, old.taken
	}
	return g
}

func (g *gathering) bytes() int {
	if g.limit > 0 {
		return min(g.limit, int(g.Bytes))
	}
	return int(g.Bytes)
}

// fits says whether one more message goes with so many of so many bytes.
func (g *gathering) fits(n, size, one int) bool { return n == 0 || n < g.Max && size+one <= g.bytes() }

// messageSize is about how large a message is in an array.
func (s *subscription) messageSize(ev *mapping.Event) int {
	n := bodySize(s.sub.RequestFormat(), ev) + messageOverhead
	if r := s.sub.Request; r != nil {
		n += len(r.CustomData)
	}
	return n
}

// follower is the next delivery of the same key in the same request, nil where there is none.
func (dl *delivery) follower() *delivery {
	if f := dl.with; f != nil && f.lane == dl.lane {
		return f
	}
	return nil
}

// arrives notes that a delivery may go with the next batch: from memory, or from the store once it is read.
func (d *Dispatcher) arrives(s *subscription, dl *delivery, stored bool) {
	g := s.batch
	if g == nil {
		return
	}
	if g.since.IsZero() || dl.submitted.Before(g.since) {
		g.since = dl.submitted
	}
	if !stored {
		g.short--
		g.shortBytes -= s.messageSize(dl.event)
		if len(dl.lane.queue) > 0 {
			g.short = 0 // not alone: they are to be counted
		}
	}
	d.lookAgain(s)
}

// lookAgain says that the time may be another one at which rows are to be looked for.
func (d *Dispatcher) lookAgain(s *subscription) {
	if d.enter(s); s.rows >= s.batch.short {
		wake(d.wakeFetcher)
	}
}

// countAgain says that some of what was counted is in the store by now, or the other way round.
func (d *Dispatcher) countAgain(s *subscription) {
	s.batch.short = 0
	if !s.ready {
		s.ready = true
		d.ready.push(s)
	}
}

// readAgain is called when there is a new row. Where one of its key was read for a batch that waits, both are read then, or the
// new one would not come behind it.
func (d *Dispatcher) readAgain(s *subscription, dl *delivery, now time.Time) {
	l := s.lanes[dl.lane.key]
	if l == nil || l.current == nil || !l.current.stored || l.current.running || !s.batch.waits(now) {
		return
	}
	c := l.current
	l.current = nil
	delete(s.busy, l.key)
	d.unread(c)
	d.settle(c)
	d.forget(l)
	d.countAgain(s)
}

// begin is when the batch begins for which deliveries wait, whatever there is by then.
func (g *gathering) begin() time.Time { return g.since.Add(time.Duration(g.Wait)) }

// gathersUntil is when rows are to be read for a batch, zero where they are read when they are due: all of them together, since
// those of a key that come later do not come behind one that was read before.
func (s *subscription) gathersUntil() time.Time {
	g := s.batch
	if g == nil || s.open || g.since.IsZero() || s.due.len() > 0 || s.rows >= g.short {
		return time.Time{}
	}
	return g.begin()
}

// rowsCome says that rows are due that have not been read.
func (s *subscription) rowsCome(now time.Time) bool {
	return s.looking || !s.nextDue.IsZero() && !s.nextDue.After(now)
}

// waits says that nothing may begin yet, because others may still come.
func (g *gathering) waits(now time.Time) bool {
	return g.short > 0 && g.shortBytes > 0 && !g.since.IsZero() && now.Before(g.begin())
}

// stale says that what stands in a queue was stored, or settled, while it waited.
func (dl *delivery) stale() bool { return dl.lane.current != dl || dl.running }

// ripe says whether a batch may begin, for all that there is to send; if not, it will be asked again.
func (d *Dispatcher) ripe(s *subscription, now time.Time) bool {
	g := s.batch
	if g.waits(now) && !s.open {
		d.arm(s, g.begin())
		return false
	}
	for _, q := range []*fifo[*delivery]{&s.fresh, &s.due} {
		for q.len() > 0 && q.peek().stale() {
			q.pop()
		}
	}
	n, full := s.count()
	if n > 0 && (full || s.open || g.Wait == 0) {
		return true
	}
	if n > 0 && g.since.IsZero() {
		g.since = now
	}
	g.short, g.shortBytes = g.Max-n, g.bytes()-g.size
	switch {
	case g.waits(now):
		d.lookAgain(s)
		d.arm(s, g.begin())
		return false
	case n == 0:
		d.gathered(s, now)
		return false
	case s.due.len() == 0 && s.rowsCome(now) && !g.asked:
		// They go in it too.
		g.asked = true
		d.lookAgain(s)
		d.arm(s, now.Add(askedMax))
		return false
	}
	return true
}

// gathered ends that a batch is waited for, when nothing is there and nothing comes.
func (d *Dispatcher) gathered(s *subscription, now time.Time) {
	if !s.rowsCome(now) {
		s.batch.since = time.Time{}
		d.enter(s)
	}
}

// count counts what the next batch would hold, up to a full one.
func (s *subscription) count() (n int, full bool) {
	g := s.batch
	g.size = 0
	add := func(dl *delivery) bool {
		one := s.messageSize(dl.event)
		if !g.fits(n, g.size, one) {
			full = true
			return false
		}
		n++
		g.size += one
		full = n == g.Max || g.size >= g.bytes()
		return !full
	}
	for _, q := range []*fifo[*delivery]{&s.fresh, &s.due} {
		for _, head := range q.items[q.head:] {
			if head.stale() {
				continue
			}
			for dl := head; dl != nil; dl = dl.follower() {
				if !add(dl) {
					return n, full
				}
			}
			for _, dl := range head.lane.queue {
				if !add(dl) {
					return n, full
				}
			}
		}
	}
	return n, full
}

// fill takes what goes in the same request as a delivery that was just taken: what else may start, and what waits behind it of
// its key. All that comes before one of them, of its key, has ended or is in the request too.
func (d *Dispatcher) fill(s *subscription, first *delivery) {
	g := s.batch
	n, size := 0, 0
	last := first
	// What is sent again, or to the fallback, is said to be so in a header: it goes with its like.
	fits := func(dl *delivery) bool { return dl.alike(first) && g.fits(n, size, s.messageSize(dl.event)) }
	add := func(dl *delivery) {
		n++
		size += s.messageSize(dl.event)
		dl.running, dl.rides = true, dl != first
		last = dl
	}
	for head := first; ; {
		add(head)
		for f := head.with; f != nil; f = f.with {
			if !fits(f) {
				d.unread(last)
				break
			}
			add(f)
		}
		for l := head.lane; len(l.queue) > 0 && fits(l.queue[0]); {
			last.with = l.queue[0]
			l.queue[0] = nil
			l.queue = l.queue[1:]
			add(last.with)
		}
		next := d.peekReady(s)
		if next == nil || !fits(next) {
			break
		}
		d.takeNext(s)
		last.with, head = next, next
	}
	first.batched = true
	d.charge(first, chargeOf(size))
	next := d.peekReady(s)
	switch {
	case next != nil:
		g.since = next.submitted
	case n < g.Max:
		g.since = time.Time{} // else what is in the store has waited as long
	}
	g.short, g.asked = 0, false
	if next == nil {
		g.short = g.Max
	}
	d.lookAgain(s)
}

// peekReady is what takeNext would return, but for what has been stored or settled.
func (d *Dispatcher) peekReady(s *subscription) *delivery {
	for s.fresh.len()+s.due.len() > 0 {
		q := &s.fresh
		if q.len() == 0 {
			q = &s.due
		}
		if dl := q.peek(); !dl.stale() {
			return dl
		}
		q.pop()
	}
	return nil
}

// unread forgets what was read from the store to go behind a delivery: the rows are still there.
func (d *Dispatcher) unread(dl *delivery) {
	for f := dl.with; f != nil; f = f.with {
		d.settle(f)
	}
	dl.with = nil
}

// arm lets it be asked again at the time whether a batch may begin.
func (d *Dispatcher) arm(s *subscription, at time.Time) {
	g := s.batch
	if g.armed {
		return
	}
	g.armed = true
	time.AfterFunc(time.Until(at), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		g.armed = false
		if d.subs[s.key] != s || s.batch != g {
			return
		}
		if now := time.Now(); s.fresh.len()+s.due.len() == 0 && !now.Before(g.begin()) {
			d.gathered(s, now)
		}
		d.makeReady(s)
		d.launch(d.schedule())
	})
}

// hurry lets batches begin before their time, because what waits for them fills the memory.
func (d *Dispatcher) hurry() {
	for _, s := range d.subs {
		if g := s.batch; g != nil && s.fresh.len()+s.due.len() > 0 {
			g.since, g.short = time.Unix(0, 0), 0
			d.enter(s)
			d.makeReady(s)
		}
	}
}

// tooLarge says whether an answer was that a batch is too large, and lets the next ones be half as large. A single message
// cannot be halved.
func (s *subscription) tooLarge(dl *delivery, out *Outcome) bool {
	if out.Verdict != Retry || out.Status != http.StatusRequestEntityTooLarge || dl.with == nil || s.batch == nil {
		return false
	}
	size := 0
	for m := dl; m != nil; m = m.with {
		size += s.messageSize(m.event)
	}
	s.batch.limit, s.batch.taken = max(size/2, 1), 0
	return true
}

// took counts a batch that the target has taken, and lets it have larger ones again after some.
func (g *gathering) took() {
	if g == nil || g.limit == 0 {
		return
	}
	if g.taken++; g.taken >= limitTries {
		g.limit, g.taken = 2*g.limit, 0
		if g.limit >= int(g.Bytes) {
			g.limit = 0
		}
	}
}

// messages are the events of a request, in the order of their positions.
func (dl *delivery) messages() []*mapping.Event {
	var all []*mapping.Event
	for m := dl; m != nil; m = m.with {
		all = append(all, m.event)
	}
	slices.SortFunc(all, func(a, b *mapping.Event) int { return a.Position.Compare(b.Position) })
	return all
}

// oldest is when the first of the events of a request was committed.
func (dl *delivery) oldest() time.Time {
	at := dl.event.Time
	for m := dl.with; m != nil; m = m.with {
		if m.event.Time.Before(at) {
			at = m.event.Time
		}
	}
	return at
}

// of is the outcome as it is recorded for one delivery of a request: the answer is kept with the first.
func (o *Outcome) of(dl *delivery) *Outcome {
	if !dl.rides || len(o.Answer) == 0 {
		return o
	}
	other := *o
	other.Answer = nil
	return &other
}

// schedule gives deliveries that failed together the same time for the next attempt, where their number of attempts is the
// same: what comes together forms a batch again.
type schedule struct {
	attempts int
	delay    time.Duration
	more     bool
}

func (s *schedule) after(retries []time.Duration, attempts int) (time.Duration, bool) {
	if attempts != s.attempts {
		s.attempts = attempts
		s.delay, s.more = nextDelay(retries, attempts)
	}
	return s.delay, s.more
}

// join makes an attempt one of all deliveries of a request. Its number is the highest of theirs.
func (a *attempt) join(dl *delivery) {
	a.gather(dl.messages())
	for m := dl.with; m != nil; m = m.with {
		if n := m.attempts + 1; n > a.number {
			a.number, a.retryReason = n, m.retryReason
		}
	}
}

// gather makes an attempt one of an array of messages. Its event stands for all of them.
func (a *attempt) gather(messages []*mapping.Event) {
	last := messages[len(messages)-1]
	a.messages = messages
	a.event = &mapping.Event{ID: batchID(messages), Type: BatchType, Resource: mapping.NoticeResource, Position: last.Position, Time: last.Time}
}

// batchID is a function of the events and their order, so that the same ones have the same id when they are sent again.
func batchID(messages []*mapping.Event) string {
	h := sha256.New()
	for _, ev := range messages {
		h.Write([]byte(ev.ID))
		h.Write([]byte{0})
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil))
	return "bat_" + strings.ToLower(text[:26])
}

// appendBatch appends an array of messages. Each is what it would be alone, and has its event's id.
func (x *shape) appendBatch(dst []byte, messages []*mapping.Event) []byte {
	dst = append(dst, '[')
	for i, ev := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, _ = x.append(dst, ev)
	}
	return append(dst, ']')
}
