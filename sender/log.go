package sender

import (
	"log/slog"
	"time"
)

// toldEvery is the least time between two lines about failed attempts of one subscription, and between two about
// subscriptions that go through the store: there may be as many as events.
const toldEvery = 5 * time.Second

// tally counts what is not told of each time.
type tally struct {
	told  time.Time
	since int
}

// add counts one more. It returns how many there were since it was last told, when it is time to tell it again, else 0.
func (t *tally) add(now time.Time) int {
	t.since++
	if now.Sub(t.told) < toldEvery {
		return 0
	}
	n := t.since
	*t = tally{told: now}
	return n
}

// tellWhole tells of a subscription that goes through the store, or does no more. It is called with the mutex held.
func (d *Dispatcher) tellWhole(t *tally, text string, s *subscription) {
	if n := t.add(time.Now()); n > 0 {
		attrs := []any{"subscription", s.id}
		if n > 1 {
			attrs = append(attrs, "and_others", n-1)
		}
		d.cfg.Log.Info(text, attrs...)
	}
}

// levelOf is the level at which an attempt's end is told. Of the failures that will be tried again only some are of
// interest: a target that is down fails all the time.
func levelOf(v Verdict, over bool, toTell int) slog.Level {
	switch {
	case v == Gone, v == Drop, v == Retry && over, (v == Retry || v == Wait) && toTell > 0:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
