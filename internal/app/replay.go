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
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// jobReplay is the kind of jobs that send events again.
const jobReplay = client.JobReplay

const (
	// replaysPerSecond is how much all jobs together send again, at most: what is new must have room beside it.
	replaysPerSecond = 5_000
	// replayAhead is how much of a subscription may wait while more is put behind it: what is cancelled has not been queued yet, and the
	// store does not hold everything twice. replayLook is how often is looked.
	replayAhead = 5_000
	replayLook  = 100 * time.Millisecond
	// replayLong is how long one waits for that with what it has read in memory.
	replayLong = 10 * time.Second
	// replayRows is how many rows of deliveries are read at once, of up to 60 each. replayBuffer is how many deliveries are
	// kept to be put in order.
	replayRows   = 20
	replayBuffer = 20_000
	// together is how far apart deliveries that were written together may have been committed, and twice that with some seconds for commits
	// that are not in the order of their times.
	together = 3 * time.Minute
	// commitsApart is how far the order of commits in the log and that of their times may differ.
	commitsApart = time.Minute
)

// replayWanted is what a replay selects. Low and High are the positions between which it is.
type replayWanted struct {
	client.Replay
	Low  string `json:"low"`
	High string `json:"high"`

	low, high cdc.Position
	ids       map[string]bool
}

// wantedReplay resolves what is asked for: where times are positions from now on, and what is not said.
func wantedReplay(ctx context.Context, st *store.Store, r client.Replay) (w replayWanted, err error) {
	w.Replay = r
	if r.To == nil && r.ToPosition == "" {
		now := time.Now().UTC()
		w.To = &now
	}
	if r.FromPosition != "" {
		w.low, err = cdc.ParsePosition(r.FromPosition)
	} else if r.From != nil {
		w.low, err = st.PlaceOf(ctx, r.From.Add(-commitsApart))
	}
	if err != nil {
		return w, err
	}
	if r.ToPosition != "" {
		w.high, err = cdc.ParsePosition(r.ToPosition)
	} else {
		w.high, err = st.PlaceOf(ctx, w.To.Add(commitsApart))
	}
	w.Low, w.High = w.low.String(), w.high.String()
	w.index()
	return w, err
}

// readReplay reads what a job keeps of it.
func readReplay(parameters json.RawMessage) (w replayWanted, err error) {
	if err = json.Unmarshal(parameters, &w); err != nil {
		return w, err
	}
	if w.low, err = cdc.ParsePosition(w.Low); err == nil {
		w.high, err = cdc.ParsePosition(w.High)
	}
	w.index()
	return w, err
}

func (w *replayWanted) index() {
	if len(w.EventIDs) > 0 {
		w.ids = make(map[string]bool, len(w.EventIDs))
		for _, id := range w.EventIDs {
			w.ids[id] = true
		}
	}
}

// wantsState says whether a delivery is wanted by what has become of it.
func (w *replayWanted) wantsState(d store.Sent) bool {
	switch w.State {
	case client.ReplayAll:
		// What was gathered is told by what it was gathered into. Where that came to nothing, as of what was made and deleted, one of it
		// without the others would leave something that is not there.
		return d.Status != sender.StatusDropped || d.Dropped != sender.DropDebounced || w.ids != nil
	case client.ReplayDelivered:
		return d.Status == sender.StatusDelivered
	case client.ReplayDropped:
		return neverSent(d)
	case client.ReplayMissed:
		return neverSent(d) || d.Status == sender.StatusFailed
	}
	return d.Status == sender.StatusFailed
}

// neverSent says that a delivery was dropped because the subscription was not sent to. What a later event has taken the place of, and
// what its target did not want, is not missing anywhere.
func neverSent(d store.Sent) bool {
	return d.Status == sender.StatusDropped && (d.Dropped == sender.DropShadow || d.Dropped == sender.DropFeed)
}

// wants says whether an event is wanted. Notices of ours are no events of anybody's.
func (w *replayWanted) wants(ev *mapping.Event) bool {
	switch {
	case ev == nil || ev.Resource == mapping.NoticeResource:
		return false
	case w.From != nil && ev.Time.Before(*w.From), w.To != nil && ev.Time.After(*w.To):
		return false
	case w.ResourceID != "" && ev.Instance != w.ResourceID, w.ids != nil && !w.ids[ev.ID]:
		return false
	}
	return len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(pattern string) bool {
		resource, whole := strings.CutSuffix(pattern, ".*")
		return pattern == "*" || pattern == ev.Type || whole && resource == ev.Resource
	})
}

