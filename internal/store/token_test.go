package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestTokens: what is made is found by its hash until it ends, and the text is kept nowhere.
func TestTokens(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, conn := open(t, url), connect(t, url)
	now := time.Now()
	var made []*subscriptions.Token
	var texts []string
	for _, body := range []string{`{"account": "1", "expires_in": "1h", "name": "n"}`, `{"account": "*", "read_only": true}`, `{"account": "2"}`} {
		x, text, err := subscriptions.NewToken([]byte(body), now)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CreateToken(t.Context(), x, subscriptions.TokenHash(text.Reveal())); err != nil {
			t.Fatal(err)
		}
		made, texts = append(made, x), append(texts, text.Reveal())
	}
	rows := rowsOf(t, conn, "token")
	for i, x := range made {
		if got, err := s.FindToken(t.Context(), subscriptions.TokenHash(texts[i])); err != nil || !reflect.DeepEqual(got, x) {
			t.Errorf("found %+v, %v, want %+v", got, err, x)
		}
		if strings.Contains(rows, texts[i]) {
			t.Error("the store tells a token")
		}
	}
	if page, more, err := s.ListTokens(t.Context(), made[0].ID, 1); err != nil || !more || len(page) != 1 || !reflect.DeepEqual(page[0], made[1]) {
		t.Errorf("listed %+v, %v, %v", page, more, err)
	}
	gone := func(i int) {
		t.Helper()
		if _, err := s.FindToken(t.Context(), subscriptions.TokenHash(texts[i])); !errors.Is(err, subscriptions.ErrTokenNotFound) {
			t.Errorf("token %d: %v", i, err)
		}
		if err := s.DeleteToken(t.Context(), made[i].ID); !errors.Is(err, subscriptions.ErrTokenNotFound) {
			t.Errorf("delete token %d: %v", i, err)
		}
	}
	if err := s.DeleteToken(t.Context(), made[1].ID); err != nil {
		t.Error(err)
	}
	gone(1)
	exec(t, conn, `UPDATE token SET expires_at = now() - interval '1 second' WHERE id = $1`, made[0].ID)
	gone(0)
	if page, _, err := s.ListTokens(t.Context(), "", 9); err != nil || len(page) != 1 || page[0].ID != made[2].ID {
		t.Errorf("listed %+v, %v", page, err)
	}
	if _, _, err := s.ListTokens(t.Context(), "tok_none", 9); !errors.Is(err, subscriptions.ErrTokenNotFound) {
		t.Errorf("after none: %v", err)
	}
	if _, err := s.Expire(t.Context(), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM token`); n != 1 {
		t.Errorf("%d tokens are kept", n)
	}
}
