package sender_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestIdleSubscriptionsAreForgotten: of those that have nothing to be sent only some are remembered, and they are sent to
// again as before; one that has a row, or is disabled, is remembered.
func TestIdleSubscriptionsAreForgotten(t *testing.T) {
	t.Parallel()
	const many, kept = 1300, 1024
	r := hooktest.New(t)
	r.Handle("/fails", hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	cfg.MaxInFlight, cfg.Memory, cfg.Retries = 16, 16<<20, []time.Duration{time.Hour}
	d := run(t, cfg, newMemory().open())
	fails := newSubscription(many+1, r.URL("/fails"))
	disabled := newSubscription(many+2, r.URL("/disabled"))
	disabled.State = subscriptions.Disabled
	d.submit(t, newEvent(1, "a"), fails, disabled)
	for round := range 2 {
		for key := range int64(many) {
			d.submit(t, newEvent(many*round+int(key)+2, "a"), newSubscription(key+1, r.URL("/ok")))
		}
		eventually(t, "all is sent", func() bool { return d.Counts().InMemory == 0 })
		eventually(t, "few are remembered", func() bool { known, _ := d.Known(); return known <= kept })
	}
	d.submit(t, newEvent(2*many+2, "a"), fails, disabled)
	eventually(t, "everything is written", func() bool { c := d.Counts(); return c.InMemory == 0 && c.Unwritten == 0 })
	if c := d.Counts(); c.StoredRows != 4 || c.StoredSubscriptions != 2 {
		t.Errorf("%d rows of %d subscriptions are remembered, want 4 of 2", c.StoredRows, c.StoredSubscriptions)
	}
	paths := hooktest.ByPath(r.Requests())
	if n := len(paths["/ok"]); n != 2*many {
		t.Errorf("%d requests to the targets that answer, want %d", n, 2*many)
	}
	if n := len(paths["/fails"]); n != 1 {
		t.Errorf("%d requests to the target that fails, want 1: its later event must wait for the earlier one", n)
	}
}

// lines is a log of which the lines can be counted.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// TestFailuresAreSummedUp: a target that is down does not fill the log; what is over is told each time.
func TestFailuresAreSummedUp(t *testing.T) {
	t.Parallel()
	const many = 25
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	log := &lines{}
	cfg := testConfig()
	cfg.Log, cfg.Retries = slog.New(slog.NewTextHandler(log, nil)), []time.Duration{time.Millisecond}
	d := run(t, cfg, newMemory().open())
	begun := time.Now()
	sub := newSubscription(1, r.URL("/"))
	for i := range many {
		d.submit(t, newEvent(i+1, fmt.Sprint(i)), sub)
	}
	eventually(t, "every schedule is over", func() bool { return log.count("the schedule is over") == many })
	// One at the beginning, and one for each 5 s since.
	if n, most := log.count(`"attempt failed"`), 1+int(time.Since(begun)/(5*time.Second)); n < 1 || n > most {
		t.Errorf("%d lines about %d failed attempts, want 1 to %d", n, many, most)
	}
}
