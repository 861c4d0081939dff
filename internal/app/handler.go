package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// lateChange is an announcement whose change is waited for, and since when.
type lateChange struct {
	subscriptions.Announcement
	since time.Time
}

// handler is the way of the data: changes become events, events deliveries, and these go to the dispatcher with the
// receipt that it settles. It belongs to the source's goroutine.
type handler struct {
	app   *App
	store *store.Store
	// mapper is that of the transaction tx, from its first change to its last; fresh that of those after it.
	mapper, fresh *mapping.Mapper
	tx            *cdc.Tx
	index         *subscriptions.Index
	filters       *filters
	toldSize      int64
	sized         time.Time
	dispatcher    *sender.Dispatcher
	// chores and what is requested are begun by this process as long as it reads the slot.
	chores    *chores
	requested *jobs
	// recent are the transactions that were read last.
	recent recent
	// resender is lent to the API for as long.
	resender *resender
	// stage gathers the changes of a block, held is of the batch in which the block began that goes on in the next one.
	stage coalesce.Stage
	held  taken
	// filler puts in what the stream leaves out of the changes that are ready, completer what is in other tables.
	filler    filler
	completer completer
	toucher   toucher
	// asker gets what the application itself has to say.
	asker *asker
	ready cdc.Batch
	// at is where the last change was mapped.
	at place
	// spoken is what the application says of its transactions.
	spoken spoken

	begun bool
	// horizon is the newest position in the store when the connection was made: what is not beyond it may have been
	// recorded before.
	horizon cdc.Position

	// unsettled is what came of the changes that were read, and is not durable yet.
	unsettled unsettled

	events  []*mapping.Event
	letters []mapping.DeadLetter
	matched []*subscriptions.Subscription
	jobs    []sender.Job
	// forget are the keys of subscriptions whose deletion was seen in the batch.
	forget []int64
	// late are announcements whose change was not visible in the store when it was waited for, by subscription.
	late     map[string]lateChange
	lateLook time.Time
	// superseded are subscriptions that match as before a change of them, until its announcement is read, by Key.
	superseded map[int64]store.Former
	// keepsAll says that events are stored though nobody has matched them.
	keepsAll bool
	// replaying says that a message of the batch asks for the replay of dead letters.
	replaying bool
}

// Begin implements cdc.Handler: this process is the one that reads the slot now.
func (h *handler) Begin(ctx context.Context) error {
	same, err := h.store.Own(ctx, h.app.cfg.Database.Slot, h.app.owner)
	if err != nil {
		// The answer may be lost, and the next one will say that it is us: who was it in between is not known any more.
		h.begun = false
		return err
	}
	if !same {
		// Until all of the following has succeeded, once, what the store holds is not known here.
		h.begun = false
	}
	known, before, err := h.readSubscriptions(ctx)
	if err != nil {
		return err
	}
	// What was said while another process sent holds before anything is begun here.
	if err := h.app.readPause(ctx, h.store); err != nil {
		return err
	}
	if err := h.dispatcher.Resume(ctx, h.begun, known); err != nil {
		return err
	}
	for _, s := range before {
		h.dispatcher.Know(s)
	}
	if h.horizon, err = h.store.Horizon(ctx); err != nil {
		return err
	}
	h.begun = true
	h.app.feeds.begun(h.horizon)
	h.dropHeld()
	h.app.backfills.interrupt()
	h.toucher.sessions++
	h.unsettled.reset()
	h.spoken.reset()
	h.tellSize()
	h.chores.activate(true)
	h.app.resender.Store(h.resender)
	h.requested.activate(true)
	return nil
}

// readSubscriptions fills the index. It returns how to find each as it is in the store now, and those that match
// otherwise at the place from which the log is read.
func (h *handler) readSubscriptions(ctx context.Context) (known func(int64) *subscriptions.Subscription, before map[int64]*subscriptions.Subscription, err error) {
	h.index.Reset()
	if err := h.store.Each(ctx, h.index.Put); err != nil {
		return nil, nil, err
	}
	// What was changed after that place matches as it did there: the announcement of the change comes again.
	old, err := h.store.Superseded(ctx, h.app.source.Load().Status().Acknowledged)
	if err != nil {
		return nil, nil, err
	}
	before = map[int64]*subscriptions.Subscription{}
	if len(old) > 0 {
		held := h.index.ByKey()
		for key := range old {
			if s := held(key); s != nil {
				before[key] = s
			}
		}
	}
	for key, s := range before {
		if a := old[key]; a.Version < s.Version {
			h.index.Remove(s.ID)
			h.index.Put(s.WithAnnouncement(a.Announcement))
		} else {
			delete(old, key)
		}
	}
	h.superseded = old
	held := h.index.ByKey()
	return func(key int64) *subscriptions.Subscription {
		if s := before[key]; s != nil {
			return s
		}
		return held(key)
	}, before, nil
}

