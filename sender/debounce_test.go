package sender_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// both runs a test with each store.
func both(t *testing.T, test func(*testing.T, keepers)) {
	t.Run("Memory", func(t *testing.T) {
		t.Parallel()
		test(t, &memoryKeepers{memory: newMemory()})
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newPostgresKeepers(t))
	})
}

func debounced(key int64, target string, by time.Duration) *subscriptions.Subscription {
	s := newSubscription(key, target)
	d := subscriptions.Duration(by)
	s.Delivery.Debounce = &d
	return s
}

// wordy makes an event of a few words: "update 3 data previous", where previous may be left out.
func wordy(t testing.TB, instance, words string) *mapping.Event {
	t.Helper()
	f := strings.Fields(words)
	var n int
	if _, err := fmt.Sscan(f[1], &n); err != nil {
		t.Fatal(err)
	}
	ev := newEvent(n, instance)
	if resource, _, ok := strings.Cut(f[0], "."); ok {
		ev.Resource, ev.Type = resource, f[0]
	} else {
		ev.Type = "contact." + f[0]
	}
	ev.Data, ev.Time = []byte(f[2]), time.Now().UTC().Truncate(time.Microsecond)
	if len(f) > 3 {
		ev.Previous = []byte(f[3])
	}
	return ev
}

// as writes a request in the same way.
func as(r hooktest.Request) string {
	var m struct {
		Type           string
		Data, Previous json.RawMessage
	}
	if err := json.Unmarshal(r.Body, &m); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", strings.TrimPrefix(m.Type, "contact."), strings.TrimPrefix(r.ID, "evt_"), m.Data, m.Previous))
}

// toldAll makes the events of a text, which are parted by semicolons.
func toldAll(t testing.TB, instance, text string) (out []*mapping.Event) {
	t.Helper()
	for _, w := range strings.Split(text, "; ") {
		out = append(out, wordy(t, instance, w))
	}
	return out
}

// submitAll submits events in one go, so that none of their windows ends before all are there.
func (r *running) submitAll(t testing.TB, events []*mapping.Event, to ...*subscriptions.Subscription) *cdc.Receipt {
	t.Helper()
	receipt := cdc.NewReceipt(len(events) * len(to))
	jobs := make([]sender.Job, len(events))
	for i, ev := range events {
		jobs[i] = sender.Job{Event: ev, To: to}
	}
	if err := r.Submit(t.Context(), jobs, receipt); err != nil {
		t.Fatal(err)
	}
	return receipt
}

