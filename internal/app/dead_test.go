package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestADeadTargetIsDisabled: after 5 days in which its target took nothing a subscription is disabled, says why, and gets all that
// was committed meanwhile, in order, when it is enabled; also what was committed while rowhook was down. The admin's subscriptions
// that ask for it are told of each step, in order.
func TestADeadTargetIsDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Always(hooktest.Status(503)))
	stop := r.start()
	sub := r.subscribe("/")
	well := hooktest.New(t)
	r.subscribeAt(well.URL("/"), 1)
	// It wants to hear of itself too: that it is not told is what keeps the others' news from going round.
	if _, err := r.admin().Update(t.Context(), sub.ID, client.Patch{"events": []string{"*", "rowhook.subscription.*"}}); err != nil {
		t.Fatal(err)
	}
	ops := hooktest.New(t)
	if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"rowhook.subscription.*"}, TargetURL: ops.URL("/"),
		Filter: `data.target_host == "127.0.0.1" && data.account == null`}); err != nil {
		t.Fatal(err)
	}
	// One delivery fails for good.
	retries := func(n any) {
		t.Helper()
		if _, err := r.admin().Update(t.Context(), sub.ID, client.Patch{"delivery": map[string]any{"retries": n}}); err != nil {
			t.Fatal(err)
		}
	}
	retries(0)
	r.insertContact(100, 1)
	r.recv.Wait(t, 1, patience)
	well.Wait(t, 1, patience)
	eventually(t, "it has failed for good", func() bool {
		var n int
		return r.conn.QueryRow(t.Context(), `select count(*) from rowhook.delivery where status = 2`).Scan(&n) == nil && n == 1
	})
	retries(nil)
	r.insertContact(1, 1)
	r.recv.Wait(t, 2, patience)
	well.Wait(t, 2, patience)
	stop()
	// It has been so for an hour.
	r.exec(`update rowhook.failing set since = now() - interval '61 minutes'`)
	r.exec(`update rowhook.due set due_at = now() where due_at < 'infinity'`)
	stop = r.start()
	ops.Wait(t, 1, patience)
	r.failing(sub.ID)
	stop()
	// It has been so for days.
	r.exec(`update rowhook.failing set since = now() - interval '6 days'`)
	r.exec(`update rowhook.told t set since = f.since from rowhook.failing f where f.subscription = t.subscription`)
	r.exec(`update rowhook.due set due_at = now() where due_at < 'infinity'`)
	stop = r.start()
	eventually(t, "it is disabled", func() bool {
		s, err := r.admin().Get(t.Context(), sub.ID)
		return err == nil && s.State == "disabled"
	})
	s, err := r.admin().Get(t.Context(), sub.ID)
	if err != nil {
		t.Fatal(err)
	}
	d := s.DisabledReason
	if d.FailingSince == nil || time.Since(*d.FailingSince) < 6*24*time.Hour || s.FailingSince != nil {
		t.Errorf("disabled: %+v, failing since %v", d, s.FailingSince)
	}
	if d.By != "rowhook" || d.LastAnswer == nil || d.LastAnswer.Status == nil || *d.LastAnswer.Status != 503 || d.LastAnswer.Reason != "http_status" || time.Since(d.Since) > time.Minute {
		t.Errorf("disabled: %+v %+v", d, d.LastAnswer)
	}
	if got := r.sample("rowhook_subscriptions_disabled_total"); got != "1" {
		t.Errorf("%s were counted", got)
	}
	ops.Wait(t, 2, patience)
	n := len(r.recv.Requests())
	for i := 2; i <= 20; i++ {
		r.insertContact(i, 1)
	}
	r.exec(`update contacts set city = 'Kiel' where id in (1, 5, 100)`)
	well.Wait(t, 24, patience)
	r.settled()
	stop()
	r.insertContact(21, 1)
	stop = r.start()
	well.Wait(t, 25, patience)
	r.settled()
	if now := len(r.recv.Requests()); now != n {
		t.Errorf("%d requests while it was disabled", now-n)
	}
	// Some of what waited is not kept any more.
	r.exec(`update rowhook.subscription set disabled = disabled || '{"missed": {"count": 7, "until": "2026-11-20T01:02:03Z", "position": "0000000100000000000000990000000100000000"}}'
		where state = 'disabled'`)
	r.recv.HandleAll(hooktest.Always(hooktest.OK()))
	if _, err := r.admin().Enable(t.Context(), sub.ID); err != nil {
		t.Fatal(err)
	}
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == 26 })
	r.insertContact(22, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.Delivered(q)) == 27 })
	delivered := hooktest.Delivered(r.recv.Requests())
	if err := hooktest.CheckOrder(delivered); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf(`"type":"rowhook.gap","timestamp":"2026-11-20T01:02:03.000000Z","data":{"reason":"retention","from":%q,"to":"2026-11-20T01:02:03Z","resources":null,"count":7},"position":"00000001000000000000009a00000000`,
		d.FailingSince.Format(time.RFC3339Nano))
	if got := string(delivered[0].Body); !strings.Contains(got, want) {
		t.Errorf("the first is %s, want %s", got, want)
	}
	for i, q := range delivered {
		if again := q.Header.Get("Webhook-Replay") == "1"; again != (q.Type == "contact.create" && strings.Contains(string(q.Body), `"id":100,`)) {
			t.Errorf("%d: sent again %v: %s", i, again, q.Body)
		}
	}
	s, err = r.admin().Get(t.Context(), sub.ID)
	if err != nil || s.State != "active" || s.DisabledReason != nil {
		t.Errorf("after it is enabled: %+v, %v", s, err)
	}
	ops.Wait(t, 3, patience)
	stop()
	if got := types(ops.Requests()); got != "rowhook.subscription.failing rowhook.subscription.disabled rowhook.subscription.recovered" {
		t.Errorf("told: %s", got)
	}
	for _, q := range ops.Requests() {
		var body struct {
			Data struct {
				Subscription string             `json:"subscription"`
				TargetHost   string             `json:"target_host"`
				Since        time.Time          `json:"since"`
				LastAnswer   *client.LastAnswer `json:"last_answer"`
				Pending      *int               `json:"pending"`
			} `json:"data"`
		}
		if err := json.Unmarshal(q.Body, &body); err != nil {
			t.Fatal(err)
		}
		b := body.Data
		if b.Subscription != sub.ID || b.TargetHost != "127.0.0.1" || (q.Type == "rowhook.subscription.failing") == b.Since.Equal(*d.FailingSince) || b.Pending == nil ||
			(b.LastAnswer == nil) != (q.Type == "rowhook.subscription.recovered") || b.LastAnswer != nil && *b.LastAnswer.Status != 503 {
			t.Errorf("told: %s", q.Body)
		}
	}
	if got := types(append(r.recv.Requests(), well.Requests()...)); strings.Contains(got, "rowhook.s") {
		t.Errorf("told others: %s", got)
	}
}

// failing checks what is shown of a subscription whose target takes nothing.
func (r *rig) failing(id string) {
	r.t.Helper()
	s, err := r.admin().Get(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	if s.FailingSince == nil || time.Since(*s.FailingSince) < time.Hour || s.LastFailure == nil || *s.LastFailure.Status != 503 {
		r.t.Errorf("failing since %v: %+v", s.FailingSince, s.LastFailure)
	}
	n := 0
	for s, err := range r.admin().Select(r.t.Context(), client.Filter{Failing: true}) {
		if n++; err != nil || s.ID != id {
			r.t.Fatalf("listed as failing: %+v, %v", s, err)
		}
	}
	if n != 1 {
		r.t.Errorf("%d are listed as failing, want 1", n)
	}
}