// sizeStep is by how much the index's size must have changed to be told again, in bytes.
const sizeStep = 1 << 20

// sizeEvery is how often it is looked at.
const sizeEvery = time.Second

// tellSize tells how much memory the subscriptions take.
func (h *handler) tellSize() {
	h.sized = time.Now()
	size := h.index.Size() + max(h.dispatcher.StateSize(), h.app.senderConfig(h.app.live.Load()).StateSize(h.index.Len()))
	if tell := h.app.opts.OnSubscriptions; tell != nil && max(size-h.toldSize, h.toldSize-size) >= sizeStep {
		h.toldSize = size
		tell(size)
	}
}

// End implements cdc.Handler.
func (h *handler) End() {
	h.dropHeld()
	h.app.backfills.interrupt()
	h.app.resender.Store(nil)
	h.chores.activate(false)
	h.requested.activate(false)
	h.dispatcher.Suspend()
	h.app.rows.Close()
	h.app.reads.Close()
	h.app.application.Load().Close()
}

// Handle implements cdc.Handler. It takes the batch in one part, unless a block of several changes is over in it, or
// values that are read again make it too large.
func (h *handler) Handle(ctx context.Context, b *cdc.Batch) (*cdc.Receipt, error) {
	h.forget = h.forget[:0]
	if err := h.catchUp(ctx); err != nil {
		return nil, err
	}
	if err := h.endSuperseded(ctx, b); err != nil {
		return nil, err
	}
	h.fresh = h.app.mapper.Load()
	h.keepsAll = h.app.live.Load().Retention.Events == config.KeepAll
	h.app.metrics.changes(b)
	if time.Since(h.sized) > sizeEvery {
		h.tellSize()
	}
	h.recent.note(b)
	h.app.backfills.note(b)
	h.app.metrics.muted(h.spoken.hear(b))
	h.stage.Put(b)
	wanted := h.anybody(b)
	own := taken{more: h.stage.WillHold()}
	for part := h.stage.Next(); part != nil; part = h.stage.Next() {
		to := &own
		if part.Continued {
			to = &h.held
		}
		if err := h.handlePart(ctx, b.Epoch, part, wanted, to); err != nil {
			return nil, err
		}
		if part.Ends {
			h.letGo()
		}
	}
	h.spoken.settle(h.stage.Holding())
	receipt := own.receipt
	switch tx := h.stage.Holding(); {
	case tx != nil && h.held.receipt == nil:
		h.hold(tx, &own)
		receipt = own.receipt
	case receipt == nil:
		receipt = cdc.NewReceipt(0)
	case own.held:
		receipt.Done()
	}
	return receipt, nil
}

// handlePart takes a part of a batch, in several parts where values that are read again make it too large.
func (h *handler) handlePart(ctx context.Context, epoch uint32, part *coalesce.Part, wanted bool, to *taken) error {
	h.ready = cdc.Batch{Changes: part.Changes, Open: part.Open}
	h.filler.plan(&h.ready, wanted)
	defer h.filler.release(&h.ready)
	for from := 0; ; {
		end, err := h.filler.part(ctx, &h.ready)
		if err != nil {
			return err
		}
		last := end == len(part.Changes)
		var places []coalesce.Place
		if part.Places != nil {
			places = part.Places[from:end]
		}
		ends := last && !part.Rest || !last && !sameBlock(&part.Changes[end-1], &part.Changes[end])
		if err := h.take(ctx, epoch, part.Changes[from:end], places, to, last && part.Last, ends); err != nil || last {
			return err
		}
		from = end
	}
}

// mapperOf is the mapper of a change of the batch.
func (h *handler) mapperOf(c *cdc.Change) *mapping.Mapper {
	if c.Tx == h.tx {
		return h.mapper
	}
	return h.fresh
}

// anybody says whether there may be a subscription: else nothing needs to be read.
func (h *handler) anybody(b *cdc.Batch) bool {
	return h.index.Len() > 0 || h.keepsAll || slices.ContainsFunc(b.Changes, func(c cdc.Change) bool { return c.Prefix == subscriptions.MessagePrefix })
}

