package store

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestEndedSessions: what one process ends another one knows at once, for as long as its cookies could be good.
func TestEndedSessions(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	one, two, conn := open(t, url), open(t, url), connect(t, url)
	now := time.Now()
	a, b, c := [16]byte{1}, [16]byte{2}, [16]byte{3}
	for id, until := range map[[16]byte]time.Time{a: now.Add(time.Hour), b: now.Add(-time.Second)} {
		for range 2 { // a second time is no error
			if err := one.EndSession(t.Context(), id, until); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := func(id [16]byte, want bool) {
		t.Helper()
		if got, err := two.SessionEnded(t.Context(), id); err != nil || got != want {
			t.Errorf("session %v: ended %v, %v, want %v", id[0], got, err, want)
		}
	}
	is(a, true)
	is(b, true)
	is(c, false)
	if _, err := one.Expire(t.Context(), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	is(a, true)
	if n := value[int](t, conn, `SELECT count(*) FROM ended_session`); n != 1 {
		t.Errorf("%d are kept", n)
	}
}
