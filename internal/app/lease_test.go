package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// instancesOf are those that came to a path, sorted, each once.
func (r *rig) instancesOf(path string) []string {
	var out []string
	for _, q := range hooktest.ByPath(r.recv.Requests())[path] {
		out = append(out, q.Instance())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestLeaseEndsByTheClockOfTheCommit: what is committed before the end belongs to it, however late it is read, and by whom;
// what is committed at or after it does not, before anybody has noticed that it is over.
func TestLeaseEndsByTheClockOfTheCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	note := func(id int) { r.exec(`insert into notes values ($1, 'x')`, id) }
	r.subscribe("/all", "note.*")
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	ask := func(path string, end time.Time, state string) *client.Subscription {
		t.Helper()
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL(path), ExpiresAt: &end, State: state})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, shadow := ask("/leased", end.Add(time.Hour), ""), ask("/shadow", end, "shadow")
	if renewed := ask("/leased", end, ""); renewed.ID != first.ID || renewed.Secret != "" || !renewed.ExpiresAt.Equal(end) {
		t.Fatalf("renewed: %+v", renewed)
	}
	note(1)
	r.recv.WaitFor(t, arrived("/leased", "note/1", 1))
	stop()
	note(2) // in time, and read too late
	if err := r.conn.QueryRow(t.Context(), `update rowhook.subscription set expires_at = clock_timestamp() where id in ($1, $2) returning expires_at`,
		first.ID, shadow.ID).Scan(&end); err != nil {
		t.Fatal(err)
	}
	r.exec(`update rowhook.subscription set expires_at = $1 where id in ($2, $3)`, end, first.ID, shadow.ID)
	note(3)

	stop = r.start()
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/3", 1)(q) && arrived("/leased", "note/2", 1)(q)
	})
	for _, s := range []*client.Subscription{first, shadow} {
		eventually(t, "it is told to be over", func() bool {
			got, err := r.admin().Get(t.Context(), s.ID)
			return err == nil && got.State == "expired" && got.DisabledReason != nil && got.DisabledReason.By == "lease" && got.DisabledReason.Since.Equal(end)
		})
	}
	if _, err := r.admin().Enable(t.Context(), first.ID); statusOf(err) != 409 {
		t.Errorf("enable: %v", err)
	}
	next := ask("/leased", end.Add(time.Hour), "")
	if next.ID == first.ID || next.Secret == "" {
		t.Errorf("a lease that is over was renewed: %+v", next)
	}
	if err := r.admin().Delete(t.Context(), next.ID); err != nil {
		t.Fatal(err)
	}
	// Its end is moved: it goes on with what comes from then on.
	if got, err := r.admin().Update(t.Context(), first.ID, client.Patch{"expires_at": end.Add(time.Hour)}); err != nil || got.State != "active" {
		t.Errorf("revived: %+v, %v", got, err)
	}
	if got, err := r.admin().Update(t.Context(), shadow.ID, client.Patch{"expires_at": nil}); err != nil || got.State != "shadow" {
		t.Errorf("revived: %+v, %v", got, err)
	}
	note(4)
	r.recv.WaitFor(t, arrived("/leased", "note/4", 1))
	r.settled()
	stop()
	r.start()
	note(5)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/5", 1)(q) && arrived("/leased", "note/5", 1)(q)
	})
	if got, want := r.instancesOf("/leased"), []string{"note/1", "note/2", "note/4", "note/5"}; !slices.Equal(got, want) {
		t.Errorf("the lease got %v, want %v", got, want)
	}
	if got := r.instancesOf("/shadow"); len(got) > 0 {
		t.Errorf("a shadow got %v", got)
	}
	r.becomes("the shadow's are recorded", `select count(*) = 4 from rowhook.delivery d join rowhook.subscription s on s.key = d.subscription
		where s.id = $1 and d.dropped = 'shadow' and d.attempts = 0`, shadow.ID)
}

