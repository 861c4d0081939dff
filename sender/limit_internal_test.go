package sender

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// TestLimit lets requests be wanted at random times of a clock that is ours, and looks at every window of those that began.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1/s", "3/s", "7/s", "10/s", "25/s", "1000/s", "10000/s", "1/m", "600/m", "1/h", "5000/h"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			rate, err := subscriptions.ParseRate(text)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, uint64(rate.Count)))
			var l limit
			l.set(rate, time.Time{})
			interval := rate.Interval()
			burst := max(1, int(100*time.Millisecond/interval))
			begin := time.Unix(1_000_000, 0)
			now := begin
			var begun []time.Time
			for len(begun) < 2000 {
				if l.waits(now) {
					if at := l.from(); !at.After(now) || at.Sub(now) > interval {
						t.Fatalf("%s: waits from %s until %s", text, now, at)
					}
				} else {
					l.begun(now)
					begun = append(begun, now)
				}
				switch rng.IntN(40) {
				case 0:
					now = now.Add(time.Duration(rng.Int64N(int64(300 * interval)))) // nothing is wanted for a while
				case 1, 2, 3:
					now = now.Add(time.Duration(rng.Int64N(int64(3 * interval))))
				default:
					now = now.Add(time.Duration(rng.Int64N(int64(interval)/3 + 1)))
				}
			}
			for i := range begun {
				for j := i; j < min(i+400, len(begun)); j++ {
					window := begun[j].Sub(begun[i])
					if n, most := j-i+1, burst+int(window/interval); n > most {
						t.Fatalf("%d requests in %s, at most %d are allowed", n, window, most)
					}
				}
			}
		})
	}
}

// TestLimitIsUsedUp: what is wanted all the time gets the whole rate, a burst where there was a pause, and none at the start.
func TestLimitIsUsedUp(t *testing.T) {
	t.Parallel()
	var l limit
	now := time.Unix(1_000_000, 0)
	l.set(subscriptions.Rate{Count: 100, Unit: 's'}, now)
	l.start(now)
	run := func(for_ time.Duration) (n int) {
		for end := now.Add(for_); now.Before(end); now = now.Add(time.Millisecond) {
			for !l.waits(now) {
				l.begun(now)
				n++
			}
		}
		return n
	}
	if n := run(time.Millisecond); n != 1 {
		t.Errorf("%d at the start, want 1", n)
	}
	if n := run(10*time.Second - time.Millisecond); n != 999 {
		t.Errorf("%d in the 10 s, want 999 more", n)
	}
	now = now.Add(time.Hour)
	if n := run(time.Millisecond); n != 10 {
		t.Errorf("%d at once after an hour, want 10", n)
	}
	// Another rate does not forget what has been begun, and none lets all through.
	l.set(subscriptions.Rate{Count: 1, Unit: 's'}, now)
	if !l.waits(now) {
		t.Error("a change of the rate begins anew")
	}
	l.set(subscriptions.Rate{}, now)
	if n := l.ahead(77); l.waits(now) || n != 77 || l.takes(1000) != 0 {
		t.Errorf("without a limit: %v %d %s", l.waits(now), n, l.takes(1000))
	}
}

// TestLimitReadsAhead: as much as it sends in a second, so that a backlog does not lie in memory.
func TestLimitReadsAhead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"1/h": 1, "60/m": 1, "10/s": 10, "100/s": 100, "10000/s": 128} {
		var l limit
		rate, err := subscriptions.ParseRate(text)
		if err != nil {
			t.Fatal(err)
		}
		l.set(rate, time.Time{})
		if n := l.ahead(128); n != want {
			t.Errorf("%s: %d rows, want %d", text, n, want)
		}
	}
}
