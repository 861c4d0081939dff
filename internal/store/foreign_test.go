package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// traced keeps the statements that a store sends.
type traced struct {
	mu         sync.Mutex
	statements []string
}

func (q *traced) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.statements = append(q.statements, strings.Join(strings.Fields(data.SQL), " "))
	return ctx
}

func (q *traced) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// taken are the statements since the last time.
func (q *traced) taken() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.statements
	q.statements = nil
	return all
}

// trace lets the store tell its statements from now on.
func trace(t *testing.T, s *Store) *traced {
	t.Helper()
	q := &traced{}
	cfg := s.pool.Config()
	cfg.ConnConfig.Tracer = q
	cfg.AfterConnect = nil // what a new connection is asked is of no call
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	before := s.pool
	s.pool = pool
	t.Cleanup(func() { s.pool = before; pool.Close() })
	return q
}

// foreign are the calls that take an id, as account 2.
func foreign(s *Store) map[string]func(context.Context, string) error {
	scope := subscriptions.Scope{Account: "2"}
	return map[string]func(context.Context, string) error{
		"Get": func(ctx context.Context, id string) error { _, err := s.Get(ctx, scope, id); return err },
		"Update": func(ctx context.Context, id string) error {
			_, err := s.Update(ctx, scope, id, func(*subscriptions.Subscription) error { return errors.New("it was read") })
			return err
		},
		"Delete": func(ctx context.Context, id string) error {
			return s.Delete(ctx, scope, id, func(*subscriptions.Subscription) error { return errors.New("it was read") })
		},
		"List": func(ctx context.Context, id string) error {
			_, _, err := s.List(ctx, subscriptions.Query{Scope: scope, After: id, Limit: 10})
			return err
		},
	}
}

// TestForeignIsLikeUnknown: what is done about another account's id is what is done about one that never was, statement by
// statement, so that neither the answer nor the time tells them apart.
func TestForeignIsLikeUnknown(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	ids := map[string]string{"another account's": subscribe(t, s, "1").ID, "the admin's": subscribe(t, s, "").ID}
	deleted := subscribe(t, s, "1")
	if err := s.Delete(t.Context(), subscriptions.Scope{Account: "1"}, deleted.ID, nil); err != nil {
		t.Fatal(err)
	}
	ids["a deleted one of another account"] = deleted.ID
	q := trace(t, s)
	for name, call := range foreign(s) {
		if err := call(t.Context(), subscriptions.NewID()); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Fatalf("%s of nothing: %v", name, err)
		}
		want := q.taken()
		if len(want) == 0 {
			t.Fatalf("%s sends nothing", name)
		}
		for whose, id := range ids {
			if err := call(t.Context(), id); !errors.Is(err, subscriptions.ErrNotFound) {
				t.Errorf("%s of %s: %v", name, whose, err)
			}
			if got := q.taken(); !slices.Equal(got, want) {
				t.Errorf("%s of %s sends\n%s\nand of nothing\n%s", name, whose, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestForeignLocksAreNotWaitedFor: that somebody changes his subscription just now must not show in the time that another one
// waits for his 404.
func TestForeignLocksAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url)
	other := subscribe(t, s, "1")
	conn := connect(t, url)
	exec(t, conn, `BEGIN`)
	exec(t, conn, `SELECT FROM subscription WHERE id = $1 FOR UPDATE`, other.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, call := range foreign(s) {
		if err := call(ctx, other.ID); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("%s while it is locked: %v", name, err)
		}
	}
}

// TestKeysOfOthersAreFree: the Idempotency-Key of one account says nothing to another one, nor does its number of
// subscriptions.
func TestKeysOfOthersAreFree(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	first := subscribe(t, s, "1")
	make := func(account string, body byte) (*subscriptions.Subscription, bool, error) {
		x := first.Clone()
		x.ID, x.Account, x.Key = subscriptions.NewID(), account, 0
		return s.CreateOnce(t.Context(), x, 2, subscriptions.Once{Key: "k", Body: [32]byte{body}})
	}
	one, again, err := make("1", 1)
	if err != nil || again {
		t.Fatalf("%v %v", again, err)
	}
	two, again, err := make("2", 2)
	if err != nil || again || two.ID == one.ID || two.Account != "2" {
		t.Errorf("another account gets %+v, again %v, %v", two, again, err)
	}
	if _, _, err := make("1", 2); !errors.Is(err, subscriptions.ErrOnceDiffers) {
		t.Errorf("the same account: %v", err)
	}
}
