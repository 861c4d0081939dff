package sender_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// knows returns what Resume asks.
func knows(subs ...*subscriptions.Subscription) func(int64) *subscriptions.Subscription {
	return func(key int64) *subscriptions.Subscription {
		for _, s := range subs {
			if s.Key == key {
				return s
			}
		}
		return nil
	}
}

func ids(requests []hooktest.Request) []string {
	out := []string{}
	for _, r := range requests {
		out = append(out, r.ID)
	}
	return out
}

func wantIDs(t *testing.T, requests []hooktest.Request, want ...string) {
	t.Helper()
	if got := ids(requests); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// dueIDs is what the store would give, now.
func dueIDs(t *testing.T, s sender.Store, subscription int64) []string {
	t.Helper()
	due, _, err := s.Due(t.Context(), subscription, sender.Look{Now: time.Now(), Rows: 100, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, d := range due {
		out = append(out, d.Event.ID)
	}
	return out
}

func TestRetriesKeepIDAndTellWhy(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Sequence(hooktest.Status(503), hooktest.Garbage(), hooktest.OK()))
	d := run(t, testConfig(), store)
	settled(t, d.submit(t, newEvent(1, "a"), newSubscription(1, r.URL("/"))))
	d.idle(t)
	requests := r.Requests()
	wantIDs(t, requests, "evt_1", "evt_1", "evt_1")
	for i, want := range []struct {
		attempt int
		reason  string
	}{{1, ""}, {2, "http_status"}, {3, "invalid_response"}} {
		if requests[i].Attempt != want.attempt || requests[i].RetryReason != want.reason {
			t.Errorf("request %d: got attempt %d, %q", i, requests[i].Attempt, requests[i].RetryReason)
		}
		if err := requests[i].Verify(testSecret); err != nil {
			t.Error(err)
		}
	}
	if got, _ := store.outcome(pair{1, newEvent(1, "").Position}); got != (finished{sender.StatusDelivered, 3}) {
		t.Errorf("recorded: %+v", got)
	}
}

func TestFailsVisiblyAfterItsSchedule(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	d := run(t, testConfig(), store)
	s := newSubscription(1, r.URL("/"))
	s.Delivery.Retries = &subscriptions.Retries{Count: 2, IsCount: true}
	d.submit(t, newEvent(1, "a"), s)
	d.submit(t, newEvent(2, "a"), s)
	none := newSubscription(2, r.URL("/none"))
	none.Delivery.Retries = &subscriptions.Retries{}
	d.submit(t, newEvent(3, "a"), none)
	d.idle(t)
	wantIDs(t, hooktest.ByPath(r.Requests())["/"], "evt_1", "evt_1", "evt_1", "evt_2", "evt_2", "evt_2")
	wantIDs(t, hooktest.ByPath(r.Requests())["/none"], "evt_3")
	for key, want := range map[pair]int{{1, newEvent(1, "").Position}: 3, {1, newEvent(2, "").Position}: 3, {2, newEvent(3, "").Position}: 1} {
		if got, _ := store.outcome(key); got != (finished{sender.StatusFailed, want}) {
			t.Errorf("recorded: %+v, want %d attempts", got, want)
		}
	}
}

func TestBrokenSubscriptionFailsVisibly(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	d := run(t, testConfig(), store)
	s := newSubscription(1, "https://example.com/")
	s.Secrets = nil // nothing may be sent without a signature
	s.Delivery.Retries = &subscriptions.Retries{}
	settled(t, d.submit(t, newEvent(1, "a"), s))
	if got, _ := store.outcome(pair{1, newEvent(1, "").Position}); got.status != sender.StatusFailed {
		t.Errorf("recorded: %+v", got)
	}
}

// TestDrainKeepsTheOrder: what runs when a Dispatcher is drained comes before what waits behind it, although its row is
// written later.
func TestDrainKeepsTheOrder(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "a"), s)}
	r.Wait(t, 1, patience)
	drained := make(chan struct{})
	go func() { d.Drain(50 * time.Millisecond); close(drained) }()
	eventually(t, "it is draining", func() bool { return d.Counts().InFlight == 0 })
	late := d.submit(t, newEvent(4, "a"), s)
	<-drained
	settled(t, append(receipts, late)...)
	d.stop()
	if got := dueIDs(t, store, 1); !slices.Equal(got, []string{"evt_1"}) {
		t.Errorf("due: %v, want the oldest alone", got)
	}
	r.Forget()
	r.HandleAll(nil)
	r.HandleAll(hooktest.Always(hooktest.OK()))
	next := run(t, testConfig(), store)
	if err := next.Resume(t.Context(), false, knows(s)); err != nil {
		t.Fatal(err)
	}
	next.idle(t)
	wantIDs(t, r.Requests(), "evt_1", "evt_2", "evt_3", "evt_4")
	for _, req := range r.Requests() {
		if req.Attempt != 1 || req.RetryReason != "" {
			t.Errorf("%s: an attempt that we cut short is counted", req)
		}
	}
}

