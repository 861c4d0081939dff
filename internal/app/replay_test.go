package app_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// jobEnds waits for the end of a job.
func (r *rig) jobEnds(id string) *client.Job {
	r.t.Helper()
	var j *client.Job
	eventually(r.t, "the job ends", func() bool {
		var err error
		j, err = r.admin().Job(context.Background(), id)
		return err == nil && j.Ended()
	})
	return j
}

// replayed are the ids of what was sent again, in the order in which they came first.
func replayed(requests []hooktest.Request) (ids []string) {
	for _, q := range requests {
		if q.Header.Get("Webhook-Replay") == "1" && !slices.Contains(ids, q.ID) {
			ids = append(ids, q.ID)
		}
	}
	return ids
}

// TestReplay: what has failed is sent again, all of it, in its order and marked, and nothing else; by account; bounded in rate;
// across a restart; until it is cancelled.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	acme, other := r.client("acme-token-0123456789"), r.client("other-token-012345678")
	once := &client.Retries{}
	s, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/acme"),
		Delivery: client.Delivery{Retries: once}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := other.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/other"),
		Delivery: client.Delivery{Retries: once}})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Minute)
	for id := range 5 {
		r.insertContact(id, 1)
	}
	r.recv.Wait(t, 5, 30*time.Second)
	r.recv.HandleAll(hooktest.Always(hooktest.Status(500)))
	for id := range 20 {
		r.insertContact(100+id, 1+id%2)
	}
	var failed []string
	for _, q := range r.recv.Wait(t, 25, 30*time.Second)[5:] {
		if q.Path == "/acme" {
			failed = append(failed, q.ID)
		}
	}
	slices.Sort(failed)
	ended := func(n int) {
		t.Helper()
		eventually(t, "all has ended", func() bool {
			var got int
			return r.conn.QueryRow(context.Background(), `select count(*) from rowhook.delivery`).Scan(&got) == nil && got == n
		})
	}
	ended(25)
	r.recv.HandleAll(hooktest.Always(hooktest.OK()))

	for name, c := range map[string]struct {
		want client.Replay
		n    int64
	}{
		"failed":      {client.Replay{From: &begun}, 10},
		"delivered":   {client.Replay{From: &begun, State: client.ReplayDelivered}, 5},
		"all":         {client.Replay{From: &begun, State: client.ReplayAll}, 15},
		"missed":      {client.Replay{From: &begun, State: client.ReplayMissed}, 10},
		"an instance": {client.Replay{From: &begun, State: client.ReplayAll, ResourceID: "3"}, 1},
		"a type":      {client.Replay{From: &begun, State: client.ReplayAll, Events: []string{"contact.create"}}, 15},
		"a resource":  {client.Replay{From: &begun, State: client.ReplayAll, Events: []string{"contact.*"}}, 15},
		"no such":     {client.Replay{From: &begun, State: client.ReplayAll, Events: []string{"contact.update"}}, 0},
		"before":      {client.Replay{From: &begun, To: &begun, State: client.ReplayAll}, 0},
		"ids":         {client.Replay{EventIDs: failed[:3]}, 3},
	} {
		if got, err := acme.CountReplay(t.Context(), s.ID, c.want); err != nil || got.Total != c.n || got.AtLeast || !got.DryRun {
			t.Errorf("%s: counted %+v, %v, want %d", name, got, err, c.n)
		}
	}
	if got := replayed(r.recv.Requests()); got != nil {
		t.Errorf("counting has sent %v", got)
	}

	// What is only another's.
	if _, err := other.Replay(t.Context(), s.ID, client.Replay{From: &begun}); !isStatus(err, 404) {
		t.Errorf("another account replays: %v", err)
	}
	asked, err := acme.Replay(t.Context(), s.ID, client.Replay{From: &begun})
	if err != nil || asked.State != client.JobQueued || asked.Total == nil || *asked.Total != 10 || asked.Replay == nil || asked.RequestedBy != "acme" {
		t.Fatalf("asked: %+v, %v", asked, err)
	}
	if _, err := other.Job(t.Context(), asked.ID); !isStatus(err, 404) {
		t.Errorf("another account sees the job: %v", err)
	}
	if j := r.jobEnds(asked.ID); j.State != client.JobDone || j.Done != 10 || j.Error != "" {
		t.Errorf("the job is %+v", j)
	}
	eventually(t, "what failed is sent again", func() bool { return len(replayed(r.recv.Requests())) == 10 })
	var positions []string
	for _, q := range r.recv.Requests() {
		if q.Header.Get("Webhook-Replay") != "1" {
			continue
		}
		positions = append(positions, q.Header.Get("Webhook-Position"))
		if !slices.Contains(failed, q.ID) || q.Path != "/acme" || q.Header.Get("Webhook-Attempt") != "2" {
			t.Errorf("sent again: %s to %s: %v", q.ID, q.Path, q.Header)
		}
	}
	eventually(t, "they are known to be delivered", func() bool {
		n, err := acme.CountReplay(context.Background(), s.ID, client.Replay{From: &begun})
		return err == nil && n.Total == 0
	})

	// A slow one goes on after a restart, beside nothing of its kind, and ends with all that was asked for.
	slow := client.Replay{FromPosition: slices.Min(positions), State: client.ReplayAll, Rate: 8}
	if asked, err = acme.Replay(t.Context(), s.ID, slow); err != nil {
		t.Fatal(err)
	}
	if _, err := acme.Replay(t.Context(), s.ID, slow); !isStatus(err, 409) {
		t.Errorf("a second one beside it: %v", err)
	}
	before := len(r.recv.Requests())
	r.recv.Wait(t, before+1, 30*time.Second)
	stop()
	stop = r.start()
	acme = r.client("acme-token-0123456789")
	if j := r.jobEnds(asked.ID); j.State != client.JobDone || j.Done < 10 {
		t.Errorf("after a restart the job is %+v", j)
	}
	eventually(t, "all is sent again", func() bool {
		again := r.recv.Requests()[before:]
		return len(replayed(again)) == 10
	})

	// One that is cancelled ends, and stays so.
	slow.Rate = 1
	if asked, err = acme.Replay(t.Context(), s.ID, slow); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := acme.CancelJob(t.Context(), asked.ID); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	if j := r.jobEnds(asked.ID); j.State != client.JobCancelled {
		t.Errorf("the job is %+v", j)
	}
	eventually(t, "nothing is under way", func() bool { return r.sample("rowhook_jobs_running") == "0" })
	all, err := acme.Jobs(t.Context(), s.ID)
	if err != nil || len(all) != 3 || all[0].ID != asked.ID {
		t.Errorf("the jobs are %v, %v", all, err)
	}
	if err := acme.CancelJob(t.Context(), all[2].ID); !isStatus(err, 409) {
		t.Errorf("cancel what is done: %v", err)
	}
	if done, cancelled := r.metric(`rowhook_jobs_total{kind="replay",state="done"}`), r.metric(`rowhook_jobs_total{kind="replay",state="cancelled"}`); done != 1 || cancelled > 1 {
		t.Errorf("%v are done and %v cancelled", done, cancelled)
	}

	// One whose subscription is deleted ends with it.
	other = r.client("other-token-012345678")
	theirs, err := other.Replay(t.Context(), o.ID, slow)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is under way", func() bool { return r.sample("rowhook_jobs_running") == "1" })
	if err := other.Delete(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool { return r.sample("rowhook_jobs_running") == "0" })
	if _, err := other.Job(t.Context(), theirs.ID); !isStatus(err, 404) {
		t.Errorf("a job of a deleted subscription: %v", err)
	}

	// What is not kept any more is refused, of a subscription that is older than that, and the oldest is named.
	if _, err := r.conn.Exec(t.Context(), `update rowhook.subscription set created_at = now() - interval '400 days' where id = $1`, s.ID); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-399 * 24 * time.Hour)
	for field, want := range map[string]client.Replay{"from": {From: &old}, "from_position": {FromPosition: strings.Repeat("0", 39) + "1"}} {
		_, err := acme.CountReplay(t.Context(), s.ID, want)
		var problem *client.Error
		if !errors.As(err, &problem) || problem.Status != 422 || len(problem.Fields) != 1 || problem.Fields[0].Field != field ||
			!strings.Contains(problem.Fields[0].Detail, begun.UTC().Format("2006-01-")) {
			t.Errorf("%s: %v", field, err)
		}
	}

	// What it cannot send to is refused.
	if _, err := acme.Disable(t.Context(), s.ID, "tired"); err != nil {
		t.Fatal(err)
	}
	if _, err := acme.Replay(t.Context(), s.ID, slow); !isStatus(err, 409) {
		t.Errorf("to a disabled one: %v", err)
	}
	stop()
}

