package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// countWithin bounds a count that was asked for, estimateWithin one that only says how much a job has to do.
	countWithin    = 5 * time.Second
	estimateWithin = time.Second
)

var errNoJob = api.NotFound("there is no such job")

func errJobEnded(j *store.Job) error {
	return api.Conflict("the job has ended: " + j.State)
}

// jobsAPI are the store's jobs as the API sees them.
type jobsAPI struct{ app *App }

// Replay implements api.Jobs.
func (a jobsAPI) Replay(ctx context.Context, s *subscriptions.Subscription, r client.Replay, by string) (*client.Job, error) {
	st, w, err := a.wanted(ctx, s, r)
	if err != nil {
		return nil, err
	}
	total, whole, err := countReplay(ctx, st, s.Key, w, estimateWithin)
	if err != nil {
		return nil, err
	}
	parameters, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	j := &store.Job{Kind: jobReplay, Subscription: s.Key, SubscriptionID: s.ID, Parameters: parameters, RequestedBy: by}
	if whole {
		j.Total = &total
	}
	if err := st.CreateJob(ctx, j); err != nil {
		if open, look := st.OpenJob(ctx, s.Key, jobReplay); err == store.ErrJobOpen && look == nil {
			return nil, api.Conflict("a replay of the subscription is under way: wait for " + open.ID + ", or cancel it")
		}
		return nil, err
	}
	a.app.jobs.Load().look()
	return shownJob(j), nil
}

// CountReplay implements api.Jobs.
func (a jobsAPI) CountReplay(ctx context.Context, s *subscriptions.Subscription, r client.Replay) (*client.ReplayCount, error) {
	st, w, err := a.wanted(ctx, s, r)
	if err != nil {
		return nil, err
	}
	total, whole, err := countReplay(ctx, st, s.Key, w, countWithin)
	return &client.ReplayCount{Total: total, AtLeast: !whole, DryRun: true}, err
}

// wanted resolves what is asked for, and refuses what is not kept any more. Before the subscription was made there is nothing that
// could be missing.
func (a jobsAPI) wanted(ctx context.Context, s *subscriptions.Subscription, r client.Replay) (*store.Store, replayWanted, error) {
	st, err := a.app.openStore()
	if err != nil {
		return nil, replayWanted{}, err
	}
	kept := time.Now().Add(-a.app.live.Load().Retention.For).UTC()
	if s.CreatedAt.Before(kept) {
		oldest, at, err := st.Oldest(ctx)
		if err != nil {
			return nil, replayWanted{}, err
		}
		tooOld := func(field, than string) (*store.Store, replayWanted, error) {
			return nil, replayWanted{}, api.Unprocessable("replay-too-old", client.FieldError{Field: field,
				Detail: "is older than what is kept: events are kept for " + a.app.live.Load().Retention.For.String() + ", the oldest is of " + than})
		}
		switch {
		case oldest.IsZero():
		case r.From != nil && r.From.Before(kept) && r.From.Before(at):
			return tooOld("from", at.Format(time.RFC3339Nano))
		case r.FromPosition != "":
			if p, err := cdc.ParsePosition(r.FromPosition); err == nil && p.Compare(oldest) < 0 {
				return tooOld("from_position", fmt.Sprintf("%s, position %s", at.Format(time.RFC3339Nano), oldest))
			}
		}
	}
	w, err := wantedReplay(ctx, st, r)
	return st, w, err
}

// Job implements api.Jobs.
func (a jobsAPI) Job(ctx context.Context, scope subscriptions.Scope, id string) (*client.Job, error) {
	st, err := a.app.openStore()
	if err != nil {
		return nil, err
	}
	j, err := st.Job(ctx, scope, id)
	if err != nil {
		return nil, jobErrorOf(err, nil)
	}
	return shownJob(j), nil
}

// List implements api.Jobs.
func (a jobsAPI) List(ctx context.Context, s *subscriptions.Subscription, after string, limit int) ([]*client.Job, bool, error) {
	st, err := a.app.openStore()
	if err != nil {
		return nil, false, err
	}
	page, more, err := st.Jobs(ctx, s.Key, after, limit)
	if err != nil {
		return nil, false, jobErrorOf(err, nil)
	}
	shown := make([]*client.Job, len(page))
	for i, j := range page {
		shown[i] = shownJob(j)
	}
	return shown, more, nil
}

// Cancel implements api.Jobs.
func (a jobsAPI) Cancel(ctx context.Context, scope subscriptions.Scope, id string) error {
	st, err := a.app.openStore()
	if err != nil {
		return err
	}
	j, err := st.Job(ctx, scope, id)
	if err == nil {
		err = st.CancelJob(ctx, j.Key)
	}
	if err != nil {
		return jobErrorOf(err, j)
	}
	a.app.jobs.Load().cancel(j.Key)
	return nil
}

// shownJob is a job as the API shows it.
func shownJob(j *store.Job) *client.Job {
	s := &client.Job{ID: j.ID, Kind: j.Kind, Subscription: j.SubscriptionID, State: j.State, Total: j.Total, Done: j.Done, Error: j.Error,
		RequestedBy: j.RequestedBy, CreatedAt: j.CreatedAt, StartedAt: timeOrNil(j.StartedAt), FinishedAt: timeOrNil(j.FinishedAt)}
	if j.Kind == jobBackfill {
		shownBackfill(s, j)
	}
	if j.Kind == jobReplay {
		if w, err := readReplay(j.Parameters); err == nil {
			s.Replay = &w.Replay
		}
	}
	return s
}
