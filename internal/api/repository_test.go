package api_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

var subscriptionsAdmin = subscriptions.Scope{Admin: true}

// memory is a Repository for tests.
type memory struct {
	mu   sync.Mutex
	last int64
	byID map[string]*subscriptions.Subscription
	once map[string]madeOnce
	// fail, when set, is what every call returns.
	fail error
}

type madeOnce struct {
	id   string
	body [32]byte
}

func newMemory() *memory {
	return &memory{byID: map[string]*subscriptions.Subscription{}, once: map[string]madeOnce{}}
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) Create(_ context.Context, s *subscriptions.Subscription, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	has := 0
	for _, other := range m.byID {
		if !s.Admin && !other.Admin && other.Account == s.Account {
			has++
		}
	}
	if most > 0 && has >= most {
		return subscriptions.ErrTooMany
	}
	m.last++
	s.Key, s.Version, s.UpdatedAt = m.last, 1, time.Now().UTC().Truncate(time.Microsecond)
	if s.CreatedAt.IsZero() {
		s.CreatedAt = s.UpdatedAt
	}
	m.byID[s.ID] = s.Clone()
	return nil
}

func (m *memory) CreateOnce(ctx context.Context, s *subscriptions.Subscription, most int, once subscriptions.Once) (*subscriptions.Subscription, bool, error) {
	m.mu.Lock()
	made := m.once[s.Account+"/"+once.Key]
	m.mu.Unlock()
	if made.id != "" {
		if made.body != once.Body {
			return nil, false, subscriptions.ErrOnceDiffers
		}
		if got, err := m.Get(ctx, subscriptions.Scope{Admin: true}, made.id); !errors.Is(err, subscriptions.ErrNotFound) {
			return got, true, err
		}
	}
	if err := m.Create(ctx, s, most); err != nil {
		return nil, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.once[s.Account+"/"+once.Key] = madeOnce{s.ID, once.Body}
	return s, false, nil
}

func (m *memory) Lease(ctx context.Context, s *subscriptions.Subscription, most int, once *subscriptions.Once, renew func(*subscriptions.Subscription) error) (*subscriptions.Subscription, subscriptions.Made, error) {
	m.mu.Lock()
	var live string
	for id, held := range m.byID {
		if !held.ExpiresAt.IsZero() && !held.LeaseOver(time.Now()) && held.SameLease(s) {
			live = id
		}
	}
	m.mu.Unlock()
	if live != "" {
		renewed, err := m.Update(ctx, subscriptions.Scope{Admin: true}, live, renew)
		return renewed, subscriptions.Renewed, err
	}
	if once == nil {
		return s, subscriptions.MadeNow, m.Create(ctx, s, most)
	}
	made, again, err := m.CreateOnce(ctx, s, most, *once)
	if again {
		return made, subscriptions.MadeBefore, err
	}
	return made, subscriptions.MadeNow, err
}

func (m *memory) Import(ctx context.Context, s *subscriptions.Subscription, dry bool) (*subscriptions.Subscription, error) {
	switch found, err := m.Get(ctx, subscriptions.Scope{Admin: true}, s.ID); {
	case err == nil:
		return found, nil
	case dry:
		return nil, nil
	}
	return nil, m.Create(ctx, s, 0)
}

func (m *memory) find(scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	if m.fail != nil {
		return nil, m.fail
	}
	s := m.byID[id]
	if s == nil || !scope.Admin && (s.Admin || s.Account != scope.Account) {
		return nil, subscriptions.ErrNotFound
	}
	return s, nil
}

func (m *memory) List(_ context.Context, q subscriptions.Query) ([]*subscriptions.Subscription, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var after int64
	if q.After != "" {
		s, err := m.find(q.Scope, q.After)
		if err != nil {
			return nil, false, err
		}
		after = s.Key
	}
	var page []*subscriptions.Subscription
	for id := range m.byID {
		wants := func(s *subscriptions.Subscription) bool {
			return (q.Event == "" || slices.ContainsFunc(s.Events, func(e string) bool { return slices.Contains(subscriptions.Wanting(q.Event), e) })) &&
				(q.State == "" || s.State == q.State) && (q.TargetHost == "" || s.TargetHost() == strings.ToLower(q.TargetHost)) &&
				strings.Contains(strings.ToLower(s.Name), strings.ToLower(q.Name)) &&
				slices.ContainsFunc([]string{s.Name, s.ID, s.Account, s.TargetHost()}, func(text string) bool {
					return strings.Contains(strings.ToLower(text), strings.ToLower(q.Search))
				}) && (!q.Failing || s.Failing != nil) && (q.Account == nil || !s.Admin && s.Account == *q.Account) && (!q.DisabledByRowhook || s.DisabledByRowhook()) &&
				(q.DisabledAfter.IsZero() || s.Disabled != nil && !s.Disabled.Since.Before(q.DisabledAfter)) &&
				(q.DisabledBefore.IsZero() || s.Disabled != nil && s.Disabled.Since.Before(q.DisabledBefore))
		}
		if s, err := m.find(q.Scope, id); err == nil && s.Key > after && wants(s) {
			page = append(page, s.Clone())
		}
	}
	slices.SortFunc(page, func(a, b *subscriptions.Subscription) int { return cmp.Compare(a.Key, b.Key) })
	if len(page) > q.Limit {
		return page[:q.Limit], true, m.fail
	}
	return page, false, m.fail
}

func (m *memory) Get(_ context.Context, scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(scope, id)
	if err != nil {
		return nil, err
	}
	return s.Clone(), nil
}

func (m *memory) Update(
	_ context.Context, scope subscriptions.Scope, id string, change func(*subscriptions.Subscription) error,
) (*subscriptions.Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(scope, id)
	if err != nil {
		return nil, err
	}
	next := s.Clone()
	if err := change(next); err != nil {
		return nil, err
	}
	next.Version++
	next.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
	m.byID[id] = next
	return next.Clone(), nil
}

func (m *memory) Delete(_ context.Context, scope subscriptions.Scope, id string, when func(*subscriptions.Subscription) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.find(scope, id)
	if err == nil && when != nil {
		err = when(s.Clone())
	}
	if err != nil {
		return err
	}
	delete(m.byID, id)
	return nil
}

// TestMemoryKeepsTheRepositorysPromises holds the double to what repository.go says, so that the tests mean something.
func TestMemoryKeepsTheRepositorysPromises(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), subscriptions.Repository(newMemory())
	one, two, all := subscriptions.Scope{Account: "1"}, subscriptions.Scope{Account: "2"}, subscriptions.Scope{Admin: true}
	make := func(scope subscriptions.Scope) *subscriptions.Subscription {
		s := &subscriptions.Subscription{ID: subscriptions.NewID(), Account: scope.Account, Admin: scope.Admin, Events: []string{"*"}}
		if err := r.Create(ctx, s, 0); err != nil || s.Key == 0 || s.Version == 0 || s.CreatedAt.IsZero() || s.UpdatedAt.IsZero() {
			t.Fatalf("Create: %v, %+v", err, s)
		}
		return s
	}
	a, b, c := make(one), make(two), make(all)
	for _, s := range []*subscriptions.Subscription{b, c} {
		if _, err := r.Get(ctx, one, s.ID); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("Get outside the scope: %v", err)
		}
		called := false
		_, err := r.Update(ctx, one, s.ID, func(*subscriptions.Subscription) error { called = true; return nil })
		if !errors.Is(err, subscriptions.ErrNotFound) || called {
			t.Errorf("Update outside the scope: %v, %v", err, called)
		}
		if err := r.Delete(ctx, one, s.ID, nil); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("Delete outside the scope: %v", err)
		}
	}
	page, more, err := r.List(ctx, subscriptions.Query{Scope: all, Limit: 2})
	if err != nil || !more || len(page) != 2 || page[0].ID != a.ID || page[1].ID != b.ID {
		t.Errorf("List: %v %v %v", page, more, err)
	}
	page, more, err = r.List(ctx, subscriptions.Query{Scope: all, After: b.ID, Limit: 2})
	if err != nil || more || len(page) != 1 || page[0].ID != c.ID {
		t.Errorf("List after: %v %v %v", page, more, err)
	}
	wrong := errors.New("wrong")
	if _, err := r.Update(ctx, one, a.ID, func(s *subscriptions.Subscription) error { s.Name = "x"; return wrong }); !errors.Is(err, wrong) {
		t.Errorf("Update: %v, want the error of change", err)
	}
	if got, err := r.Get(ctx, one, a.ID); err != nil || got.Name != "" || got.Version != a.Version {
		t.Errorf("after a refused change: %+v, %v", got, err)
	}
	got, err := r.Update(ctx, all, a.ID, func(s *subscriptions.Subscription) error { s.Name = "x"; return nil })
	if err != nil || got.Name != "x" || got.Version <= a.Version {
		t.Errorf("Update: %+v, %v", got, err)
	}
	if err := r.Delete(ctx, one, a.ID, nil); err != nil {
		t.Error(err)
	}
	if err := r.Delete(ctx, one, a.ID, nil); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("second Delete: %v", err)
	}
}