func TestSubmittedWhileDrainingBehindWhatRuns(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Until: release, Status: 500}, hooktest.OK()))
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	first := d.submit(t, newEvent(1, "a"), s)
	r.Wait(t, 1, patience)
	drained := make(chan struct{})
	go func() { d.Drain(time.Minute); close(drained) }()
	// A key of its own tells when it is draining: it is written without an attempt.
	n := 1
	eventually(t, "it is draining", func() bool {
		n++
		settled(t, d.submit(t, newEvent(n, fmt.Sprint("other", n)), s))
		return store.recorded(pair{1, newEvent(n, "").Position}) && len(dueIDs(t, store, 1)) > 0
	})
	second := d.submit(t, newEvent(n+1, "a"), s)
	close(release)
	<-drained
	settled(t, first, second)
	d.stop()
	if got := dueIDs(t, store, 1); slices.Contains(got, fmt.Sprintf("evt_%d", n+1)) {
		t.Errorf("due: %v, and the one before it is not finished", got)
	}
}

func TestHoldIsOverWhileAnAttemptRuns(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Sequence(hooktest.Answer{Until: release}, hooktest.OK()))
	cfg := testConfig()
	cfg.Hold = 20 * time.Millisecond
	s := newSubscription(1, r.URL("/"))
	d := run(t, cfg, store)
	// Settled while it runs, and what waits behind it too: nothing holds back the stream.
	settled(t, d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s))
	if got := dueIDs(t, store, 1); !slices.Equal(got, []string{"evt_1"}) {
		t.Errorf("due: %v", got)
	}
	// Another key does not wait, and lets the fetcher look: it must not send what runs.
	settled(t, d.submit(t, newEvent(3, "b"), s))
	if err := d.Resume(t.Context(), true, knows(s)); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, r.Requests(), "evt_1", "evt_3")
	close(release)
	d.idle(t)
	wantIDs(t, r.Requests(), "evt_1", "evt_3", "evt_2")
	if got := dueIDs(t, store, 1); len(got) != 0 {
		t.Errorf("due: %v", got)
	}
	if got, _ := store.outcome(pair{1, newEvent(1, "").Position}); got != (finished{sender.StatusDelivered, 1}) {
		t.Errorf("recorded: %+v", got)
	}
}

