package app_test

import (
	"slices"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestDisabledAndRotated: what commits while a subscription is disabled is not for it, and a rotated secret signs beside the
// new one. Both hold for a rowhook that reads the log later.
func TestDisabledAndRotated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	sub := r.subscribe("/", "note.*")
	note := func(id int) { r.exec(`insert into notes values ($1, 'x')`, id) }
	disabled := func(off bool) {
		t.Helper()
		var err error
		if off {
			_, err = r.admin().Disable(t.Context(), sub.ID, "")
		} else {
			_, err = r.admin().Enable(t.Context(), sub.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	signed := func(instance string, secrets ...string) {
		t.Helper()
		all := r.recv.WaitFor(t, arrived("/", instance, 1))
		for _, q := range hooktest.ByInstance(all)[instance] {
			for _, secret := range secrets {
				if err := q.Verify(secret); err != nil {
					t.Errorf("%s: %v", q, err)
				}
			}
		}
	}
	note(1)
	signed("note/1", sub.Secret)
	rotated, err := r.admin().RotateSecret(t.Context(), sub.ID, client.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	disabled(true)
	note(2)
	disabled(false)
	note(3)
	signed("note/3", sub.Secret, rotated.Secret)
	disabled(true)
	note(4)
	r.settled()
	stop()

	stop = r.start()
	defer stop()
	disabled(false)
	if _, err := r.admin().RotateSecret(t.Context(), sub.ID, client.Rotation{Secret: "whsec_MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=", KeepOld: "0s"}); err != nil {
		t.Fatal(err)
	}
	note(5)
	signed("note/5", "whsec_MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
	for instance, q := range hooktest.ByInstance(r.recv.Requests()) {
		if instance == "note/2" || instance == "note/4" {
			t.Errorf("%v came, which was committed while the subscription was disabled", q)
		}
		if instance == "note/5" && q[0].Verify(sub.Secret) == nil {
			t.Error("the secret that was taken away at once still signs")
		}
	}
}

// TestIgnoredSources: who causes a change and listens to it gets no echo; also by a touch, and after a start.
func TestIgnoredSources(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/all", "note.*")
	mine, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/mine"), IgnoreSources: []string{"zapier", "sync"}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(id, source string) {
		t.Helper()
		statements := []string{`insert into notes values (` + id + `, 'x')`}
		if source != "" {
			statements = append([]string{say(`{"source": ` + source + `}`)}, statements...)
		}
		r.transaction(statements...)
	}
	write("1", `"zapier"`)
	write("2", `"other"`)
	write("3", "")
	write("4", `["zapier"]`)
	write("5", `"sync"`)
	r.recv.WaitFor(t, arrived("/all", "note/5", 1))
	r.settled()
	stop()
	stop = r.start()
	defer stop()
	write("6", `"zapier"`)
	if _, err := r.admin().Update(t.Context(), mine.ID, client.Patch{"ignore_sources": nil}); err != nil {
		t.Fatal(err)
	}
	write("7", `"zapier"`)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/all", "note/7", 1)(q) && arrived("/mine", "note/7", 1)(q)
	})
	var got []string
	for _, q := range hooktest.ByPath(all)["/mine"] {
		got = append(got, q.Instance())
	}
	slices.Sort(got)
	if want := []string{"note/2", "note/3", "note/4", "note/7"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPing is answered with what came of it, and is signed as any other.
func TestPing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/fails", hooktest.Always(hooktest.Status(500)))
	r.recv.Handle("/gone", hooktest.Always(hooktest.Status(410)))
	r.start()
	works := r.subscribe("/works", "note.*")
	if _, err := r.admin().Disable(t.Context(), works.ID, ""); err != nil {
		t.Fatal(err)
	}
	p, err := r.admin().Ping(t.Context(), works.ID)
	if err != nil || !p.Delivered || p.Status == nil || *p.Status != 200 || p.DurationMS <= 0 {
		t.Errorf("a ping: %+v, %v", p, err)
	}
	q := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) > 0 })[0]
	if err := q.Verify(works.Secret); err != nil || q.Type != "rowhook.ping" || string(q.Data()) != `{"subscription":"`+works.ID+`"}` {
		t.Errorf("%s %s: %v", q, q.Body, err)
	}
	for path, status := range map[string]int{"/fails": 500, "/gone": 410} {
		s := r.subscribe(path, "note.*")
		if p, err := r.admin().Ping(t.Context(), s.ID); err != nil || p.Delivered || p.Status == nil || *p.Status != status || p.Reason != "http_status" {
			t.Errorf("%s: %+v, %v", path, p, err)
		}
		if got, err := r.admin().Get(t.Context(), s.ID); err != nil || got.State != "active" {
			t.Errorf("%s, after the ping: %+v, %v", path, got, err)
		}
	}
	away, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.admin().Ping(t.Context(), away.ID); err != nil || p.Delivered || p.Status != nil || p.Reason != "connection_refused" {
		t.Errorf("nobody there: %+v, %v", p, err)
	}
	var rows int
	if err := r.conn.QueryRow(t.Context(), `select (select count(*) from rowhook.event) + (select count(*) from rowhook.due) + (select count(*) from rowhook.attempt)`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are stored of it, %v", rows, err)
	}
}
