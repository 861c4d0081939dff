package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// jobBackfill is the kind of jobs that send rows as they are.
const jobBackfill = client.JobBackfill

const (
	// backfillsAtOnce bounds the backfills that read and place a chunk at the same time; others wait for them.
	backfillsAtOnce = 2
	// chunkMin is how many rows are read together at first, chunkMax at most; chunkBytes bounds their size, before and after mapping.
	chunkMin, chunkMax, chunkBytes = 64, 512, 1 << 20
	// chunkSlow is how long a read may take: then less is read at once.
	chunkSlow = 500 * time.Millisecond
	// windowOld is when another mark is set before something is read: until then all that changes is noted.
	windowOld = 2 * time.Second
)

// errInterrupted says that the stream was, so that nothing is known of what changed.
var errInterrupted = errors.New("reading the log was interrupted")

// backfillWanted is what a job keeps of what was asked for: Tables has the resources, in their order.
type backfillWanted struct {
	client.Backfill
	Tables []client.BackfillResource `json:"tables"`
	// Own says that nothing is told of rows that are not the subscription's account's.
	Own bool `json:"own,omitempty"`
}

// backfillProgress is how far it has come: all before Resource is done, and of this all rows up to After but for Again, in the order of
// the columns of Key. Behind stands all that it tells.
type backfillProgress struct {
	Behind   string                    `json:"behind,omitempty"`
	Resource int                       `json:"resource"`
	Key      []string                  `json:"key,omitempty"`
	After    []string                  `json:"after,omitempty"`
	Ends     bool                      `json:"ends,omitempty"`
	Again    [][]string                `json:"again,omitempty"`
	Tables   []client.BackfillResource `json:"tables"`
}

// backfiller is a backfill under way.
type backfiller struct {
	jobs   *jobs
	run    *jobRun
	want   backfillWanted
	at     backfillProgress
	window *window
	// visible are transactions that what is read must show; marked is when the last mark was set.
	visible []*cdc.Tx
	marked  time.Time
	pace    *pace

	// rows reads where reads may be, owners where the changes come from.
	rows, owners *cdc.RowReader
	completer    completer
	asker        *asker

	// mapper, sampler, info, columns, scan and lookup are those of the resource as it is mapped now.
	mapper  *mapping.Mapper
	sampler *mapping.Sampler
	info    mapping.ResourceInfo
	columns []int
	scan    *cdc.Scan
	lookup  *cdc.Lookup
	// size is how many rows are read at once; again are those to be read again, unknown how often a whole chunk was. Focused says that
	// only changes of those that are read are noted.
	size    int
	again   []*candidate
	unknown int
	focused bool
	// failure is why a row could not be mapped last; sent is how many events came of the last chunk.
	failure string
	sent    int
}

// backfill does a job of the kind.
func (j *jobs) backfill(ctx context.Context, r *jobRun) error {
	b := &backfiller{jobs: j, run: r}
	if json.Unmarshal(r.Parameters, &b.want) != nil {
		return jobError("what was asked for cannot be read any more")
	}
	b.at.Tables = slices.Clone(b.want.Tables)
	if r.Progress != nil && json.Unmarshal(r.Progress, &b.at) != nil {
		return jobError("how far it has come cannot be read any more")
	}
	for _, key := range b.at.Again {
		b.again = append(b.again, &candidate{key: bytesOf(key)})
	}
	cfg := j.app.cfg
	b.rows = cdc.NewRowReader(cfg.Database.ReadURL, cfg.Limits.MaxRow, j.app.log)
	defer b.rows.Close()
	b.owners = b.rows
	if cfg.Database.ReadURL != cfg.Database.URL {
		b.owners = cdc.NewRowReader(cfg.Database.URL, cfg.Limits.MaxRow, j.app.log)
		defer b.owners.Close()
	}
	b.completer = completer{rows: b.rows, maxRow: int(min(cfg.Limits.MaxRow, math.MaxInt32))}
	b.asker = &asker{client: j.app.application.Load, visible: b.owners.AwaitVisible, log: j.app.log, limits: defaultAskLimits,
		observe: func(result string) { j.app.metrics.asked.WithLabelValues(result).Inc() }}
	b.size, b.pace = min(chunkMin, int(j.app.backfills.rows.Load())), &pace{perSecond: b.want.Rate}
	defer b.leave()
	for b.at.Resource < len(b.at.Tables) {
		more, err := b.step(ctx)
		if err != nil {
			return err
		}
		if !more {
			b.at.Resource, b.at.Key, b.at.After, b.at.Ends, b.again, b.mapper = b.at.Resource+1, nil, nil, false, nil, nil
			b.leave()
		}
	}
	return nil
}

