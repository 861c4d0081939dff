package app

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

func TestExpireStaysBehindWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var u unsettled
	want := func(from time.Time) {
		t.Helper()
		if got := u.expireBefore(now, 7*day); !got.Equal(from.Add(-7 * day)) {
			t.Errorf("got %s, want seven days before %s", got, from)
		}
	}
	want(now)
	late, later := cdc.NewReceipt(1), cdc.NewReceipt(2)
	// Commit times need not grow with the log.
	u.add(late, now.Add(-9*day))
	u.add(later, now.Add(-10*day))
	want(now.Add(-10 * day))
	later.Done()
	late.Done()
	want(now.Add(-10 * day))
	later.Done()
	want(now)
	lost := cdc.NewReceipt(1)
	lost.Abandon()
	lost.Done()
	u.add(lost, now.Add(-8*day))
	want(now.Add(-8 * day)) // it comes again
	u.reset()
	want(now)
}
