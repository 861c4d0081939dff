package sender

import (
	"context"
	"slices"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

const (
	// waitingRows is how many rows are read at once to be merged.
	waitingRows = 1000
	// foldedAtOnce is how many rows a record ends that were merged.
	foldedAtOnce = 1000
	// debounceSteps is into how many steps a window is divided: what ends in one is read together. A step is stepMax at most.
	debounceSteps = 16
	stepMax       = time.Second
)

// debounces says that an event waits for those that follow, to be merged with them.
func (s *subscription) debounces(ev *mapping.Event) bool { return s.debounce > 0 && changeOf(ev) != 0 }

// windowEnd is when what was submitted now is to be sent: never before the window is over, and with all others that end in the same
// step. One look for each of them would read for thousands of instances a second.
func (s *subscription) windowEnd(now time.Time) time.Time {
	end, step := now.Add(s.debounce), min(s.debounce/debounceSteps, stepMax)
	if step <= 0 {
		return end
	}
	if whole := end.Truncate(step); !whole.Equal(end) {
		return whole.Add(step)
	}
	return end
}

// merging is what is needed to merge what waits of a subscription, as it was when its rows were looked for.
type merging struct {
	key    int64
	takes  func(string) bool
	nested nesting
	told   func(string) bool
	// touched says that a target may have heard of an instance before its create.
	touched func(string) bool
	// since is when the store was taken over: what was due before may have been sent by another process.
	since time.Time
}

// merging is nil where nothing is merged.
func (d *Dispatcher) merging(s *subscription) *merging {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.debounce <= 0 || s.silent() || s.removed {
		return nil
	}
	return &merging{key: s.key, takes: takesType(s.sub), nested: d.cfg.Nested, told: d.cfg.Told, touched: d.cfg.Touched, since: d.tookOver}
}

// merge reads what waits behind the rows that are due, and makes one event of each key's. Those that there is no room for are left
// out: more says that there are some.
func (d *Dispatcher) merge(ctx context.Context, m *merging, look Look, due []Due) (out []Due, more bool, err error) {
	runs := map[int64]*run{}
	var keys []int64
	for i := range due {
		x := &due[i]
		if x.Lost || x.Replay || changeOf(x.Event) == 0 {
			continue
		}
		runs[x.Key] = newRun(x, !x.At.After(m.since) || m.touched != nil && m.touched(x.Event.Resource), m.nested)
		keys = append(keys, x.Key)
	}
	slices.Sort(keys)
	if err := d.readRuns(ctx, m, look, runs, keys); err != nil {
		return nil, false, err
	}
	lasts, more, err := d.readLasts(ctx, look, runs)
	if err != nil {
		return nil, false, err
	}
	for _, x := range due {
		r := runs[x.Key]
		if r == nil {
			out = append(out, x)
			continue
		}
		if r.left {
			more = true
			continue
		}
		if len(r.rows) > 0 && !r.void() {
			last := lasts[r.last.Position]
			if last == nil {
				continue // for the next look
			}
			r.last = last
		}
		head := rowOf(x.Event)
		if x.Fallback != nil && x.Fallback.Position != r.last.Position {
			x.Fallback = nil // the target has not been sent what is new
		}
		x.merged = &merged{head: head, rows: r.rows, over: r.over}
		if ev := r.message(r.last, m); ev != nil {
			x.Event = ev
		} else {
			x.Event, x.merged.nothing = r.last, true
		}
		out = append(out, x)
	}
	return out, more, nil
}

// merged is what a delivery stands for beside its own event.
type merged struct {
	// head is the oldest row, which has the time and the attempts; rows are all but the event's own.
	head Row
	rows []Row
	// over says that what comes next waits for nothing but the end of this one.
	over bool
	// nothing says that there is nothing to be sent.
	nothing bool
}

// readRuns reads the rows of the keys, which are in order, by pages.
func (d *Dispatcher) readRuns(ctx context.Context, m *merging, look Look, runs map[int64]*run, keys []int64) error {
	after := make([]cdc.Position, len(keys))
	for i, key := range keys {
		after[i] = runs[key].last.Position
	}
	for total := 0; len(keys) > 0; {
		rows, more, err := d.store.Behind(ctx, m.key, keys, after, Look{Rows: waitingRows, Bytes: look.Bytes})
		if err != nil {
			return err
		}
		for i := range rows {
			runs[rows[i].Key].add(&rows[i], m.nested)
		}
		if !more || len(rows) == 0 {
			return nil
		}
		// All keys before the last one that came are read to their ends.
		last := rows[len(rows)-1]
		i, _ := slices.BinarySearch(keys, last.Key)
		if total += len(rows); total >= mergedMax {
			runs[last.Key].over = true
			for _, key := range keys[i+1:] {
				runs[key].left = true
			}
			return nil
		}
		if after[i] = last.Event.Position; runs[last.Key].over {
			i++
		}
		keys, after = keys[i:], after[i:]
	}
	return nil
}

// readLasts reads the last events of the runs whole, as far as there is room.
func (d *Dispatcher) readLasts(ctx context.Context, look Look, runs map[int64]*run) (map[cdc.Position]*mapping.Event, bool, error) {
	var rows []Row
	for _, r := range runs {
		if len(r.rows) > 0 && !r.left && !r.void() {
			rows = append(rows, rowOf(r.last))
		}
	}
	if len(rows) == 0 {
		return nil, false, nil
	}
	slices.SortFunc(rows, func(a, b Row) int { return a.Position.Compare(b.Position) })
	events, err := d.store.Whole(ctx, rows, look.Bytes)
	if err != nil {
		return nil, false, err
	}
	lasts := make(map[cdc.Position]*mapping.Event, len(events))
	for _, ev := range events {
		lasts[ev.Position] = ev
	}
	return lasts, len(lasts) < len(rows), nil
}

// fold ends the rows that were merged into a delivery, before its own end is recorded: what a crash leaves of them is never older than what
// was sent.
func (d *Dispatcher) fold(dl *delivery) {
	if dl.merged == nil {
		return
	}
	l, s := dl.lane, dl.lane.sub
	for page := range slices.Chunk(dl.merged.rows, foldedAtOnce) {
		for range page {
			d.tellDropped(DropDebounced)
		}
		d.record(Record{Op: Fold, Subscription: s.key, Key: l.key, Stored: true, Status: StatusDropped, Dropped: DropDebounced, Rows: page,
			settle: func() { s.folded(l, len(page)) }})
	}
}

// folded counts rows that are not there any more. The last row of their key still is.
func (s *subscription) folded(l *lane, n int) {
	if s.removed {
		return
	}
	s.rows -= n
	if !s.whole {
		l.rows -= n
	}
}

// row is the row whose time and attempts are a delivery's, where that is not its event's.
func (dl *delivery) row() *Row {
	if dl.merged == nil || len(dl.merged.rows) == 0 {
		return nil
	}
	return &dl.merged.head
}

// gap is how long after its commit what comes next of the key is due.
func (dl *delivery) gap() time.Duration {
	if dl.merged != nil && dl.merged.over {
		return 0
	}
	return dl.lane.sub.debounce
}

// weigh is how many rows a record changes.
func (r *Record) weigh() int { return max(1, len(r.Rows)) }

// batchOf is how many of the records are written together.
func batchOf(records []Record) int {
	rows := 0
	for i := range records {
		if rows += records[i].weigh(); rows > recordsMax && i > 0 {
			return i
		}
	}
	return len(records)
}