func TestWholeSubscriptionComesAndGoes(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Answer{Until: release}), hooktest.Always(hooktest.OK())))
	cfg := testConfig()
	cfg.Hold = 20 * time.Millisecond
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, cfg, store)
	var receipts []*cdc.Receipt
	for i := range 300 {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i%100)), s))
	}
	settled(t, receipts...)
	if !d.Whole(1) || d.Keys() != 0 {
		t.Errorf("whole: %v, keys: %d", d.Whole(1), d.Keys())
	}
	receipts = append(receipts, d.submit(t, newEvent(301, "new"), s))
	settled(t, receipts...)
	close(release)
	start := time.Now()
	d.idle(t)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("a backlog of 300 took %s", took)
	}
	if d.Whole(1) {
		t.Error("still whole")
	}
	if err := hooktest.CheckOrder(r.Requests()); err != nil || len(r.Requests()) != 301 {
		t.Errorf("%d requests, %v", len(r.Requests()), err)
	}
	direct := d.submit(t, newEvent(302, "1"), s)
	settled(t, direct)
	d.idle(t)
}

// TestBacklogDoesNotStall: more is due than is read at once, for one that takes one at a time.
func TestBacklogDoesNotStall(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	var records []sender.Record
	for i := range 500 {
		records = append(records, sender.Record{Op: sender.Defer, Event: newEvent(i+1, fmt.Sprint(i)), InsertEvent: true, Subscription: 1, Key: int64(i), DueAt: time.Now()})
	}
	if err := store.Write(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	r := hooktest.New(t)
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, testConfig(), store)
	if err := d.Resume(t.Context(), false, knows(s)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if n := len(r.Requests()); n != 500 {
		t.Errorf("%d requests", n)
	}
}

// TestBacklogIsReadWithinTheBudget counts the bodies that are in memory.
func TestBacklogIsReadWithinTheBudget(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	const size, n = 10_000, 200
	var records []sender.Record
	for i := range n {
		ev := newEvent(i+1, fmt.Sprint(i))
		ev.Data = fmt.Appendf(nil, `{"id":%d,"pad":%q}`, i, strings.Repeat("x", size))
		records = append(records, sender.Record{Op: sender.Defer, Event: ev, InsertEvent: true, Subscription: int64(i%4 + 1), Key: int64(i), DueAt: time.Now()})
	}
	if err := store.Write(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Memory = 4 * 10 * size
	var most int64
	var d *running
	r := hooktest.New(t, func(hooktest.Request) hooktest.Answer {
		most = max(most, d.Counts().Bytes)
		return hooktest.OK()
	})
	var subs []*subscriptions.Subscription
	for i := range 4 {
		subs = append(subs, newSubscription(int64(i+1), r.URL(fmt.Sprint("/", i))))
	}
	d = run(t, cfg, store)
	if err := d.Resume(t.Context(), false, knows(subs...)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if len(r.Requests()) != n {
		t.Errorf("%d requests", len(r.Requests()))
	}
	if limit := int64(12 * (size + 1000)); most > limit {
		t.Errorf("%d bytes were in memory, want at most %d", most, limit)
	}
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t)
	r.Handle("/1", hooktest.Always(hooktest.Status(500)))
	r.Handle("/2", hooktest.Always(hooktest.Status(500)))
	cfg := testConfig()
	cfg.Retries = []time.Duration{time.Hour}
	d := run(t, cfg, store)
	d.SetKeysMax(10)
	big, small := newSubscription(1, r.URL("/1")), newSubscription(2, r.URL("/2"))
	for i := range 4 {
		settled(t, d.submit(t, newEvent(i+1, fmt.Sprint(i)), small))
	}
	for i := range 12 {
		settled(t, d.submit(t, newEvent(100+i, fmt.Sprint(i)), big))
	}
	if d.Keys() > 10 || !d.Whole(1) || d.Whole(2) {
		t.Errorf("%d keys; whole: %v, %v", d.Keys(), d.Whole(1), d.Whole(2))
	}
	if err := d.Resume(t.Context(), false, knows(big, small)); err != nil {
		t.Fatal(err)
	}
	if d.Keys() != 4 || !d.Whole(1) || d.Whole(2) {
		t.Errorf("after taking over: %d keys; whole: %v, %v", d.Keys(), d.Whole(1), d.Whole(2))
	}
}

func TestNothingIsSentAfterRemove(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	cut := make(chan struct{}, 100)
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	cfg := testConfig()
	cfg.OnAttempt = func(r sender.Report) {
		if r.Outcome.Verdict == sender.Interrupted {
			cut <- struct{}{}
		}
	}
	s, other := newSubscription(1, r.URL("/1")), newSubscription(2, r.URL("/2"))
	s.Delivery.MaxInFlight = 2
	r.Handle("/2", hooktest.Always(hooktest.OK()))
	d := run(t, cfg, store)
	var receipts []*cdc.Receipt
	for i := range 10 {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i)), s, other))
	}
	r.WaitFor(t, func(all []hooktest.Request) bool { return len(hooktest.ByPath(all)["/1"]) == 2 })
	d.Remove(1)
	settled(t, receipts...)
	settled(t, d.submit(t, newEvent(11, "x"), s, other))
	d.Update(newerVersion(s))
	settled(t, d.submit(t, newEvent(12, "x"), newerVersion(s), other))
	d.Remove(1)
	d.idle(t)
	<-cut
	<-cut
	if n := len(hooktest.ByPath(r.Requests())["/1"]); n != 2 {
		t.Errorf("%d requests to the removed one, want 2", n)
	}
	d.Forget(1)
	if subs, removed := d.Known(); subs != 1 || removed != 0 {
		t.Errorf("%d subscriptions are known, and %d as removed", subs, removed)
	}
	if store.recorded(pair{1, newEvent(11, "").Position}) {
		t.Error("what is for a removed one is stored")
	}
}

