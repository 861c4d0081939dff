package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

const patience = 2 * time.Minute

func TestARowChangesAndASignedHookArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	sub := r.subscribe("/hooks")
	r.exec(`insert into contacts (id, account_id, first_name, last_name, email, street, city, score, tags, prefs, vip)
		values (42, 1, 'Ada', 'Lovelace', 'ada@example.com', 'Main "St"', E'Lon\ndon', 12.50, '{a,"NULL",NULL,"x,y"}', '{"n":12345678901234567890,"x":1.10}', true)`)
	r.exec(`update contacts set email = null, last_name = null, score = 3 where id = 42`)
	r.exec(`delete from contacts where id = 42`)
	got := r.recv.Wait(t, 3, patience)
	if types(got) != "contact.create contact.update contact.delete" {
		t.Fatalf("got %s", types(got))
	}
	tail := `"tags":["a","NULL",null,"x,y"],"prefs":{"n":12345678901234567890,"x":1.10},"flags":[true,7,null],"price":"${5}",` +
		`"url":"https://api.example.com/contacts/42","created_at":"2026-11-22T01:02:03.500000Z"}`
	updated := `{"id":42,"type":"contact","name":"Ada ","greeting":"Dear Ada!","email":null,"address":{"street":"Main \"St\"","city":"Lon\ndon","geo":{"country":"NL"}},` +
		`"score":"3.00","rank":"plain",` + tail
	want := []string{
		`{"id":42,"type":"contact","name":"Ada Lovelace","greeting":"Dear Ada!","email":"ada@example.com","address":{"street":"Main \"St\"","city":"Lon\ndon","geo":{"country":"NL"}},` +
			`"score":"12.50","rank":"gold",` + tail,
		updated, updated,
	}
	last := ""
	for i, q := range got {
		if err := q.Verify(sub.Secret); err != nil {
			t.Errorf("%s: %v", q.Type, err)
		}
		var body struct {
			Type, Timestamp, Position string
			Data                      json.RawMessage
		}
		if err := json.Unmarshal(q.Body, &body); err != nil {
			t.Fatal(err)
		}
		if string(body.Data) != want[i] {
			t.Errorf("%s\n got %s\nwant %s", q.Type, body.Data, want[i])
		}
		if body.Position <= last {
			t.Errorf("position %s after %s", body.Position, last)
		}
		last = body.Position
		if at, err := time.Parse(time.RFC3339Nano, body.Timestamp); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("timestamp %s: %v", body.Timestamp, err)
		}
		h := q.Header
		if h.Get("webhook-type") != body.Type || h.Get("webhook-position") != body.Position || h.Get("webhook-attempt") != "1" ||
			!strings.HasPrefix(h.Get("webhook-id"), "evt_") || h.Get("content-type") != "application/json" || h.Get("user-agent") != "rowhook/test" {
			t.Errorf("headers %v", h)
		}
	}
}

func TestWhatIsRolledBackIsNeverSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/")
	r.exec(`begin`)
	r.insertContact(1, 1)
	r.exec(`rollback`)
	r.exec(`begin`)
	r.insertContact(2, 1)
	r.exec(`savepoint s`)
	r.insertContact(3, 1)
	r.exec(`rollback to s`)
	r.exec(`commit`)
	r.insertContact(4, 1)
	got := hooktest.ByInstance(r.recv.Wait(t, 2, patience))
	if len(got) != 2 || got["contact/2"] == nil || got["contact/4"] == nil {
		t.Errorf("got %v", got)
	}
}

func TestRetriesCarryTheSameIDAndKeepTheOrderOfAnInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.ForInstance("contact/1", hooktest.Times(3, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())), hooktest.Always(hooktest.OK())))
	r.start()
	sub := r.subscribe("/")
	r.insertContact(1, 1)
	r.exec(`update contacts set city = 'A' where id = 1`)
	r.insertContact(2, 1)
	r.exec(`update contacts set city = 'B' where id = 1`)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) >= 4 })
	done := hooktest.Delivered(all)
	if err := hooktest.CheckOrder(done); err != nil {
		t.Error(err)
	}
	if done[0].Instance() != "contact/2" {
		t.Errorf("instance 2 waited for instance 1: %v", done)
	}
	for _, tries := range hooktest.ByID(all) {
		for i, q := range tries {
			if err := q.Verify(sub.Secret); err != nil {
				t.Error(err)
			}
			if want := fmt.Sprint(i + 1); q.Header.Get("webhook-attempt") != want {
				t.Errorf("attempt %s, want %s", q.Header.Get("webhook-attempt"), want)
			}
			if reason := q.Header.Get("webhook-retry-reason"); i > 0 && reason != "http_status" || i == 0 && reason != "" {
				t.Errorf("attempt %d has reason %q", i+1, reason)
			}
		}
	}
	first := hooktest.ByInstance(all)["contact/1"]
	if len(hooktest.ByID(first)) != 3 {
		t.Errorf("instance 1 has %d ids, want 3", len(hooktest.ByID(first)))
	}
}

func TestAccountsGetTheirOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	acme, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/acme")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client("other-token-012345678").Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/other")}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client("other-token-012345678").Get(t.Context(), acme.ID); err == nil {
		t.Error("an account sees another's subscription")
	}
	r.insertContact(1, 1)
	r.insertContact(2, 2)
	r.exec(`insert into notes values (1, 'for the admin only')`)
	r.exec(`delete from contacts`)
	r.exec(`truncate contacts`)
	r.insertContact(3, 1)
	r.insertContact(4, 2)
	got := hooktest.ByPath(r.recv.Wait(t, 6, patience))
	for path, want := range map[string]string{"/acme": "1 1 3", "/other": "2 2 4"} {
		var ids []string
		for _, q := range got[path] {
			ids = append(ids, strings.TrimPrefix(q.Instance(), "contact/"))
		}
		// Order is kept for each instance, not between them.
		slices.Sort(ids)
		if strings.Join(ids, " ") != want {
			t.Errorf("%s got %v, want %s", path, ids, want)
		}
	}
}

// TestSubscriptionsTakeEffectAtOnce commits a change right after the answer to create and to delete.
func TestSubscriptionsTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	for i := 1; i <= 20; i++ {
		s := r.subscribe(fmt.Sprint("/", i), "contact.create")
		r.insertContact(i, 1)
		r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)[fmt.Sprint("/", i)]) == 1 })
		if err := r.admin().Delete(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	r.subscribe("/last", "contact.create")
	r.insertContact(1000, 1)
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/last"]) == 1 })
	if len(got) != 21 {
		t.Errorf("got %d requests, want 21: a deleted subscription was sent to", len(got))
	}
}

func TestGoneDeletesTheSubscription(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.If(func(q hooktest.Request) bool { return q.Path == "/gone" }, hooktest.Always(hooktest.Status(410)), hooktest.Always(hooktest.OK())))
	r.start()
	gone := r.subscribe("/gone")
	r.subscribe("/stays")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/gone"]) == 1 })
	// The receiver has the request before we have its answer.
	eventually(t, "the answer is read", func() bool { return strings.Contains(r.log.String(), "target is gone") })
	for i := 2; i <= 10; i++ {
		r.insertContact(i, 1)
	}
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByPath(q)["/stays"]) == 10 })
	if n := len(hooktest.ByPath(got)["/gone"]); n != 1 {
		t.Errorf("%d requests to a target that is gone", n)
	}
	eventually(t, "the subscription is deleted", func() bool {
		_, err := r.admin().Get(t.Context(), gone.ID)
		var told *client.Error
		return errors.As(err, &told) && told.Status == 404
	})
}

func TestCleanStopLeavesNoDuplicates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	for i := 1; i <= 200; i++ {
		r.insertContact(i, 1)
		if i == 100 {
			stop()
		}
	}
	r.start()
	r.insertContact(201, 1)
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 201 })
	if d := hooktest.Duplicates(got); len(d) > 0 {
		t.Errorf("%d events came twice after a clean stop", len(d))
	}
}

// TestStopWhileATargetHangs cuts the attempt short, and makes it again at the next start, not counted.
func TestStopWhileATargetHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	r.text = strings.Replace(r.text, "timeout: 2s", "timeout: 60s", 1)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	r.recv.Release()
	r.start()
	got := r.recv.Wait(t, 2, patience)
	if got[1].Header.Get("webhook-attempt") != "1" || got[0].ID != got[1].ID {
		t.Errorf("attempt %s of %s, want attempt 1 of %s", got[1].Header.Get("webhook-attempt"), got[1].ID, got[0].ID)
	}
}

func TestReadinessSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	ready, err := r.admin().Ready(t.Context())
	if err != nil || !ready.Ready || ready.Role != "active" {
		t.Fatalf("got %+v, %v", ready, err)
	}
	r.exec(`alter publication rowhook drop table notes`)
	r.isRed("does not have public.notes any more")
	r.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, r.slot)
	r.isRed("does not have public.notes any more")
}