// take takes a part of a batch, with the receipt of the parts before it; ends says that the last change's block ends with
// it. When it fails after the first one, which is only when ctx ends, the receipt is not handed out, and the batch comes
// again.
func (h *handler) take(ctx context.Context, epoch uint32, changes []cdc.Change, places []coalesce.Place, to *taken, last, ends bool) error {
	h.letters, h.matched, h.jobs = h.letters[:0], h.matched[:0], h.jobs[:0]
	h.toucher.gather(h, epoch, changes, places, ends)
	for i := range changes {
		c := &changes[i]
		if c.Tx != h.tx {
			h.tx, h.mapper = c.Tx, h.fresh
		}
		if c.Op == cdc.Message {
			// The application's own have been heard. They are no announcements, whatever they hold.
			if c.Prefix != subscriptions.MessagePrefix || h.replayAsked(c) {
				continue
			}
			if mark, is := h.markOf(c); is {
				if err := h.place(ctx, epoch, c, mark, changes, to); err != nil {
					return err
				}
				continue
			}
			if told, err := h.tellNotices(ctx, epoch, c); told || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := h.announced(ctx, c); err != nil {
				return err
			}
			continue
		}
		var place coalesce.Place
		if places != nil {
			place = places[i]
		}
		letters := len(h.letters)
		h.mapPlaced(epoch, c, place)
		said, source := h.spoken.context(c)
		for _, ev := range h.events {
			ev.Context, ev.Source = said, source
			h.match(ev)
		}
		for i := range h.letters[letters:] {
			h.letters[letters+i].Context = said
		}
		h.toucher.note(c, h.mapper, place, h.events, h.letters[letters:])
		if b := h.toucher.endsAt(i); b != nil {
			b.said, b.source = said, source
			if err := h.touch(ctx, b, changes, to); err != nil {
				return err
			}
		}
	}
	if err := h.flush(ctx, changes, to, last); err != nil {
		return err
	}
	// Only now: what was matched before the deletion in this batch must not be sent either.
	for _, key := range h.forget {
		h.dispatcher.Forget(key)
	}
	h.forget = h.forget[:0]
	return nil
}

// match makes the job of an event, if somebody wants it, or all are kept.
func (h *handler) match(ev *mapping.Event) bool {
	from := len(h.matched)
	h.matched = h.index.Match(h.matched, ev)
	if h.index.Filtered() {
		h.matched = h.matched[:from+len(h.filters.keep(h.matched[from:], ev))]
	}
	to := len(h.matched)
	h.app.backfills.told(ev, h.matched[from:])
	if to == from && !h.keepsAll {
		return false
	}
	h.jobs = append(h.jobs, sender.Job{Event: ev, To: h.matched[from:to:to], Keep: to == from})
	return true
}

// flush hands on what came of the changes so far.
func (h *handler) flush(ctx context.Context, changes []cdc.Change, to *taken, last bool) error {
	if err := h.leaveOutRecorded(ctx); err != nil {
		return err
	}
	n := len(h.letters)
	for i := range h.jobs {
		n += partsOf(&h.jobs[i])
	}
	if h.replaying {
		n++
	}
	receipt := to.add(n, last)
	if n > 0 {
		h.unsettled.add(receipt, committed(changes))
	}
	if len(h.jobs) > 0 {
		if err := h.submit(ctx, changes, receipt); err != nil {
			return err
		}
		h.app.metrics.matched(h.jobs)
	}
	for i, l := range h.letters {
		if i == 0 {
			h.app.log.Warn("changes could not be mapped: they are kept as dead letters", "in_this_batch", len(h.letters),
				"resource", l.Resource, "position", l.Position.String(), "reason", l.Reason)
		}
		h.dispatcher.Bury(l, receipt)
	}
	h.app.metrics.buried(len(h.letters))
	if h.replaying {
		if err := h.replay(ctx, changes, receipt); err != nil {
			return err
		}
	}
	clear(h.jobs[:cap(h.jobs)])
	clear(h.events[:cap(h.events)])
	h.letters, h.matched, h.jobs = h.letters[:0], h.matched[:0], h.jobs[:0]
	return nil
}

// partsOf is how many parts of a receipt a job settles.
func partsOf(j *sender.Job) int {
	if j.Keep {
		return len(j.To) + 1
	}
	return len(j.To)
}

