package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

const (
	// lettersAtOnce is how many dead letters are replayed together; lettersPerMessage is how many for one message: then
	// another one is written, so that the stream goes on in between.
	lettersAtOnce     = 256
	lettersPerMessage = 1024
)

// replayAsked says whether a message asks for a replay of dead letters, and notes it when it is our store's. The replay has its place in
// the stream: what was committed before it has been mapped and handed on, what is committed after it comes after it. So
// of an instance nothing older can come behind the state of now that a replay sends.
func (h *handler) replayAsked(c *cdc.Change) bool {
	var q store.ReplayRequest
	if json.Unmarshal(c.Content, &q) != nil || !q.Replay {
		return false
	}
	h.replaying = h.replaying || q.Store == h.store.ID()
	return true
}

// replay replays what is marked, once everything of the changes has been submitted. It settles one part of the receipt,
// when what became of the letters is durable. The error is the context's.
func (h *handler) replay(ctx context.Context, changes []cdc.Change, receipt *cdc.Receipt) error {
	h.replaying = false
	var told tally
	var after cdc.Position
	txs := transactions(changes)
	for n := 0; n < lettersPerMessage; n += lettersAtOnce {
		if n == 0 && len(txs) > 0 {
			// The marks are in a transaction of the stream, which may not be visible yet.
			if err := h.app.rows.AwaitVisible(ctx, txs[len(txs)-1]); err != nil {
				return err
			}
		}
		letters, _, err := retry(ctx, h, "read dead letters", func() ([]*store.DeadLetter, struct{}, error) {
			l, err := h.store.RequestedLetters(ctx, after, lettersAtOnce)
			return l, struct{}{}, err
		})
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			break
		}
		after = letters[len(letters)-1].Position
		durable, err := h.replayLetters(ctx, txs, letters, &told)
		if err != nil {
			return err
		}
		if !durable {
			receipt.Abandon()
			break
		}
		if len(letters) < lettersAtOnce {
			break
		}
		if n+lettersAtOnce == lettersPerMessage {
			if _, _, err := retry(ctx, h, "ask for further dead letters", func() (_, _ struct{}, err error) {
				return struct{}{}, struct{}{}, h.store.AskReplay(ctx)
			}); err != nil {
				return err
			}
		}
	}
	h.app.tellReplayed(&told)
	receipt.Done()
	return nil
}

// tally counts what became of dead letters.
type tally struct {
	replayed, superseded, open int
	reason                     string
}

func (a *App) tellReplayed(t *tally) {
	if t.replayed+t.superseded > 0 {
		a.log.Info("dead letters replayed", "replayed", t.replayed, "superseded", t.superseded)
	}
	if t.open > 0 {
		a.log.Warn("dead letters could not be replayed: they stay open", "number", t.open, "first_reason", t.reason)
	}
}

// fate is a dead letter and what it has come to: at most one of job's event and reason is set.
type fate struct {
	letter *store.DeadLetter
	event  *mapping.Event
	reason string
}

// replayLetters replays letters, those of a resource in the order of their positions, and returns when what became of them is
// durable. It is false when the store is not ours any more. Where their events are large, some are handed on before others
// are made.
func (h *handler) replayLetters(ctx context.Context, txs []*cdc.Tx, letters []*store.DeadLetter, told *tally) (durable bool, err error) {
	repeated, byResource := fatesOf(letters)
	if durable, err := h.endReplay(ctx, repeated, told); err != nil || !durable {
		return durable, err
	}
	for _, fates := range byResource {
		for len(fates) > 0 {
			n, err := h.replayResource(ctx, txs, fates[0].letter.Resource, fates)
			if err != nil {
				return false, err
			}
			if durable, err := h.endReplay(ctx, fates[:n], told); err != nil || !durable {
				return durable, err
			}
			clear(fates[:n])
			fates = fates[n:]
		}
	}
	return true, nil
}