func TestChangesOfAWindowAreOneMessage(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		events  string // what happens, one event after the other
		want    string
		pattern string
	}{
		{name: "alone", events: `update 1 {"a":2} {"a":1}`, want: `update 1 {"a":2} {"a":1}`},
		{name: "created and changed", events: `create 2 {"a":1}; update 3 {"a":2} {"a":1}; update 4 {"a":3}`, want: `create 4 {"a":3}`},
		{name: "created and gone", events: `create 5 {"a":1}; update 6 {"a":2} {"a":1}; delete 7 {"a":2}`, want: ``},
		{name: "created, gone, created", events: `create 8 {"a":1}; delete 9 {"a":1}; create 10 {"a":2}`, want: `create 10 {"a":2}`},
		{name: "what was first", events: `update 11 {"a":2,"b":1} {"a":1}; update 12 {"a":3,"b":1} {"a":2}; update 13 {"a":3,"b":2} {"b":1}`,
			want: `update 13 {"a":3,"b":2} {"a":1,"b":1}`},
		{name: "back again in part", events: `update 14 {"a":2,"b":1} {"a":1}; update 15 {"a":1,"b":2} {"a":2,"b":1}`, want: `update 15 {"a":1,"b":2} {"b":1}`},
		{name: "back again", events: `update 16 {"a":2} {"a":1}; update 17 {"a":1} {"a":2}`, want: ``},
		{name: "back again as far as is known", events: `update 18 {"a":2} {"a":1}; update 19 {"a":1}`, want: `update 19 {"a":1}`},
		{name: "members of members", events: `update 20 {"in":{"x":2,"y":1}} {"in":{"x":1}}; update 21 {"in":{"x":2,"y":2}} {"in":{"y":1}}`,
			want: `update 21 {"in":{"x":2,"y":2}} {"in":{"x":1,"y":1}}`},
		{name: "members of members, back again", events: `update 22 {"in":{"x":2,"y":1}} {"in":{"x":1}}; update 23 {"in":{"x":1,"y":2}} {"in":{"x":2,"y":1}}`,
			want: `update 23 {"in":{"x":1,"y":2}} {"in":{"y":1}}`},
		{name: "an object that is a value", events: `update 24 {"json":{"y":1}} {"json":{"x":1}}; update 25 {"json":{"z":1}} {"json":{"y":1}}`,
			want: `update 25 {"json":{"z":1}} {"json":{"x":1}}`},
		{name: "changed and gone", events: `update 26 {"a":2} {"a":1}; delete 27 {"a":2}`, want: `delete 27 {"a":2}`},
		{name: "gone and there again", events: `delete 28 {"a":2}; create 29 {"a":3}`, want: `update 29 {"a":3}`},
		{name: "gone, there again, gone", events: `delete 30 {"a":2}; create 31 {"a":3}; delete 32 {"a":3}`, want: `delete 32 {"a":3}`},
		{name: "a named event between", events: `create 33 {"a":1}; update 34 {"a":2} {"a":1}; won 35 {"a":2}; update 36 {"a":3} {"a":2}; update 37 {"a":4} {"a":3}`,
			want: `create 34 {"a":2}; won 35 {"a":2}; update 37 {"a":4} {"a":2}`},
		{name: "named events alone", events: `won 38 {"a":1}; won 39 {"a":1}`, want: `won 38 {"a":1}; won 39 {"a":1}`},
		{name: "back again, and there may be more", events: `deal.update 42 {"a":2} {"a":1}; deal.update 43 {"a":1} {"a":2}`, want: `deal.update 43 {"a":1}`},
		{name: "created and gone, and told of before", events: `deal.create 44 {"a":1}; deal.delete 45 {"a":1}`, want: `deal.delete 45 {"a":1}`},
		{name: "there again, and no updates wanted", events: `delete 40 {"a":2}; create 41 {"a":3}`, want: `create 41 {"a":3}`, pattern: "contact.create contact.delete"},
	}
	both(t, func(t *testing.T, k keepers) {
		store := k.open()
		store.own()
		cfg := testConfig()
		cfg.Nested = func(resource string, path []string) bool {
			return resource == "contact" && strings.Join(path, ".") == "in"
		}
		cfg.Told = func(resource string) bool { return resource == "contact" }
		cfg.Touched = func(resource string) bool { return resource == "deal" }
		r := hooktest.New(t)
		d := run(t, cfg, store)
		subs := map[string]*subscriptions.Subscription{}
		of := func(pattern string) *subscriptions.Subscription {
			if subs[pattern] == nil {
				subs[pattern] = debounced(k.subscription(), r.URL("/"), 300*time.Millisecond)
				subs[pattern].Delivery.Ordering = subscriptions.OrderingNone // it is kept all the same
				if pattern != "" {
					subs[pattern].Events = strings.Fields(pattern)
				}
			}
			return subs[pattern]
		}
		for _, c := range cases {
			settled(t, d.submitAll(t, toldAll(t, c.name, c.events), of(c.pattern)))
		}
		d.idle(t)
		for _, c := range cases {
			mine := map[string]*mapping.Event{}
			for _, ev := range toldAll(t, c.name, c.events) {
				mine[ev.ID] = ev
			}
			var got []string
			for _, x := range r.Requests() {
				ev := mine[x.ID]
				if ev == nil {
					continue
				}
				got = append(got, as(x))
				delete(mine, x.ID)
				if err := x.Verify(testSecret); err != nil || x.Attempt != 1 {
					t.Errorf("%s: attempt %d, %v", c.name, x.Attempt, err)
				}
				if f, ok := store.outcome(pair{of(c.pattern).Key, ev.Position}); !ok || f != (finished{sender.StatusDelivered, 1}) {
					t.Errorf("%s: %s ended as %v", c.name, ev.ID, f)
				}
			}
			for _, ev := range mine {
				if f, ok := store.outcome(pair{of(c.pattern).Key, ev.Position}); !ok || f != (finished{sender.StatusDropped, 0}) {
					t.Errorf("%s: %s ended as %v", c.name, ev.ID, f)
				}
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
			}
		}
	})
}

