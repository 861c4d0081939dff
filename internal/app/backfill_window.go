package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// A backfill reads rows beside the stream, and gives them their place in it by marks: messages that it writes into the log itself.
//
// Between two marks the keys of the rows that change are noted. What was read in between, under a snapshot that shows all that was
// committed before the first mark, is what the rows are at the second one, but for those whose keys were noted: these are read again.
// So no row is told as it was before a change that was told before.

const (
	// changedMax is how many keys are noted at most. With more, all that was read in between is read again, and only its keys are noted.
	changedMax = 20_000
	// recentTxs is how many transactions must be visible before a mark counts as a beginning: as many as may have written their commits
	// and not be visible yet, at once.
	recentTxs = 1024
	recentFor = 24 * time.Hour
)

// backfills are the windows under way. The stream's goroutine notes what changes, and takes what was read.
type backfills struct {
	// rows is how many rows are read at once at most: a power of two.
	rows atomic.Int64
	// most is how many keys a window notes at most.
	most atomic.Int64
	// onStep, when set, is called at each step of a chunk. It is for tests.
	onStep  atomic.Pointer[func(step string)]
	any     atomic.Bool
	mu      sync.Mutex
	windows map[string]*window
}

// window is what a backfill has read and is to be placed, and what has changed meanwhile. The backfills' mutex guards it.
type window struct {
	name         string
	subscription string
	tables       []windowTable
	// number is that of the mark that is waited for, chunk what is placed there.
	number int
	chunk  *chunk
	// only, where it is not nil, are the rows of which changes are noted. changed are those that have changed since the last mark; unknown
	// says that others may have.
	only    map[row]bool
	changed map[row]*changedRow
	unknown bool
	// placed is told of each mark; lost is closed when the stream is interrupted.
	placed chan placedChunk
	lost   chan struct{}
}

type windowTable struct {
	resource string
	table    cdc.TableName
	oid      uint32
	key      []string
	columns  map[*cdc.Relation][]int
}

// row names a row.
type row struct{ resource, instance string }

// changedRow says when a row changed, first and last; told whether the subscription has got an event of that, guessed that a filter may
// have kept it back.
type changedRow struct {
	first, last   cdc.LSN
	told, guessed bool
}

// chunk is what was read between two marks.
type chunk struct {
	mapper *mapping.Mapper
	rows   []*candidate
	// forced says that it is placed though it is not known whether others have changed: it was read often enough.
	forced bool
}

// candidate is a row that was read, or one that is not there.
type candidate struct {
	row
	key [][]byte
	// event is nil where there is none to send; failed why it cannot be made.
	event  *mapping.Event
	failed string
	// covered says that it is one of what the subscription may be told of.
	covered bool
	// tries is how often it was read.
	tries int
}

// placedChunk is what became of a chunk at its mark.
type placedChunk struct {
	// at is the mark's place.
	at cdc.Position
	// again are those that are to be read again.
	again []*candidate
	sent  int
	// receipt is settled when all is durable.
	receipt *cdc.Receipt
	// visible are transactions that what is read next must show.
	visible []*cdc.Tx
	// gone says that the subscription is; unknown that so much has changed that nothing was placed.
	gone, unknown bool
}

// triesMax is how often a row is read that changes all the time, and of which the subscription is told nothing.
const triesMax = 20

func newBackfills() *backfills {
	b := &backfills{windows: map[string]*window{}}
	b.rows.Store(chunkMax)
	b.most.Store(changedMax)
	return b
}

func (b *backfills) open(subscription string, tables []windowTable) *window {
	w := &window{name: rand.Text(), subscription: subscription, tables: tables, changed: map[row]*changedRow{}, placed: make(chan placedChunk, 1), lost: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.windows[w.name] = w
	b.any.Store(true)
	return w
}

func (b *backfills) close(w *window) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.windows, w.name)
	b.any.Store(len(b.windows) > 0)
}

// interrupt ends all windows: what changes from now on is not noted.
func (b *backfills) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, w := range b.windows {
		close(w.lost)
		delete(b.windows, name)
	}
	b.any.Store(false)
}

