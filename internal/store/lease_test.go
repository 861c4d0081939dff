package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// leased is a new subscription that ends.
func leased(account string, end time.Time) *subscriptions.Subscription {
	return &subscriptions.Subscription{ID: subscriptions.NewID(), Account: account, Admin: account == "", Events: []string{"contact.*", "deal.create"},
		TargetURL: "https://u:hunter2@example.com/hook", State: subscriptions.Active, Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}},
		ExpiresAt: end.UTC().Truncate(time.Microsecond)}
}

func take(t *testing.T, s *Store, x *subscriptions.Subscription, most int, once *subscriptions.Once) (*subscriptions.Subscription, subscriptions.Made, error) {
	t.Helper()
	return s.Lease(context.Background(), x, most, once, func(held *subscriptions.Subscription) error { return held.Renew(x, false) })
}

// TestLease is renewed by who asks for the same again: one of fifty at once makes it, also with targets that are sealed, and
// where the account has no room for another one.
func TestLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	keys, err := seal.New(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, Config{URL: secret.String(db), Schema: "rowhook", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn := connect(t, db)
	// Everybody can look, and nobody can write, until several wait.
	lock, err := connect(t, db).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(ctx, `LOCK TABLE subscription IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, made := map[string]bool{}, map[subscriptions.Made]int{}
	for i := range 50 {
		wg.Go(func() {
			x := leased("1", time.Now().Add(time.Hour+time.Duration(i)*time.Second))
			if i%2 == 1 {
				x.Events = []string{"deal.create", "contact.*"}
			}
			got, how, err := take(t, s, x, 0, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			ids[got.ID], made[how] = true, made[how]+1
			if !got.ExpiresAt.Equal(x.ExpiresAt) {
				t.Errorf("it ends at %s, want %s", got.ExpiresAt, x.ExpiresAt)
			}
		})
	}
	eventually(t, "several wait", func() bool {
		return value[int](t, conn, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 2
	})
	if err := lock.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if len(ids) != 1 || made[subscriptions.MadeNow] != 1 || made[subscriptions.Renewed] != 49 {
		t.Fatalf("made %v, %v", ids, made)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM subscription`); n != 1 {
		t.Errorf("%d rows", n)
	}
	var id string
	for id = range ids {
	}
	held, err := s.Get(ctx, adminScope, id)
	if err != nil || held.Version != 50 {
		t.Fatalf("%+v, %v", held, err)
	}
	eachIsAll(t, s, []*subscriptions.Subscription{held})

	hour := time.Now().Add(time.Hour)
	if got, how, err := take(t, s, leased("1", hour), 1, nil); err != nil || how != subscriptions.Renewed || got.ID != id {
		t.Errorf("in a full account: %v %v", how, err)
	}
	for name, change := range map[string]func(*subscriptions.Subscription){
		"events": func(x *subscriptions.Subscription) { x.Events = []string{"contact.*"} }, "target": func(x *subscriptions.Subscription) { x.TargetURL = "https://u:hunter3@example.com/hook" },
		"instance": func(x *subscriptions.Subscription) { x.ResourceID = "1" }, "account": func(x *subscriptions.Subscription) { x.Account = "2" },
		"feed": func(x *subscriptions.Subscription) { x.TargetURL = "" },
	} {
		x := leased("1", hour)
		change(x)
		if got, how, err := take(t, s, x, 0, nil); err != nil || how != subscriptions.MadeNow || got.ID != x.ID {
			t.Errorf("another %s: %v %v %v", name, got, how, err)
		}
		if got, how, err := take(t, s, func() *subscriptions.Subscription { y := leased("1", hour); change(y); return y }(), 0, nil); err != nil || how != subscriptions.Renewed || got.ID != x.ID {
			t.Errorf("another %s, again: %v %v %v", name, got, how, err)
		}
	}

	// An Idempotency-Key finds what it made; with another secret nobody renews.
	once := subscriptions.Once{Key: "k", Body: [32]byte{1}}
	x := leased("3", hour)
	if _, how, err := take(t, s, x, 0, &once); err != nil || how != subscriptions.MadeNow {
		t.Errorf("%v, %v", how, err)
	}
	if got, how, err := take(t, s, leased("3", hour), 0, &once); err != nil || how != subscriptions.MadeBefore || got.ID != x.ID {
		t.Errorf("%v, %v", how, err)
	}
	y := leased("3", hour)
	var invalid *subscriptions.Invalid
	if _, _, err := s.Lease(ctx, y, 0, nil, func(held *subscriptions.Subscription) error { return held.Renew(y, true) }); !errors.As(err, &invalid) || invalid.Mistakes[0].Field != "secret" {
		t.Errorf("another secret: %v", err)
	}

	// One that is over is not renewed, whether it was seen to be or not.
	exec(t, conn, `UPDATE subscription SET expires_at = now() WHERE id = $1`, x.ID)
	if got, how, err := take(t, s, leased("3", hour), 0, nil); err != nil || how != subscriptions.MadeNow || got.ID == x.ID {
		t.Errorf("over: %v, %v", how, err)
	}
}

// TestLeasesEnd: by two processes at once, once each; what is disabled stays so; what is owed keeps them.
func TestLeasesEnd(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	// The other one has its source in another database: its clock counts, and changes are announced there.
	other, err := Open(ctx, Config{URL: secret.String(db), SourceURL: secret.String(pgtest.Database(t)), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	in := func(account string, state subscriptions.State, end time.Duration) *subscriptions.Subscription {
		x := leased(account, time.Now().Add(time.Hour))
		x.State = state
		if err := s.Create(ctx, x, 0); err != nil {
			t.Fatal(err)
		}
		exec(t, conn, `UPDATE subscription SET expires_at = now() + make_interval(secs => $2) WHERE id = $1`, x.ID, end.Seconds())
		return x
	}
	var over []*subscriptions.Subscription
	for i := range leasesAtOnce + 20 {
		over = append(over, in(fmt.Sprint(i), subscriptions.Active, -time.Minute))
	}
	shadow, disabled := in("s", subscriptions.Shadow, -time.Minute), in("d", subscriptions.Disabled, -time.Minute)
	soon, live := in("x", subscriptions.Active, -time.Second), in("l", subscriptions.Active, time.Minute)
	plain := subscribe(t, s, "1")
	var wg sync.WaitGroup
	counts := make([]int, 2)
	for i, st := range []*Store{s, other} {
		wg.Go(func() {
			n, err := st.ExpireLeases(ctx, 10*time.Second)
			if err != nil {
				t.Error(err)
			}
			counts[i] = n
		})
	}
	wg.Wait()
	if n := counts[0] + counts[1]; n != len(over)+1 {
		t.Errorf("%v are over, want %d", counts, len(over)+1)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM subscription WHERE state = 'expired' AND version = 2 AND disabled->>'by' = 'lease'`); n != len(over)+1 {
		t.Errorf("%d rows say so once", n)
	}
	for want, x := range map[subscriptions.State]*subscriptions.Subscription{subscriptions.Disabled: disabled, subscriptions.Active: soon} {
		if got, err := s.Get(ctx, adminScope, x.ID); err != nil || got.State != want {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
	got, err := s.Get(ctx, adminScope, shadow.ID)
	if err != nil || got.Before != subscriptions.Shadow || got.Disabled == nil || !got.Disabled.Since.Equal(got.ExpiresAt) {
		t.Errorf("%+v, %v", got, err)
	}
	// The expired ones take no room of their account's, up to a point.
	for i, most := range []int{1, 1, 2} {
		err := s.Create(ctx, leased("0", time.Now().Add(time.Hour)), most)
		if full := i == 1; errors.Is(err, subscriptions.ErrTooMany) != full || !full && err != nil {
			t.Errorf("one more, with room for %d: %v", most, err)
		}
	}
	exec(t, conn, `UPDATE subscription SET account = '0' WHERE id IN (SELECT id FROM subscription WHERE state = 'expired' LIMIT 40)`)
	if err := s.Create(ctx, leased("0", time.Now().Add(time.Hour)), 4); !errors.Is(err, subscriptions.ErrTooMany) {
		t.Errorf("with 40 expired: %v", err)
	}
	exec(t, conn, `DELETE FROM subscription WHERE account = '0' AND state = 'active'`)
	page, _, err := s.List(ctx, subscriptions.Query{Scope: adminScope, State: subscriptions.Expired, Limit: 1000})
	if err != nil || len(page) != len(over)+1 {
		t.Errorf("%d are listed, %v", len(page), err)
	}

	write(t, s, deferred(event(1, day), over[0].Key, 1, day))
	if n, err := s.RemoveExpired(ctx, time.Now().Add(-30*time.Second)); err != nil || n != len(over)+1 {
		t.Errorf("%d removed, %v, want all but what is owed, and the disabled one: %d", n, err, len(over)+1)
	}
	left := map[string]bool{}
	all, err := s.All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		left[x.ID] = true
	}
	if want := map[string]bool{over[0].ID: true, soon.ID: true, live.ID: true, plain.ID: true}; !reflect.DeepEqual(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}

// TestImport keeps id and time, makes nothing twice, and never takes the id of one that was deleted.
func TestImport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := open(t, pgtest.Database(t))
	one := func() *subscriptions.Subscription {
		x := leased("7", time.Now().Add(time.Hour))
		x.ID, x.CreatedAt, x.State, x.Before = "ep_1", day, subscriptions.Disabled, subscriptions.Shadow
		x.Disabled = &subscriptions.DisabledReason{By: "import", Since: day}
		x.TargetURL = ""
		return x
	}
	if found, err := s.Import(ctx, one(), true); found != nil || err != nil {
		t.Errorf("dry: %v, %v", found, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 20 {
		wg.Go(func() {
			found, err := s.Import(ctx, one(), false)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if found == nil {
				made++
			}
		})
	}
	wg.Wait()
	got, err := s.Get(ctx, adminScope, "ep_1")
	if made != 1 || err != nil || !got.CreatedAt.Equal(day) || !got.UpdatedAt.After(day) || got.Before != subscriptions.Shadow || got.TargetURL != "" {
		t.Errorf("%d made: %+v, %v", made, got, err)
	}
	eachIsAll(t, s, []*subscriptions.Subscription{got})
	if err := s.Delete(ctx, adminScope, "ep_1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(ctx, one(), false); !errors.Is(err, subscriptions.ErrIDUsed) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// TestDroppedIsToldWithItsReason in the view, and keeps what was tried before.
func TestDroppedIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := subscribe(t, s, "")
	var records []sender.Record
	for i, reason := range []sender.DropReason{sender.DropShadow, sender.DropFeed, sender.DropDebounced} {
		records = append(records, sender.Record{Op: sender.Finish, Event: event(i+1, day), InsertEvent: true, Subscription: x.Key, Status: sender.StatusDropped,
			Dropped: reason, Attempts: i})
	}
	write(t, s, append(records, delivered(event(4, day), x.Key, 1, false))...)
	got := value[string](t, conn, `SELECT string_agg(concat_ws(' ', status, attempts, http_status, dropped), ', ' ORDER BY position) FROM delivery`)
	if want := "3 0 0 shadow, 3 1 0 feed, 3 2 0 debounced, 1 1 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