// replayProgress is how far a replay has come: all that was read up to Read has been sent again, but for what stands at From and behind it;
// all of it where From is empty.
type replayProgress struct {
	Read string `json:"read"`
	From string `json:"from,omitempty"`
}

// replayReader reads the deliveries of a replay in the order of their positions.
type replayReader struct {
	store *store.Store
	want  replayWanted
	span  store.Span
	// again is where to go on once what had been read before was read again.
	again *store.Span
	// buffer are deliveries that are wanted, in order; through is when the last one that was read was committed, about.
	buffer  []store.Sent
	through time.Time
	ends    bool
	// bounded says that it is known how far is to be read.
	bounded bool
}

func newReplayReader(st *store.Store, subscription int64, w replayWanted, progress json.RawMessage) (*replayReader, error) {
	r := &replayReader{store: st, want: w, span: store.Span{Subscription: subscription, From: w.low, To: w.high, Rows: replayRows}}
	if progress == nil {
		return r, nil
	}
	var p replayProgress
	if err := json.Unmarshal(progress, &p); err != nil {
		return nil, err
	}
	read, err := cdc.ParsePosition(p.Read)
	if err != nil {
		return nil, err
	}
	after := r.span
	after.Read = read
	if p.From == "" {
		r.span = after
		return r, nil
	}
	if r.span.From, err = cdc.ParsePosition(p.From); err != nil {
		return nil, err
	}
	r.span.Until, r.again = read, &after
	return r, nil
}

// progress is what newReplayReader goes on from.
func (r *replayReader) progress() replayProgress {
	p := replayProgress{Read: r.span.Read.String()}
	if r.again != nil {
		p.Read = r.again.Read.String()
		p.From = r.span.From.String() // what was read again is not all yet
	}
	if len(r.buffer) > 0 && (p.From == "" || p.From > r.buffer[0].Position.String()) {
		p.From = r.buffer[0].Position.String()
	}
	return p
}

// read reads some more.
func (r *replayReader) read(ctx context.Context) error {
	if !r.bounded {
		until, err := r.store.SentUntil(ctx, r.want.high)
		if err != nil {
			return err
		}
		if r.again != nil {
			r.again.Until = until
		} else {
			r.span.Until = until
		}
		r.bounded = true
	}
	page, err := r.store.Sent(ctx, r.span)
	if err != nil {
		return err
	}
	for _, d := range page.Sent {
		if r.want.wantsState(d) {
			r.buffer = append(r.buffer, d)
		}
	}
	slices.SortFunc(r.buffer, func(a, b store.Sent) int { return a.Position.Compare(b.Position) })
	r.span.Read = page.Read
	if page.Through.After(r.through) {
		r.through = page.Through
	}
	switch {
	case page.Ends && r.again != nil:
		r.span, r.again = *r.again, nil
	case page.Ends:
		r.ends = true
	}
	return nil
}

// next returns the next deliveries, at most n; none when that was all.
func (r *replayReader) next(ctx context.Context, n int) ([]store.Sent, error) {
	for !r.ends && r.ready(n) < n {
		if err := r.read(ctx); err != nil {
			return nil, err
		}
	}
	out := slices.Clone(r.buffer[:r.ready(n)])
	r.buffer = slices.Delete(r.buffer, 0, len(out))
	return out, nil
}

// ready is how many of the buffer, at most n, have nothing before them that is still to be read.
func (r *replayReader) ready(n int) int {
	n = min(n, len(r.buffer))
	if r.ends || len(r.buffer) > replayBuffer {
		return n
	}
	if r.again != nil {
		return 0
	}
	for i, d := range r.buffer[:n] {
		if r.through.Sub(d.Near) < together {
			return i
		}
	}
	return n
}

