package sender_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// keeper is a store with what tests want to know of it.
type keeper interface {
	sender.Store
	own()
	has(subscription int64, ev *mapping.Event) bool
	hasEvent(p cdc.Position) bool
	outcome(p pair) (finished, bool)
	// waits says whether the delivery has a due row, resent how it ended each time that it was sent again.
	waits(p pair) bool
	resent(p pair) []finished
}

// keepers opens stores of one set of data, one for each process.
type keepers interface {
	open() keeper
	// subscription returns the key of a new subscription.
	subscription() int64
	// buried says whether there is a dead letter.
	buried(p cdc.Position) bool
}

type memoryKeepers struct {
	*memory
	last int64
}

func (k *memoryKeepers) open() keeper               { return k.memory.open() }
func (k *memoryKeepers) subscription() int64        { k.last++; return k.last }
func (k *memoryKeepers) buried(p cdc.Position) bool { return k.letters[p] }

// postgresKeepers is the real store.
type postgresKeepers struct {
	t    testing.TB
	url  string
	main *store.Store
	conn *pgx.Conn
}

func newPostgresKeepers(t testing.TB) *postgresKeepers {
	k := &postgresKeepers{t: t, url: pgtest.Database(skipper{t})}
	k.main = k.openStore()
	conn, err := pgx.Connect(context.Background(), k.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	k.conn = conn
	err = k.main.SaveCheckpoint(context.Background(), cdc.Checkpoint{Slot: "slot", SystemID: "1", Environment: "test", Epoch: 1, LSN: 1})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type skipper struct{ testing.TB }

func (k *postgresKeepers) openStore() *store.Store {
	s, err := store.Open(context.Background(), store.Config{URL: secret.String(k.url), Schema: "rowhook"})
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(s.Close)
	return s
}

func (k *postgresKeepers) subscription() int64 {
	s := &subscriptions.Subscription{ID: subscriptions.NewID(), Admin: true, Events: []string{"*"}, TargetURL: "https://example.com/", State: subscriptions.Active}
	if err := k.main.Create(context.Background(), s, 0); err != nil {
		k.t.Fatal(err)
	}
	return s.Key
}

func (k *postgresKeepers) buried(p cdc.Position) bool {
	b := p.Bytes()
	var n int
	if err := k.conn.QueryRow(context.Background(), `SELECT count(*) FROM rowhook.dead_letter WHERE position = $1`, b[:]).Scan(&n); err != nil {
		k.t.Fatal(err)
	}
	return n > 0
}

func (k *postgresKeepers) open() keeper { return &postgresKeeper{Store: k.openStore(), keepers: k} }

type postgresKeeper struct {
	*store.Store
	keepers *postgresKeepers
}

func (k *postgresKeeper) own() {
	if _, err := k.Own(context.Background(), "slot", pgtest.Name("owner")); err != nil {
		k.keepers.t.Error(err)
	}
}

func (k *postgresKeeper) look(subscription int64, ev *mapping.Event) (map[store.Pair]bool, map[cdc.Position]bool) {
	d, e, err := k.Recorded(context.Background(), []store.Delivery{{Subscription: subscription, Event: ev}})
	if err != nil {
		k.keepers.t.Error(err)
	}
	return d, e
}

func (k *postgresKeeper) has(subscription int64, ev *mapping.Event) bool {
	d, _ := k.look(subscription, ev)
	return d[store.Pair{Subscription: subscription, Position: ev.Position}]
}

func (k *postgresKeeper) hasEvent(p cdc.Position) bool {
	_, e := k.look(0, &mapping.Event{Position: p})
	return e[p]
}

func (k *postgresKeeper) outcome(p pair) (finished, bool) {
	b := p.position.Bytes()
	var status, attempts int16
	err := k.keepers.conn.QueryRow(context.Background(), `SELECT status, attempts FROM rowhook.delivery WHERE subscription = $1 AND position = $2`,
		p.subscription, b[:]).Scan(&status, &attempts)
	return finished{sender.Status(status), int(attempts)}, err == nil
}

func (k *postgresKeeper) waits(p pair) (waits bool) {
	b := p.position.Bytes()
	if err := k.keepers.conn.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM rowhook.due WHERE subscription = $1 AND position = $2)`,
		p.subscription, b[:]).Scan(&waits); err != nil {
		k.keepers.t.Error(err)
	}
	return waits
}

func (k *postgresKeeper) resent(p pair) []finished {
	b := p.position.Bytes()
	rows, err := k.keepers.conn.Query(context.Background(), `SELECT status, attempts FROM rowhook.resent WHERE subscription = $1 AND position = $2
		ORDER BY finished_at`, p.subscription, b[:])
	if err != nil {
		k.keepers.t.Error(err)
		return nil
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f finished, err error) { return f, row.Scan(&f.status, &f.attempts) })
	if err != nil {
		k.keepers.t.Error(err)
	}
	return all
}

// TestStoresKeepTheirPromises holds the store and the double of it that other tests use to what Store says.
func TestStoresKeepTheirPromises(t *testing.T) {
	t.Parallel()
	t.Run("Memory", func(t *testing.T) {
		t.Parallel()
		promises(t, func(testing.TB) keepers { return &memoryKeepers{memory: newMemory()} })
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		promises(t, func(t testing.TB) keepers { return newPostgresKeepers(t) })
	})
}

// bench is a store under test with the words of its tests.
type bench struct {
	*testing.T
	keepers
	keeper
	sub int64
	now time.Time
}

func (b *bench) write(records ...sender.Record) {
	b.Helper()
	if err := b.Write(b.Context(), records); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) deferred(ev *mapping.Event, key int64, at time.Time) sender.Record {
	return sender.Record{Op: sender.Defer, Event: ev, InsertEvent: true, Subscription: b.sub, Key: key, DueAt: at}
}

func (b *bench) finished(ev *mapping.Event, key int64, stored bool) sender.Record {
	return sender.Record{Op: sender.Finish, Event: ev, Subscription: b.sub, Key: key, Stored: stored, Status: sender.StatusDelivered, Attempts: 1,
		Outcome: &sender.Outcome{Verdict: sender.Delivered, Status: 200, Duration: time.Millisecond}}
}

// again is a due row of what is sent again, after so many attempts.
func (b *bench) again(ev *mapping.Event, key int64, attempts int) sender.Record {
	return sender.Record{Op: sender.Defer, Event: ev, Subscription: b.sub, Key: key, DueAt: b.now, Replay: true, Attempts: attempts, Before: attempts}
}

func (b *bench) rescheduled(ev *mapping.Event, key int64, at time.Time, attempts int) sender.Record {
	return sender.Record{Op: sender.Reschedule, Event: ev, Subscription: b.sub, Key: key, Stored: true, DueAt: at, Attempts: attempts, RetryReason: "timeout",
		Outcome: &sender.Outcome{Verdict: sender.Retry, Reason: "timeout", Detail: "late", Started: b.now}}
}

// due returns the ids of what is due at a time from now on.
func (b *bench) due(after time.Duration) []string {
	b.Helper()
	due, _ := b.lookAt(sender.Look{Now: b.now.Add(after), Rows: 100, Bytes: 1 << 20})
	ids := []string{}
	for _, d := range due {
		ids = append(ids, d.Event.ID)
	}
	return ids
}

func (b *bench) lookAt(look sender.Look) ([]sender.Due, time.Time) {
	b.Helper()
	due, next, err := b.Due(b.Context(), b.sub, look)
	if err != nil {
		b.Fatal(err)
	}
	return due, next
}

func (b *bench) want(after time.Duration, ids ...string) {
	b.Helper()
	if got := b.due(after); !slices.Equal(got, append([]string{}, ids...)) {
		b.Errorf("due after %s: got %v, want %v", after, got, ids)
	}
}

func promises(t *testing.T, open func(testing.TB) keepers) {
	// A write takes no such time, also on a machine that is slow: what is due at once is due soon.
	const soon = 20 * time.Second
	for name, test := range map[string]func(*bench){
		"DueAtItsTime": func(b *bench) {
			b.write(b.deferred(newEvent(1, "a"), 1, b.now.Add(soon)))
			b.want(0)
			b.want(soon, "evt_1")
			if _, next := b.lookAt(sender.Look{Now: b.now, Rows: 10, Bytes: 100}); !next.Equal(b.now.Add(soon)) {
				b.Errorf("next: got %v, want %v", next, b.now.Add(soon))
			}
			if _, next := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: 10, Bytes: 100}); !next.IsZero() {
				b.Errorf("next: got %v, want none", next)
			}
		},
		"OnlyTheOldestOfAKey": func(b *bench) {
			one, two, three := newEvent(1, "a"), newEvent(2, "a"), newEvent(3, "a")
			b.write(b.deferred(one, 1, b.now), b.deferred(two, 1, b.now))
			b.write(b.deferred(three, 1, b.now), b.deferred(newEvent(4, "b"), 2, b.now))
			b.want(soon, "evt_1", "evt_4")
			b.write(b.finished(one, 1, true))
			b.want(soon, "evt_4", "evt_2")
			b.write(b.finished(two, 1, true))
			b.want(soon, "evt_4", "evt_3")
			b.write(b.finished(three, 1, true))
			b.want(soon, "evt_4")
		},
		"DeferredAndFinishedTogether": func(b *bench) {
			one := newEvent(1, "a")
			b.write(b.deferred(one, 1, b.now), b.finished(one, 1, true))
			b.want(soon)
			if f, ok := b.outcome(pair{b.sub, one.Position}); !ok || f != (finished{sender.StatusDelivered, 1}) {
				b.Errorf("outcome: %v %v", f, ok)
			}
		},
		"NextIsPromotedInTheSameBatch": func(b *bench) {
			one := newEvent(1, "a")
			b.write(b.deferred(one, 1, b.now.Add(time.Hour)), b.deferred(newEvent(2, "a"), 1, b.now), b.finished(one, 1, true))
			b.want(soon, "evt_2")
		},
		"FinishedBeforeALaterDefer": func(b *bench) {
			one := newEvent(1, "a")
			b.write(b.deferred(one, 1, b.now))
			b.write(b.finished(one, 1, true), b.deferred(newEvent(2, "a"), 1, b.now))
			b.want(soon, "evt_2")
		},
		"RescheduledHoldsBackItsKey": func(b *bench) {
			one := newEvent(1, "a")
			b.write(b.deferred(one, 1, b.now), b.deferred(newEvent(2, "a"), 1, b.now))
			b.write(b.rescheduled(one, 1, b.now.Add(time.Minute), 1))
			b.want(soon)
			due, _ := b.lookAt(sender.Look{Now: b.now.Add(time.Minute), Rows: 10, Bytes: 1000})
			if len(due) != 1 || due[0].Event.ID != "evt_1" || due[0].Attempts != 1 || due[0].RetryReason != "timeout" || due[0].Key != 1 {
				b.Errorf("got %+v", due)
			}
		},
		"TheWayToTheFallbackIsKept": func(b *bench) {
			one, two := newEvent(1, "a"), newEvent(2, "b")
			f := &sender.Fallback{Reason: "http_status", Status: 503, After: 3, Position: newEvent(9, "").Position}
			first := b.deferred(one, 1, b.now)
			first.Fallback = f
			b.write(first, b.deferred(two, 2, b.now.Add(time.Second)))
			later := b.rescheduled(two, 2, b.now.Add(time.Second), 1)
			later.Fallback = &sender.Fallback{Reason: "timeout", Position: two.Position}
			gone := b.rescheduled(one, 1, b.now, 1)
			for _, want := range [][]*sender.Fallback{{f, nil}, {nil, later.Fallback}} {
				due, _ := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: 10, Bytes: 1000})
				if len(due) != 2 || !reflect.DeepEqual([]*sender.Fallback{due[0].Fallback, due[1].Fallback}, want) {
					b.Errorf("got %+v, want %+v", due, want)
				}
				b.write(gone, later)
			}
		},
		"WhatWaitsBehindComesWithIt": func(b *bench) {
			var a, other []*mapping.Event
			for i := range 4 {
				a, other = append(a, newEvent(10+i, "a")), append(other, newEvent(20+i, "b"))
				b.write(b.deferred(a[i], 1, b.now), b.deferred(other[i], 2, b.now.Add(-soon)))
			}
			look := func(perKey, rows int, bytes int64, want ...string) {
				b.Helper()
				due, next := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: rows, Bytes: bytes, PerKey: perKey})
				got := []string{}
				for _, d := range due {
					got = append(got, d.Event.ID)
				}
				if !slices.Equal(got, want) || next.Equal(b.now.Add(soon)) != (rows == len(want) || bytes == 1) {
					b.Errorf("%d of a key, %d rows, %d bytes: got %v and %v, want %v", perKey, rows, bytes, got, next, want)
				}
			}
			look(1, 100, 1<<20, "evt_20", "evt_10")
			look(3, 100, 1<<20, "evt_20", "evt_21", "evt_22", "evt_10", "evt_11", "evt_12")
			look(3, 4, 1<<20, "evt_20", "evt_21", "evt_22", "evt_10")
			look(9, 100, 1, "evt_20")
			// They fail together: the oldest has a time, the others wait behind it, whatever is asked for them.
			at := b.now.Add(time.Minute)
			late := make([]sender.Record, 4)
			for i := range late {
				late[i] = b.rescheduled(other[i], 2, at, 2)
				late[i].Behind = i > 0
			}
			b.write(late...)
			b.write(b.finished(a[0], 1, true), b.finished(a[1], 1, true), b.finished(a[2], 1, true), b.finished(a[3], 1, true))
			look(9, 100, 1<<20)
			due, _ := b.lookAt(sender.Look{Now: at, Rows: 100, Bytes: 1 << 20, PerKey: 9})
			if len(due) != 4 || due[3].Attempts != 2 || due[3].RetryReason != "timeout" {
				b.Errorf("got %+v", due)
			}
			// The first is over: the one behind it has a time of its own.
			next := b.rescheduled(other[1], 2, at, 3)
			third := b.rescheduled(other[2], 2, at, 3)
			third.Behind = true
			b.write(b.finished(other[0], 2, true), next, third)
			b.want(time.Second)
			b.want(time.Minute, "evt_21")
		},
		"SameBatchTwice": func(b *bench) {
			one, two, three, four := newEvent(1, "a"), newEvent(2, "a"), newEvent(3, "b"), newEvent(4, "c")
			insert := b.finished(four, 3, false)
			insert.InsertEvent = true
			letter := sender.Record{Op: sender.Bury, DeadLetter: &mapping.DeadLetter{Resource: "contact", Op: cdc.Update, Position: newEvent(9, "").Position, Time: one.Time, Reason: "x"}}
			for _, batch := range [][]sender.Record{
				{b.deferred(one, 1, b.now), b.deferred(two, 1, b.now), b.deferred(three, 2, b.now), insert, letter},
				{b.finished(one, 1, true), b.rescheduled(three, 2, b.now.Add(time.Minute), 1)},
			} {
				b.write(batch...)
				b.write(batch...)
			}
			b.want(soon, "evt_2")
			b.want(time.Hour, "evt_2", "evt_3")
			if !b.buried(letter.DeadLetter.Position) {
				b.Error("no dead letter")
			}
			for _, ev := range []*mapping.Event{one, four} {
				if f, ok := b.outcome(pair{b.sub, ev.Position}); !ok || f.status != sender.StatusDelivered {
					b.Errorf("%s: %v %v", ev.ID, f, ok)
				}
			}
		},
		"LooksAreBounded": func(b *bench) {
			for i := range 5 {
				b.write(b.deferred(newEvent(i+1, "a"), int64(i), b.now.Add(time.Duration(i)*time.Millisecond)))
			}
			size := int64(len(newEvent(1, "a").Data))
			now := b.now.Add(soon)
			for _, c := range []struct {
				look sender.Look
				want int
				more bool
			}{
				{sender.Look{Now: now, Rows: 100, Bytes: 1000}, 5, false},
				{sender.Look{Now: now, Rows: 3, Bytes: 1000}, 3, true},
				{sender.Look{Now: now, Rows: 100, Bytes: 1}, 1, true},
				{sender.Look{Now: now, Rows: 100, Bytes: 2*size + 1}, 3, true},
				{sender.Look{Now: now, Rows: 100, Bytes: 1000, Skip: []int64{0, 1, 77}}, 3, false},
				{sender.Look{Now: now, Rows: 2, Bytes: 1000, Skip: []int64{0, 1}}, 2, true},
			} {
				due, next := b.lookAt(c.look)
				if len(due) != c.want || next.Equal(now) != c.more {
					b.Errorf("%+v: got %d and %v", c.look, len(due), next)
				}
			}
			// All that is sent counts, and it may be much more than the data.
			for i := range 3 {
				ev := newEvent(10+i, "a")
				ev.Previous, ev.Context = bytes.Repeat([]byte("1"), 1000), bytes.Repeat([]byte("1"), 1000)
				b.write(b.deferred(ev, int64(10+i), b.now.Add(-soon)))
			}
			if due, next := b.lookAt(sender.Look{Now: now, Rows: 100, Bytes: 4000 + 2*size}); len(due) != 2 || !next.Equal(now) {
				b.Errorf("with previous and context: got %d and %v", len(due), next)
			}
		},
		"EventsComeBackWhole": func(b *bench) {
			ev := newEvent(1, "a")
			ev.Account, ev.Accounted, ev.Partial = "7", true, []string{"body", `a"b`}
			ev.Previous, ev.Context = []byte(`{"n":1.0,"ü":"\u0000"}`), []byte(`{"source":"zapier","n":1e400}`)
			plain := newEvent(2, "b")
			key, _ := sender.OrderingKeys(ev)
			b.write(b.deferred(ev, key, b.now), b.deferred(plain, 2, b.now.Add(time.Millisecond)))
			due, _ := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: 10, Bytes: 1000})
			if len(due) != 2 {
				b.Fatalf("got %v", due)
			}
			for i, want := range []*mapping.Event{ev, plain} {
				got := due[i].Event
				if got.ID != want.ID || got.Type != want.Type || got.Resource != want.Resource || got.Instance != want.Instance || got.Account != want.Account ||
					got.Accounted != want.Accounted || got.Position != want.Position || !got.Time.Equal(want.Time) || !bytes.Equal(got.Data, want.Data) ||
					!slices.Equal(got.Partial, want.Partial) || !bytes.Equal(sender.AppendStandard(nil, got), sender.AppendStandard(nil, want)) {
					b.Errorf("got %+v, want %+v", got, want)
				}
			}
			if !b.hasEvent(ev.Position) || b.hasEvent(newEvent(3, "").Position) || !b.has(b.sub, ev) || b.has(b.sub+1, ev) {
				b.Error("what is recorded is not told")
			}
		},
		"SentAgainInItsPlace": func(b *bench) {
			one, two, three := newEvent(1, "a"), newEvent(2, "a"), newEvent(3, "a")
			for _, ev := range []*mapping.Event{one, two, three} {
				b.write(b.deferred(ev, 1, b.now), b.finished(ev, 1, true))
			}
			live, later := newEvent(4, "a"), newEvent(5, "a")
			b.write(b.deferred(live, 1, b.now), b.deferred(later, 1, b.now))
			b.write(b.rescheduled(live, 1, b.now.Add(time.Hour), 1))
			b.write(b.again(two, 1, 1), b.again(three, 1, 7))
			b.want(soon, "evt_2") // before what waits for its next attempt
			b.write(b.again(one, 1, 1))
			b.want(2*time.Hour, "evt_1")
			for i, ev := range []*mapping.Event{one, two, three} {
				due, _ := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: 10, Bytes: 1000})
				before := []int{1, 1, 7}[i]
				if len(due) != 1 || due[0].Event.ID != ev.ID || !due[0].Replay || due[0].Before != before || due[0].Attempts != before {
					b.Fatalf("got %+v, want %s", due, ev.ID)
				}
				end := b.finished(ev, 1, true)
				end.Replay, end.Attempts, end.Status = true, before+1, sender.StatusFailed
				b.write(end)
				b.write(end) // the answer to the first was lost
				if got := b.resent(pair{b.sub, ev.Position}); !slices.Equal(got, []finished{{sender.StatusFailed, before + 1}}) {
					b.Errorf("%s: resent %v", ev.ID, got)
				}
				if f, _ := b.outcome(pair{b.sub, ev.Position}); f != (finished{sender.StatusDelivered, 1}) {
					b.Errorf("%s: what became of it the first time is %v", ev.ID, f)
				}
			}
			b.want(soon, "evt_4") // its turn has come
			b.write(b.finished(live, 1, true))
			b.want(soon, "evt_5")
			b.write(b.again(one, 1, 2)) // each time is told
			end := b.finished(one, 1, true)
			end.Replay, end.Attempts = true, 3
			b.write(end)
			if got := b.resent(pair{b.sub, one.Position}); !slices.Equal(got, []finished{{sender.StatusFailed, 2}, {sender.StatusDelivered, 3}}) {
				b.Errorf("resent %v", got)
			}
		},
		"SentAgainWhileItsKeyIsUnderWay": func(b *bench) {
			old, other, live := newEvent(1, "a"), newEvent(2, "a"), newEvent(3, "a")
			b.write(b.deferred(old, 1, b.now), b.finished(old, 1, true), b.deferred(other, 1, b.now), b.finished(other, 1, true))
			// What runs gets its row together with the replay.
			b.write(b.deferred(live, 1, b.now), b.again(other, 1, 1), b.again(old, 1, 1))
			b.want(soon, "evt_1")
			b.write(b.rescheduled(live, 1, b.now, 1)) // its attempt has failed
			b.want(soon, "evt_1")
			b.write(b.again(old, 1, 1)) // the same page again
			b.want(soon, "evt_1")
			for _, ev := range []*mapping.Event{old, other} {
				b.want(soon, ev.ID)
				end := b.finished(ev, 1, true)
				end.Replay = true
				b.write(end)
			}
			b.want(soon, "evt_3")
			due, _ := b.lookAt(sender.Look{Now: b.now.Add(soon), Rows: 10, Bytes: 1000})
			if len(due) != 1 || due[0].Replay || due[0].Attempts != 1 {
				b.Errorf("got %+v", due)
			}
		},
		"WhatIsMergedEndsTogether": func(b *bench) {
			one, two, three, four := newEvent(1, "a"), newEvent(2, "a"), newEvent(3, "a"), newEvent(4, "a")
			four.Time = b.now.Add(-10 * soon)
			b.write(b.deferred(one, 1, b.now), b.deferred(two, 1, b.now), b.deferred(three, 1, b.now))
			b.write(b.deferred(four, 1, b.now))
			fold := sender.Record{Op: sender.Fold, Subscription: b.sub, Key: 1, Stored: true, Status: sender.StatusDropped, Dropped: sender.DropDebounced,
				Rows: []sender.Row{{Position: one.Position, Time: one.Time}, {Position: two.Position, Time: two.Time}}}
			// What was sent is the third; the attempt that failed before is written with the oldest row.
			failed := b.rescheduled(three, 1, b.now.Add(5*soon), 1)
			failed.Row = &sender.Row{Position: one.Position, Time: one.Time}
			b.write(failed)
			due, _ := b.lookAt(sender.Look{Now: b.now.Add(5 * soon), Rows: 10, Bytes: 1000})
			if len(due) != 1 || due[0].Event.ID != "evt_1" || due[0].Attempts != 1 || !due[0].At.Equal(b.now.Add(5*soon)) {
				b.Fatalf("got %+v", due)
			}
			end := b.finished(three, 1, true)
			end.Gap = 60 * soon
			// The second time as when the answer to a commit was lost.
			b.write(fold, end)
			b.write(fold, end)
			for _, ev := range []*mapping.Event{one, two, three} {
				want := finished{sender.StatusDropped, 0}
				if ev == three {
					want = finished{sender.StatusDelivered, 1}
				}
				if f, ok := b.outcome(pair{b.sub, ev.Position}); !ok || f != want {
					b.Errorf("%s: %v %v, want %v", ev.ID, f, ok, want)
				}
			}
			b.want(45 * soon)
			b.want(50*soon, "evt_4")
			b.write(b.deferred(newEvent(5, "a"), 1, b.now))
			end = b.finished(four, 1, true)
			end.Gap = time.Hour // its commit was longer ago
			b.write(end)
			b.want(soon, "evt_5")
		},
		"WhatWaitsIsRead": func(b *bench) {
			var positions []cdc.Position
			large := []byte(`{"n":"` + strings.Repeat("x", 1000) + `"}`)
			for i := range 6 {
				ev := newEvent(i+1, string(rune('a'+i%2)))
				ev.Previous, ev.Context, ev.Account, ev.Accounted = large, []byte(`{}`), "7", true
				b.write(b.deferred(ev, int64(10-i%2), b.now)) // keys 10 and 9
				positions = append(positions, ev.Position)
			}
			look := sender.Look{Rows: 100, Bytes: 1 << 20}
			got := func(look sender.Look, keys []int64, after ...cdc.Position) (ids []string, more bool) {
				rows, more, err := b.Behind(b.Context(), b.sub, keys, after, look)
				if err != nil {
					b.Fatal(err)
				}
				for _, x := range rows {
					ev := x.Event
					if ev.Data != nil || ev.Context != nil || !bytes.Equal(ev.Previous, large) || ev.Type != "contact.update" || ev.Resource != "contact" || ev.Account != "7" ||
						!ev.Accounted || x.Lost || ev.Instance != map[int64]string{10: "a", 9: "b"}[x.Key] || ev.Time.IsZero() {
						b.Errorf("got %+v of key %d", ev, x.Key)
					}
					ids = append(ids, ev.ID)
				}
				return ids, more
			}
			for name, c := range map[string]struct {
				rows  int
				bytes int64
				keys  []int64
				after []cdc.Position
				want  []string
				more  bool
			}{
				"all":          {100, 1 << 20, []int64{9, 10}, []cdc.Position{positions[1], positions[0]}, []string{"evt_4", "evt_6", "evt_3", "evt_5"}, false},
				"one key":      {100, 1 << 20, []int64{10}, []cdc.Position{positions[2]}, []string{"evt_5"}, false},
				"nothing left": {100, 1 << 20, []int64{10, 77}, []cdc.Position{positions[4], positions[0]}, nil, false},
				"by rows":      {3, 1 << 20, []int64{9, 10}, []cdc.Position{positions[1], positions[0]}, []string{"evt_4", "evt_6", "evt_3"}, true},
				"by bytes":     {100, 1500, []int64{9, 10}, []cdc.Position{positions[1], positions[0]}, []string{"evt_4", "evt_6"}, true},
				"one at least": {100, 1, []int64{9, 10}, []cdc.Position{positions[1], positions[0]}, []string{"evt_4"}, true},
			} {
				look.Rows, look.Bytes = c.rows, c.bytes
				if ids, more := got(look, c.keys, c.after...); !slices.Equal(ids, c.want) || more != c.more {
					b.Errorf("%s: got %v, %v", name, ids, more)
				}
			}
			at := newEvent(1, "").Time
			for most, want := range map[int64]int{1 << 20: 3, 1500: 2, 1: 1} {
				events, err := b.Whole(b.Context(), []sender.Row{{Position: positions[5], Time: at}, {Position: positions[0], Time: at}, {Position: positions[2], Time: at}}, most)
				if err != nil || len(events) != want {
					b.Fatalf("%d bytes: got %d events, %v", most, len(events), err)
				}
				if ev := events[0]; ev.ID != "evt_6" || len(ev.Data) == 0 || string(ev.Context) != "{}" || !ev.Time.Equal(at) || want > 1 && events[1].ID != "evt_1" {
					b.Errorf("got %+v", ev)
				}
			}
		},
		"SubscriptionsApart": func(b *bench) {
			ev, mine, other := newEvent(1, "a"), b.sub, b.subscription()
			b.write(b.deferred(ev, 1, b.now))
			b.sub = other
			second := b.deferred(ev, 1, b.now)
			second.InsertEvent = false
			b.write(second)
			b.want(soon, "evt_1")
			b.write(b.finished(ev, 1, true))
			b.want(time.Second)
			b.sub = mine
			b.want(soon, "evt_1")
		},
		"BacklogsAreCounted": func(b *bench) {
			mine, other := b.sub, b.subscription()
			b.write(b.deferred(newEvent(1, "a"), 1, b.now), b.deferred(newEvent(2, "a"), 1, b.now), b.deferred(newEvent(3, "b"), 2, b.now))
			b.sub = other
			b.write(b.deferred(newEvent(4, "c"), 5, b.now))
			for maxKeys, want := range map[int][2]map[int64]int{
				10: {{1: 2, 2: 1}, {5: 1}},
				3:  {{1: 2, 2: 1}, {5: 1}},
				2:  {nil, {5: 1}},
				0:  {nil, nil},
			} {
				got, err := b.Backlogs(b.Context(), maxKeys)
				if err != nil || len(got) != 2 {
					b.Fatalf("got %v, %v", got, err)
				}
				for _, g := range got {
					keys, rows := want[0], 3
					if g.Subscription != mine {
						keys, rows = want[1], 1
					}
					if g.Rows != rows || (g.Keys == nil) != (keys == nil) || len(g.Keys) != len(keys) || keys != nil && g.Keys[1] != keys[1] {
						b.Errorf("at most %d keys: got %+v", maxKeys, g)
					}
				}
			}
		},
		"WhoFailsIsMarked": func(b *bench) {
			mine, other := b.sub, b.subscription()
			mark := func(sub int64, since time.Time) sender.Record {
				return sender.Record{Op: sender.Mark, Subscription: sub, Trouble: &sender.Trouble{Since: since}}
			}
			later := b.now.Add(time.Minute)
			full := sender.Trouble{Since: later, Last: sender.Failure{Status: 503, Reason: "http_status", At: later.Add(time.Second)}, Told: b.now}
			b.write(mark(mine, b.now), mark(other, b.now), mark(other, time.Time{}))
			b.write(sender.Record{Op: sender.Mark, Subscription: mine, Trouble: &full, Tell: sender.TellFailing}, mark(other, b.now))
			b.write(mark(other, time.Time{}), b.deferred(newEvent(1, "a"), 1, b.now), mark(77, time.Time{}))
			got, err := b.Failing(b.Context())
			if err != nil || len(got) != 1 || !same(got[mine], full) {
				b.Errorf("got %v, %v", got, err)
			}
			// Given another chance, that it was told of is kept; not once it takes something.
			given := sender.Trouble{Told: later}
			b.write(sender.Record{Op: sender.Mark, Subscription: mine, Trouble: &given})
			if got, err = b.Failing(b.Context()); err != nil || len(got) != 1 || !same(got[mine], given) {
				b.Errorf("given another chance: got %v, %v", got, err)
			}
			b.write(sender.Record{Op: sender.Mark, Subscription: mine, Trouble: &given, Tell: sender.TellRecovered})
			if got, err = b.Failing(b.Context()); err != nil || len(got) != 0 {
				b.Errorf("when it takes something: got %v, %v", got, err)
			}
		},
		"WhoAskedForTimeIsKept": func(b *bench) {
			mine, other := b.sub, b.subscription()
			pause := func(sub, version int64, until time.Time) sender.Record {
				return sender.Record{Op: sender.Pause, Subscription: sub, Version: version, DueAt: until}
			}
			b.write(pause(mine, 1, b.now), b.deferred(newEvent(1, "a"), 1, b.now), pause(mine, 1, b.now.Add(time.Hour)))
			b.write(pause(other, 7, b.now.Add(time.Minute)))
			b.write(pause(other, 8, b.now.Add(time.Second)))
			got, err := b.Paused(b.Context())
			if err != nil || len(got) != 2 || got[mine].Version != 1 || !got[mine].Until.Equal(b.now.Add(time.Hour)) ||
				got[other].Version != 8 || !got[other].Until.Equal(b.now.Add(time.Second)) {
				b.Errorf("got %v, %v", got, err)
			}
		},
		"WhatIsRefusedIsTold": func(b *bench) {
			letter := sender.Record{Op: sender.Bury, DeadLetter: &mapping.DeadLetter{Resource: "contact", Op: cdc.Update, Instance: "a\x00b", Position: newEvent(9, "").Position, Time: b.now}}
			good := newEvent(3, "c")
			b.write(b.deferred(good, 3, b.now))
			detail := b.rescheduled(good, 3, b.now, 1)
			detail.Outcome.Detail = "a\x00b"
			for name, r := range map[string]sender.Record{
				"an event": b.deferred(newEvent(1, "a\x00b"), 1, b.now), "a dead letter": letter, "what the target said": detail,
			} {
				err := b.Write(b.Context(), []sender.Record{b.deferred(newEvent(2, "b"), 2, b.now), r})
				var refused *sender.RefusedError
				if !errors.As(err, &refused) || refused.Reason == "" || strings.Contains(err.Error(), "a\x00b") {
					b.Errorf("%s: got %v, want a RefusedError", name, err)
				}
			}
			b.want(soon, "evt_3")
		},
		"WhoIsNotOwnerWritesNothing": func(b *bench) {
			b.own()
			b.write(b.deferred(newEvent(1, "a"), 1, b.now))
			next := b.open()
			next.own()
			if err := b.Write(b.Context(), []sender.Record{b.deferred(newEvent(2, "b"), 2, b.now)}); err == nil || !isNotOwner(err) {
				b.Errorf("got %v, want ErrNotOwner", err)
			}
			b.want(soon, "evt_1")
			if err := next.Write(b.Context(), []sender.Record{b.deferred(newEvent(3, "c"), 3, b.now.Add(time.Millisecond))}); err != nil {
				b.Error(err)
			}
			b.want(soon, "evt_1", "evt_3")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := open(t)
			test(&bench{T: t, keepers: k, keeper: k.open(), sub: k.subscription(), now: time.Now().UTC().Truncate(time.Microsecond)})
		})
	}
}

// same compares what is known of a target, whatever the times' zones.
func same(a, b sender.Trouble) bool {
	return a.Since.Equal(b.Since) && a.Told.Equal(b.Told) && a.Last.Status == b.Last.Status && a.Last.Reason == b.Last.Reason && a.Last.At.Equal(b.Last.At)
}
