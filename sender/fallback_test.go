package sender_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// fallingBack is a subscription whose target and fallback are at one receiver.
func fallingBack(key int64, r *hooktest.Receiver) *subscriptions.Subscription {
	s := newSubscription(key, r.URL("/target"))
	s.FallbackURL = secret.String(r.URL("/fallback"))
	return s
}

// twice is a schedule of one retry.
func twice() sender.Config {
	cfg := testConfig()
	cfg.Retries = []time.Duration{5 * time.Millisecond}
	return cfg
}

// TestTheFallbackGetsWhatFails: after the last retry, signed the same way, told why, tried more than once; later events of the
// instance wait until then, and go to the target first. Its success is none of the target's.
func TestTheFallbackGetsWhatFails(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k keepers) {
		store := k.open()
		store.own()
		r := hooktest.New(t, nil)
		r.Handle("/target", hooktest.Always(hooktest.Status(503)))
		r.Handle("/fallback", hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
		d := run(t, twice(), store)
		s := fallingBack(k.subscription(), r)
		settled(t, d.submit(t, newEvent(1, "a"), s), d.submit(t, newEvent(2, "a"), s))
		d.idle(t)
		var got []string
		for _, q := range r.Requests() {
			if err := q.Verify(testSecret); err != nil {
				t.Errorf("%s: %v", q, err)
			}
			got = append(got, fmt.Sprint(q.ID, q.Path, " ", q.Attempt, " ", q.RetryReason, " ", q.Header.Get("webhook-fallback-reason"), q.Header.Get("webhook-fallback-status")))
		}
		want := []string{
			"evt_1/target 1  ", "evt_1/target 2 http_status ", "evt_1/fallback 3 http_status http_status503", "evt_1/fallback 4 http_status http_status503",
			"evt_2/target 1  ", "evt_2/target 2 http_status ", "evt_2/fallback 3 http_status http_status503",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		for n, attempts := range []int{4, 3} {
			if f, _ := store.outcome(pair{s.Key, newEvent(n+1, "").Position}); f != (finished{sender.StatusDelivered, attempts}) {
				t.Errorf("event %d ended as %v", n+1, f)
			}
		}
		d.stop()
		if failing, err := store.Failing(t.Context()); err != nil || failing[s.Key].Since.IsZero() || failing[s.Key].Last.Status != 503 {
			t.Errorf("of the target it is known: %+v, %v", failing[s.Key], err)
		}
	})
}

// TestAFallbackSpeaksForItself: what it answers fails the delivery, or drops it, and does nothing to the subscription.
func TestAFallbackSpeaksForItself(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer hooktest.Answer
		url    secret.String
		want   finished
	}{
		"Gone":    {hooktest.Status(410), "", finished{sender.StatusFailed, 5}},
		"Drop":    {hooktest.Status(400).With("webhook-delivery", "drop"), "", finished{sender.StatusDropped, 3}},
		"Failure": {hooktest.Status(500), "", finished{sender.StatusFailed, 5}},
		"Blocked": {hooktest.OK(), "http://10.0.0.1/", finished{sender.StatusFailed, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory().open()
			r := hooktest.New(t, nil)
			r.Handle("/target", hooktest.ForInstance("contact/good", hooktest.Always(hooktest.OK()), hooktest.Always(hooktest.Status(400))))
			r.Handle("/fallback", hooktest.Always(test.answer))
			cfg := twice()
			cfg.OnGone = func(context.Context, *subscriptions.Subscription) { t.Error("the subscription is to be deleted") }
			var last sender.Report
			cfg.OnAttempt = func(r sender.Report) {
				if r.Outcome.Fallback {
					last = r
				}
			}
			d := run(t, cfg, store)
			s := fallingBack(1, r)
			if test.url != "" {
				s.FallbackURL = test.url
			}
			settled(t, d.submit(t, newEvent(1, "a"), s))
			d.idle(t)
			settled(t, d.submit(t, newEvent(2, "good"), s))
			d.idle(t)
			if f, _ := store.outcome(pair{1, newEvent(1, "").Position}); f != test.want {
				t.Errorf("it ended as %v, want %v", f, test.want)
			}
			if f, _ := store.outcome(pair{1, newEvent(2, "").Position}); f.status != sender.StatusDelivered {
				t.Errorf("the next one ended as %v", f)
			}
			d.stop()
			if reason := last.Outcome.Reason; name == "Blocked" && reason != sender.ReasonBlockedAddress {
				t.Errorf("it failed by %q", reason)
			}
		})
	}
}

