package store

import (
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
)

// TestEndingsAreSealedAgain: with another key, or the first one, as subscriptions are, so that the old one can be taken away.
func TestEndingsAreSealedAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := connect(t, url)
	clear := open(t, url)
	x := leased("1", time.Now().Add(time.Hour))
	x.NotifyEnd, x.TargetURL = true, "https://example.com/hunter2"
	if err := clear.Create(t.Context(), x, 0); err != nil {
		t.Fatal(err)
	}
	if err := clear.Delete(t.Context(), adminScope, x.ID, nil); err != nil {
		t.Fatal(err)
	}
	clear.Close()
	first, second := seal.NewKey(), seal.NewKey()
	for i, keys := range [][]secret.String{{first}, {second, first}, {second}} {
		s, err := openSealed(t, url, keys...)
		if err != nil {
			t.Fatal(err)
		}
		if rows := rowsOf(t, conn, "ending"); strings.Contains(rows, "hunter2") || strings.Contains(rows, "whsec_") {
			t.Errorf("%d: the store tells %s", i, rows)
		}
		all, _, err := s.DueEndings(t.Context(), chores())
		if err != nil || len(all) != 1 || all[0].Subscription.TargetURL != x.TargetURL || len(all[0].Subscription.Secrets) != 1 {
			t.Errorf("%d: due are %+v, %v", i, all, err)
		}
		s.Close()
	}
}