// TestARetryTakesWhatHasComeMeanwhile: while a message is tried, its instance changes on.
func TestARetryTakesWhatHasComeMeanwhile(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k keepers) {
		store := k.open()
		store.own()
		answer := make(chan struct{})
		r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Status: 500, Until: answer}, hooktest.OK()))
		cfg := testConfig()
		cfg.Retries = []time.Duration{50 * time.Millisecond}
		d := run(t, cfg, store)
		sub := debounced(k.subscription(), r.URL("/"), 50*time.Millisecond)
		send := func(words string) { settled(t, d.submitAll(t, toldAll(t, "a", words), sub)) }
		send(`create 1 {"a":1}; update 2 {"a":2} {"a":1}`)
		r.Wait(t, 1, patience)
		send(`update 3 {"a":3} {"a":2}`)
		close(answer)
		d.idle(t)
		requests := r.Requests()
		if len(requests) != 2 || as(requests[0]) != `create 2 {"a":2}` || as(requests[1]) != `create 3 {"a":3}` || requests[1].Attempt != 2 || requests[1].RetryReason != "http_status" {
			t.Errorf("got %v", requests)
		}
		for n, want := range []finished{{sender.StatusDropped, 0}, {sender.StatusDropped, 0}, {sender.StatusDelivered, 2}} {
			if f, _ := store.outcome(pair{sub.Key, newEvent(n+1, "").Position}); f != want {
				t.Errorf("event %d ended as %v, want %v", n+1, f, want)
			}
		}
	})
}

// TestWhatMayHaveArrivedIsNotTakenBackInSilence: a target that was sent the beginning is told of the end, though the two together
// come to nothing: after an attempt that failed, and after one of which nothing is known because its process was killed.
func TestWhatMayHaveArrivedIsNotTakenBackInSilence(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k keepers) {
		for how, again := range map[string]string{"create 1 {}": "delete 2 {}", `update 3 {"a":2} {"a":1}`: `update 4 {"a":1} {"a":2}`} {
			one := &faulty{Store: k.open()}
			one.Store.(keeper).own()
			answer := make(chan struct{})
			r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Status: 500, Until: answer}, hooktest.OK()))
			cfg := testConfig()
			cfg.Retries = []time.Duration{50 * time.Millisecond}
			d := run(t, cfg, one)
			sub := debounced(k.subscription(), r.URL("/"), 50*time.Millisecond)
			settled(t, d.submitAll(t, toldAll(t, "failed", how), sub))
			r.Wait(t, 1, patience)
			settled(t, d.submitAll(t, toldAll(t, "failed", again), sub))
			close(answer)
			d.idle(t)
			words, _, _ := strings.Cut(again, " {}")
			if got := as(r.Wait(t, 2, patience)[1]); !strings.HasPrefix(got, words[:8]) {
				t.Errorf("%s failed: %s, want %s", how, got, again)
			}

			// The same, with a process that is killed while it sends.
			r.Forget()
			hanging := make(chan struct{})
			r.HandleAll(hooktest.Always(hooktest.Answer{Until: hanging}))
			how, again := strings.Replace(how, " ", " 1", 1), strings.Replace(again, " ", " 1", 1)
			settled(t, d.submitAll(t, toldAll(t, "killed", how), sub))
			r.Wait(t, 1, patience)
			one.set(func(f *faulty) { f.dead = true })
			d.Suspend()
			r.HandleAll(hooktest.Always(hooktest.OK()))
			close(hanging)
			eventually(t, "the request ends", func() bool { return d.Counts().InFlight == 0 })
			d.stop()
			store := k.open()
			store.own()
			held := sub.Clone()
			held.Version, held.State = held.Version+1, subscriptions.Disabled
			two := run(t, cfg, store)
			if err := two.Resume(t.Context(), false, knows(held)); err != nil {
				t.Fatal(err)
			}
			settled(t, two.submitAll(t, toldAll(t, "killed", again), held))
			on := held.Clone()
			on.Version, on.State = on.Version+1, subscriptions.Active
			two.Update(on)
			two.idle(t)
			if got := as(r.Wait(t, 2, patience)[1]); !strings.HasPrefix(got, again[:8]) {
				t.Errorf("%s, killed: %s, want %s", how, got, again)
			}
			two.stop()
		}
	})
}