// TestAFallbackAsksForTime: it is left alone for so long, and the target is not.
func TestAFallbackAsksForTime(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, nil)
	r.Handle("/target", hooktest.ForInstance("contact/good", hooktest.Always(hooktest.OK()), hooktest.Always(hooktest.Status(400))))
	r.Handle("/fallback", hooktest.Always(hooktest.RetryAfter(429, "1800")))
	next := make(chan time.Time, 10)
	cfg := twice()
	cfg.OnAttempt = func(r sender.Report) {
		if r.Outcome.Fallback {
			next <- r.Next
		}
	}
	d := run(t, cfg, store)
	s := fallingBack(1, r)
	settled(t, d.submit(t, newEvent(1, "a"), s))
	begun := time.Now()
	if at := <-next; at.Before(begun.Add(29*time.Minute)) || at.After(time.Now().Add(time.Hour)) {
		t.Errorf("the next attempt is at %v", at)
	}
	settled(t, d.submit(t, newEvent(2, "good"), s))
	if f, _ := store.outcome(pair{1, newEvent(2, "").Position}); f.status != sender.StatusDelivered {
		t.Errorf("the next one ended as %v", f)
	}
}

// TestCredentialsStayWithTheirServer: headers and login of the request block go to the fallback only where it is at the server of the
// target.
func TestCredentialsStayWithTheirServer(t *testing.T) {
	t.Parallel()
	r, other := hooktest.New(t, nil), hooktest.New(t, nil)
	r.Handle("/target", hooktest.Always(hooktest.Status(500)))
	store := newMemory().open()
	cfg := testConfig()
	cfg.Retries = nil
	d := run(t, cfg, store)
	userinfo := func(url string) string { return "http://own:pass@" + url[len("http://"):] }
	const hidden, login = "hunter2", "Bearer hunter2"
	for i, x := range []struct {
		at         *hooktest.Receiver
		url        string
		key, login string
	}{
		{r, r.URL("/fallback"), hidden, login},
		{r, userinfo(r.URL("/own")), hidden, "Basic b3duOnBhc3M="},
		{other, other.URL("/other"), "", ""},
		{other, userinfo(other.URL("/login")), "", "Basic b3duOnBhc3M="},
	} {
		s := newSubscription(int64(i+1), r.URL("/target"))
		s.FallbackURL = secret.String(x.url)
		s.Request = &subscriptions.Request{Format: subscriptions.FormatThin, Headers: []subscriptions.RequestHeader{{Name: "X-Key", Value: hidden}},
			Auth: &subscriptions.Auth{Type: subscriptions.AuthBearer, Token: hidden}}
		settled(t, d.submit(t, newEvent(i+1, "a"), s))
		d.idle(t)
		sent := x.at.Requests()
		q := sent[len(sent)-1]
		if q.Path == "/target" || q.Header.Get("X-Key") != x.key || q.Header.Get("Authorization") != x.login || q.Header.Get("webhook-fallback-status") != "500" {
			t.Errorf("%s got X-Key %q, Authorization %q", q.Path, q.Header.Get("X-Key"), q.Header.Get("Authorization"))
		}
		if q.Header.Get("Content-Type") != "application/json" || q.Verify(testSecret) != nil {
			t.Errorf("%s: %v", q.Path, q.Header)
		}
	}
}

// TestAFallbackSurvivesARestart, also one that another process has begun to send to; without a fallback it is tried at the target
// once more.
func TestAFallbackSurvivesARestart(t *testing.T) {
	t.Parallel()
	for name, kept := range map[string]bool{"Kept": true, "TakenAway": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, k keepers) {
				store := k.open()
				store.own()
				r := hooktest.New(t, nil)
				r.Handle("/target", hooktest.Always(hooktest.Status(502)))
				r.Handle("/fallback", hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
				d := run(t, twice(), store)
				s := fallingBack(k.subscription(), r)
				settled(t, d.submit(t, newEvent(1, "a"), s))
				r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/fallback"]) == 1 })
				d.stop()
				r.Release()
				store = k.open()
				store.own()
				if !kept {
					s = s.Clone()
					s.Version++
					s.FallbackURL = ""
				}
				d = run(t, twice(), store)
				resume(t, d, s) // its circuit is open from the start
				eventually(t, "nothing is left to do", func() bool { c := d.Counts(); return c.StoredRows == 0 && c.InFlight == 0 && c.Unwritten == 0 })
				q := r.Requests()
				last, want := q[len(q)-1], finished{sender.StatusDelivered, 3}
				if kept && (last.Path != "/fallback" || last.Attempt != 3 || last.Header.Get("webhook-fallback-reason") != "http_status" || last.Header.Get("webhook-fallback-status") != "502") {
					t.Errorf("got %v %v", last, last.Header)
				}
				if !kept {
					want.status = sender.StatusFailed
					if last.Path != "/target" || last.Attempt != 3 || last.Header.Get("webhook-fallback-reason") != "" || len(hooktest.ByPath(q)["/target"]) != 3 {
						t.Errorf("got %v %v", last, last.Header)
					}
				}
				if f, _ := store.outcome(pair{s.Key, newEvent(1, "").Position}); f != want {
					t.Errorf("it ended as %v, want %v", f, want)
				}
			})
		})
	}
}

