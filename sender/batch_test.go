package sender_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// batches lets a subscription have batches of at most so many events, which wait so long for each other.
func batches(s *subscriptions.Subscription, most int, wait time.Duration) *subscriptions.Subscription {
	s.Delivery.Batch = &subscriptions.Batch{Max: most, Bytes: 256 << 10, Wait: subscriptions.Duration(wait)}
	return s
}

// members are the ids of the messages of each request.
func members(t *testing.T, requests []hooktest.Request) [][]string {
	t.Helper()
	var all [][]string
	for _, r := range requests {
		messages, err := r.Messages()
		if err != nil || len(r.Body) == 0 || r.Body[0] != '[' {
			t.Errorf("%s: %v: %s", r, err, r.Body)
		}
		var ids []string
		for _, m := range messages {
			ids = append(ids, m.ID)
		}
		all = append(all, ids)
	}
	return all
}

func wantMembers(t *testing.T, requests []hooktest.Request, want ...[]string) {
	t.Helper()
	if got := members(t, requests); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestBatchIsOneRequest: what comes together goes together, those of a key in their order, under an id that is the same when
// it comes again.
func TestBatchIsOneRequest(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
	s := batches(newSubscription(1, r.URL("/")), 5, time.Minute)
	d := run(t, testConfig(), store)
	var receipts []*cdc.Receipt
	for i, contact := range []string{"a", "b", "a", "a", "b"} {
		receipts = append(receipts, d.submit(t, newEvent(i+1, contact), s))
	}
	settled(t, receipts...)
	d.idle(t)
	all := []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}
	wantMembers(t, r.Requests(), all, all)
	first, second := r.Requests()[0], r.Requests()[1]
	if first.ID != second.ID || !strings.HasPrefix(first.ID, "bat_") || len(first.ID) != 30 || first.Type != sender.BatchType {
		t.Errorf("ids %s and %s, type %s", first.ID, second.ID, first.Type)
	}
	if first.Attempt != 1 || second.Attempt != 2 || second.RetryReason != "http_status" || first.Position != newEvent(5, "").Position.String() {
		t.Errorf("got %v and %v", first, second)
	}
	if err := second.Verify(testSecret); err != nil {
		t.Error(err)
	}
	for i := range 5 {
		if got, _ := store.outcome(pair{1, newEvent(i+1, "").Position}); got != (finished{sender.StatusDelivered, 2}) {
			t.Errorf("event %d is recorded as %+v", i+1, got)
		}
	}
}

// TestBatchOfOneIsAnArray, and begins when nothing else comes for as long as it waits.
func TestBatchOfOneIsAnArray(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := run(t, testConfig(), newMemory().open())
	for key, wait := range []time.Duration{0, 50 * time.Millisecond} {
		settled(t, d.submit(t, newEvent(key+1, "a"), batches(newSubscription(int64(key+1), r.URL("/")), 100, wait)))
	}
	wantMembers(t, r.Requests(), []string{"evt_1"}, []string{"evt_2"})
	s := batches(newSubscription(9, r.URL("/")), 100, time.Minute)
	if out := d.Ping(t.Context(), s); out.Verdict != sender.Delivered {
		t.Errorf("ping: %+v", out)
	}
	last := r.Requests()[2]
	if m, err := last.Messages(); err != nil || len(m) != 1 || m[0].Type != sender.PingType || last.Body[0] != '[' {
		t.Errorf("ping: %s", last.Body)
	}
}