// focus lets only the changes of some rows be noted from the next mark on, or, with nil, of all.
func (b *backfills) focus(w *window, only map[row]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.only = only
	if only != nil {
		maps.DeleteFunc(w.changed, func(r row, _ *changedRow) bool { return !only[r] })
	}
}

// expect says what is placed at the next mark, and returns its number.
func (b *backfills) expect(w *window, c *chunk) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.number++
	w.chunk = c
	return w.number
}

// recent are the transactions that were read last.
type recent struct {
	ring [recentTxs]*cdc.Tx
	next int
	last *cdc.Tx
}

func (r *recent) note(b *cdc.Batch) {
	for i := range b.Changes {
		if tx := b.Changes[i].Tx; tx != nil && tx != r.last {
			r.last, r.ring[r.next%recentTxs] = tx, tx
			r.next++
		}
	}
}

// all are those that may not be visible yet: not such that are old. Their numbers may come again, in the end.
func (r *recent) all() (txs []*cdc.Tx) {
	for _, tx := range r.ring[:min(r.next, recentTxs)] {
		if r.last.Time.Sub(tx.Time) < recentFor {
			txs = append(txs, tx)
		}
	}
	return txs
}

// note notes what changes, also what is muted or ignored: it is in the rows that are read, or not.
func (b *backfills) note(batch *cdc.Batch) {
	if !b.any.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range batch.Changes {
		c := &batch.Changes[i]
		if c.Relation == nil || c.Tx == nil || c.Op == cdc.Message {
			continue
		}
		for _, w := range b.windows {
			for t := range w.tables {
				if w.tables[t].table == c.Relation.Table || w.tables[t].oid == c.Relation.OID {
					w.note(&w.tables[t], c, int(b.most.Load()))
				}
			}
		}
	}
}

func (w *window) note(t *windowTable, c *cdc.Change, most int) {
	key, known := t.columns[c.Relation]
	if !known {
		for _, name := range t.key {
			key = append(key, slices.IndexFunc(c.Relation.Columns, func(x cdc.Column) bool { return x.Name == name }))
		}
		t.columns[c.Relation] = key
	}
	values := func(of, otherwise cdc.Row) (out [][]byte) {
		for _, k := range key {
			switch {
			case k >= 0 && k < len(of) && of[k].Kind == cdc.Text:
				out = append(out, of[k].Data)
			case k >= 0 && k < len(of) && of[k].Kind == cdc.Unchanged && k < len(otherwise) && otherwise[k].Kind == cdc.Text:
				out = append(out, otherwise[k].Data)
			default:
				return nil
			}
		}
		return out
	}
	add := func(key [][]byte) {
		if key == nil {
			w.unknown = true
			return
		}
		w.add(row{t.resource, mapping.InstanceOf(key)}, c.Tx.Commit, most)
	}
	switch c.Op {
	case cdc.Insert:
		add(values(c.New, nil))
	case cdc.Update:
		add(values(c.New, c.Old))
		if old := values(c.Old, nil); old != nil {
			add(old)
		}
	case cdc.Delete:
		add(values(c.Old, nil))
	default:
		w.unknown = true
	}
}

// add notes that a row has changed. It returns nil where nobody asks for it, or there are too many.
func (w *window) add(r row, at cdc.LSN, most int) *changedRow {
	if w.only != nil && !w.only[r] {
		return nil
	}
	x := w.changed[r]
	if x == nil {
		if len(w.changed) >= most {
			w.unknown = true
			return nil
		}
		x = &changedRow{first: at}
		w.changed[r] = x
	}
	x.last = at
	return x
}

// told notes an event that is about to be sent to the subscriptions that match it.
func (b *backfills) told(ev *mapping.Event, matched []*subscriptions.Subscription) {
	if !b.any.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.windows {
		if !w.has(ev.Resource) {
			continue
		}
		// An event may be of a change of another table, or made anew of an old one.
		x := w.add(row{ev.Resource, ev.Instance}, ev.Position.Commit, int(b.most.Load()))
		for _, s := range matched {
			if x != nil && s.ID == w.subscription {
				unsure := s.Filter != "" && ev.Incomplete()
				x.told, x.guessed = x.told || !unsure, x.guessed || unsure
			}
		}
	}
}