// TestABatchFallsBack as one, without what is still for the target.
func TestABatchFallsBack(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, nil)
	r.Handle("/target", func(q hooktest.Request) hooktest.Answer {
		if all, _ := q.Messages(); len(all) == 1 && all[0].ID == "evt_4" {
			return hooktest.OK()
		}
		return hooktest.Status(503)
	})
	cfg := twice()
	d := run(t, cfg, store)
	s := batches(fallingBack(1, r), 3, time.Minute)
	var receipts []*cdc.Receipt
	for i, contact := range []string{"a", "b", "a"} {
		receipts = append(receipts, d.submit(t, newEvent(i+1, contact), s))
	}
	settled(t, receipts...)
	d.idle(t)
	paths := hooktest.ByPath(r.Requests())
	all := []string{"evt_1", "evt_2", "evt_3"}
	wantMembers(t, paths["/target"], all, all)
	wantMembers(t, paths["/fallback"], all)
	if q := paths["/fallback"][0]; q.Attempt != 3 || q.Header.Get("webhook-fallback-reason") != "http_status" || q.Header.Get("webhook-fallback-status") != "503" {
		t.Errorf("got %v", q.Header)
	}
}

// TestAnOpenCircuitLetsThroughToTheFallback: what fails for good gets there, the one circuit that is open stays open, and what comes
// later is tried at the target.
func TestAnOpenCircuitLetsThroughToTheFallback(t *testing.T) {
	t.Parallel()
	const events = 36
	store := newMemory().open()
	r := hooktest.New(t, nil)
	r.Handle("/target", hooktest.Always(hooktest.Status(500)))
	log := &lines{}
	cfg := testConfig()
	cfg.Retries, cfg.Log = nil, slog.New(slog.NewTextHandler(log, nil))
	d := run(t, cfg, store)
	s := fallingBack(1, r)
	for i := range events {
		d.submit(t, newEvent(i+1, fmt.Sprint(i)), s)
	}
	r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/fallback"]) == events })
	eventually(t, "nothing is left to do", func() bool { c := d.Counts(); return c.StoredRows == 0 && c.InFlight == 0 && c.Unwritten == 0 })
	if c := d.Counts(); c.CircuitsOpen+c.CircuitsHalfOpen != 1 || log.count("circuit closed:") != 0 {
		t.Errorf("its circuit is not open: %+v", c)
	}
	if n := len(hooktest.ByPath(r.Requests())["/target"]); n != events {
		t.Errorf("%d requests to the target, want %d", n, events)
	}
}

// TestWhatComesWhileItFallsBackIsForTheTarget: a change that joins a debounced one on its way to the fallback has not been tried.
func TestWhatComesWhileItFallsBackIsForTheTarget(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k keepers) {
		store := k.open()
		store.own()
		answer := make(chan struct{})
		r := hooktest.New(t, nil)
		r.Handle("/target", hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
		r.Handle("/fallback", hooktest.Always(hooktest.Answer{Status: http.StatusBadGateway, Until: answer}))
		cfg := testConfig()
		cfg.Retries = nil
		d := run(t, cfg, store)
		s := debounced(k.subscription(), r.URL("/target"), 50*time.Millisecond)
		s.FallbackURL = secret.String(r.URL("/fallback"))
		send := func(words string) { settled(t, d.submitAll(t, toldAll(t, "a", words), s)) }
		send(`create 1 {"a":1}; update 2 {"a":2} {"a":1}`)
		r.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/fallback"]) == 1 })
		send(`update 3 {"a":3} {"a":2}`)
		close(answer)
		d.idle(t)
		q := r.Requests()
		if len(q) != 3 || as(q[0]) != `create 2 {"a":2}` || as(q[1]) != `create 2 {"a":2}` || q[1].Path != "/fallback" || as(q[2]) != `create 3 {"a":3}` || q[2].Path != "/target" || q[2].Attempt != 3 {
			t.Errorf("got %v", q)
		}
	})
}
