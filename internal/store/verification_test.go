package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// pending makes a subscription whose target is to be asked.
func pending(t *testing.T, s *Store, account, kind string) *subscriptions.Subscription {
	t.Helper()
	rules := subscriptions.Rules{Scope: subscriptions.Scope{Account: account, Admin: account == ""},
		Catalogue: subscriptions.Catalogue{{Name: "contact.create", Resource: "contact"}}}
	x, err := rules.New([]byte(`{"events":["contact.create"],"target_url":"https://example.com/h","verification":"` + kind + `","notify_end":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}

// chores asks for everything that is due now.
func chores() Chores { return Chores{Now: time.Now(), Limit: 100, PerAccount: 100} }

func due(t *testing.T, s *Store, c Chores) ([]Verification, time.Time) {
	t.Helper()
	all, next, err := s.DueVerifications(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return all, next
}

// dueOne is the one verification that is due.
func dueOne(t *testing.T, s *Store, id string) Verification {
	t.Helper()
	all, _ := due(t, s, chores())
	if len(all) != 1 || all[0].Subscription.ID != id || !subscriptions.IsVerificationValue(all[0].Value.Reveal()) {
		t.Fatalf("due are %+v, want that of %s", all, id)
	}
	return all[0]
}

// confirm is what the target asks for; fresh is whether that is to be new.
func confirm(t *testing.T, s *Store, id string, value secret.String, now time.Time, fresh bool) error {
	t.Helper()
	got, err := s.Confirm(t.Context(), id, subscriptions.ValueHash(value), now)
	if got != fresh {
		t.Errorf("confirmed: %t, want %t", got, fresh)
	}
	return err
}

func get(t *testing.T, s *Store, id string) *subscriptions.Subscription {
	t.Helper()
	x, err := s.Get(t.Context(), adminScope, id)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestAVerificationGoesItsWay from the request that makes it to what becomes of it.
func TestAVerificationGoesItsWay(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	x := pending(t, s, "1", "secret")
	if x.VerificationStatus.Value != "" {
		t.Error("the value is handed on")
	}
	if got := get(t, s, x.ID); !reflect.DeepEqual(got.Shown(false), x.Shown(false)) || got.State != subscriptions.Pending || !got.NotifyEnd {
		t.Errorf("got %+v\nwant %+v", got, x)
	}
	v := dueOne(t, s, x.ID)
	asked := v.Subscription.VerificationStatus

	// An attempt that failed: it is due later.
	status := *asked
	began, next := day, time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	status.Attempts, status.LastAttempt, status.LastError, status.NextAttempt = 1, &began, "timeout", &next
	if err := s.Tried(t.Context(), x.Key, asked, &status); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, x.ID); !reflect.DeepEqual(got.VerificationStatus, &status) || got.Version != x.Version {
		t.Errorf("after an attempt: %+v, want %+v", got.VerificationStatus, status)
	}
	if all, at := due(t, s, chores()); len(all) != 0 || !at.Equal(next) {
		t.Errorf("due are %v, the next one at %v", all, at)
	}

	// What is changed apart from the target is no reason to ask again; another target is.
	change := func(f func(*subscriptions.Subscription)) {
		t.Helper()
		if _, err := s.Update(t.Context(), adminScope, x.ID, func(x *subscriptions.Subscription) error { f(x); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	change(func(x *subscriptions.Subscription) { x.Name = "other" })
	if all, _ := due(t, s, chores()); len(all) != 0 {
		t.Error("a name has begun it again")
	}
	change(func(x *subscriptions.Subscription) { x.Enable(time.Now()) })
	again := dueOne(t, s, x.ID)
	if again.Value == v.Value {
		t.Error("the value is used again")
	}

	// What comes of the one before counts no more.
	for what, err := range map[string]error{
		"an attempt":     s.Tried(t.Context(), x.Key, asked, &status),
		"an agreement":   s.Settle(t.Context(), x.ID, asked, func(x *subscriptions.Subscription) { x.Confirm(time.Now()) }),
		"a target gone":  s.DeleteUnverified(t.Context(), x.ID, asked),
		"a confirmation": confirm(t, s, x.ID, v.Value, time.Now(), false),
	} {
		if !errors.Is(err, ErrOtherVerification) && !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("%s of the verification before: %v", what, err)
		}
	}
	if got := get(t, s, x.ID); got.State != subscriptions.Pending || got.VerificationStatus.Attempts != 0 {
		t.Errorf("got %+v", got)
	}

	// A stopped one is not asked, and goes on where it is not over.
	change(func(x *subscriptions.Subscription) { x.Disable("admin", "", day) })
	if all, at := due(t, s, chores()); len(all) != 0 || !at.IsZero() {
		t.Errorf("of a disabled one are due: %v, %v", all, at)
	}
	change(func(x *subscriptions.Subscription) { x.Enable(time.Now()) })
	v = dueOne(t, s, x.ID)
	other := pending(t, s, "1", "secret")
	if err := confirm(t, s, other.ID, v.Value, time.Now(), false); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("with another's value: %v", err)
	}
	if err := confirm(t, s, x.ID, v.Value, time.Now().Add(subscriptions.VerifyFor), false); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("too late: %v", err)
	}
	for again := range 2 {
		if err := confirm(t, s, x.ID, v.Value, time.Now(), again == 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{other.ID, subscriptions.NewID()} {
		if err := confirm(t, s, id, v.Value, time.Now(), false); !errors.Is(err, subscriptions.ErrNotFound) {
			t.Errorf("with the value of one that is confirmed: %v", err)
		}
	}
	got := get(t, s, x.ID)
	if got.State != subscriptions.Active || got.Unverified() || got.VerificationStatus.ConfirmedAt == nil || got.VerificationStatus.ExpiresAt != nil {
		t.Errorf("confirmed: %+v, %+v", got, got.VerificationStatus)
	}
	conn := connect(t, s.cfg.URL.Reveal())
	if n := value[int](t, conn, `SELECT count(*)::int FROM verification WHERE value IS NOT NULL AND subscription = $1`, x.Key); n != 0 {
		t.Error("the value is kept when nobody needs it any more")
	}

	// One that has expired is kept for the retention.
	dueOne(t, s, other.ID)
	err := s.Settle(t.Context(), other.ID, other.VerificationStatus, func(x *subscriptions.Subscription) { x.Lapse("no answer", time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, other.ID); got.State != subscriptions.Expired || got.Disabled == nil || got.Disabled.Reason != "no answer" {
		t.Errorf("expired: %+v", got)
	}
	if _, err := s.Expire(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	get(t, s, other.ID)
	if _, err := s.Expire(t.Context(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), adminScope, other.ID); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("expired, after the retention: %v", err)
	}
	get(t, s, x.ID)
}

// TestVerificationsTakeTurns: an account with many does not keep others waiting, and nothing is done twice at once.
func TestVerificationsTakeTurns(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	of := map[string][]int64{}
	for _, account := range []string{"1", "1", "1", "1", "2", ""} {
		of[account] = append(of[account], pending(t, s, account, "challenge").Key)
	}
	all, _ := due(t, s, chores())
	if err := confirm(t, s, all[0].Subscription.ID, all[0].Value, time.Now(), false); !errors.Is(err, subscriptions.ErrNotFound) {
		t.Errorf("a challenge, which is in logs of the way, confirms: %v", err)
	}
	keys := func(c Chores) []int64 {
		var keys []int64
		all, _ := due(t, s, c)
		for _, v := range all {
			keys = append(keys, v.Subscription.Key)
		}
		return keys
	}
	now := time.Now()
	first := keys(Chores{Now: now, Limit: 3, PerAccount: 2})
	for account, want := range map[string][]int64{"1": of["1"][:1], "2": of["2"], "": of[""]} {
		if !slices.Contains(first, want[0]) {
			t.Errorf("of account %q nothing is among the first three: %v", account, first)
		}
	}
	if got := keys(Chores{Now: now, Limit: 100, PerAccount: 2}); len(got) != 4 {
		t.Errorf("two of each account are %v", got)
	}
	if got := keys(Chores{Now: now, Limit: 100, PerAccount: 100, Busy: []string{"1", ""}, Skip: []int64{}}); !slices.Equal(got, of["2"]) {
		t.Errorf("without the busy accounts: %v", got)
	}
	if got := keys(Chores{Now: now, Limit: 100, PerAccount: 100, Skip: of["1"]}); len(got) != 2 {
		t.Errorf("without those under way: %v", got)
	}
	if got := keys(Chores{Now: now.Add(-time.Hour), Limit: 100, PerAccount: 100}); len(got) != 0 {
		t.Errorf("an hour ago %v were due", got)
	}
}

// TestOnlyTheOwnerAsks: whoever has lost the slot asks no target any more.
func TestOnlyTheOwnerAsks(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first, second := open(t, url), open(t, url)
	if err := first.SaveCheckpoint(t.Context(), cdc.Checkpoint{Slot: "slot", Epoch: 1, LSN: 100}); err != nil {
		t.Fatal(err)
	}
	pending(t, first, "1", "secret")
	if err := first.Delete(t.Context(), adminScope, confirmed(t, first).ID, nil); err != nil {
		t.Fatal(err)
	}
	for i, s := range []*Store{first, second} {
		if _, err := s.Own(t.Context(), "slot", fmt.Sprint("process ", i)); err != nil {
			t.Fatal(err)
		}
		if all, _ := due(t, s, chores()); len(all) != 1 {
			t.Errorf("the owner sees %d", len(all))
		}
		if all, _, err := s.DueEndings(t.Context(), chores()); len(all) != 1 || err != nil {
			t.Errorf("the owner sees %d endings, %v", len(all), err)
		}
	}
	if all, _, err := first.DueVerifications(t.Context(), chores()); !errors.Is(err, sender.ErrNotOwner) || len(all) != 0 {
		t.Errorf("who was the owner sees %v, %v", all, err)
	}
	if all, _, err := first.DueEndings(t.Context(), chores()); !errors.Is(err, sender.ErrNotOwner) || len(all) != 0 {
		t.Errorf("who was the owner sees the endings %v, %v", all, err)
	}
}

// confirmed makes a subscription whose target has agreed.
func confirmed(t *testing.T, s *Store) *subscriptions.Subscription {
	t.Helper()
	x := pending(t, s, "1", "secret")
	if err := s.Settle(t.Context(), x.ID, x.VerificationStatus, func(x *subscriptions.Subscription) { x.Confirm(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestValuesAreSealed as secrets are, and opened by whoever has the key.
func TestValuesAreSealed(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := connect(t, url)
	s := open(t, url)
	x := pending(t, s, "1", "secret")
	was := dueOne(t, s, x.ID).Value
	if !strings.Contains(rowsOf(t, conn, "verification"), was.Reveal()) {
		t.Fatal("the test looks in the wrong place")
	}
	first, second := seal.NewKey(), seal.NewKey()
	for _, keys := range [][]secret.String{{first}, {second, first}, {second}} {
		var err error
		if s, err = openSealed(t, url, keys...); err != nil {
			t.Fatal(err)
		}
		if got := dueOne(t, s, x.ID).Value; got != was {
			t.Errorf("with %d keys it is opened as %q", len(keys), got.Reveal())
		}
		if strings.Contains(rowsOf(t, conn, "verification"), subscriptions.ValuePrefix) {
			t.Error("it is in the clear")
		}
	}
	if _, err := s.Update(t.Context(), adminScope, x.ID, func(x *subscriptions.Subscription) error { x.Enable(time.Now()); return nil }); err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(t, conn, "verification")
	for _, value := range []string{was.Reveal(), dueOne(t, s, x.ID).Value.Reveal(), subscriptions.ValuePrefix} {
		if strings.Contains(rows, value) {
			t.Errorf("the store tells %q", value)
		}
	}
}

// TestEndings: who has asked for it is told of the end, from a row of its own; who has not agreed to anything is not.
func TestEndings(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	url := pgtest.Database(t)
	s, err := openSealed(t, url, key)
	if err != nil {
		t.Fatal(err)
	}
	told := confirmed(t, s)
	quiet := func(x *subscriptions.Subscription) error { x.NotifyEnd = false; return nil }
	for _, d := range []struct {
		x    *subscriptions.Subscription
		when func(*subscriptions.Subscription) error
	}{{told, nil}, {confirmed(t, s), quiet}, {pending(t, s, "1", "secret"), nil}, {subscribe(t, s, "1"), nil}} {
		if err := s.Delete(t.Context(), adminScope, d.x.ID, d.when); err != nil {
			t.Fatal(err)
		}
	}
	over := confirmed(t, s)
	if _, err := s.Update(t.Context(), adminScope, over.ID, func(x *subscriptions.Subscription) error { x.State = subscriptions.Expired; return nil }); err != nil {
		t.Fatal(err)
	}
	all, _, err := s.DueEndings(t.Context(), chores())
	if err != nil || len(all) != 2 {
		t.Fatalf("due are %+v, %v", all, err)
	}
	for i, want := range []*subscriptions.Subscription{told, over} {
		got := all[i].Subscription
		if got.ID != want.ID || got.Account != "1" || got.Admin || got.TargetURL != want.TargetURL || !reflect.DeepEqual(got.Secrets, want.Secrets) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	conn := connect(t, url)
	if rows := rowsOf(t, conn, "ending"); strings.Contains(rows, "example.com") || strings.Contains(rows, "whsec_") {
		t.Errorf("the store tells %s", rows)
	}
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	if err := s.NotTold(t.Context(), all[0].Key, 1, later); err != nil {
		t.Fatal(err)
	}
	if err := s.Told(t.Context(), all[1].Key); err != nil {
		t.Fatal(err)
	}
	if all, next, err := s.DueEndings(t.Context(), chores()); err != nil || len(all) != 0 || !next.Equal(later) {
		t.Errorf("due are %+v, the next at %v, %v", all, next, err)
	}
	c := chores()
	c.Now = later
	if all, _, err := s.DueEndings(t.Context(), c); err != nil || len(all) != 1 || all[0].Attempts != 1 {
		t.Errorf("an hour later: %+v, %v", all, err)
	}
	if text, err := json.Marshal(all[0].Subscription.TargetURL); err != nil || strings.Contains(string(text), "example") {
		t.Errorf("%s, %v", text, err)
	}
}
