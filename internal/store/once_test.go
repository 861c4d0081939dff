package store

import (
	"errors"
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
		{subscriptions.Query{}, []string{"all", "Contacts", "one"}},
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
