//go:build unix

package chaos

import (
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// arrival is what is kept of an event at a target.
type arrival struct {
	id  uint64 // a hash of webhook-id; 0 before it has arrived
	sum uint64 // of the mark and the operation, as in the journal
	// came is when the latest request of it that was a success arrived, done when that was answered: in nanoseconds since
	// the begin of the run, 0 before.
	came, done int64
	// request is the number of that one, attempt its own count.
	request int
	attempt int32
	// late says that it came again because the success had not been seen in time, and failed then.
	late bool
}

// history is what a target has got of a key, by number: entry 0 is that of number from.
type history struct {
	from    int64
	entries []arrival
	// newest is the highest number that arrived, done the highest that was delivered, last that of the latest success.
	newest, done, last int64
	// position is that of the newest.
	position string
	// request is the number of the latest request with one of the key, latest the last number in it.
	request int
	latest  int64
}

func (h *history) at(seq int64) *arrival {
	if len(h.entries) == 0 {
		h.from = seq
	}
	for seq < h.from {
		h.entries = append(make([]arrival, 1, len(h.entries)+1), h.entries...)
		h.from--
	}
	for seq >= h.from+int64(len(h.entries)) {
		h.entries = append(h.entries, arrival{})
	}
	return &h.entries[seq-h.from]
}

// find is nil for what has not arrived.
func (h *history) find(seq int64) *arrival {
	if h == nil || seq < h.from || seq >= h.from+int64(len(h.entries)) || h.entries[seq-h.from].id == 0 {
		return nil
	}
	return &h.entries[seq-h.from]
}

func sumOf(op int, mark int64) uint64 { return uint64(mark)<<2 | uint64(op) }

// Breakage is something that was done to rowhook or its surroundings, and what came twice because of it.
type Breakage struct {
	Kind string
	// At is when it began. Until, when it is over: of an end of rowhook, when the next life can begin to send.
	At, Until time.Time
	// Repeated counts the events that were sent again though their success had been answered. InFlight of these were
	// answered after the moment, or arrived after it; Oldest is how long before it the earliest of the others was answered.
	Repeated, InFlight int
	Oldest             time.Duration
	// requests are those in which the repeated events had been delivered: a batch has several.
	requests map[int]bool
	// Window are the requests that were answered with success in the last 20 ms before.
	Window int
	// Double says that Postgres, the store or rowhook itself had been away just before: then what was answered could not
	// be written down as quickly as otherwise.
	Double bool
}

const (
	killed  = "kill"
	stopped = "stop"
	frozen  = "freeze"
	crashed = "restart"
)

// ledger keeps what arrived, at all targets. It is the receiver's script: it is asked about one request at a time.
type ledger struct {
	began time.Time

	mu       sync.Mutex
	targets  map[string]*target // by the first part of the path
	requests int
	failed   int // requests that were not answered with a success
	wrong    []string
	wrongs   int
	breaks   []*Breakage
	// recent are the moments at which the last successes were answered.
	recent [4096]time.Time
	next   int
	// tooLate counts requests with repetitions without a breakage in between that rowhook gave a reason of the network for: it
	// had not seen the answer in time; late is the number of the last one. unexplained are repetitions without.
	tooLate, late, unexplained int
}

func newLedger() *ledger {
	return &ledger{began: time.Now(), targets: map[string]*target{}}
}

func (l *ledger) add(t *target) *target {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.keys = map[int64]*history{}
	l.targets[t.name] = t
	return t
}

// close says that nothing may arrive for a target any more from a moment on.
func (l *ledger) close(t *target, from time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.closed = from
}

const wrongsShown = 40

// accuse notes something that was promised not to happen. It is called with the mutex held.
func (l *ledger) accuse(format string, args ...any) {
	if l.wrongs++; l.wrongs <= wrongsShown {
		l.wrong = append(l.wrong, fmt.Sprintf("%8.3fs ", time.Since(l.began).Seconds())+fmt.Sprintf(format, args...))
	}
}

// broke notes a breakage that has just been done.
func (l *ledger) broke(kind string, at time.Time) *Breakage {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &Breakage{Kind: kind, At: at}
	for _, before := range l.breaks {
		if (before.Kind == crashed || before.Kind == frozen) && (before.Until.IsZero() || at.Sub(before.Until) < recovering) {
			b.Double = true
		}
	}
	for _, t := range l.recent {
		if !t.After(at) && at.Sub(t) <= window {
			b.Window++
		}
	}
	l.breaks = append(l.breaks, b)
	return b
}

// recovering is how long after an outage rowhook may take to connect and write what it kept meanwhile.
const recovering = 3 * time.Second

// over says that a breakage has ended.
func (l *ledger) over(b *Breakage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.Until = time.Now()
}

// sending says that another life of rowhook sends from a moment on: what arrived before was sent by the one before.
func (l *ledger) sending(from time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.breaks {
		if ends(b) && b.Until.IsZero() {
			b.Until = from
		}
	}
}

func ends(b *Breakage) bool { return b.Kind == killed || b.Kind == stopped }

// window is how long before a kill what was answered may come again: records are written every few milliseconds.
const window = 20 * time.Millisecond

// answer is the receiver's script.
func (l *ledger) answer(q hooktest.Request) hooktest.Answer {
	name, _, _ := strings.Cut(strings.TrimPrefix(q.Path, "/"), "/")
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.BodyErr != nil {
		return hooktest.Reset() // rowhook was killed while it sent
	}
	l.requests++
	t := l.targets[name]
	if t == nil || q.Attempt < 1 {
		l.accuse("a request nobody asked for: %s", q)
		return hooktest.OK()
	}
	messages, err := t.read(&q)
	if err != nil {
		l.accuse("a request nobody asked for: %s: %v", q, err)
		return hooktest.OK()
	}
	for i := range messages {
		if why := messages[i].wrong(); why != "" {
			l.accuse("%s: %s: %s", name, q, why)
			return hooktest.OK()
		}
	}
	a := t.respond(&q, messages)
	ok, answered := taken(a), q.At.Add(a.Delay)
	if !ok {
		l.failed++
	} else {
		l.recent[l.next%len(l.recent)] = answered
		l.next++
	}
	for i := range messages {
		l.take(t, &q, &messages[i], ok, answered)
	}
	return a
}

// take notes an arrival of an event that is answered at a moment, with success or not.
func (l *ledger) take(t *target, q *hooktest.Request, m *message, ok bool, answered time.Time) {
	key, seq, sum := m.Data.ID, m.seq(), m.sum()
	t.last = q.At
	if !t.closed.IsZero() && q.At.After(t.closed) {
		l.accuse("%s: number %d of key %d arrived %s after the subscription was deleted", t.name, seq, key, q.At.Sub(t.closed))
	}
	h := t.keys[key]
	if h == nil {
		h = &history{}
		t.keys[key] = h
	}
	id := hashOf(m.ID)
	var before *arrival
	if h.newest > 0 {
		before = h.find(h.newest)
	}
	// In a batch, what comes first may stand before it.
	together := int64(0)
	if h.request == l.requests {
		together = h.latest
	}
	h.request, h.latest = l.requests, seq
	e := h.at(seq)
	if e.id == 0 {
		e.id, e.sum = id, sum
		if !t.unordered {
			switch {
			case seq < h.newest:
				l.accuse("%s: number %d of key %d arrived first after number %d", t.name, seq, key, h.newest)
			case before != nil && before.done == 0 && together != h.newest:
				l.accuse("%s: number %d of key %d overtook number %d, which was not delivered", t.name, seq, key, h.newest)
			case before == nil && !t.late && !t.updatesOnly && seq != 1:
				l.accuse("%s: the first arrival of key %d is number %d", t.name, key, seq)
			case m.Position <= h.position:
				l.accuse("%s: number %d of key %d stands at %s, and number %d before it at %s", t.name, seq, key, m.Position, h.newest, h.position)
			}
		}
	} else if e.id != id || e.sum != sum {
		l.accuse("%s: number %d of key %d is two events", t.name, seq, key)
	} else if p := h.find(seq - 1); !t.unordered && e.done == 0 && p != nil && p.done == 0 && together != seq-1 {
		// They failed in one request, and come in several.
		l.accuse("%s: number %d of key %d overtook number %d, which was not delivered", t.name, seq, key, seq-1)
	}
	if seq > h.newest {
		h.newest, h.position = seq, m.Position
	}
	if !ok {
		e.late = e.late || e.done != 0 && unseen(t, q)
		return // if it is a repetition it comes again, and is counted then
	}
	if e.done == 0 {
		t.first[sum&3]++
	} else {
		t.repeated++
		l.repeated(t, q, key, seq, e)
	}
	h.last, h.done = seq, max(h.done, seq)
	e.came, e.done, e.request, e.attempt = int64(q.At.Sub(l.began)), max(1, int64(answered.Sub(l.began))), l.requests, int32(q.Attempt)
}

// repeated finds what a repetition comes from: the end of the life of rowhook that had sent the event before.
func (l *ledger) repeated(t *target, q *hooktest.Request, key, seq int64, e *arrival) {
	came, done := l.began.Add(time.Duration(e.came)), l.began.Add(time.Duration(e.done))
	b := l.cause(came, ends)
	// An attempt that rowhook has counted and seen no answer of is no repetition by its end, whether that was clean or not. The reason that
	// a batch tells is that of one of its events.
	counted := e.late || unseen(t, q) && (t.batch || q.Attempt > int(e.attempt))
	if b == nil && (e.late || unseen(t, q)) || b != nil && b.Kind == stopped && counted {
		if l.late != l.requests {
			l.late = l.requests
			l.tooLate++
		}
		return
	}
	if b == nil {
		b = l.cause(came, func(b *Breakage) bool { return !ends(b) })
	}
	if b == nil {
		l.unexplained++
		l.accuse("%s: number %d of key %d came again %s after its success, for no reason: %s", t.name, seq, key, q.At.Sub(done), q)
		return
	}
	if b.Kind == stopped {
		l.stopRepeated(t, q, key, seq, b, came)
	}
	b.Repeated++
	if b.requests == nil {
		b.requests = map[int]bool{}
	}
	b.requests[e.request] = true
	if age := b.At.Sub(done); age <= 0 {
		b.InFlight++
	} else {
		b.Oldest = max(b.Oldest, age)
	}
}

// unseen says that rowhook had not seen the answer before, by its own word.
func unseen(t *target, q *hooktest.Request) bool {
	return unanswered(q.RetryReason) || t.batch && q.Attempt > 1
}

// unanswered says that a reason for a retry is that no answer was seen.
func unanswered(reason string) bool {
	return reason == "timeout" || strings.HasPrefix(reason, "connection")
}

// stopRepeated tells what came again after a clean stop: that is promised not to happen.
func (l *ledger) stopRepeated(t *target, q *hooktest.Request, key, seq int64, b *Breakage, came time.Time) {
	l.accuse("%s: number %d of key %d came again though rowhook had been stopped cleanly %.3fs after its success: %s",
		t.name, seq, key, b.At.Sub(came).Seconds(), q)
}

// cause is the first breakage of a kind that was not over when a request arrived.
func (l *ledger) cause(came time.Time, kind func(*Breakage) bool) *Breakage {
	for _, b := range l.breaks {
		if kind(b) && (b.Until.IsZero() || !b.Until.Before(came)) {
			return b
		}
	}
	return nil
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return max(1, h.Sum64())
}

// delivered says how many events of each operation a target has got.
func (l *ledger) delivered(t *target) [4]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return t.first
}