func TestRemoveWaitsForWhatItCuts(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	cfg := testConfig()
	cfg.Timeout = time.Hour // nothing ends by itself
	for i := range 20 {
		d := run(t, cfg, newMemory().open())
		d.submit(t, newEvent(1, "a"), newSubscription(1, r.URL("/")))
		d.submit(t, newEvent(2, "b"), newSubscription(1, r.URL("/")))
		if i%2 == 0 {
			r.Wait(t, 1, patience)
		}
		d.Remove(1)
		if c := d.Counts(); c.InFlight != 0 {
			t.Errorf("%d requests are under way", c.InFlight)
		}
		d.stop()
	}
}

func newerVersion(s *subscriptions.Subscription) *subscriptions.Subscription {
	n := s.Clone()
	n.Version++
	return n
}

func TestRemovedIsNotTakenOver(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	err := store.Write(t.Context(), []sender.Record{{Op: sender.Defer, Event: newEvent(1, "a"), InsertEvent: true, Subscription: 1, Key: 1, DueAt: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	r := hooktest.New(t)
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	// Deleted through the API after the subscriptions were read.
	d.Remove(1)
	if err := d.Resume(t.Context(), false, knows(s)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if len(r.Requests()) != 0 {
		t.Error("something was sent to a removed subscription")
	}
	if err := d.Resume(t.Context(), true, knows()); err != nil {
		t.Fatal(err)
	}
	if _, removed := d.Known(); removed != 0 {
		t.Error("a removed subscription is remembered for ever")
	}
}

// TestResumeLearnsWhatOthersChanged: what other processes change while there is no connection is in the store, and is
// not announced again.
func TestResumeLearnsWhatOthersChanged(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	r.Handle("/new", hooktest.Always(hooktest.OK()))
	cfg := testConfig()
	cfg.Retries = []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, time.Hour}
	moved, deleted := newSubscription(1, r.URL("/old")), newSubscription(2, r.URL("/deleted"))
	d := run(t, cfg, store)
	settled(t, d.submit(t, newEvent(1, "a"), moved, deleted))
	d.Suspend()
	eventually(t, "requests end", func() bool { return d.Counts().InFlight == 0 })
	r.Forget()
	next := newerVersion(moved)
	next.TargetURL = newSubscription(1, r.URL("/new")).TargetURL
	if err := d.Resume(t.Context(), true, knows(next)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if got := hooktest.ByPath(r.Requests()); len(got["/new"]) != 1 || len(r.Requests()) != 1 {
		t.Errorf("got %v", r.Requests())
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.Status(410)))
	r.Handle("/good", hooktest.Always(hooktest.OK()))
	cfg := testConfig()
	cfg.MaxInFlight, cfg.PerSubscription = 4, 4
	told := make(chan string, 10)
	deleted := make(chan struct{})
	var d *running
	cfg.OnGone = func(_ context.Context, s *subscriptions.Subscription) {
		told <- s.ID
		<-deleted
		d.Remove(s.Key)
	}
	s, good := newSubscription(1, r.URL("/gone")), newSubscription(2, r.URL("/good"))
	d = run(t, cfg, store)
	var receipts []*cdc.Receipt
	for i := range 20 {
		receipts = append(receipts, d.submit(t, newEvent(i+1, fmt.Sprint(i)), s, good))
	}
	if id := <-told; id != "sub_1" {
		t.Errorf("told of %s", id)
	}
	// As long as it is not deleted, everything is kept, nothing waits for it, and others go on.
	settled(t, receipts...)
	eventually(t, "requests end", func() bool { return d.Counts().InFlight == 0 })
	if n := len(hooktest.ByPath(r.Requests())["/good"]); n != 20 {
		t.Errorf("%d were sent to the good one", n)
	}
	for i := range 20 {
		if !store.recorded(pair{1, newEvent(i+1, "").Position}) {
			t.Errorf("event %d is lost, should we die now", i+1)
		}
	}
	n := len(hooktest.ByPath(r.Requests())["/gone"])
	if n > 4 {
		t.Errorf("%d requests to the one that is gone", n)
	}
	close(deleted)
	d.idle(t)
	if got := len(hooktest.ByPath(r.Requests())["/gone"]); got != n || len(told) > 0 {
		t.Errorf("%d requests, told %d times more", got, len(told))
	}
}

func TestDisabledIsKept(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Answer{Until: release}), hooktest.Always(hooktest.OK())))
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, testConfig(), store)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "b"), s)}
	r.Wait(t, 1, patience)
	off := newerVersion(s)
	off.State = subscriptions.Disabled
	d.Update(off)
	receipts = append(receipts, d.submit(t, newEvent(4, "a"), s))
	close(release)
	settled(t, receipts...)
	eventually(t, "the request ends", func() bool { c := d.Counts(); return c.InFlight+c.Unwritten == 0 })
	wantIDs(t, r.Requests(), "evt_1")
	if got, _ := store.outcome(pair{1, newEvent(1, "").Position}); got.status != sender.StatusDelivered {
		t.Errorf("what was under way is recorded as %+v", got)
	}
	d.Update(newerVersion(newerVersion(s)))
	d.idle(t)
	if err := hooktest.CheckOrder(r.Requests()); err != nil || len(r.Requests()) != 4 {
		t.Errorf("got %v, %v", ids(r.Requests()), err)
	}
	direct := d.submit(t, newEvent(5, "a"), s)
	settled(t, direct)
	d.idle(t)
}