// TestReplaysThatWait: replays that wait for their rate are not in the way of those of others.
func TestReplaysThatWait(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"": "",
		// They are behind their rate, and so never wait for it.
		"InASlowStore": `
			create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(1.2); return null; end';
			create trigger slow before insert on rowhook.due for each statement execute function slow()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replaysThatWait(t, sql)
		})
	}
}

// replaysThatWait runs the SQL when all has been sent once.
func replaysThatWait(t *testing.T, sql string) {
	r := newRig(t)
	r.start()
	create := func(account string) *client.Subscription {
		t.Helper()
		s, err := r.admin().Create(t.Context(), &client.Subscription{Account: &account, Events: []string{"contact.create"}, TargetURL: r.recv.URL("/" + account)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	begun := time.Now().Add(-time.Minute)
	var slow []*client.Subscription
	for account := range 4 {
		for range 4 {
			slow = append(slow, create(strconv.Itoa(11+account)))
		}
	}
	fast := create("15")
	r.exec(`insert into contacts (id, account_id, first_name, last_name) select n, 11 + n % 5, 'Ada', 'L' from generate_series(1, 500) n`)
	eventually(t, "all is delivered", func() bool {
		var n int
		return r.conn.QueryRow(context.Background(), `select count(*) from rowhook.delivery`).Scan(&n) == nil && n == 16*100+100
	})
	r.exec(sql)
	for _, s := range slow {
		if _, err := r.admin().Replay(t.Context(), s.ID, client.Replay{From: &begun, State: client.ReplayAll, Rate: 1}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are under way", func() bool { return r.metric("rowhook_jobs_running") == 16 })
	j, err := r.admin().Replay(t.Context(), fast.ID, client.Replay{From: &begun, State: client.ReplayAll})
	if err != nil {
		t.Fatal(err)
	}
	if j = r.jobEnds(j.ID); j.State != client.JobDone || j.Done != 100 {
		t.Errorf("the job is %+v", j)
	}
}
