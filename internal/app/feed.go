package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// feedBytes bounds the events of a page.
	feedBytes = 4 << 20
	// feedReads is how many pages are read at once: deliveries are written by the same connections.
	feedReads = 2
	// feedFor is how long a page is looked for where few events are selected; then it is what was found.
	feedFor = 2 * time.Second
	// feedReaders bounds those that wait, feedReadersOf those of an account.
	feedReaders, feedReadersOf = 256, 16
	// feedTick is how often the watermark is looked at while something is expected; feedPoll how often that of another process,
	// which is in the store, where it is written about once a second.
	feedTick, feedPoll = 5 * time.Millisecond, time.Second
)

// feeds are what subscriptions have matched, as the API shows it, and who waits for more. What is settled is durable, and nothing
// else comes before it any more: only that is shown, so that who goes on from a position misses nothing.
type feeds struct {
	app   *App
	reads chan struct{}

	mu sync.Mutex
	// settled is the last position that was ever found settled.
	settled cdc.Position
	// told is the one of another process that followers know of.
	told cdc.Position
	// newest is that of the newest delivery that may be in the store.
	newest    cdc.Position
	followers map[int64]map[*follower]struct{}
	waiting   int
	waitingOf map[string]int
	// watching says that watch runs; wake that something is expected.
	watching bool
	wake     chan struct{}
}

func newFeeds(a *App) *feeds {
	return &feeds{app: a, reads: make(chan struct{}, feedReads), followers: map[int64]map[*follower]struct{}{}, waitingOf: map[string]int{}, wake: make(chan struct{}, 1)}
}

// follower waits for news of a subscription.
type follower struct {
	feeds   *feeds
	key     int64
	account string
	news    chan struct{}
	// first and last are the positions of deliveries that are to be told of, once they are settled; zero when there are none.
	first, last cdc.Position
}

// News implements api.Follower.
func (f *follower) News() <-chan struct{} { return f.news }

// Close implements api.Follower.
func (f *follower) Close() {
	f.feeds.mu.Lock()
	defer f.feeds.mu.Unlock()
	of := f.feeds.followers[f.key]
	delete(of, f)
	if len(of) == 0 {
		delete(f.feeds.followers, f.key)
	}
	f.feeds.waiting--
	if f.feeds.waitingOf[f.account]--; f.feeds.waitingOf[f.account] == 0 {
		delete(f.feeds.waitingOf, f.account)
	}
	wakeUp(f.feeds.wake)
}

func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// expects notes a delivery that is to be told of.
func (f *follower) expects(at cdc.Position) {
	if f.last.IsZero() || at.Compare(f.first) < 0 {
		f.first = at
	}
	if at.Compare(f.last) > 0 {
		f.last = at
	}
}

// Follow implements api.Feed.
func (f *feeds) Follow(scope subscriptions.Scope, s *subscriptions.Subscription) (api.Follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch account := scope.Account; {
	case !scope.Admin && f.waitingOf[account] >= feedReadersOf:
		return nil, api.TooMany(fmt.Sprintf("%d requests of this account wait for events already: let some end", feedReadersOf), time.Second)
	case f.waiting >= feedReaders:
		return nil, api.Unavailable(fmt.Sprintf("%d requests wait for events already: try again, or ask without waiting", feedReaders))
	}
	x := &follower{feeds: f, key: s.Key, account: scope.Account, news: make(chan struct{}, 1)}
	if f.followers[s.Key] == nil {
		f.followers[s.Key] = map[*follower]struct{}{}
	}
	f.followers[s.Key][x] = struct{}{}
	f.waiting++
	f.waitingOf[x.account]++
	// What is in the store, and not settled, may be its own.
	x.expects(f.newest)
	if !f.watching {
		f.watching = true
		go f.watch()
	}
	wakeUp(f.wake)
	return x, nil
}