func (w *window) has(resource string) bool {
	return slices.ContainsFunc(w.tables, func(t windowTable) bool { return t.resource == resource })
}

// markOf reads a mark of ours.
func (h *handler) markOf(c *cdc.Change) (mark store.BackfillMark, is bool) {
	if json.Unmarshal(c.Content, &mark) != nil || mark.Window == "" {
		return mark, false
	}
	return mark, true
}

// place places what a backfill has read at its mark: behind all that was committed before, and before all that comes. A mark of a process
// that is not there any more, or of what was interrupted, has nothing. The error is the context's.
func (h *handler) place(ctx context.Context, epoch uint32, c *cdc.Change, mark store.BackfillMark, changes []cdc.Change, to *taken) error {
	b := h.app.backfills
	b.mu.Lock()
	w := b.windows[mark.Window]
	if w == nil || mark.Store != h.store.ID() || w.number != mark.Number {
		b.mu.Unlock()
		return nil
	}
	read := w.chunk
	w.chunk = nil
	b.mu.Unlock()
	// All before it goes first.
	if err := h.flush(ctx, changes, to, false); err != nil {
		return err
	}
	out := placedChunk{at: cdc.Position{Epoch: epoch, Commit: c.Tx.Commit, Ordinal: c.Ordinal}, receipt: cdc.NewReceipt(0), visible: h.recent.all()}
	sub := h.index.Get(w.subscription)
	out.gone = sub == nil
	var jobs []sender.Job
	b.mu.Lock()
	if read != nil && !out.gone {
		jobs = h.placed(epoch, c, w, read, sub, &out)
	}
	for r, x := range w.changed {
		if x.last <= c.Tx.Commit {
			delete(w.changed, r)
		} else {
			*x = changedRow{first: x.last, last: x.last}
		}
	}
	// What stands behind the mark in the same batch is in all that is read from now on.
	w.unknown = false
	b.mu.Unlock()
	if len(jobs) > 0 {
		out.receipt, out.sent = cdc.NewReceipt(len(jobs)), len(jobs)
		own, whole := out.receipt, to.add(1, false)
		if err := h.dispatcher.Submit(ctx, jobs, own); err != nil {
			return err
		}
		go func() {
			// The stream goes on beyond the mark when they are durable: feeds show what is before.
			<-own.Settled()
			if own.IsAbandoned() {
				whole.Abandon()
			}
			whole.Done()
		}()
		h.unsettled.add(own, c.Tx.Time)
		h.app.metrics.matched(jobs)
	}
	w.placed <- out
	return nil
}

// placed makes the jobs of a chunk, and notes what is to be read again.
func (h *handler) placed(epoch uint32, c *cdc.Change, w *window, read *chunk, sub *subscriptions.Subscription, out *placedChunk) (jobs []sender.Job) {
	if read.mapper != h.fresh || w.unknown && !read.forced {
		out.unknown, out.again = true, read.rows
		return nil
	}
	at := cdc.Position{Epoch: epoch, Commit: c.Tx.Commit, Ordinal: c.Ordinal, Sub: mapping.BackfilledFrom}
	for _, x := range read.rows {
		if change := w.changed[x.row]; change != nil && change.first < c.Tx.Commit {
			switch {
			case change.told:
				continue // what it is now is on its way
			case x.tries < triesMax:
				out.again = append(out.again, x)
				continue
			case change.guessed:
				continue // its filter has seen what it is now
			}
		}
		ev := x.event
		if ev == nil {
			continue
		}
		ev.Position, ev.Time = at, c.Tx.Time.UTC()
		if !sub.Covers(ev) {
			continue
		}
		wanting := []*subscriptions.Subscription{sub}
		if sub.Filter != "" {
			wanting = h.filters.keep(wanting, ev)
		}
		if len(wanting) == 0 {
			continue
		}
		jobs = append(jobs, sender.Job{Event: ev, To: wanting, Deferred: true})
		at.Sub++
	}
	return jobs
}