func TestLostEventFailsVisibly(t *testing.T) {
	t.Parallel()
	data := newMemory()
	store := data.open()
	err := store.Write(t.Context(), []sender.Record{
		{Op: sender.Defer, Event: newEvent(1, "a"), InsertEvent: true, Subscription: 1, Key: 1, DueAt: time.Now()},
		{Op: sender.Defer, Event: newEvent(2, "a"), InsertEvent: true, Subscription: 1, Key: 1, DueAt: time.Now()},
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(data.events, newEvent(1, "").Position)
	r := hooktest.New(t)
	d := run(t, testConfig(), store)
	if err := d.Resume(t.Context(), false, knows(newSubscription(1, r.URL("/")))); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	wantIDs(t, r.Requests(), "evt_2")
	if got, _ := store.outcome(pair{1, newEvent(1, "").Position}); got.status != sender.StatusFailed {
		t.Errorf("recorded: %+v", got)
	}
}

func TestReceiptsWaitForTheStore(t *testing.T) {
	t.Parallel()
	f := &faulty{Store: newMemory().open(), refuse: 2}
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.Memory = 3500
	d := run(t, cfg, f)
	s := newSubscription(1, r.URL("/"))
	receipt := d.submit(t, newEvent(1, "a"), s)
	d.Bury(mapping.DeadLetter{Resource: "contact", Position: newEvent(2, "").Position, Reason: strings.Repeat("x", 2000)}, cdc.NewReceipt(1))
	eventually(t, "the store is missed", func() bool { return d.WriteError() == "refused" })
	if receipt.IsSettled() {
		t.Error("settled, and not stored")
	}
	// The memory is full of what cannot be written: neither events nor dead letters come in.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Submit(ctx, []sender.Job{{Event: newEvent(3, "a"), To: []*subscriptions.Subscription{s, s}}}, cdc.NewReceipt(2)); err == nil {
		t.Error("taken beyond the budget")
	}
	letter := cdc.NewReceipt(1)
	d.Bury(mapping.DeadLetter{Resource: "contact", Position: newEvent(4, "").Position, Reason: strings.Repeat("x", 3000)}, letter)
	if !receipt.IsSettled() {
		t.Error("buried beyond the budget")
	}
	settled(t, receipt, letter)
	d.idle(t)
	if e := d.WriteError(); e != "" {
		t.Errorf("still: %s", e)
	}
}

// TestASlowStoreBoundsWhatCanComeTwice holds up the store: no more is sent than there are slots, because all of it would
// be sent again after a crash.
func TestASlowStoreBoundsWhatCanComeTwice(t *testing.T) {
	t.Parallel()
	const slots, events = 8, 100
	gate := make(chan struct{})
	f := &faulty{Store: newMemory().open(), gate: gate}
	r := hooktest.New(t)
	cfg := testConfig()
	cfg.MaxInFlight = slots
	d := run(t, cfg, f)
	s := newSubscription(1, r.URL("/"))
	for n := range events {
		d.submit(t, newEvent(n+1, fmt.Sprint(n)), s)
	}
	r.Wait(t, slots, patience)
	eventually(t, "all slots are taken by what cannot be written", func() bool { return d.Counts().InFlight == 0 })
	if n := len(r.Requests()); n != slots {
		t.Errorf("%d requests, want %d", n, slots)
	}
	close(gate)
	r.Wait(t, events, patience)
	d.idle(t)
}

func TestSubmitWithoutSubscriptionsCostsNothing(t *testing.T) {
	t.Parallel()
	d := run(t, testConfig(), newMemory().open())
	if err := d.Submit(t.Context(), []sender.Job{{Event: newEvent(1, "a")}}, cdc.NewReceipt(0)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
}

func TestOneLargeEventIsAdmittedAlone(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Memory = 1000
	r := hooktest.New(t)
	d := run(t, cfg, newMemory().open())
	s := newSubscription(1, r.URL("/"))
	var receipts []*cdc.Receipt
	for i := range 3 {
		ev := newEvent(i+1, "a")
		ev.Data = fmt.Appendf(nil, "%q", strings.Repeat("x", 5000))
		receipts = append(receipts, d.submit(t, ev, s))
	}
	settled(t, receipts...)
	d.idle(t)
}

func TestSuspendedSendsNothing(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Answer{Until: release}), hooktest.Always(hooktest.OK())))
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, testConfig(), store)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "b"), s)}
	r.Wait(t, 1, patience)
	d.Suspend()
	close(release)
	// The source waits for all receipts before it connects again.
	settled(t, receipts...)
	wantIDs(t, r.Requests(), "evt_1")
	if err := d.Resume(t.Context(), true, knows(s)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	if got := ids(r.Requests()); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

// slowLook is a store whose looks end when they are let.
type slowLook struct {
	sender.Store
	looked, let chan struct{}
}

func (s *slowLook) Due(ctx context.Context, subscription int64, look sender.Look) ([]sender.Due, time.Time, error) {
	due, next, err := s.Store.Due(ctx, subscription, look)
	s.looked <- struct{}{}
	<-s.let
	return due, next, err
}

// TestSuspendedDuringALook: what was found must be looked for again.
func TestSuspendedDuringALook(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	err := store.Write(t.Context(), []sender.Record{{Op: sender.Defer, Event: newEvent(1, "a"), InsertEvent: true, Subscription: 1, Key: 1, DueAt: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowLook{Store: store, looked: make(chan struct{}, 100), let: make(chan struct{})}
	r := hooktest.New(t)
	s := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), slow)
	if err := d.Resume(t.Context(), false, knows(s)); err != nil {
		t.Fatal(err)
	}
	<-slow.looked
	d.Suspend()
	slow.let <- struct{}{}
	// Time for the look to end; should it not, the test proves nothing, and passes.
	r.Quiet(t, 50*time.Millisecond)
	close(slow.let)
	if err := d.Resume(t.Context(), true, knows(s)); err != nil {
		t.Fatal(err)
	}
	d.idle(t)
	wantIDs(t, r.Requests(), "evt_1")
}

// TestNothingIsWrittenAfterWhatIsMissing: when the store does not take a record at the very end, no later one may be
// there without it.
func TestNothingIsWrittenAfterWhatIsMissing(t *testing.T) {
	t.Parallel()
	data := newMemory()
	f := &faulty{Store: data.open(), gate: make(chan struct{})}
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	cfg := testConfig()
	cfg.Memory = 64 << 20
	d := run(t, cfg, f)
	s := newSubscription(1, r.URL("/"))
	for i := range 3000 {
		d.submit(t, newEvent(i+1, "a"), s)
	}
	r.Wait(t, 1, patience)
	d.Drain(0)
	stopped := make(chan struct{})
	go func() { d.stop(); close(stopped) }()
	// Run's end is on its way: the first write waits, fails, and is not made again.
	eventually(t, "everything waits to be written", func() bool { return d.Counts().Unwritten == 3000 })
	pause(20 * time.Millisecond)
	f.set(func(f *faulty) { f.refuse = 1 })
	close(f.gate)
	<-stopped
	if n := len(data.due); n != 0 {
		t.Errorf("%d records were written after some that were not", n)
	}
}

// TestWhoIsNotOwnerGivesUp: another process has taken over, and this one does not know yet.
func TestWhoIsNotOwnerGivesUp(t *testing.T) {
	t.Parallel()
	data := newMemory()
	mine, theirs := data.open(), data.open()
	mine.own()
	release := make(chan struct{})
	r := hooktest.New(t, hooktest.Times(1, hooktest.Always(hooktest.Answer{Until: release}), hooktest.Always(hooktest.OK())))
	s := newSubscription(1, r.URL("/"))
	s.Delivery.MaxInFlight = 1
	d := run(t, testConfig(), mine)
	receipts := []*cdc.Receipt{d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s), d.submit(t, newEvent(3, "b"), s)}
	r.Wait(t, 1, patience)
	theirs.own()
	close(release)
	settled(t, receipts...)
	before := len(r.Requests())
	settled(t, d.submit(t, newEvent(4, "c"), s))
	if len(r.Requests()) > before || len(data.finished) > 0 || len(data.due) > 0 {
		t.Errorf("%d requests more; the store has %v", len(r.Requests())-before, data.finished)
	}
	mine.own()
	if err := d.Resume(t.Context(), false, knows(s)); err != nil {
		t.Fatal(err)
	}
	settled(t, d.submit(t, newEvent(5, "c"), s))
	d.idle(t)
}