// written notes what the store has now. It is called before that is settled.
func (f *feeds) written(records []sender.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := false
	for i := range records {
		r := &records[i]
		if r.Op != sender.Finish && r.Op != sender.Defer {
			continue
		}
		at := r.Event.Position
		if at.Compare(f.newest) > 0 {
			f.newest = at
		}
		if f.waiting == 0 {
			continue
		}
		for x := range f.followers[r.Subscription] {
			x.expects(at)
			told = true
		}
	}
	if told {
		wakeUp(f.wake)
	}
}

// begun notes that this process reads the slot from now on: what is in the store up to the horizon may be settled without being
// written again.
func (f *feeds) begun(horizon cdc.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if horizon.Compare(f.newest) > 0 {
		f.newest = horizon
	}
	for _, of := range f.followers {
		for x := range of {
			x.expects(f.newest)
		}
	}
	wakeUp(f.wake)
}

// watch tells followers of what is settled, as long as there are any.
func (f *feeds) watch() {
	tick := time.NewTicker(feedPoll)
	defer tick.Stop()
	for {
		own := f.tell()
		f.mu.Lock()
		if f.waiting == 0 {
			f.watching = false
			f.mu.Unlock()
			return
		}
		expected := own && f.expected()
		f.mu.Unlock()
		if expected {
			tick.Reset(feedTick)
		} else {
			tick.Reset(feedPoll)
		}
		select {
		case <-tick.C:
		case <-f.wake:
			if !own {
				// Nothing is known here any earlier.
				select {
				case <-tick.C:
				case <-time.After(feedPoll):
				}
			}
		}
	}
}

// expected says that somebody is to be told of something. It is called with the mutex held.
func (f *feeds) expected() bool {
	for _, of := range f.followers {
		for x := range of {
			if !x.last.IsZero() {
				return true
			}
		}
	}
	return false
}

