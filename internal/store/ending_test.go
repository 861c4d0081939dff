package store

import (
	"context"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestTheEndIsToldOnce: when the subscription expires, and not again when it is deleted afterwards, by its owner or by the
// retention. One that has never been sent to is not told.
func TestTheEndIsToldOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	leasedNow := func(state subscriptions.State) *subscriptions.Subscription {
		x := leased("1", time.Now().Add(time.Hour))
		x.NotifyEnd, x.State = true, state
		if err := s.Create(ctx, x, 0); err != nil {
			t.Fatal(err)
		}
		exec(t, conn, `UPDATE subscription SET expires_at = now() - interval '1 minute' WHERE id = $1`, x.ID)
		return x
	}
	told := func(what string, x *subscriptions.Subscription, want int) {
		t.Helper()
		if n := value[int](t, conn, `SELECT count(*) FROM ending WHERE id = $1`, x.ID); n != want {
			t.Errorf("%s: told %d times, want %d", what, n, want)
		}
	}
	byOwner, byRetention := leasedNow(subscriptions.Active), leasedNow(subscriptions.Active)
	if n, err := s.ExpireLeases(ctx, time.Second); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	told("expired", byOwner, 1)
	if err := s.Delete(ctx, adminScope, byOwner.ID, nil); err != nil {
		t.Fatal(err)
	}
	if n, err := s.RemoveExpired(ctx, time.Now()); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	told("expired, and deleted by its owner", byOwner, 1)
	told("expired, and removed after the retention", byRetention, 1)
	disabled := leasedNow(subscriptions.Disabled)
	if n, err := s.RemoveExpired(ctx, time.Now()); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	told("disabled, and removed", disabled, 1)
}

// TestALeaseStaysUntilItsLogIsRead: a stream that is late by more than the retention may have something for it.
func TestALeaseStaysUntilItsLogIsRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := leased("1", time.Now().Add(time.Hour))
	if err := s.Create(ctx, x, 0); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `UPDATE subscription SET expires_at = now() - interval '2 hours' WHERE id = $1`, x.ID)
	if n, err := s.ExpireLeases(ctx, time.Second); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	for i, settled := range []time.Duration{3 * time.Hour, time.Hour} {
		if err := s.SaveCheckpoint(ctx, cdc.Checkpoint{Slot: "slot", SystemID: "1", Epoch: 1, LSN: cdc.LSN(i + 1), SettledAt: time.Now().Add(-settled)}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.RemoveExpired(ctx, time.Now().Add(-90*time.Minute)); err != nil || n != i {
			t.Errorf("settled until %v ago: %d removed, %v, want %d", settled, n, err, i)
		}
	}
}

// TestUnverifiedIsKeptForTheRetention: what counts is when it expired, and not until when its target once had time.
func TestUnverifiedIsKeptForTheRetention(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.Database(t)
	s, conn := open(t, db), connect(t, db)
	x := leased("1", time.Now().Add(time.Hour))
	x.State, x.Verification = subscriptions.Shadow, subscriptions.VerifySecret
	old := time.Now().Add(-100 * 24 * time.Hour)
	x.VerificationStatus = &subscriptions.VerificationStatus{ExpiresAt: &old, Value: subscriptions.ValuePrefix + "x"} // its target was changed while it was a shadow
	if err := s.Create(ctx, x, 0); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `UPDATE subscription SET expires_at = now() - interval '1 minute' WHERE id = $1`, x.ID)
	if n, err := s.ExpireLeases(ctx, time.Second); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := s.Expire(ctx, time.Now().Add(-30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, adminScope, x.ID); err != nil || got.State != subscriptions.Expired {
		t.Errorf("a minute after it expired: %+v, %v", got, err)
	}
	if _, err := s.Expire(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, adminScope, x.ID); err == nil {
		t.Errorf("after the retention: %+v", got)
	}
}
