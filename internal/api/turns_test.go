package api_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// slowStore reads slowly for account 1: as long as hold is open. It notes how many of its reads were begun.
type slowStore struct {
	*fakeFeed
	deliveryLog
	keptJobs
	begun chan struct{}
	hold  chan struct{}
	most  atomic.Int64
	now   atomic.Int64
}

func (f *slowStore) read(ctx context.Context, account string) {
	if account != "1" {
		return
	}
	n := f.now.Add(1)
	defer f.now.Add(-1)
	f.most.Store(max(f.most.Load(), n))
	f.begun <- struct{}{}
	select {
	case <-f.hold:
	case <-ctx.Done():
	}
}

func (f *slowStore) Page(ctx context.Context, s *subscriptions.Subscription, q api.FeedQuery) (*api.FeedPage, error) {
	f.read(ctx, s.Account)
	return f.fakeFeed.Page(ctx, s, q)
}

func (f *slowStore) Events(ctx context.Context, scope subscriptions.Scope, q api.FeedQuery, format string) (*api.FeedPage, error) {
	f.read(ctx, scope.Account)
	return f.fakeFeed.Events(ctx, scope, q, format)
}

// slowLog and slowJobs have the methods of slowStore whose names are taken.
type (
	slowLog  struct{ *slowStore }
	slowJobs struct{ *slowStore }
)

func (f slowLog) List(ctx context.Context, s *subscriptions.Subscription, q api.DeliveryQuery) ([]client.LoggedDelivery, *cdc.Position, error) {
	f.read(ctx, s.Account)
	return f.deliveryLog.List(ctx, s, q)
}

func (f slowLog) Get(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, answers bool) (*client.LoggedDelivery, error) {
	f.read(ctx, s.Account)
	return f.deliveryLog.Get(ctx, s, at, answers)
}

func (f slowLog) Redeliver(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, by string) (*client.LoggedDelivery, error) {
	f.read(ctx, s.Account)
	return f.deliveryLog.Redeliver(ctx, s, at, by)
}

func (f slowJobs) Replay(ctx context.Context, s *subscriptions.Subscription, r client.Replay, by string) (*client.Job, error) {
	f.read(ctx, s.Account)
	return f.keptJobs.Replay(ctx, s, r, by)
}

func (f slowJobs) CountReplay(ctx context.Context, s *subscriptions.Subscription, r client.Replay) (*client.ReplayCount, error) {
	f.read(ctx, s.Account)
	return f.keptJobs.CountReplay(ctx, s, r)
}

func (f slowJobs) Job(ctx context.Context, scope subscriptions.Scope, id string) (*client.Job, error) {
	return f.keptJobs.Job(ctx, scope, id)
}

func (f slowJobs) List(ctx context.Context, s *subscriptions.Subscription, after string, limit int) ([]*client.Job, bool, error) {
	return f.keptJobs.List(ctx, s, after, limit)
}

func (f slowJobs) Cancel(ctx context.Context, scope subscriptions.Scope, id string) error {
	return f.keptJobs.Cancel(ctx, scope, id)
}

// TestAccountsReadInTurns: of what reads much of the store, an account has one request under way, however many it makes.
func TestAccountsReadInTurns(t *testing.T) {
	t.Parallel()
	const replay, count = `{"from": "2026-11-22T08:00:00Z"}`, `{"from": "2026-11-22T08:00:00Z", "dry_run": true}`
	for _, route := range []struct{ method, path, body string }{
		{"GET", "/api/v1/event/?type=none.such", ""},
		{"GET", "/api/v1/subscription/{id}/event/?resource_id=none", ""},
		{"GET", "/api/v1/subscription/{id}/delivery/?event=none.such", ""},
		{"GET", "/api/v1/delivery/{delivery}/", ""},
		{"POST", "/api/v1/delivery/{delivery}/redeliver", ""},
		{"POST", "/api/v1/subscription/{id}/replay", replay},
		{"POST", "/api/v1/subscription/{id}/replay", count},
	} {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			f := &slowStore{fakeFeed: newFeed(), deliveryLog: deliveryLog{n: 3}, begun: make(chan struct{}, 100), hold: make(chan struct{})}
			b := start(t, whole, func(c *api.Config) { c.Feed, c.Deliveries, c.Jobs, c.AccountRate = f, slowLog{f}, slowJobs{f}, 0 })
			of := func(sub *client.Subscription) string {
				return strings.NewReplacer("{id}", sub.ID, "{delivery}", api.DeliveryID(sub.ID, letterAt(2))).Replace(route.path)
			}
			ask := func(path, token string) <-chan int {
				done := make(chan int, 1)
				go func() {
					resp, _ := b.do(t, route.method, path, token, map[bool]string{true: "application/json"}[route.body != ""], route.body)
					done <- resp.StatusCode
				}()
				return done
			}
			mine, theirs := of(make1(t, b.client(tokenOne))), of(make1(t, b.client(tokenTwo)))
			var all []<-chan int
			for range 5 {
				all = append(all, ask(mine, tokenOne))
			}
			<-f.begun
			select {
			case got := <-ask(theirs, tokenTwo):
				if got > 202 {
					t.Errorf("the other account gets %d", got)
				}
			case <-time.After(time.Minute):
				t.Error("the other account waits")
			}
			close(f.hold)
			for _, done := range all {
				if got := <-done; got > 202 {
					t.Errorf("it gets %d", got)
				}
			}
			if n := f.most.Load(); n != 1 {
				t.Errorf("%d read at once", n)
			}
		})
	}
}