// TestBatchBounds: a batch ends where the next message would make it too large; one that is too large itself goes alone.
func TestBatchBounds(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := run(t, testConfig(), newMemory().open())
	s := batches(newSubscription(1, r.URL("/")), 100, 0)
	s.Delivery.Batch.Bytes, s.Delivery.Batch.Wait = 4<<10, subscriptions.Duration(100*time.Millisecond)
	var receipts []*cdc.Receipt
	for i, size := range []int{1000, 1000, 1000, 9000, 1000} {
		ev := newEvent(i+1, fmt.Sprint(i))
		ev.Data = fmt.Appendf(nil, `{"id":"%d","pad":%q}`, i, strings.Repeat("x", size))
		receipts = append(receipts, d.submit(t, ev, s))
	}
	settled(t, receipts...)
	requests := r.Requests()
	slices.SortFunc(requests, func(a, b hooktest.Request) int { return strings.Compare(a.Position, b.Position) })
	wantMembers(t, requests, []string{"evt_1", "evt_2", "evt_3"}, []string{"evt_4"}, []string{"evt_5"})
	for _, q := range requests {
		if len(q.Body) > 4<<10 && len(q.Body) < 9000 {
			t.Errorf("%s is too large", q)
		}
	}
}

// TestBatchKeepsTheOrderBehindAFailure: what comes after an event that failed, of its instance, is in no request before it, and
// in its own only behind it; what is due comes together again, also of one instance alone.
func TestBatchKeepsTheOrderBehindAFailure(t *testing.T) {
	t.Parallel()
	for _, k := range []keepers{&memoryKeepers{memory: newMemory()}, newPostgresKeepers(t)} {
		store := k.open()
		release := make(chan struct{})
		r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Until: release, Status: 500}, hooktest.OK()))
		s := batches(newSubscription(k.subscription(), r.URL("/")), 3, 100*time.Millisecond)
		d := run(t, testConfig(), store)
		receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "b"), s)}
		r.Wait(t, 1, patience)
		receipts = append(receipts, d.submit(t, newEvent(4, "a"), s), d.submit(t, newEvent(5, "a"), s))
		close(release)
		settled(t, receipts...)
		d.idle(t)
		requests := r.Requests()
		if got := members(t, requests[:1])[0]; !slices.Equal(got, []string{"evt_1", "evt_2", "evt_3"}) {
			t.Errorf("first %v", got)
		}
		var of []string
		for _, q := range requests[1:] {
			messages, _ := q.Messages()
			for _, m := range messages {
				if m.Instance() == "contact/a" {
					of = append(of, m.ID)
				}
			}
		}
		if !slices.Equal(of, []string{"evt_1", "evt_2", "evt_4", "evt_5"}) {
			t.Errorf("of one instance came %v: %v", of, members(t, requests))
		}
		if n := len(requests); n > 4 {
			t.Errorf("%d requests: what is due does not come together: %v", n, members(t, requests))
		}
		d.stop()
	}
}

// TestBatchLongerThanHold: what waits longer than Hold for company waits in the store, and goes with what came later.
func TestBatchLongerThanHold(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Hold = 50 * time.Millisecond
	d := run(t, cfg, store)
	s := batches(newSubscription(1, r.URL("/")), 3, time.Hour)
	settled(t, d.submit(t, newEvent(1, "a"), s)) // it is in the store by now
	settled(t, d.submit(t, newEvent(2, "a"), s))
	if n := len(r.Requests()); n > 0 {
		t.Errorf("%d requests: %v", n, members(t, r.Requests()))
	}
	if d.Whole(1) {
		t.Error("its target is taken for a slow one")
	}
	settled(t, d.submit(t, newEvent(3, "b"), s))
	d.idle(t)
	wantMembers(t, r.Requests(), []string{"evt_1", "evt_2", "evt_3"})
}

// TestBatchIsHalvedWhenItIsTooLarge: 413 costs no attempt, and the target gets smaller ones.
func TestBatchIsHalvedWhenItIsTooLarge(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
		if m, _ := q.Messages(); len(m) > 3 {
			return hooktest.Status(http.StatusRequestEntityTooLarge)
		}
		return hooktest.OK()
	})
	d := run(t, testConfig(), store)
	s := batches(newSubscription(1, r.URL("/")), 20, 50*time.Millisecond)
	var receipts []*cdc.Receipt
	for i := range 20 {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i%7)), s))
	}
	settled(t, receipts...)
	d.idle(t)
	if n := len(members(t, r.Requests())[0]); n != 20 {
		t.Errorf("the first has %d", n)
	}
	for i := range 20 {
		if got, _ := store.outcome(pair{1, newEvent(i+1, "").Position}); got != (finished{sender.StatusDelivered, 1}) {
			t.Errorf("event %d is recorded as %+v", i+1, got)
		}
	}
}

