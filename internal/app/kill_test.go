package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/subscriptions"
)

// child is a rowhook in a process of its own: the test binary, run again by spawn. It says "ready" and its address.
func child() int {
	cfg, err := config.LoadBytes("config.yaml", []byte(os.Getenv("ROWHOOK_TEST_CHILD")), os.LookupEnv, os.ReadFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var a *app.App
	var addr string
	a, err = app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "child",
		OnReady: func(string) { fmt.Println("ready", addr) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bound, err := a.Listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	addr = bound.String()
	if at := os.Getenv(stopsAtStep); at != "" {
		stopAt(a, at)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// spawn starts a child and waits until it is ready.
func (r *rig) spawn() *exec.Cmd {
	r.t.Helper()
	cmd, out := r.spawnWith()
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

// spawnWith is spawn with more in its environment. What it says is to be read.
func (r *rig) spawnWith(env ...string) (*exec.Cmd, *bufio.Reader) {
	r.t.Helper()
	cmd, out := r.launch(env...)
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		r.t.Fatalf("the child said %q: %v\n%s", line, err, r.log)
	}
	r.api = "http://" + addr
	return cmd, said
}

// launch starts a child and does not wait.
func (r *rig) launch(env ...string) (*exec.Cmd, io.Reader) {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "ROWHOOK_TEST_CHILD="+r.text, "DATABASE_URL="+r.url, "SLOT="+r.slot), env...)
	cmd.Stderr = r.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, out
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

func TestKillBetweenTwoChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cmd := r.spawn()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	kill(t, cmd)
	r.insertContact(2, 1)
	r.spawn()
	r.insertContact(3, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == 3 })
}

// TestANewSubscriptionBeginsAtOnePlace commits a change while a subscription is being made, after its position was read
// and before it is announced, and kills rowhook when later changes have been sent: what was passed over then does not
// come after them.
func TestANewSubscriptionBeginsAtOnePlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/held", hooktest.Sequence(hooktest.Hang(), hooktest.OK()))
	// What hangs keeps all that follows unacknowledged.
	r.text = strings.NewReplacer("timeout: 2s", "timeout: 60s", "hold: 500ms", "hold: 59m").Replace(r.text)
	cmd := r.spawn()
	r.subscribe("/held", "note.*")
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.Wait(t, 1, patience)
	other, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	r.exec(`create function rowhook.wait() returns trigger language plpgsql as $$begin perform pg_advisory_xact_lock(1); return null; end$$`)
	r.exec(`create trigger wait after insert on rowhook.subscription for each row execute function rowhook.wait()`)
	if _, err := other.Exec(t.Context(), `select pg_advisory_lock(1)`); err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() {
		_, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/new")})
		made <- err
	}()
	eventually(t, "the subscription is being made", func() bool {
		var waiting bool
		err := r.conn.QueryRow(t.Context(), `select exists (select from pg_locks where locktype = 'advisory' and not granted
			and database = (select oid from pg_database where datname = current_database()))`).Scan(&waiting)
		return err == nil && waiting
	})
	r.insertContact(1, 1)
	if _, err := other.Exec(t.Context(), `select pg_advisory_unlock(1)`); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	r.exec(`update contacts set city = 'new' where id = 1`)
	r.recv.WaitFor(t, arrived("/new", "contact/1", 1))
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	r.exec(`update contacts set city = 'newest' where id = 1`)
	got := hooktest.ByPath(r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return slices.ContainsFunc(q, func(x hooktest.Request) bool { return strings.Contains(string(x.Data()), "newest") })
	}))["/new"]
	if err := hooktest.CheckOrder(got); err != nil {
		t.Error(err)
	}
	if got[0].Type != "contact.update" {
		t.Errorf("the first that came is %s", got[0])
	}
}

// TestAChangedSubscriptionMatchesWhatItDid changes what subscriptions want while earlier events are under way, and kills
// rowhook: what is read again matches as it did when it was committed.
func TestAChangedSubscriptionMatchesWhatItDid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/narrow", hooktest.ForInstance("contact/1", hooktest.Sequence(hooktest.Hang(), hooktest.OK()), hooktest.Always(hooktest.OK())))
	// What hangs keeps all that follows unacknowledged.
	r.text = strings.NewReplacer("timeout: 2s", "timeout: 60s", "hold: 500ms", "hold: 59m").Replace(r.text)
	cmd := r.spawn()
	narrow := r.subscribe("/narrow", "contact.*")
	wide := r.subscribe("/wide", "note.*")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	r.insertContact(2, 1) // wide does not want it
	for id, events := range map[string]string{narrow.ID: "note.*", wide.ID: "contact.*"} {
		if _, err := r.admin().Update(t.Context(), id, client.Patch{"events": []string{events}}); err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`insert into notes values (1, 'x')`)
	r.insertContact(3, 1)
	changed := func(q []hooktest.Request) bool {
		return arrived("/narrow", "note/1", 1)(q) && arrived("/wide", "contact/3", 1)(q)
	}
	r.recv.WaitFor(t, changed)
	kill(t, cmd)
	r.recv.Release()
	r.spawn()
	r.exec(`insert into notes values (2, 'x')`)
	r.insertContact(4, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/narrow", "contact/1", 1)(hooktest.Delivered(q)) && arrived("/narrow", "note/2", 1)(q) && arrived("/wide", "contact/4", 1)(q)
	})
	for _, wrong := range []struct{ path, instance string }{{"/wide", "contact/1"}, {"/wide", "contact/2"}, {"/wide", "note/2"}, {"/narrow", "contact/3"}, {"/narrow", "contact/4"}} {
		if arrived(wrong.path, wrong.instance, 1)(all) {
			t.Errorf("%s got %s", wrong.path, wrong.instance)
		}
	}
}

// TestAChangeThatNobodyReadYet: a subscription is changed while nobody reads the log. What was committed before the change
// matches as it did then, and what was committed after it as it does since; also when the log does not tell of the change.
func TestAChangeThatNobodyReadYet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	sub := r.subscribe("/", "note.*")
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.Wait(t, 1, patience)
	stop()

	st, err := store.Open(t.Context(), store.Config{URL: secret.String(r.url), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	want := func(event string) {
		t.Helper()
		_, err := st.Update(t.Context(), subscriptions.Scope{Admin: true}, sub.ID, func(s *subscriptions.Subscription) error {
			s.Events = []string{event}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.exec(`insert into notes values (2, 'x')`)
	r.insertContact(1, 1)
	want("contact.*")
	r.insertContact(2, 1)
	r.exec(`insert into notes values (3, 'x')`)
	want("lead.*")
	want("note.*")
	r.exec(`insert into notes values (4, 'x')`)
	stop = r.start()
	r.recv.WaitFor(t, arrived("/", "note/4", 1))
	r.settled()
	var got []string
	for _, q := range r.recv.Requests() {
		got = append(got, q.Instance())
	}
	slices.Sort(got) // different instances overtake each other
	if want := []string{"contact/2", "note/1", "note/2", "note/4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	stop()

	// As if the change had been made while there was no slot to tell it.
	r.exec(`delete from rowhook.superseded`)
	r.exec(`insert into rowhook.superseded select key, version - 1, 'FFFFFFFF/FFFFFFFF', jsonb_build_object('id', id, 'version', version - 1, 'events', '["lead.*"]'::jsonb,
		'state', 'active') from rowhook.subscription`)
	stop = r.start()
	defer stop()
	eventually(t, "the change is taken", func() bool {
		r.exec(`insert into notes values ((select max(id) + 1 from notes), 'x')`)
		return len(r.recv.Requests()) > len(got)
	})
}