// TestLeaseIsReadAgain: a process that reads the log again from before the end was moved matches as it was then.
func TestLeaseIsReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	child := r.spawn()
	r.subscribe("/all", "note.*")
	end := time.Now().Add(2 * time.Second) // time enough to be asked for
	s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/leased"), ExpiresAt: &end})
	if err != nil {
		t.Fatal(err)
	}
	r.becomes("the lease is over", `select clock_timestamp() >= $1`, end)
	lock := r.another() // nothing is recorded from here on
	r.on(lock, `begin`)
	r.on(lock, `lock table rowhook.event, rowhook.outcome in access exclusive mode`)
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.WaitFor(t, arrived("/all", "note/1", 1))
	if got, err := r.admin().Update(t.Context(), s.ID, client.Patch{"expires_at": end.Add(time.Hour)}); err != nil || got.State != "active" {
		t.Fatalf("%+v, %v", got, err)
	}
	kill(t, child)
	r.on(lock, `rollback`)
	r.spawn()
	r.exec(`insert into notes values (2, 'x')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/1", 2)(q) && arrived("/leased", "note/2", 1)(q)
	})
	r.settled()
	if got := r.instancesOf("/leased"); !slices.Equal(got, []string{"note/2"}) {
		t.Errorf("the lease got %v", got)
	}
}

// TestShadowAndFeedUnderLoad: a target that hangs becomes a shadow while hundreds of deliveries wait for it, in memory and as
// rows; the process is killed, and another one takes over. Nothing is sent from the change on, and all is recorded. A feed
// beside it gets no request ever, and can be given a target.
func TestShadowAndFeedUnderLoad(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	r := newRig(t)
	r.recv.Handle("/hangs", hooktest.Always(hooktest.Answer{Until: hang}))
	first := r.spawn()
	r.spawn()
	r.subscribe("/all", "note.*")
	hanging := r.subscribe("/hangs", "note.*")
	feed, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, FeedOnly: true})
	if err != nil || feed.TargetURL != "" || !feed.FeedOnly || feed.Secret == "" {
		t.Fatalf("%+v, %v", feed, err)
	}
	if _, err := r.admin().Ping(t.Context(), feed.ID); statusOf(err) != 409 {
		t.Errorf("ping of a feed: %v", err)
	}
	r.exec(`insert into notes select n, 'x' from generate_series(1, 400) n`)
	r.becomes("some wait as rows", `select count(*) > 100 from rowhook.due`)
	if got, err := r.admin().Update(t.Context(), hanging.ID, client.Patch{"state": "shadow"}); err != nil || got.State != "shadow" {
		t.Fatalf("%+v, %v", got, err)
	}
	r.exec(`insert into notes select n, 'x' from generate_series(401, 600) n`)
	r.recv.WaitFor(t, arrived("/all", "note/600", 1))
	sent := len(hooktest.ByPath(r.recv.Requests())["/hangs"])
	kill(t, first)
	r.exec(`insert into notes select n, 'x' from generate_series(601, 700) n`)
	r.recv.WaitFor(t, arrived("/all", "note/700", 1))
	for _, x := range []struct{ id, why string }{{hanging.ID, "shadow"}, {feed.ID, "feed"}} {
		r.becomes("all is recorded as "+x.why, `select count(*) = 700 and count(distinct d.position) = 700 from rowhook.delivery d
			join rowhook.subscription s on s.key = d.subscription where s.id = $1 and d.status = 3 and d.dropped = $2`, x.id, x.why)
	}
	r.becomes("nothing is due", `select count(*) = 0 from rowhook.due`)
	if n := len(hooktest.ByPath(r.recv.Requests())["/hangs"]); n != sent {
		t.Errorf("%d requests to a shadow", n-sent)
	}
	if n := r.metric(`rowhook_deliveries_dropped_total{reason="feed"}`); n < 100 {
		t.Errorf("the metric has %v", n)
	}

	// Both are sent to from now on, with nothing of what was before.
	if got, err := r.admin().Update(t.Context(), feed.ID, client.Patch{"target_url": r.recv.URL("/feed")}); err != nil || got.FeedOnly {
		t.Fatalf("%+v, %v", got, err)
	}
	r.recv.Handle("/hangs", hooktest.Always(hooktest.OK()))
	if _, err := r.admin().Update(t.Context(), hanging.ID, client.Patch{"state": "active"}); err != nil {
		t.Fatal(err)
	}
	r.exec(`insert into notes values (701, 'x')`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/feed", "note/701", 1)(q) && arrived("/hangs", "note/701", 1)(q)
	})
	if got, err := r.admin().Update(t.Context(), feed.ID, client.Patch{"target_url": nil}); err != nil || !got.FeedOnly {
		t.Fatalf("%+v, %v", got, err)
	}
	r.exec(`insert into notes values (702, 'x')`)
	r.recv.WaitFor(t, arrived("/all", "note/702", 1))
	r.settled()
	if got := r.instancesOf("/feed"); !slices.Equal(got, []string{"note/701"}) {
		t.Errorf("the feed got %v", fmt.Sprint(got))
	}
}
