//go:build unix

package chaos

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// runHistory runs with the options, prints the figures, and fails for every promise that was not kept.
func runHistory(t *testing.T, o HistoryOptions) {
	t.Helper()
	o.Program, o.Dir, o.Log = built(t), t.TempDir(), t.Logf
	o.Seed = uint64(number(t, "CHAOS_SEED", int(time.Now().UnixNano()&(1<<40-1))))
	t.Logf("CHAOS_SEED=%d plays the schedule again", o.Seed)
	rep, err := RunHistory(t.Context(), o)
	t.Logf("\n%s", rep)
	if err != nil {
		t.Error(err)
	}
	if rep.Wrong > 0 {
		t.Errorf("%d promises were broken", rep.Wrong)
	}
	if err == nil && (rep.Backfilled == 0 || rep.Replays == 0 || rep.JobsDone == 0) {
		t.Error("nothing was sent again: the run shows nothing")
	}
	if t.Failed() {
		keepLog(t, Options{Dir: o.Dir, Seed: o.Seed})
	}
}

// TestHistory mixes all of it for a short time: make history is the long one.
func TestHistory(t *testing.T) {
	t.Parallel()
	runHistory(t, HistoryOptions{Rate: 60, Writers: 3, Keys: 80, Cold: 400, Rounds: 1, Restarts: 1, Gap: 400 * time.Millisecond})
}

// TestHistoryLong is for make history: one seed after the other.
func TestHistoryLong(t *testing.T) {
	if os.Getenv("CHAOS_LONG") == "" {
		t.Skip("make history runs it: it takes minutes")
	}
	runHistory(t, HistoryOptions{Rate: number(t, "CHAOS_RATE", 60), Writers: 4, Keys: number(t, "CHAOS_KEYS", 200), Cold: number(t, "CHAOS_COLD", 1000),
		Rounds: number(t, "CHAOS_ROUNDS", 3), Restarts: number(t, "CHAOS_RESTARTS", 3), Gap: 1000 * time.Millisecond})
}

// TestTheSubscriberSeesWhatIsWrong sends what a rowhook sends that breaks its promises: a subscriber that sees nothing would pass every run.
func TestTheSubscriberSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	// An event is a place, what happened, a number, and an account; then what is special of it.
	type event struct {
		at       int
		kind     string
		seq      int64
		account  int
		id, sub  string
		replay   bool
		failed   bool
		backfill bool
		life     int // which begins with it
		attempt  int
		reason   string
	}
	create := func(at int, seq int64) event { return event{at: at, kind: "item.create", seq: seq, account: 1} }
	with := func(e event, change func(*event)) event { change(&e); return e }
	const backfills, touches = "f0000000", "80000000"
	for name, c := range map[string]struct {
		events []event
		gone   bool // the table has no row, else number 2
		sweep  int
		want   string
	}{
		"Good":       {events: []event{create(1, 1), create(2, 2)}},
		"Stale":      {events: []event{create(1, 1)}, want: "and the table has"},
		"Missing":    {want: "does not have"},
		"NotTaken":   {events: []event{create(1, 1), with(create(2, 2), func(e *event) { e.failed = true })}, want: "and the table has"},
		"Retried":    {events: []event{create(1, 1), with(create(2, 2), func(e *event) { e.failed = true }), create(2, 2)}},
		"OutOfOrder": {events: []event{create(2, 2), create(1, 1)}, want: "came first after"},
		"Replayed":   {events: []event{create(1, 1), create(2, 2), with(create(1, 1), func(e *event) { e.replay = true })}},
		"Unmarked":   {events: []event{create(1, 1), create(2, 2), create(1, 1)}, want: "is not marked"},
		"AfterAKill": {events: []event{create(1, 1), create(2, 2), with(create(1, 1), func(e *event) { e.life = 2 })}},
		"Overtaken": {events: []event{with(create(2, 2), func(e *event) { e.attempt, e.reason = 2, "timeout" }),
			with(create(2, 2), func(e *event) { e.attempt = 1 })}},
		"NotOvertaken": {events: []event{with(create(2, 2), func(e *event) { e.attempt, e.reason = 2, "http_503" }),
			with(create(2, 2), func(e *event) { e.attempt = 1 })}, want: "is not marked"},
		"OvertakenBefore": {events: []event{with(create(2, 2), func(e *event) { e.attempt, e.reason = 2, "timeout" }),
			with(create(2, 2), func(e *event) { e.attempt, e.life = 1, 2 }), with(create(2, 2), func(e *event) { e.attempt = 1 })}, want: "is not marked"},
		"TwoEvents":     {events: []event{create(2, 2), with(create(2, 2), func(e *event) { e.id = "other" })}, want: "are two events"},
		"Foreign":       {events: []event{with(create(2, 2), func(e *event) { e.account = 2 })}, want: "it gets item.create"},
		"StaleBackfill": {events: []event{create(2, 2), with(create(3, 1), func(e *event) { e.sub, e.backfill = backfills, true })}, want: "stands behind number 2"},
		"NewerByTouch":  {events: []event{with(create(1, 2), func(e *event) { e.sub, e.kind = touches, "item.update" }), create(2, 1), create(3, 2)}},
		"Deleted":       {events: []event{create(2, 2), with(create(3, 2), func(e *event) { e.kind = "item.delete" })}, gone: true},
		"NotDeleted":    {events: []event{create(2, 2)}, gone: true, want: "which it may not see"},
		"Swept":         {events: []event{create(2, 2)}, gone: true, sweep: 2},
		"NotSwept":      {events: []event{create(3, 2)}, gone: true, sweep: 2, want: "which it may not see"},
		"Unknown":       {events: []event{create(2, 2), with(create(3, 2), func(e *event) { e.kind = "note.create" })}, want: "nobody asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			life := 1
			s := &subscriber{name: "t", account: "1", life: func() int { return life }}
			s.begin()
			for _, e := range c.events {
				if e.life > 0 {
					life = e.life
				}
				if e.sub == "" {
					e.sub = "00000000"
				}
				if e.id == "" {
					e.id = fmt.Sprint("evt_", e.at)
				}
				position := fmt.Sprintf("%032x%s", e.at, e.sub)
				header := http.Header{}
				if e.replay {
					header.Set("Webhook-Replay", "1")
				}
				if e.backfill {
					header.Set("Webhook-Backfill", "1")
				}
				if e.failed {
					s.down(hooktest.Status(500), time.Now().Add(time.Hour))
				} else {
					s.down(hooktest.OK(), time.Time{})
				}
				s.answer(hooktest.Request{ID: e.id, Header: header, Attempt: e.attempt, RetryReason: e.reason, Body: fmt.Appendf(nil,
					`{"type":%q,"position":%q,"backfill":%t,"data":{"id":7,"account":%d,"kind":"b","seq":%d,"group":"g"}}`, e.kind, position, e.backfill, e.account, e.seq)})
			}
			if c.sweep > 0 {
				s.sweep(fmt.Sprintf("%032x%s", c.sweep, "00000000"))
			}
			group, table := "g", map[int64]*item{}
			if !c.gone {
				table[7] = &item{ID: 7, Account: 1, Kind: "b", Seq: 2, Group: &group}
			}
			s.compare(table)
			got := strings.Join(s.wrong, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