// mapPlaced maps a change. Changes of one message come one after another, and their events stand behind each other.
func (h *handler) mapPlaced(epoch uint32, c *cdc.Change, p coalesce.Place) {
	if c.Tx != h.at.tx || c.Ordinal != h.at.ordinal {
		h.at = place{tx: c.Tx, ordinal: c.Ordinal}
	}
	letters := len(h.letters)
	h.events, h.letters = h.mapper.MapPlaced(h.events[:0], h.letters, epoch, c, p, h.at.sub)
	h.at.sub += uint32(len(h.events) + len(h.letters) - letters)
}

// committed is when the first change of a batch was committed. A message can stand outside of transactions.
func committed(changes []cdc.Change) time.Time {
	for i := range changes {
		if tx := changes[i].Tx; tx != nil {
			return tx.Time
		}
	}
	return time.Now()
}

// leaveOutRecorded removes deliveries that are in the store from before the connection was made. Only what is not beyond
// the horizon is looked up: live traffic pays nothing.
func (h *handler) leaveOutRecorded(ctx context.Context) error {
	old, err := h.takeRecordedPositions(ctx)
	if err != nil || old == 0 {
		return err
	}
	var asked []store.Delivery
	for _, j := range h.jobs[:old] {
		for _, to := range j.To {
			asked = append(asked, store.Delivery{Subscription: to.Key, Event: j.Event})
		}
		if j.Keep {
			asked = append(asked, store.Delivery{Event: j.Event}) // of nobody: whether the event is there
		}
	}
	deliveries, events, err := retry(ctx, h, "look for what was recorded", func() (d map[store.Pair]bool, e map[cdc.Position]bool, err error) {
		return h.store.Recorded(ctx, asked)
	})
	if err != nil {
		return err
	}
	kept := h.jobs[:0]
	for _, j := range h.jobs {
		j.Stored = events[j.Event.Position]
		to := j.To[:0:0]
		for _, s := range j.To {
			if !deliveries[store.Pair{Subscription: s.Key, Position: j.Event.Position}] {
				to = append(to, s)
			}
		}
		j.Keep = j.Keep && !j.Stored
		if j.To = to; partsOf(&j) > 0 {
			kept = append(kept, j)
		}
	}
	h.jobs = kept
	return nil
}

// retry tries until the store answers.
func retry[A, B any](ctx context.Context, h *handler, what string, try func() (A, B, error)) (A, B, error) {
	pause := waitMin
	for {
		x, y, err := try()
		if err == nil || ctx.Err() != nil {
			return x, y, err
		}
		h.app.log.Warn("the store does not answer: reading waits", "to", what, "error", err)
		select {
		case <-ctx.Done():
			return x, y, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, waitMax)
		}
	}
}

const (
	// visibleWithin is how long a change of a subscription that was read from the stream is waited for, where the store is
	// not in the source's database: the announcement comes before the change, and nobody can tell whether it will be made.
	// After that it is left for later, and looked for before every batch: what is committed after it was made belongs to it.
	// After decidedWithin, when it was made or never will be, it is looked for every lateEvery.
	visibleWithin = 5 * time.Second
	visiblePoll   = 20 * time.Millisecond
	decidedWithin = time.Minute
	lateEvery     = time.Second
	// lateMax bounds them: anybody who may write to the database can write an announcement.
	lateMax = 1000
)

// announced applies a change of a subscription at its place in the stream. The announcement says where; what has changed
// is what the store says.
func (h *handler) announced(ctx context.Context, c *cdc.Change) error {
	var a subscriptions.Announcement
	if err := json.Unmarshal(c.Content, &a); err != nil {
		h.app.log.Warn("an announcement cannot be read: it is left out", "error", err)
		return nil
	}
	if a.Store != h.store.ID() || !h.index.Behind(a) {
		return nil
	}
	if !h.app.storeApart() {
		return h.awaitAnnounced(ctx, c.Tx, a)
	}
	for deadline := time.Now().Add(visibleWithin); ; {
		applied, err := h.apply(ctx, a, c.Tx.Commit)
		if err != nil || applied {
			return err
		}
		if time.Now().After(deadline) {
			break
		}
		if err := sleep(ctx, visiblePoll); err != nil {
			return err
		}
	}
	h.app.log.Warn("a change of a subscription was announced and is not in the store: it is looked for again", "subscription", a.ID)
	if h.late == nil {
		h.late = map[string]lateChange{}
	}
	if len(h.late) < lateMax {
		h.late[a.ID] = lateChange{a, time.Now()}
	}
	return nil
}