// replay does a job of the kind. A page of events is given to the resender, and then the progress is written: after a crash in
// between, a page comes twice, and what of it has been sent meanwhile is sent again.
func (j *jobs) replay(ctx context.Context, r *jobRun) error {
	w, err := readReplay(r.Parameters)
	if err != nil {
		return jobError("what was asked for cannot be read any more")
	}
	reader, err := newReplayReader(j.store, r.Subscription, w, r.Progress)
	if err != nil {
		return jobError("how far it has come cannot be read any more")
	}
	own := &pace{perSecond: w.Rate}
	page := resendPage
	if w.Rate > 0 {
		page = min(page, max(w.Rate/4, 1))
	}
	found := 0
	for {
		if err := j.mayReplay(ctx, r, func() { reader = nil }); err != nil {
			return err
		}
		if reader == nil {
			if reader, err = newReplayReader(j.store, r.Subscription, w, r.Progress); err != nil {
				return err
			}
		}
		sent, err := reader.next(ctx, page)
		if err != nil {
			return err
		}
		to, err := j.store.Get(ctx, subscriptions.Scope{Admin: true}, r.SubscriptionID)
		if errors.Is(err, subscriptions.ErrNotFound) {
			return jobError("the subscription was deleted")
		}
		if err != nil {
			return err
		}
		if to.State != subscriptions.Active {
			return jobError(fmt.Sprintf("the subscription is %s: ask again when it is active", to.State))
		}
		if len(sent) == 0 {
			return nil
		}
		heads, err := j.store.Heads(ctx, sent)
		if err != nil {
			return err
		}
		var again []sender.Job
		for i, ev := range heads {
			if w.wants(ev) {
				again = append(again, sender.Job{Event: ev, To: []*subscriptions.Subscription{to}, Replay: true, Attempts: sent[i].Attempts})
			}
		}
		if w.Rate > 0 {
			err = j.waitAside(ctx, func() error { return own.wait(ctx, len(again)) })
		}
		if err == nil {
			err = j.paces.wait(ctx, len(again))
		}
		if err != nil {
			return err
		}
		if len(again) > 0 {
			if _, err := j.resender.resend(ctx, again); err != nil {
				return err
			}
		}
		if err := r.progressed(ctx, r.Done+int64(len(again)), reader.progress()); err != nil {
			return err
		}
		if found += len(again); w.ids != nil && found >= len(w.ids) {
			return nil
		}
	}
}

// mayReplay returns when more may be queued. The error is store.ErrJobEnded when the job was cancelled. Long is called when that
// takes long: what was read may be read again.
func (j *jobs) mayReplay(ctx context.Context, r *jobRun, long func()) error {
	open := func() error {
		open, err := j.store.JobOpen(ctx, r.Key)
		if err == nil && !open {
			err = store.ErrJobEnded
		}
		return err
	}
	full := func() bool { return j.resender.dispatcher.Waiting(r.Subscription) >= replayAhead }
	if err := open(); err != nil || !full() {
		return err
	}
	return j.waitAside(ctx, func() error {
		began := time.Now()
		for looked := began; full(); {
			if err := sleep(ctx, replayLook); err != nil {
				return err
			}
			if time.Since(looked) < jobsIdle {
				continue
			}
			if err := open(); err != nil {
				return err
			}
			if looked = time.Now(); looked.Sub(began) > replayLong {
				long()
			}
		}
		return nil
	})
}

// countReplay counts what a replay selects, for so long.
func countReplay(ctx context.Context, st *store.Store, subscription int64, w replayWanted, within time.Duration) (total int64, whole bool, err error) {
	reader, err := newReplayReader(st, subscription, w, nil)
	if err != nil {
		return 0, false, err
	}
	for deadline := time.Now().Add(within); !reader.ends; {
		if time.Now().After(deadline) {
			return total, false, nil
		}
		if err := reader.read(ctx); err != nil {
			return 0, false, err
		}
		heads, err := st.Heads(ctx, reader.buffer)
		if err != nil {
			return 0, false, err
		}
		reader.buffer = reader.buffer[:0]
		for _, ev := range heads {
			if w.wants(ev) {
				total++
			}
		}
	}
	return total, true, nil
}

// jobErrorOf is the API's answer for an error of the store's.
func jobErrorOf(err error, j *store.Job) error {
	switch {
	case errors.Is(err, store.ErrNoJob):
		return errNoJob
	case errors.Is(err, store.ErrJobEnded) && j != nil:
		return errJobEnded(j)
	}
	return err
}
