package api_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// slowTokens count the lookups that are under way, each of which waits until all are let go.
type slowTokens struct {
	subscriptions.Tokens
	now atomic.Int64
	let chan struct{}
}

func (s *slowTokens) FindToken(context.Context, [sha256.Size]byte) (*subscriptions.Token, error) {
	s.now.Add(1)
	<-s.let
	return nil, subscriptions.ErrTokenNotFound
}

// TestStrangersTakeFewConnections: whoever tries tokens must not take all connections of the store from the deliveries.
func TestStrangersTakeFewConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		made := &slowTokens{let: make(chan struct{})}
		h := api.New(api.Config{BasePath: "/api/v1", Made: made}).Handler()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/api/v1/subscription/", nil)
				r.Header.Set("Authorization", "Bearer rht_nobodys")
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
					t.Errorf("status %d", w.Code)
				}
			})
		}
		synctest.Wait()
		if n := made.now.Load(); n != 2 {
			t.Errorf("%d lookups at once", n)
		}
		close(made.let)
		all.Wait()
	})
}
