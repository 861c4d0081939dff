package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

func unmade(account string) *subscriptions.Subscription {
	return &subscriptions.Subscription{ID: subscriptions.NewID(), Account: account, Admin: account == "", Events: []string{"*"},
		TargetURL: "https://example.com/", State: subscriptions.Active, Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}}
}

// TestCreateOnce: the same request makes one subscription, however often and at once it comes.
func TestCreateOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url)
	conn := connect(t, url)
	once := subscriptions.Once{Key: "k", Body: [32]byte{1}}
	create := func(account string, once subscriptions.Once) (*subscriptions.Subscription, bool) {
		t.Helper()
		made, again, err := s.CreateOnce(t.Context(), unmade(account), 0, once)
		if err != nil {
			t.Fatal(err)
		}
		return made, again
	}
	var all sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		all.Go(func() {
			made, _, err := s.CreateOnce(t.Context(), unmade("1"), 0, once)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = made.ID
		})
	}
	all.Wait()
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 || value[int](t, conn, `SELECT count(*) FROM subscription`) != 1 {
		t.Fatalf("eight requests at once made %v", ids)
	}
	made, again := create("1", once)
	if !again || made.ID != ids[0] || len(made.Secrets) != 1 {
		t.Errorf("again: %+v, %v", made, again)
	}
	if _, _, err := s.CreateOnce(t.Context(), unmade("1"), 0, subscriptions.Once{Key: "k", Body: [32]byte{2}}); !errors.Is(err, subscriptions.ErrOnceDiffers) {
		t.Errorf("another request with the key: %v", err)
	}
	for _, account := range []string{"2", ""} {
		if made, again := create(account, once); again || made.ID == ids[0] {
			t.Errorf("the key of another account counts for %q", account)
		}
	}
	exec(t, conn, `UPDATE subscription SET created_at = created_at - interval '25 hours' WHERE id = $1`, ids[0])
	newer, again := create("1", once)
	if again || newer.ID == ids[0] {
		t.Error("a key counts after a day")
	}
	if err := s.Delete(t.Context(), adminScope, newer.ID, nil); err != nil {
		t.Fatal(err)
	}
	if last, again := create("1", once); again || last.ID == newer.ID {
		t.Error("the key of a deleted subscription counts")
	}
}

// TestListSelects shows each filter, alone and with others.
func TestListSelects(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	for _, x := range []struct {
		name, target string
		events       []string
		state        subscriptions.State
	}{
		{"all", "https://a.example.com/x", []string{"*"}, subscriptions.Active},
		{"Contacts", "https://u:p@B.example.com:8443/x", []string{"contact.*"}, subscriptions.Active},
		{"ÜBER alles", "https://c.example.org/", []string{"note.create"}, subscriptions.Active},
		{"one", "https://[2001:db8::1]/", []string{"deal.create", "contact.update"}, subscriptions.Disabled},
	} {
		sub := unmade("1")
		sub.Name, sub.TargetURL, sub.Events, sub.State = x.name, "", x.events, x.state
		if err := s.Create(t.Context(), sub, 0); err != nil {
			t.Fatal(err)
		}
		// The host follows the target.
		if _, err := s.Update(t.Context(), adminScope, sub.ID, func(sub *subscriptions.Subscription) error {
			sub.TargetURL = secret.String(x.target)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q    subscriptions.Query
		want []string
	}{
		{subscriptions.Query{}, []string{"all", "Contacts", "ÜBER alles", "one"}},
		{subscriptions.Query{Event: "contact.update"}, []string{"all", "Contacts", "one"}},
		{subscriptions.Query{Event: "contact.create"}, []string{"all", "Contacts"}},
		{subscriptions.Query{Event: "contact.*"}, []string{"Contacts"}},
		{subscriptions.Query{Event: "*"}, []string{"all"}},
		{subscriptions.Query{State: subscriptions.Disabled}, []string{"one"}},
		{subscriptions.Query{TargetHost: "b.EXAMPLE.com"}, []string{"Contacts"}},
		{subscriptions.Query{TargetHost: "2001:db8::1"}, []string{"one"}},
		{subscriptions.Query{Name: "CONT"}, []string{"Contacts"}},
		{subscriptions.Query{Name: "%"}, nil},
		{subscriptions.Query{Name: "o", Event: "deal.create"}, []string{"one"}},
		{subscriptions.Query{Search: "CONT"}, []string{"Contacts"}},
		{subscriptions.Query{Search: "Example.com"}, []string{"all", "Contacts"}},
		{subscriptions.Query{Search: "SUB_", State: subscriptions.Disabled}, []string{"one"}},
		{subscriptions.Query{Search: "ÜBER"}, []string{"ÜBER alles"}},
		{subscriptions.Query{Search: "R ALL"}, []string{"ÜBER alles"}},
		{subscriptions.Query{Search: "8443"}, nil},
		{subscriptions.Query{Search: "%"}, nil},
	} {
		c.q.Scope, c.q.Limit = subscriptions.Scope{Account: "1"}, 10
		page, _, err := s.List(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range page {
			got = append(got, x.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: got %v, want %v", c.q, got, c.want)
		}
	}
}

// TestCreateOnceAtTheBound: of the same request at once, for the last subscription that an account may have, all get it.
func TestCreateOnceAtTheBound(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	for round := range 5 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, _, err := s.CreateOnce(t.Context(), unmade("1"), round+1, subscriptions.Once{Key: fmt.Sprint(round), Body: [32]byte{1}}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if _, _, err := s.CreateOnce(t.Context(), unmade("1"), 5, subscriptions.Once{Key: "another", Body: [32]byte{1}}); !errors.Is(err, subscriptions.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}

// TestTargetHostsOfOldSubscriptions are those that new ones would have, and nothing of their credentials.
func TestTargetHostsOfOldSubscriptions(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	s := open(t, db)
	var want []string
	for _, target := range []secret.String{"https://example.com/hooks", "https://user:p@ss@B.example.com:8443/x@y", "HTTPS://c.example.com?x=@",
		"https://u:p@[2001:db8::1]:8443/", "https://example.com./", "http://10.0.0.1:80"} {
		x := unmade("1")
		x.TargetURL = target
		if err := s.Create(t.Context(), x, 0); err != nil {
			t.Fatal(err)
		}
		want = append(want, x.TargetHost())
	}
	s.Close()
	// As it was before version 7.
	exec(t, conn, `DELETE FROM migration WHERE version_id = 7`)
	exec(t, conn, `DROP INDEX subscription_once`)
	exec(t, conn, `ALTER TABLE subscription DROP COLUMN once_key, DROP COLUMN once_body, DROP COLUMN target_host`)
	open(t, db)
	if got := value[[]string](t, conn, `SELECT array_agg(target_host ORDER BY key) FROM subscription`); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