// awaitAnnounced applies an announcement that was written in the transaction of the change itself: once that is visible
// the change is there, or was never made.
func (h *handler) awaitAnnounced(ctx context.Context, tx *cdc.Tx, a subscriptions.Announcement) error {
	applied, err := h.apply(ctx, a, tx.Commit)
	if err != nil || applied {
		return err
	}
	if err := h.app.rows.AwaitVisible(ctx, tx); err != nil {
		return err
	}
	if applied, err = h.apply(ctx, a, tx.Commit); err == nil && !applied {
		h.app.log.Warn("a change of a subscription was announced and never made: it is left out", "subscription", a.ID)
	}
	return err
}

// catchUp applies what was late, from behind what was read so far.
func (h *handler) catchUp(ctx context.Context) error {
	if len(h.late) == 0 {
		return nil
	}
	all := time.Since(h.lateLook) >= lateEvery
	if all {
		h.lateLook = time.Now()
	}
	var at cdc.LSN
	if h.tx != nil {
		at = h.tx.Commit
	}
	for id, a := range h.late {
		if !all && time.Since(a.since) > decidedWithin {
			continue
		}
		applied := !h.index.Behind(a.Announcement)
		if !applied {
			var err error
			if applied, err = h.apply(ctx, a.Announcement, at); err != nil {
				return err
			}
		}
		if applied {
			delete(h.late, id)
		}
	}
	return nil
}

// apply brings index and dispatcher to the announcement, when the store has got there. at is its place in the log.
func (h *handler) apply(ctx context.Context, a subscriptions.Announcement, at cdc.LSN) (bool, error) {
	defer h.chores.look()
	row, err := h.announcedRow(ctx, a, at)
	if errors.Is(err, subscriptions.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if row != nil {
		if a.Deleted {
			return true, nil // the store knows better
		}
		if err := h.supersede(ctx, a, at); err != nil {
			return false, err
		}
		h.index.Apply(a, row)
		h.tellSize()
		h.dispatcher.Update(row)
		return true, nil
	}
	if held := h.index.Get(a.ID); held != nil {
		h.dispatcher.Remove(held.Key)
		h.index.Remove(a.ID)
		h.forget = append(h.forget, held.Key)
	}
	return true, nil
}

// supersede keeps what the subscription matched until now, before anything is matched as it is changed.
func (h *handler) supersede(ctx context.Context, a subscriptions.Announcement, at cdc.LSN) error {
	held := h.index.Get(a.ID)
	if held == nil || held.Version >= a.Version || at == 0 {
		return nil
	}
	_, _, err := retry(ctx, h, "note what a subscription matched", func() (_, _ struct{}, err error) {
		return struct{}{}, struct{}{}, h.store.Supersede(ctx, held.Key, subscriptions.Announce(held, a.Store), at)
	})
	return err
}

// endSuperseded takes changes of subscriptions that the log does not tell where it should have: they were made while
// there was no slot.
func (h *handler) endSuperseded(ctx context.Context, b *cdc.Batch) error {
	if len(h.superseded) == 0 || len(b.Changes) == 0 || b.Changes[0].Tx == nil {
		return nil
	}
	at := b.Changes[0].Tx.Commit
	for key, old := range h.superseded {
		if at <= old.Until {
			continue
		}
		if s := h.index.Get(old.ID); s != nil && s.Version == old.Version {
			a := subscriptions.Announcement{ID: old.ID, Version: old.Version + 1}
			switch row, err := h.announcedRow(ctx, a, at); {
			case err != nil && !errors.Is(err, subscriptions.ErrNotFound):
				return err
			case row != nil:
				a = subscriptions.Announce(row, h.store.ID())
			default:
				a.Deleted = true
			}
			if _, err := h.apply(ctx, a, at); err != nil {
				return err
			}
		}
		delete(h.superseded, key)
	}
	return nil
}

// announcedRow reads the row, as often as it takes for the store to answer. A new subscription begins at its announcement
// from then on, also for whoever reads this part of the log again: what was passed over must not come after what was sent.
func (h *handler) announcedRow(ctx context.Context, a subscriptions.Announcement, at cdc.LSN) (*subscriptions.Subscription, error) {
	for {
		row, err := h.store.Announced(ctx, a)
		if err == nil && row != nil && h.index.Get(a.ID) == nil && row.Since < at {
			row.Since = at
			err = h.store.BeginAt(ctx, row.Key, at)
		}
		if err == nil || errors.Is(err, subscriptions.ErrNotFound) || ctx.Err() != nil {
			return row, err
		}
		h.app.log.Warn("the store does not answer: reading waits", "to", "read subscription "+a.ID, "error", err)
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