// endReplay hands on what dead letters have come to, and returns when that is durable.
func (h *handler) endReplay(ctx context.Context, fates []*fate, told *tally) (durable bool, err error) {
	jobs, err := h.replayedJobs(ctx, fates)
	if err != nil {
		return false, err
	}
	// One more, so that it is not settled before all have been handed on.
	receipt := cdc.NewReceipt(len(fates) + 1)
	for i, f := range fates {
		j := &jobs[i]
		closed := store.Replayed
		switch {
		case f.reason != "":
			closed = ""
			if told.open++; told.reason == "" {
				told.reason = f.letter.Resource + " " + f.letter.Position.String() + ": " + f.reason
			}
		case f.event == nil, j.overtaken && len(j.To) == 0:
			closed = store.Superseded
			told.superseded++
		default:
			told.replayed++
		}
		j.Keep = len(j.To) == 0 && h.keepsAll && f.event != nil && closed == store.Replayed
		if n := partsOf(&j.Job); n > 0 {
			receipt.Add(n)
			if err := h.dispatcher.Submit(ctx, []sender.Job{j.Job}, receipt); err != nil {
				return false, err
			}
			h.app.metrics.matched([]sender.Job{j.Job})
		}
		l := f.letter.DeadLetter
		l.Reason, l.Known, l.Context = f.reason, nil, nil
		h.dispatcher.Amend(l, closed, receipt)
	}
	receipt.Done()
	select {
	case <-receipt.Settled():
		return !receipt.IsAbandoned(), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// replayedJob is the job of a fate; overtaken says that some who wanted it have had a later event.
type replayedJob struct {
	sender.Job
	overtaken bool
}

// replayedJobs finds out who is to get the events that have been made: one for each fate.
func (h *handler) replayedJobs(ctx context.Context, fates []*fate) ([]replayedJob, error) {
	var events []*mapping.Event
	var changes []cdc.Position
	for i := range fates {
		if ev := fates[i].event; ev != nil {
			events, changes = append(events, ev), append(changes, changeOf(ev.Position))
		}
	}
	jobs := make([]replayedJob, len(fates))
	if len(events) == 0 {
		return jobs, nil
	}
	// The same event may have been recorded before a crash, or when the log was read again with the config mended.
	recorded, _, err := retry(ctx, h, "look for recorded events", func() (map[string]cdc.Position, struct{}, error) {
		found, err := h.store.EventsOf(ctx, changes)
		return found, struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	placeAsRecorded(events, recorded)
	// First in memory, then in the store: what ends in between is in one of them.
	later := map[store.Pair]bool{}
	var asked []store.Delivery
	for i := range fates {
		ev := fates[i].event
		if ev == nil {
			continue
		}
		h.matched = h.index.Match(h.matched[:0], ev)
		if h.index.Filtered() {
			h.matched = h.filters.keep(h.matched, ev)
		}
		h.app.backfills.told(ev, nil) // it tells what the row is now
		jobs[i].Job = sender.Job{Event: ev, To: slices.Clone(h.matched), Deferred: true}
		for _, to := range h.matched {
			asked = append(asked, store.Delivery{Subscription: to.Key, Event: ev})
			if h.dispatcher.Overtaken(to, ev) {
				later[store.Pair{Subscription: to.Key, Position: ev.Position}] = true
			}
		}
	}
	if err := h.dispatcher.Recorded(ctx); err != nil {
		return nil, err
	}
	type known struct {
		deliveries map[store.Pair]bool
		events     map[cdc.Position]bool
	}
	done, stored, err := retry(ctx, h, "look for what was recorded", func() (k known, later map[store.Pair]bool, err error) {
		if k.deliveries, k.events, err = h.store.Recorded(ctx, asked); err == nil {
			later, err = h.store.Overtaken(ctx, asked)
		}
		return k, later, err
	})
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		j := &jobs[i]
		if j.Event == nil {
			continue
		}
		j.Stored = done.events[j.Event.Position]
		to := j.To[:0]
		for _, s := range j.To {
			at := store.Pair{Subscription: s.Key, Position: j.Event.Position}
			switch {
			case done.deliveries[at]:
			case later[at], stored[at]:
				j.overtaken = true
			default:
				to = append(to, s)
			}
		}
		j.To = to
	}
	return jobs, nil
}

// fatesOf sorts dead letters by their resources, in their order, apart from those of which a later one says the same.
func fatesOf(letters []*store.DeadLetter) (repeated []*fate, byResource [][]*fate) {
	type told struct {
		resource, instance, event, account string
		to                                 mapping.Audience
	}
	toldBy := func(l *store.DeadLetter) told { return told{l.Resource, l.Instance, l.Type, l.Account, l.Audience} }
	last := map[told]int{}
	for i, l := range letters {
		if l.Instance != "" {
			last[toldBy(l)] = i
		}
	}
	number := map[string]int{}
	for i, l := range letters {
		f := &fate{letter: l}
		if n, ok := last[toldBy(l)]; ok && n != i {
			repeated = append(repeated, f)
			continue
		}
		n, ok := number[l.Resource]
		if !ok {
			n = len(byResource)
			number[l.Resource], byResource = n, append(byResource, nil)
		}
		byResource[n] = append(byResource[n], f)
	}
	return repeated, byResource
}

// replayResource makes the events of the first dead letters of one resource, and returns how many they are: all, unless their
// rows are large.
func (h *handler) replayResource(ctx context.Context, txs []*cdc.Tx, resource string, fates []*fate) (int, error) {
	m := h.fresh
	fail := func(reason string) (int, error) {
		for _, f := range fates {
			f.event, f.reason = nil, reason
		}
		return len(fates), nil
	}
	info, ok := m.Resource(resource)
	if !ok {
		return fail(fmt.Sprintf("the config has no resource %s any more: discard it, or bring it back", resource))
	}
	table, reason, err := h.tableNow(ctx, info.Table.TableName)
	if err != nil {
		return 0, err
	}
	if reason != "" {
		return fail(reason)
	}
	rel, read := relationOf(table)
	asked := newRowsByKey(resource, table, read)
	for i, f := range fates {
		if f.letter.Op == cdc.Truncate {
			continue
		}
		columns, values, reason := m.ReplayKey(&f.letter.DeadLetter, table)
		if f.reason = reason; reason == "" {
			asked.add(i, columns, values)
		}
	}
	refused, err := h.readRows(ctx, txs, asked, len(fates) == 1)
	if err != nil {
		return 0, err
	}
	if refused != nil {
		if len(fates) == 1 || refused.Slow {
			return fail(refused.Reason) // the others would take as long
		}
		// Too much at once, or one of them is not to be had.
		return h.replayResource(ctx, txs, resource, fates[:len(fates)/2])
	}
	var jobs []sender.Job
	var waiting []int
	for i, f := range fates {
		if f.reason != "" {
			continue
		}
		out := m.Replay(&f.letter.DeadLetter, rel, asked.rows[i])
		if out.Event != nil {
			said, _ := parseMessage(out.Event.Context)
			out.Event.Source = said.source
		}
		if f.event, f.reason = out.Event, out.Reason; f.event != nil && f.event.Incomplete() {
			jobs, waiting = append(jobs, sender.Job{Event: f.event}), append(waiting, i)
		}
	}
	for size := 0; len(jobs) > 0; {
		if size >= relatedBytes {
			return waiting[0], nil
		}
		c, n, err := h.completionOf(ctx, jobs, txs)
		if err != nil {
			return 0, err
		}
		for i, at := range waiting[:n] {
			f := fates[at]
			if size >= relatedBytes {
				n = i // those before it are enough for now
				break
			}
			if letter, dead := c.Complete(f.event); dead {
				f.event, f.reason = nil, letter.Reason
				continue
			}
			size += f.event.Size()
		}
		jobs, waiting = jobs[n:], waiting[n:]
	}
	return len(fates), nil
}

// readRows reads the rows of letters. What cannot be had says why.
func (h *handler) readRows(ctx context.Context, txs []*cdc.Tx, asked *rowsByKey, single bool) (refused *cdc.LookupError, err error) {
	limit := min(relatedBytes, h.completer.maxRow)
	if single {
		limit = h.completer.maxRow
	}
	err = h.completer.rows.ReadRelated(ctx, txs, asked, limit)
	if errors.As(err, &refused) {
		return refused, nil
	}
	return nil, err
}

// tableNow is the table as the catalog has it now, or the reason why there is none. The error is the context's.
func (h *handler) tableNow(ctx context.Context, name cdc.TableName) (*cdc.Table, string, error) {
	var reason string
	t, _, err := retry(ctx, h, "read the definition of a table for dead letters", func() (*cdc.Table, struct{}, error) {
		tables, err := h.app.source.Load().Tables(ctx, []cdc.TableName{name})
		if err != nil && cdc.ClassOf(err) != cdc.Unavailable {
			reason, err = strings.ReplaceAll(err.Error(), "\n", " "), nil
		}
		return tables[name], struct{}{}, err
	})
	if err == nil && reason == "" && t == nil {
		reason = fmt.Sprintf("table %s is not there", name)
	}
	return t, reason, err
}

// relationOf is the table as the stream would describe it, and the columns of it that are read.
func relationOf(t *cdc.Table) (*cdc.Relation, []cdc.Column) {
	r := &cdc.Relation{OID: t.OID, Table: t.TableName, Identity: t.Identity}
	place := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		if place[i] = len(r.Columns); !c.Generated {
			r.Columns = append(r.Columns, c)
		}
	}
	for _, k := range t.Key {
		r.Key = append(r.Key, place[k])
	}
	return r, r.Columns
}

// rowsByKey asks for rows of a table, each by its own key. It implements cdc.Lookups.
type rowsByKey struct {
	name    string
	table   *cdc.Table
	columns []cdc.Column
	// requests are those of one set of key columns each, of those numbers.
	requests []cdc.LookupRequest
	numbers  [][]int
	byKey    map[string]int
	rows     map[int]cdc.Row
}

func newRowsByKey(resource string, t *cdc.Table, columns []cdc.Column) *rowsByKey {
	return &rowsByKey{name: resource, table: t, columns: columns, byKey: map[string]int{}, rows: map[int]cdc.Row{}}
}

func (x *rowsByKey) add(number int, columns []int, values [][]byte) {
	id := fmt.Sprint(columns)
	n, ok := x.byKey[id]
	if !ok {
		n = len(x.requests)
		x.byKey[id] = n
		l := &cdc.Lookup{Name: x.name, Table: x.table.TableName, Columns: x.columns, Max: 1, First: true}
		for _, c := range columns {
			l.Match = append(l.Match, cdc.LookupColumn{Column: x.table.Columns[c], Type: x.table.Columns[c].Type})
		}
		x.requests, x.numbers = append(x.requests, cdc.LookupRequest{Lookup: l}), append(x.numbers, nil)
	}
	x.requests[n].Keys, x.numbers[n] = append(x.requests[n].Keys, values), append(x.numbers[n], number)
}

// Start implements cdc.Lookups.
func (x *rowsByKey) Start() []cdc.LookupRequest {
	clear(x.rows)
	return x.requests
}

// Next implements cdc.Lookups.
func (x *rowsByKey) Next() []cdc.LookupRequest { return nil }

// Row implements cdc.Lookups.
func (x *rowsByKey) Row(request, key int, row cdc.Row) { x.rows[x.numbers[request][key]] = row }

// lettersMany is how many open dead letters are told of as too many: nobody looks at them, it seems. They are kept.
const lettersMany = 100_000

// openLetters counts the open dead letters of the config's resources; those of resources that it does not have any more are
// under the empty name.
func (a *App) openLetters(ctx context.Context, st *store.Store) (map[string]int, error) {
	counts, err := st.CountDeadLetters(ctx, store.DeadLetters{Open: true})
	if err != nil {
		return nil, err
	}
	open := map[string]int{}
	for _, r := range a.live.Load().Mapping.Resources {
		open[r.Name] = counts[r.Name]
		delete(counts, r.Name)
	}
	for _, n := range counts {
		open[""] += n
	}
	return open, nil
}

// tellOpenLetters logs that there are open dead letters, of from on.
func (a *App) tellOpenLetters(ctx context.Context, st *store.Store, from int) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	open, err := a.openLetters(ctx, st)
	if err != nil {
		return
	}
	n := 0
	for _, m := range open {
		n += m
	}
	if n >= from {
		a.log.Warn("dead letters are open: changes that could not be sent", "number", n, "to_see_them", "rowhook dead-letter list",
			"to_send_them_when_mended", "rowhook dead-letter replay --all")
	}
}