// TestBatchWhoseAnswerIsForAll: 410, drop and Retry-After mean all of it.
func TestBatchWhoseAnswerIsForAll(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Sequence(hooktest.RetryAfter(429, "1"), hooktest.Status(406).With("Webhook-Delivery", "drop")))
	d := run(t, testConfig(), store)
	s := batches(newSubscription(1, r.URL("/")), 3, time.Minute)
	for i := range 3 {
		d.submit(t, newEvent(i+1, "a"), s)
	}
	d.idle(t)
	wantMembers(t, r.Requests(), []string{"evt_1", "evt_2", "evt_3"}, []string{"evt_1", "evt_2", "evt_3"})
	if between := r.Requests()[1].At.Sub(r.Requests()[0].At); between < time.Second {
		t.Errorf("it came again after %s", between)
	}
	for i := range 3 {
		if got, _ := store.outcome(pair{1, newEvent(i+1, "").Position}); got != (finished{sender.StatusDropped, 1}) {
			t.Errorf("event %d is recorded as %+v", i+1, got)
		}
	}
}

// TestBatchMessagesInEveryFormat: each message of an array has what it has alone, and its event's id.
func TestBatchMessagesInEveryFormat(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Source = "/rowhook/app"
	cfg.Location = func(resource, instance string) string { return "https://api.example.com/" + resource + "/" + instance }
	d := run(t, cfg, newMemory().open())
	for i, c := range []struct{ format, contentType, want string }{
		{"standard", "application/json", `[{"id":"evt_7","type":"contact.update","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":"a","n":7},"position":"0000000100000000000007000000000100000000","tenant":"acme"}]`},
		{"rest_hooks", "application/json", `[{"id":"evt_7","hook":{"id":"sub_2","event":"contact.update","target":"` + r.URL("/") + `"},"data":{"id":"a","n":7},"position":"0000000100000000000007000000000100000000","tenant":"acme"}]`},
		{"thin", "application/json", `[{"id":"evt_7","type":"contact.update","timestamp":"2026-11-22T01:00:00.123456Z","resource_id":"a","url":"https://api.example.com/contact/a","position":"0000000100000000000007000000000100000000","tenant":"acme"}]`},
		{"cloudevents", "application/cloudevents-batch+json", `[{"specversion":"1.0","id":"evt_7","source":"/rowhook/app","type":"contact.update","subject":"a","time":"2026-11-22T01:00:00.123456Z","datacontenttype":"application/json","position":"0000000100000000000007000000000100000000","tenant":"acme","data":{"id":"a","n":7}}]`},
	} {
		s := batches(newSubscription(int64(i+1), r.URL("/")), 100, 0)
		s.Request = &subscriptions.Request{Format: c.format, CustomData: []byte(`{"tenant":"acme"}`)}
		if c.format == "standard" {
			s.Request.CustomData = []byte(`{"tenant":"acme","id":"mine"}`)
		}
		settled(t, d.submit(t, newEvent(7, "a"), s))
		got := r.Requests()[i]
		if string(got.Body) != c.want || got.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%s: got %s\n%s\nwant %s", c.format, got.Header.Get("Content-Type"), got.Body, c.want)
		}
		if !json.Valid(got.Body) {
			t.Errorf("%s is not JSON", c.format)
		}
	}
}

// TestBatchBecomesNone: who does not want batches any more gets what waits one by one.
func TestBatchBecomesNone(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := run(t, testConfig(), newMemory().open())
	s := batches(newSubscription(1, r.URL("/")), 100, time.Hour)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s)}
	alone := s.Clone()
	alone.Version++
	alone.Delivery.Batch = nil
	d.Update(alone)
	settled(t, receipts...)
	wantIDs(t, r.Requests(), "evt_1", "evt_2")
}