// tell tells those for whom something is settled. Own says that it is this process that settles.
func (f *feeds) tell() (own bool) {
	ctx, cancel := context.WithTimeout(context.Background(), feedPoll)
	defer cancel()
	settled, own, err := f.watermark(ctx)
	if err != nil {
		return own // it is asked again
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	moved := settled != f.told
	f.told = settled
	for _, of := range f.followers {
		for x := range of {
			switch {
			case !own:
				// Whose deliveries they are is not known here.
				if !moved {
					continue
				}
			case x.last.IsZero() || settled.Compare(x.first) < 0:
				continue
			case settled.Compare(x.last) >= 0:
				x.first, x.last = cdc.Position{}, cdc.Position{}
			default:
				// There is more to come: whatever is settled next is looked at.
				x.first = settled
				x.first.Commit++
			}
			wakeUp(x.news)
		}
	}
	return own
}

// watermark is the last position that is settled: of this process, where it reads the slot, else of the one that does, as it is
// in the store. It never goes back: what was settled once stays durable.
func (f *feeds) watermark(ctx context.Context) (at cdc.Position, own bool, err error) {
	if src := f.app.source.Load(); src != nil {
		st := src.Status()
		at, own = settledAt(st.Epoch, st.Acknowledged), st.Phase == cdc.Streaming
	}
	if !own {
		st, err := f.app.openStore()
		if err != nil {
			return at, own, err
		}
		cp, ok, err := st.LoadCheckpoint(ctx, f.app.cfg.Database.Slot)
		if err != nil {
			return at, own, fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
		}
		if stored := settledAt(cp.Epoch, cp.LSN); ok && stored.Compare(at) > 0 {
			at = stored
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Compare(f.settled) > 0 {
		f.settled = at
	}
	return f.settled, own, nil
}

// settledAt is the last position before the end of a transaction.
func settledAt(epoch uint32, end cdc.LSN) cdc.Position {
	if epoch == 0 {
		return cdc.Position{}
	}
	return cdc.Position{Epoch: epoch, Commit: end}.Before()
}

// lock takes one of the places for those who read.
func (f *feeds) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case f.reads <- struct{}{}:
		return func() { <-f.reads }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// envelope is what bodies say beside their events.
func (f *feeds) envelope() sender.Envelope {
	return sender.Envelope{Source: sender.SourceOf(f.app.cfg.Database.Name()), Location: f.app.locationOf}
}

// Page implements api.Feed.
func (f *feeds) Page(ctx context.Context, s *subscriptions.Subscription, q api.FeedQuery) (*api.FeedPage, error) {
	st, err := f.app.openStore()
	if err != nil {
		return nil, err
	}
	of := sender.NewFeed(s, f.envelope())
	return f.page(ctx, st, q, of, func(ctx context.Context, at cdc.Position, settled cdc.Position, limit int, size int64) (store.EventPage, error) {
		return st.Feed(ctx, store.FeedQuery{Subscription: s.Key, From: at, Descending: q.Descending, Settled: settled, Select: selectOf(q),
			Missed: q.Missed, Limit: limit, Bytes: size})
	})
}

// Events implements api.Feed.
func (f *feeds) Events(ctx context.Context, scope subscriptions.Scope, q api.FeedQuery, format string) (*api.FeedPage, error) {
	st, err := f.app.openStore()
	if err != nil {
		return nil, err
	}
	var account *string
	if !scope.Admin {
		account = &scope.Account
	}
	of := sender.NewFeedIn(format, f.envelope())
	return f.page(ctx, st, q, of, func(ctx context.Context, at cdc.Position, settled cdc.Position, limit int, size int64) (store.EventPage, error) {
		return st.Events(ctx, store.EventsQuery{From: at, Descending: q.Descending, Settled: settled, Select: selectOf(q), Account: account,
			Limit: limit, Bytes: size})
	})
}

// Formats implements api.Feed.
func (f *feeds) Formats() []string { return sender.FeedFormats }

func selectOf(q api.FeedQuery) store.EventSelect {
	return store.EventSelect{Types: q.Types, Resources: q.Resources, Instance: q.Instance, Since: q.Since, Until: q.Until}
}

// page gathers what read finds, until the page is full, there is no more, or it takes too long.
func (f *feeds) page(ctx context.Context, st *store.Store, q api.FeedQuery, of sender.Feed,
	read func(ctx context.Context, at, settled cdc.Position, limit int, size int64) (store.EventPage, error)) (*api.FeedPage, error) {
	unlock, err := f.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	settled, _, err := f.watermark(ctx)
	if err != nil {
		return nil, err
	}
	if settled.IsZero() {
		return nil, fmt.Errorf("nothing is known to be settled yet: %w", subscriptions.ErrUnavailable)
	}
	page := &api.FeedPage{Settled: settled, Next: q.From}
	if q.Latest {
		page.Next = settled
		return page, nil
	}
	if q.From.Epoch > settled.Epoch && !q.Descending {
		return nil, &api.CursorError{Oldest: settled, Reason: "it is beyond all that there is here: it is another rowhook's, or the store was set back"}
	}
	size, end := int64(feedBytes), time.Now().Add(feedFor)
	for {
		part, err := read(ctx, page.Next, settled, q.Limit-len(page.Elements), size)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
		}
		for _, ev := range part.Events {
			page.Elements = append(page.Elements, api.FeedElement{Position: ev.Position, Type: ev.Type, Body: of.Append(nil, ev)})
			size -= int64(ev.Size())
		}
		page.Next, page.More, page.LookedBack = part.Next, part.More, part.LookedBack
		if !part.More || len(page.Elements) >= q.Limit || size <= 0 || time.Now().After(end) {
			break
		}
	}
	if q.Descending || q.Oldest {
		return page, nil
	}
	// Last: what was dropped while the page was read may be missing in it.
	dropped, err := st.Dropped(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
	}
	if q.From.Compare(dropped) < 0 {
		return nil, &api.CursorError{Oldest: dropped, Reason: "events behind it are older than the retention, and gone"}
	}
	return page, nil
}
