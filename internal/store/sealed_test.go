package store

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

func openSealed(t *testing.T, url string, keys ...secret.String) (*Store, error) {
	t.Helper()
	k, err := seal.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{URL: secret.String(url), Schema: "rowhook", Keys: k})
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

// rowsOf are all rows of the table as text.
func rowsOf(t *testing.T, conn *pgx.Conn, table string) string {
	t.Helper()
	return value[string](t, conn, `SELECT coalesce(string_agg(x::text, E'\n'), '') FROM `+table+` x`)
}

// TestWhatIsSealed: nothing in the store tells what signs and where to, and every way of reading a subscription does.
func TestWhatIsSealed(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := connect(t, url)
	clear := open(t, url)
	var made []*subscriptions.Subscription
	for range sealedAtOnce + 3 {
		made = append(made, subscribe(t, clear, "1"))
	}
	if found := rowsOf(t, conn, "subscription"); !strings.Contains(found, "hunter2") {
		t.Fatal("the test looks in the wrong place")
	}
	clear.Close()

	first, second := seal.NewKey(), seal.NewKey()
	check := func(what string, keys ...secret.String) {
		t.Helper()
		s, err := openSealed(t, url, keys...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer s.Close()
		made = append(made, subscribe(t, s, "1"))
		x, err := s.Update(t.Context(), adminScope, made[0].ID, func(x *subscriptions.Subscription) error {
			x.Secrets = append([]subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}, x.Secrets[0])
			x.Request.Auth.Token = "hunter2-changed"
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		made[0] = x
		rows := rowsOf(t, conn, "subscription")
		for _, secret := range []string{"hunter2", "/hook", "whsec_", made[0].Secrets[1].Secret.Reveal()} {
			if strings.Contains(rows, secret) {
				t.Errorf("%s: the store tells %q", what, secret)
			}
		}
		if got, err := s.Get(t.Context(), adminScope, x.ID); err != nil || !reflect.DeepEqual(got, x) {
			t.Errorf("%s: Get: %+v, %v", what, got, err)
		}
		if page, _, err := s.List(t.Context(), subscriptions.Query{Scope: adminScope, Limit: 1}); err != nil || !reflect.DeepEqual(page, []*subscriptions.Subscription{x}) {
			t.Errorf("%s: List: %+v, %v", what, page, err)
		}
		if got, err := s.Announced(t.Context(), subscriptions.Announcement{ID: x.ID, Version: x.Version}); err != nil || !reflect.DeepEqual(got, x) {
			t.Errorf("%s: Announced: %+v, %v", what, got, err)
		}
		n := 0
		err = s.Each(t.Context(), func(got *subscriptions.Subscription) {
			if want := made[n]; got.TargetURL != want.TargetURL || got.FallbackURL != want.FallbackURL || !reflect.DeepEqual(got.Secrets, want.Secrets) || !reflect.DeepEqual(got.Request, want.Request) {
				t.Errorf("%s: Each: %+v", what, got)
			}
			n++
		})
		if err != nil || n != len(made) {
			t.Errorf("%s: Each: %d of %d, %v", what, n, len(made), err)
		}
	}
	check("sealed at the start", first)
	check("with another key", second, first)
	check("without the old key", second)

	for what, keys := range map[string][]secret.String{"another key": {first}, "no key": nil} {
		_, err := openSealed(t, url, keys...)
		if !errors.Is(err, ErrSealed) || !strings.Contains(fmt.Sprint(err), "store.encryption_key") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What belongs to one subscription is nothing in the place of another's.
	exec(t, conn, `UPDATE subscription SET target_url = (SELECT target_url FROM subscription WHERE id = $2) WHERE id = $1`, made[1].ID, made[2].ID)
	s, err := openSealed(t, url, second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), adminScope, made[1].ID); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), made[1].ID) {
		t.Errorf("a target of another subscription: %v", err)
	}
}
