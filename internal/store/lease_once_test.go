package store

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestALeaseThatIsMadeMeanwhileByTheSameRequest is that one, and no renewal: whoever repeats a request that is still under way, since
// he gave it up, is told the secret.
func TestALeaseThatIsMadeMeanwhileByTheSameRequest(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	end := time.Now().Add(time.Hour)
	// A request of another one for the same place holds up both until they have looked for the key.
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.liveLease(ctx, tx, leased("1", end)); err != nil {
		t.Fatal(err)
	}
	made := make(chan subscriptions.Made, 2)
	for range 2 {
		go func() {
			_, how, err := s.Lease(ctx, leased("1", end), 0, &subscriptions.Once{Key: "k"}, func(*subscriptions.Subscription) error { return nil })
			if err != nil {
				t.Error(err)
			}
			made <- how
		}()
	}
	for value[int](t, conn, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) < 2 {
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if a, b := <-made, <-made; a+b != subscriptions.MadeNow+subscriptions.MadeBefore {
		t.Errorf("made %d and %d, want one now, and the same before", a, b)
	}
}