// TestManyChangesOfOneInstance are read, and ended, by pages.
func TestManyChangesOfOneInstance(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k keepers) {
		const n = 2500
		store := k.open()
		store.own()
		r := hooktest.New(t, hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
		cfg := testConfig()
		cfg.Memory = 8 << 20
		var dropped atomic.Int64
		cfg.OnDropped = func(why sender.DropReason) {
			if why == sender.DropDebounced {
				dropped.Add(1)
			}
		}
		d := run(t, cfg, store)
		sub := debounced(k.subscription(), r.URL("/"), 50*time.Millisecond)
		held := sub.Clone()
		held.State = subscriptions.Disabled
		events := make([]*mapping.Event, n)
		for i := range events {
			events[i] = wordy(t, "a", fmt.Sprintf(`update %d {"a":%d,"b":%d} {"a":%d,"b":%d}`, i+1, i+1, -i-1, i, -i))
		}
		settled(t, d.submitAll(t, events, held))
		sub.Version++
		d.Update(sub)
		d.idle(t)
		want := fmt.Sprintf(`update %d {"a":%d,"b":%d} {"a":0,"b":0}`, n, n, -n)
		if got := r.Requests(); len(got) != 2 || as(got[0]) != want || as(got[1]) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		for i, want := range map[int]finished{0: {sender.StatusDropped, 0}, n / 2: {sender.StatusDropped, 0}, n - 1: {sender.StatusDelivered, 2}} {
			if f, _ := store.outcome(pair{sub.Key, events[i].Position}); f != want {
				t.Errorf("event %d ended as %v, want %v", i+1, f, want)
			}
		}
		if got := dropped.Load(); got != n-1 {
			t.Errorf("%d were told of as dropped, want %d", got, n-1)
		}
	})
}

// TestDebounceOfTheConfigMayBeOverridden by a subscription that wants each event, and goes with a reload.
func TestDebounceOfTheConfigMayBeOverridden(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Debounce = time.Hour
	d := run(t, cfg, store)
	each := debounced(1, r.URL("/each"), 0)
	settled(t, d.submitAll(t, toldAll(t, "a", `update 1 {}; update 2 {}`), each))
	wantIDs(t, r.Wait(t, 2, patience), "evt_1", "evt_2")
	gathered := newSubscription(2, r.URL("/gathered"))
	settled(t, d.submitAll(t, toldAll(t, "a", `update 3 {}; update 4 {}`), gathered))
	if got := dueIDs(t, store, 2); len(got) != 0 {
		t.Errorf("due before the hour is over: %v", got)
	}
	if c := d.Counts(); c.StoredRows != 2 {
		t.Errorf("%d rows wait, want 2", c.StoredRows)
	}
	cfg.Debounce = 0
	d.Reconfigure(cfg)
	settled(t, d.submitAll(t, toldAll(t, "b", `update 5 {}; update 6 {}`), gathered))
	wantIDs(t, r.Wait(t, 4, patience)[2:], "evt_5", "evt_6")
}
