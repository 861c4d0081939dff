package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

var adminScope = subscriptions.Scope{Admin: true}

func letter(n int) *mapping.DeadLetter {
	return &mapping.DeadLetter{Resource: "contact", Op: cdc.Update, Instance: "1", Position: event(n, day).Position, Time: day, Reason: "no"}
}

// TestRepositoryKeepsItsPromises is what subscriptions.Repository says.
func TestRepositoryKeepsItsPromises(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, pgtest.Database(t))
	one := subscriptions.Scope{Account: "1"}
	a, b, c := subscribe(t, s, "1"), subscribe(t, s, "2"), subscribe(t, s, "")
	if a.Key == 0 || a.Version == 0 || a.Since == 0 || a.CreatedAt.IsZero() || !a.UpdatedAt.Equal(a.CreatedAt) || b.Key <= a.Key {
		t.Errorf("created: %+v", a)
	}
	if got, err := s.Get(ctx, one, a.ID); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("Get: got\n%#v, want\n%#v, %v", got, a, err)
	}
	if got, err := s.Get(ctx, adminScope, c.ID); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("Get: got\n%#v, want\n%#v, %v", got, c, err)
	}
	for _, x := range []*subscriptions.Subscription{b, c} {
		if _, err := s.Get(ctx, one, x.ID); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("Get outside the scope: %v", err)
		}
		called := false
		_, err := s.Update(ctx, one, x.ID, func(*subscriptions.Subscription) error { called = true; return nil })
		if !errors.Is(err, subscriptions.ErrNotFound) || called {
			t.Errorf("Update outside the scope: %v, %v", err, called)
		}
		if err := s.Delete(ctx, one, x.ID, nil); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("Delete outside the scope: %v", err)
		}
	}
	// An empty account is nobody's, and the admin's least of all.
	if page, _, err := s.List(ctx, subscriptions.Query{Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("List without a scope: %v %v", page, err)
	}
	wrong := errors.New("wrong")
	if _, err := s.Update(ctx, one, a.ID, func(x *subscriptions.Subscription) error { x.Name = "x"; return wrong }); !errors.Is(err, wrong) || errors.Is(err, subscriptions.ErrUnavailable) {
		t.Errorf("Update: %v, want the error of change", err)
	}
	if got, err := s.Get(ctx, one, a.ID); err != nil || got.Name != "n" || got.Version != a.Version {
		t.Errorf("after a refused change: %+v, %v", got, err)
	}
	changed, err := s.Update(ctx, adminScope, a.ID, func(x *subscriptions.Subscription) error {
		x.Name, x.ResourceID, x.Metadata, x.Events = "x", "", nil, []string{"*"}
		x.Secrets = append([]subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, x.Secrets...)
		x.Secrets[1].Until = day
		x.State = subscriptions.Disabled
		x.Disabled = &subscriptions.DisabledReason{By: "admin", Reason: "r", Since: day}
		x.Delivery = subscriptions.DeliveryOptions{}
		return nil
	})
	if err != nil || changed.Version != a.Version+1 || !changed.UpdatedAt.After(a.UpdatedAt) {
		t.Fatalf("Update: %+v, %v", changed, err)
	}
	changed.Metadata = map[string]string{}
	if got, err := s.Get(ctx, one, a.ID); err != nil || !reflect.DeepEqual(got, changed) {
		t.Errorf("after a change: got\n%#v, want\n%#v, %v", got, changed, err)
	}
	if all, err := s.All(ctx); err != nil || len(all) != 3 {
		t.Errorf("All: %v %v", all, err)
	} else {
		eachIsAll(t, s, all)
	}
	if err := s.Delete(ctx, one, a.ID, nil); err != nil {
		t.Error(err)
	}
	if err := s.Delete(ctx, one, a.ID, nil); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("second Delete: %v", err)
	}
	if _, err := s.Get(ctx, adminScope, a.ID); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("Get after Delete: %v", err)
	}
}

