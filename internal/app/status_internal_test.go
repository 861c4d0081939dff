package app

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestShownFor: what a status shows of the store is ten seconds old at most, however slow a busy machine reads it; what truly takes long
// is not read more than a tenth of the time.
func TestShownFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ least, took, want time.Duration }{
		{measureLeast, 2 * time.Millisecond, time.Second},
		{measureLeast, 50 * time.Millisecond, 5 * time.Second},
		{measureLeast, 300 * time.Millisecond, 10 * time.Second},
		{measureLeast, time.Second, 10 * time.Second},
		{measureLeast, measureTimeout, 30 * time.Second},
		{sizesLeast, time.Millisecond, time.Minute},
		{sizesLeast, measureTimeout, time.Minute},
	} {
		if got := shownFor(c.least, c.took); got != c.want {
			t.Errorf("what took %s, and is shown for %s at least, is shown for %s, not %s", c.took, c.least, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var r remembered[int]
		if _, err := r.get(measureLeast, func() (*int, error) { time.Sleep(120 * time.Millisecond); return new(int), nil }); err != nil {
			t.Fatal(err)
		}
		if shown := time.Until(r.until); shown != measureMost {
			t.Errorf("what was slow to read is shown for %s, not %s", shown, measureMost)
		}
	})
}