// step reads and places a chunk, when there is room for it. It is false when the resource is done.
func (b *backfiller) step(ctx context.Context) (more bool, err error) {
	if err := b.jobs.mayReplay(ctx, b.run, b.leave); err != nil {
		return false, err
	}
	if more, err = b.chunk(ctx); err != nil || !more {
		return more, err
	}
	if b.want.Rate > 0 {
		err = b.jobs.waitAside(ctx, func() error { return b.pace.wait(ctx, b.sent) })
	}
	if err == nil {
		err = b.jobs.paces.wait(ctx, b.sent)
	}
	return true, err
}

// chunk reads and places one. It is false when the resource is done.
func (b *backfiller) chunk(ctx context.Context) (more bool, err error) {
	b.sent = 0
	select {
	case b.jobs.reading <- struct{}{}:
		defer func() { <-b.jobs.reading }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	to, err := b.jobs.store.Get(ctx, subscriptions.Scope{Admin: true}, b.run.SubscriptionID)
	switch {
	case errors.Is(err, subscriptions.ErrNotFound):
		return false, jobError("the subscription was deleted")
	case err != nil:
		return false, err
	case to.State != subscriptions.Active:
		return false, jobError(fmt.Sprintf("the subscription is %s: ask again when it is active", to.State))
	}
	if err := b.useMapper(to); err != nil {
		return false, err
	}
	if b.at.Ends && len(b.again) == 0 {
		return false, nil
	}
	if err := b.begin(ctx); err != nil {
		return false, err
	}
	read, next, err := b.read(ctx)
	if err != nil {
		return false, err
	}
	if err := b.events(ctx, to, read, &next); err != nil {
		return false, err
	}
	b.reached(stepRead)
	placed, err := b.mark(ctx, &chunk{mapper: b.mapper, rows: read.rows, forced: b.unknown >= triesMax})
	if err != nil {
		return false, err
	}
	if placed.unknown {
		// All of it is read again, and less at once.
		b.unknown++
		b.size = max(b.size/2, 1)
		if b.unknown > 1 && !read.again {
			b.took(read, next, placed) // by its keys, so that only these need be noted
		}
		return true, nil
	}
	b.unknown = 0
	b.reached(stepPlaced)
	select {
	case <-placed.receipt.Settled():
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if placed.receipt.IsAbandoned() {
		return false, sender.ErrNotOwner
	}
	b.reached(stepSettled)
	b.took(read, next, placed)
	b.sent = placed.sent
	if err = b.save(ctx); err == nil {
		b.reached(stepSaved)
	}
	return true, err
}

// useMapper takes what the mapping is now.
func (b *backfiller) useMapper(to *subscriptions.Subscription) error {
	m := b.jobs.app.mapper.Load()
	if m == b.mapper {
		return nil
	}
	name := b.at.Tables[b.at.Resource].Resource
	info, ok := m.Resource(name)
	if !ok {
		return jobError(fmt.Sprintf("the config has no resource %s any more", name))
	}
	s, err := m.Backfiller(name)
	if err != nil {
		return b.refused(err.Error())
	}
	if b.at.Key != nil && !slices.Equal(info.Key, b.at.Key) {
		return jobError(fmt.Sprintf("the key of resource %s is another one by now: ask again", name))
	}
	b.at.Key = info.Key
	b.mapper, b.sampler, b.info, b.columns = m, s, info, s.Columns()
	b.scan = &cdc.Scan{Name: name, Table: info.Table.TableName}
	b.lookup = &cdc.Lookup{Name: name, Table: info.Table.TableName, Max: 1, First: true}
	for _, i := range b.columns {
		b.scan.Columns = append(b.scan.Columns, info.Table.Columns[i])
	}
	b.lookup.Columns = b.scan.Columns
	for _, k := range info.Key {
		c := info.Table.Columns[info.Table.Column(k)]
		b.scan.Key = append(b.scan.Key, c)
		b.lookup.Match = append(b.lookup.Match, cdc.LookupColumn{Column: c, Type: c.Type})
	}
	if b.want.Since != nil {
		c := sinceColumn(info.Table)
		if c == nil {
			return jobError(fmt.Sprintf("the rows of %s do not say any more when they were changed: ask again without since", name))
		}
		b.scan.Since = c
	}
	b.leave()
	b.window = nil
	if to.ResourceID != "" && !b.at.Ends {
		// It is one row.
		b.at.Ends = true
		var key [][]byte
		if parts := mapping.SplitInstance(to.ResourceID, len(info.Key)); len(parts) == len(info.Key) {
			key = bytesOf(parts)
			b.again = append(b.again, &candidate{key: key})
		}
	}
	for _, x := range b.again {
		x.row = row{name, mapping.InstanceOf(x.key)}
	}
	return nil
}

// The steps of a chunk, for tests. Begin and marked are left out where the last mark does.
const (
	stepBegin   = "begin"
	stepMarked  = "marked"
	stepRead    = "read"
	stepPlaced  = "placed"
	stepSettled = "settled"
	stepSaved   = "saved"
)

func (b *backfiller) reached(step string) {
	if f := b.jobs.app.backfills.onStep.Load(); f != nil {
		(*f)(step)
	}
}

// leave ends the window.
func (b *backfiller) leave() {
	if b.window != nil {
		b.jobs.app.backfills.close(b.window)
		b.window = nil
	}
}

// begin sets the mark before which all that is read was committed, where the last one does not do. Where much changes, what is read again
// is all that counts.
func (b *backfiller) begin(ctx context.Context) error {
	var only map[row]bool
	if b.unknown > 0 && len(b.again) > 0 {
		only = map[row]bool{}
		for _, x := range b.again[:min(len(b.again), b.rowsAtOnce())] {
			only[x.row] = true
		}
	}
	if b.window != nil && time.Since(b.marked) <= windowOld && only == nil && !b.focused {
		return nil
	}
	b.reached(stepBegin)
	b.open()
	b.jobs.app.backfills.focus(b.window, only)
	b.focused = only != nil
	out, err := b.mark(ctx, nil)
	b.reached(stepMarked)
	if err == nil && b.at.Behind == "" {
		b.at.Behind = out.at.String()
	}
	return err
}

// open opens the window, where there is none.
func (b *backfiller) open() {
	if b.window == nil {
		b.window = b.jobs.app.backfills.open(b.run.SubscriptionID, []windowTable{{resource: b.info.Name, table: b.info.Table.TableName, oid: b.info.Table.OID,
			key: b.info.Key, columns: map[*cdc.Relation][]int{}}})
	}
}

// mark sets a mark, at which the chunk is placed, and returns what became of that.
func (b *backfiller) mark(ctx context.Context, c *chunk) (placedChunk, error) {
	b.open()
	w := b.window
	number := b.jobs.app.backfills.expect(w, c)
	if err := b.jobs.store.Mark(ctx, w.name, number); err != nil {
		return placedChunk{}, err
	}
	select {
	case out := <-w.placed:
		if out.gone {
			return out, jobError("the subscription was deleted")
		}
		b.visible, b.marked = out.visible, time.Now()
		return out, nil
	case <-w.lost:
		b.window = nil
		return placedChunk{}, errInterrupted
	case <-ctx.Done():
		return placedChunk{}, ctx.Err()
	}
}

// readRows is what was read at once: rows, of which those of values are there.
type readRows struct {
	rows   []*candidate
	values []cdc.Row
	// read is how many were looked at; again says that they were read before.
	read  int
	again bool
}

// nextPage is where to go on.
type nextPage struct {
	after [][]byte
	ends  bool
}

// read reads those that are to be read again, else the next page.
func (b *backfiller) read(ctx context.Context) (*readRows, nextPage, error) {
	for slow := 0; ; {
		began := time.Now()
		out, next, err := b.readOnce(ctx)
		var refused *cdc.LookupError
		switch {
		case err == nil:
			if time.Since(began) > chunkSlow || !out.again && !next.ends && out.read < b.rowsAtOnce()/2 {
				b.size = max(b.size/2, 1)
			} else if !out.again && out.read == b.rowsAtOnce() {
				b.size = min(2*b.size, int(b.jobs.app.backfills.rows.Load()))
			}
			return out, next, nil
		case !errors.As(err, &refused):
			return nil, nextPage{}, err
		case refused.Slow && b.size == 1:
			if slow++; slow >= slowTries {
				return nil, nextPage{}, b.refused(refused.Reason)
			}
		case refused.TooMuch && b.size > 1:
			b.size /= 2
		case refused.Undefined:
			return nil, nextPage{}, b.refused(refused.Reason + ": reload the config, and ask again")
		default:
			return nil, nextPage{}, b.refused(refused.Reason)
		}
	}
}

// refused is why it cannot be done. Who is not the operator does not learn of tables.
func (b *backfiller) refused(reason string) jobError {
	reason = strings.ReplaceAll(reason, "\n", " ")
	if !b.want.Own {
		return jobError(reason)
	}
	b.jobs.app.log.Warn("a backfill cannot go on", "job", b.run.ID, "reason", reason)
	return "the rows cannot be read; the operator finds the reason in rowhook's log"
}

// rowsAtOnce is how many rows are read at once: a power of two, and few where few are wanted in a second.
func (b *backfiller) rowsAtOnce() int {
	n := b.size
	for b.want.Rate > 0 && n > 1 && n > b.want.Rate {
		n /= 2
	}
	return n
}

func (b *backfiller) readOnce(ctx context.Context) (*readRows, nextPage, error) {
	next := nextPage{after: bytesOf(b.at.After), ends: b.at.Ends}
	if len(b.again) > 0 {
		out := &readRows{rows: b.again[:min(len(b.again), b.rowsAtOnce())], again: true}
		read := &keyedRows{request: cdc.LookupRequest{Lookup: b.lookup}}
		for _, x := range out.rows {
			x.tries++
			read.request.Keys = append(read.request.Keys, x.key)
		}
		limit := chunkBytes
		if len(out.rows) == 1 {
			limit = b.completer.maxRow
		}
		if err := b.rows.ReadRelated(ctx, b.visible, read, limit); err != nil {
			return nil, next, err
		}
		out.values = read.rows
		return out, next, nil
	}
	q := &cdc.ScanRequest{Scan: b.scan, After: next.after, Rows: b.rowsAtOnce(), MaxBytes: chunkBytes}
	if b.want.Since != nil {
		q.Since = b.want.Since.UTC().Format(time.RFC3339Nano)
	}
	page, err := b.rows.ReadScan(ctx, b.visible, q)
	if err != nil {
		return nil, next, err
	}
	out := &readRows{values: page.Rows, read: page.Read}
	for range page.Rows {
		out.rows = append(out.rows, &candidate{tries: 1})
	}
	if page.Read > 0 {
		next.after = page.Last
	}
	next.ends = !page.More
	return out, next, nil
}

// events makes the events of rows: of the first ones, where they become large; then next is behind these.
func (b *backfiller) events(ctx context.Context, to *subscriptions.Subscription, read *readRows, next *nextPage) error {
	var waiting []sender.Job
	of := map[*mapping.Event]*candidate{}
	for i, values := range read.values {
		x := read.rows[i]
		x.event, x.failed, x.covered = nil, "", false
		if values == nil {
			continue
		}
		whole := make(cdc.Row, len(b.info.Table.Columns))
		for n, i := range b.columns {
			whole[i] = values[n]
		}
		if x.key == nil {
			for _, k := range b.info.Key {
				x.key = append(x.key, whole[b.info.Table.Column(k)].Data)
			}
			x.row = row{b.info.Name, mapping.InstanceOf(x.key)}
		}
		ev, err := b.sampler.Event(whole)
		switch {
		case err != nil:
			x.failed = err.Error()
			continue
		case ev == nil, !to.Covers(ev):
			continue
		}
		x.covered = true
		ev.ID = b.mapper.BackfilledID(b.run.ID, ev.Resource, ev.Instance)
		if x.event = ev; ev.Incomplete() {
			waiting, of[ev] = append(waiting, sender.Job{Event: ev}), x
		}
	}
	for size := 0; len(waiting) > 0; {
		if size > chunkBytes {
			at := slices.Index(read.rows, of[waiting[0].Event])
			read.rows = read.rows[:at]
			if !read.again {
				read.read, next.after, next.ends = at, read.rows[at-1].key, false
			}
			return nil
		}
		n, err := b.complete(ctx, waiting, of)
		if err != nil {
			return err
		}
		for _, j := range waiting[:n] {
			size += j.Event.Size()
		}
		waiting = waiting[n:]
	}
	return nil
}

// complete completes the first events, and returns how many they are.
func (b *backfiller) complete(ctx context.Context, waiting []sender.Job, of map[*mapping.Event]*candidate) (int, error) {
	c, n, err := b.completer.read(ctx, waiting, b.visible)
	if err != nil {
		return 0, err
	}
	if err := b.asker.ask(ctx, c, b.visible); err != nil {
		return 0, err
	}
	for i := range waiting[:n] {
		if c.Lacks(waiting[i].Event) {
			n = i
			break
		}
	}
	for owners, at := c.Owners(), 0; at < len(owners); {
		rows, err := b.owners.Read(ctx, b.visible, owners[at:], relatedBytes)
		if err != nil {
			return 0, err
		}
		for _, r := range rows {
			c.Owned(at, r)
			at++
		}
	}
	for _, j := range waiting[:n] {
		x := of[j.Event]
		if letter, dead := c.Complete(j.Event); dead {
			x.event, x.failed = nil, letter.Reason
		}
	}
	return n, nil
}

// took notes what has become of a chunk.
func (b *backfiller) took(read *readRows, next nextPage, placed placedChunk) {
	t := &b.at.Tables[b.at.Resource]
	if !b.want.Own {
		t.Done += int64(read.read)
	}
	for _, x := range read.rows {
		if b.want.Own && x.covered && !slices.Contains(placed.again, x) {
			t.Done++
		}
	}
	t.Sent += int64(placed.sent)
	for _, x := range read.rows {
		if x.failed != "" && !slices.Contains(placed.again, x) {
			if !b.want.Own || x.covered {
				t.Failed++
			}
			if b.failure != x.failed {
				if b.failure = x.failed; !b.want.Own && t.Failure == "" {
					t.Failure = x.failed
				}
				b.jobs.app.log.Warn("rows cannot be mapped: a backfill leaves them out", "job", b.run.ID, "resource", t.Resource, "reason", x.failed)
			}
		}
	}
	if read.again {
		b.again = b.again[len(read.rows):]
	}
	b.again = append(b.again, placed.again...)
	for _, x := range b.again {
		x.event = nil
	}
	b.at.After, b.at.Ends = textsOf(next.after), next.ends
}

// save writes how far it is.
func (b *backfiller) save(ctx context.Context) error {
	b.at.Again = nil
	for _, x := range b.again {
		b.at.Again = append(b.at.Again, textsOf(x.key))
	}
	var done int64
	for _, t := range b.at.Tables {
		done += t.Done
	}
	return b.run.progressed(ctx, done, b.at)
}

func bytesOf(texts []string) (out [][]byte) {
	for _, t := range texts {
		out = append(out, []byte(t))
	}
	return out
}

func textsOf(values [][]byte) (out []string) {
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

// sinceNames are the names that columns have which say when a row was changed last, without underscores.
var sinceNames = []string{"updatedat", "modifiedat", "lastmodifiedat", "changedat", "updatedon", "modifiedon", "updated", "modified", "lastmodified", "lastupdated",
	"datemodified", "dateupdated", "writedate", "updatetime", "updatedtime", "modifiedtime", "modifieddate", "updateddate"}

// sinceColumn is the column that says when a row was changed last, by its name and type; nil where there is none.
func sinceColumn(t *cdc.Table) *cdc.Column {
	for _, name := range sinceNames {
		for i := range t.Columns {
			c := &t.Columns[i]
			if strings.ToLower(strings.ReplaceAll(c.Name, "_", "")) == name && isTime(c.Type) {
				return c
			}
		}
	}
	return nil
}

// isTime says whether it is a date, a timestamp or a timestamptz.
func isTime(t *cdc.Type) bool {
	for t.Base != nil {
		t = t.Base
	}
	return t.OID == 1082 || t.OID == 1114 || t.OID == 1184
}