// eachIsAll asserts that Each gives what All gives, but for what is for their owners only.
func eachIsAll(t *testing.T, s *Store, all []*subscriptions.Subscription) {
	t.Helper()
	var each []*subscriptions.Subscription
	if err := s.Each(context.Background(), func(x *subscriptions.Subscription) { each = append(each, x) }); err != nil {
		t.Fatal(err)
	}
	for i, x := range all {
		x.Name, x.Description, x.Metadata, x.CreatedAt, x.UpdatedAt = "", "", nil, time.Time{}, time.Time{}
		if x.Disabled != nil {
			x.Disabled = &subscriptions.DisabledReason{By: x.Disabled.By}
		}
		if i >= len(each) || !reflect.DeepEqual(each[i], x) {
			t.Errorf("Each gives\n%+v, want\n%+v", each, x)
			return
		}
	}
	if len(each) != len(all) {
		t.Errorf("Each gives %d, want %d", len(each), len(all))
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, pgtest.Database(t))
	var mine, all []string
	for i := range 9 {
		x := subscribe(t, s, fmt.Sprint(i%2))
		all = append(all, x.ID)
		if i%2 == 0 {
			mine = append(mine, x.ID)
		}
	}
	pages := func(scope subscriptions.Scope, between func(last string)) (got []string) {
		after := ""
		for {
			page, more, err := s.List(ctx, subscriptions.Query{Scope: scope, After: after, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range page {
				got = append(got, x.ID)
			}
			if !more {
				return got
			}
			after = page[len(page)-1].ID
			between(after)
		}
	}
	nothing := func(string) {}
	if got := pages(adminScope, nothing); !slices.Equal(got, all) {
		t.Errorf("got %v, want %v", got, all)
	}
	zero := subscriptions.Scope{Account: "0"}
	if got := pages(zero, nothing); !slices.Equal(got, mine) {
		t.Errorf("got %v, want %v", got, mine)
	}
	// A cursor that is deleted meanwhile is still a place in the list.
	got := pages(zero, func(last string) {
		if err := s.Delete(ctx, zero, last, nil); err != nil {
			t.Fatal(err)
		}
	})
	if !slices.Equal(got, mine) {
		t.Errorf("with deleted cursors: got %v, want %v", got, mine)
	}
	for _, after := range []string{all[1], "sub_never", "x"} {
		if _, _, err := s.List(ctx, subscriptions.Query{Scope: zero, After: after, Limit: 2}); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("after %s: %v", after, err)
		}
	}
}

func TestConcurrentUpdatesAreAllThere(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x := subscribe(t, s, "1")
	var wg sync.WaitGroup
	const n = 20
	for i := range n {
		wg.Go(func() {
			_, err := s.Update(context.Background(), adminScope, x.ID, func(x *subscriptions.Subscription) error {
				x.Metadata[fmt.Sprint(i)] = "y"
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.Get(context.Background(), adminScope, x.ID)
	if err != nil || got.Version != x.Version+n || len(got.Metadata) != n+1 {
		t.Errorf("version %d, %d entries, %v", got.Version, len(got.Metadata), err)
	}
}

// announced reads the announcements from the log of a database, with their positions.
func announced(t *testing.T, conn *pgx.Conn, slot string) (out []subscriptions.Announcement, at []cdc.LSN) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT lsn::text, data FROM pg_logical_slot_get_changes($1, NULL, NULL)`, slot)
	if err != nil {
		t.Fatal(err)
	}
	var lsn, data string
	_, err = pgx.ForEachRow(rows, []any{&lsn, &data}, func() error {
		_, content, ok := strings.Cut(data, "transactional: 1 prefix: "+subscriptions.MessagePrefix)
		if !ok {
			return nil
		}
		_, content, _ = strings.Cut(content, "content:")
		var a subscriptions.Announcement
		if err := json.Unmarshal([]byte(content), &a); err != nil {
			return err
		}
		p, err := pglogrepl.ParseLSN(lsn)
		out, at = append(out, a), append(at, p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, at
}

func TestChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprint("StoreApart=", apart), func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			source := pgtest.Database(t)
			cfg := Config{URL: secret.String(source), Schema: "rowhook"}
			if apart {
				cfg.URL, cfg.SourceURL = secret.String(pgtest.Database(t)), secret.String(source)
			}
			conn := connect(t, source)
			slot := pgtest.Name("announced")
			exec(t, conn, `SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, slot)
			s, err := Open(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var told []string
			s.OnChange(func(id string, version int64, deleted bool, key int64) {
				told = append(told, fmt.Sprint(id, version, deleted, key))
			})
			x := subscribe(t, s, "1")
			if _, err := s.Update(ctx, adminScope, x.ID, func(x *subscriptions.Subscription) error { x.Events = []string{"*"}; return nil }); err != nil {
				t.Fatal(err)
			}
			refused := errors.New("no")
			if _, err := s.Update(ctx, adminScope, x.ID, func(*subscriptions.Subscription) error { return refused }); err != refused {
				t.Fatal(err)
			}
			if err := s.Delete(ctx, adminScope, x.ID, nil); err != nil {
				t.Fatal(err)
			}
			got, at := announced(t, conn, slot)
			want := []subscriptions.Announcement{
				{Store: s.ID(), ID: x.ID, Version: 1, Account: "1", Events: x.Events, ResourceID: "42", State: subscriptions.Active},
				{Store: s.ID(), ID: x.ID, Version: 2, Account: "1", Events: []string{"*"}, ResourceID: "42", State: subscriptions.Active},
				{Store: s.ID(), ID: x.ID, Version: 3, Deleted: true},
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got\n%+v, want\n%+v", got, want)
			}
			if x.Since > at[0] {
				t.Errorf("since %s is after its own announcement at %s", x.Since, at[0])
			}
			if want := []string{fmt.Sprint(x.ID, 1, false, x.Key), fmt.Sprint(x.ID, 2, false, x.Key), fmt.Sprint(x.ID, 3, true, x.Key)}; !slices.Equal(told, want) {
				t.Errorf("told %v, want %v", told, want)
			}
			// Who reads the announcements gets the row as it is now.
			if row, err := s.Announced(ctx, want[0]); row != nil || err != nil {
				t.Errorf("Announced: %v %v", row, err)
			}
			y := subscribe(t, s, "1")
			if row, err := s.Announced(ctx, subscriptions.Announcement{ID: y.ID, Version: 1}); err != nil || !reflect.DeepEqual(row, y) {
				t.Errorf("Announced: %v %v", row, err)
			}
			if _, err := s.Announced(ctx, subscriptions.Announcement{ID: y.ID, Version: 2}); !errors.Is(err, subscriptions.ErrNotFound) {
				t.Errorf("Announced too early: %v", err)
			}
			if _, err := s.Announced(ctx, subscriptions.Announcement{ID: "sub_x", Version: 1}); !errors.Is(err, subscriptions.ErrNotFound) {
				t.Errorf("Announced too early: %v", err)
			}
		})
	}
}

// TestSourceThatIsAway: a change that cannot be announced is not made.
func TestSourceThatIsAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, nil)
	s, err := Open(t.Context(), Config{URL: secret.String(pgtest.Database(t)), Schema: "rowhook", SourceURL: secret.String(server.URL("postgres"))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := subscribe(t, s, "1")
	if err := server.Shutdown(pgtest.Immediate, time.Minute); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Create": s.Create(t.Context(), &subscriptions.Subscription{ID: "sub_new", Admin: true, State: subscriptions.Active, Events: []string{"*"}}, 0),
		"Delete": s.Delete(t.Context(), adminScope, x.ID, nil),
		"Update": func() error {
			_, err := s.Update(t.Context(), adminScope, x.ID, func(x *subscriptions.Subscription) error { x.Name = "new"; return nil })
			return err
		}(),
	} {
		if !errors.Is(err, subscriptions.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got, err := s.Get(t.Context(), adminScope, x.ID); err != nil || got.Version != 1 {
		t.Errorf("Get: %+v %v", got, err)
	}
	if all, err := s.All(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("All: %v %v", all, err)
	}
}

func TestWhatMayPassIsUnavailable(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, nil)
	s := open(t, server.URL("postgres"))
	x := subscribe(t, s, "1")
	conn := connect(t, server.URL("postgres"))
	create := func(ctx context.Context) error {
		return s.Create(ctx, &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, State: subscriptions.Active, Events: []string{"*"}}, 0)
	}
	exec(t, conn, `ALTER DATABASE postgres SET default_transaction_read_only = on`)
	s.pool.Reset()
	if err := create(t.Context()); !errors.Is(err, subscriptions.ErrUnavailable) {
		t.Errorf("read-only: %v", err)
	}
	if _, err := s.Get(t.Context(), adminScope, x.ID); err != nil {
		t.Errorf("reading where nothing may be written: %v", err)
	}
	exec(t, conn, `SET default_transaction_read_only = off`)
	exec(t, conn, `ALTER DATABASE postgres RESET default_transaction_read_only`)
	s.pool.Reset()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE subscription`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := create(ctx); !errors.Is(err, subscriptions.ErrUnavailable) {
		t.Errorf("locked: %v", err)
	}
	_ = tx.Rollback(t.Context())
	if err := create(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := s.Create(t.Context(), &subscriptions.Subscription{ID: x.ID, Admin: true, State: subscriptions.Active, Events: []string{"*"}}, 0); err == nil || errors.Is(err, subscriptions.ErrUnavailable) {
		t.Errorf("the same id again: %v", err)
	}
	if err := server.Shutdown(pgtest.Immediate, time.Minute); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a broken connection, then none
		if _, err := s.Get(t.Context(), adminScope, x.ID); !errors.Is(err, subscriptions.ErrUnavailable) {
			t.Errorf("killed: %v", err)
		}
		if err := create(t.Context()); !errors.Is(err, subscriptions.ErrUnavailable) {
			t.Errorf("killed: %v", err)
		}
		if _, _, err := s.List(t.Context(), subscriptions.Query{Scope: adminScope, Limit: 1}); !errors.Is(err, subscriptions.ErrUnavailable) {
			t.Errorf("killed: %v", err)
		}
	}
}
