package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// filters asks the filters of subscriptions that match. It belongs to the source's goroutine.
type filters struct {
	asked  *mapping.Filters
	errors *filterErrors
}

func newFilters(e *filterErrors) *filters { return &filters{asked: mapping.NewFilters(), errors: e} }

// keep leaves out those whose filter is not true of the event. What a filter cannot say before the event is complete is
// asked again by decide.
func (f *filters) keep(matched []*subscriptions.Subscription, ev *mapping.Event) []*subscriptions.Subscription {
	kept := matched[:0]
	spent := 0
	var last string
	var result mapping.FilterResult
	var err error
	for _, s := range matched {
		if s.Filter == "" {
			kept = append(kept, s)
			continue
		}
		if s.Filter != last {
			if last = s.Filter; !s.Admin && spent > accountSteps {
				last, result, err = "", mapping.Refused, errTogether
			} else if result, err = f.asked.Ask(last, ev); !s.Admin {
				spent += f.asked.Cost()
			}
		}
		if err != nil {
			f.errors.note(s, ev, err)
		}
		if result != mapping.Refused {
			kept = append(kept, s)
		}
	}
	clear(matched[len(kept):])
	f.asked.Done()
	return kept
}

// decide leaves out those whose filter is not true of the job's event, which is complete now, and settles their parts of
// the receipt.
func (f *filters) decide(j *sender.Job, receipt *cdc.Receipt) {
	before := len(j.To)
	j.To = f.keep(j.To, j.Event)
	for range before - len(j.To) {
		receipt.Done()
	}
}

// accountSteps is what the filters of an account may cost together for one event: more would hold up the events of all others.
// Who comes first is asked first, and the same on every replica.
const accountSteps = 200_000

var errTogether = errors.New("the filters of the account take too long together")

const (
	// filterErrorsEvery is how often what filters failed on is written to the store at most; filterErrorsSoon is how long the
	// first of it waits for more.
	filterErrorsEvery = 3 * time.Second
	filterErrorsSoon  = 250 * time.Millisecond
	// filterErrorsLogged is how often it is logged at most.
	filterErrorsLogged = time.Minute
	// filterErrorsMax bounds the subscriptions of which it is known until then. Of others the metric tells.
	filterErrorsMax = 10_000
)

// filterErrors gathers what filters failed on. The source's goroutine adds to it, and loop writes.
type filterErrors struct {
	app   *App
	total prometheus.Counter
	mu    sync.Mutex
	byKey map[int64]*store.FilterFailure
	told  time.Time
}

func newFilterErrors(a *App) *filterErrors {
	return &filterErrors{app: a, total: a.metrics.filterErrors, byKey: map[int64]*store.FilterFailure{}}
}

// note counts an event that the subscription does not get because its filter failed.
func (e *filterErrors) note(s *subscriptions.Subscription, ev *mapping.Event, err error) {
	e.total.Inc()
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.byKey[s.Key]
	if x == nil || x.Filter != s.Filter {
		if x == nil && len(e.byKey) >= filterErrorsMax {
			return
		}
		x = &store.FilterFailure{Key: s.Key, ID: s.ID, Filter: s.Filter}
		e.byKey[s.Key] = x
	}
	x.Count++
	x.Message, x.EventID, x.EventType, x.At = err.Error(), ev.ID, ev.Type, time.Now().UTC()
}

// loop writes until ctx is done, and then the rest.
func (e *filterErrors) loop(ctx context.Context, st *store.Store) {
	tick := time.NewTicker(filterErrorsSoon)
	defer tick.Stop()
	var wrote time.Time
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), filterErrorsEvery)
			defer cancel()
			e.write(last, st)
			return
		case <-tick.C:
			if time.Since(wrote) >= filterErrorsEvery && e.write(ctx, st) {
				wrote = time.Now()
			}
		}
	}
}

// write tells the store, if there is something to tell. What it does not take is told again.
func (e *filterErrors) write(ctx context.Context, st *store.Store) bool {
	e.mu.Lock()
	found := e.byKey
	e.byKey = map[int64]*store.FilterFailure{}
	e.mu.Unlock()
	if len(found) == 0 {
		return false
	}
	failures := make([]*store.FilterFailure, 0, len(found))
	for _, x := range found {
		failures = append(failures, x)
	}
	if time.Since(e.told) >= filterErrorsLogged {
		e.told = time.Now()
		e.app.log.Warn("filters of subscriptions fail: the events are not sent to these", "subscriptions", len(failures),
			"subscription", failures[0].ID, "reason", failures[0].Message, "see", "filter_error of the subscription")
	}
	err := st.NoteFilterErrors(ctx, failures)
	if err == nil || ctx.Err() != nil {
		return true
	}
	e.app.log.Warn("what filters failed on cannot be noted yet", "error", err)
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, x := range found {
		if now := e.byKey[key]; now == nil {
			e.byKey[key] = x
		} else if now.Filter == x.Filter {
			now.Count += x.Count
		}
	}
	return true
}

// shapesOf are the shapes of the resources' data.
func shapesOf(m *mapping.Mapper) map[string]*mapping.FilterShape {
	shapes := map[string]*mapping.FilterShape{}
	for _, t := range m.Types() {
		if shapes[t.Resource] == nil {
			shapes[t.Resource] = m.FilterShape(t.Resource)
		}
	}
	return shapes
}
