package listen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const (
	patience   = 2 * time.Minute
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	testToken  = "admin-token-0123456789"
	configText = `
database: {url: '${env:DATABASE_URL}', slot: '${env:SLOT}', environment: test}
api: {listen: '127.0.0.1:0', tokens: [{name: ops, token: admin-token-0123456789, account: "*"}]}
delivery: {allow_http: true, allow_networks: [127.0.0.0/8]}
resources:
  contact: {table: contacts, account: account_id, columns: all}
`
)

// rig is a rowhook that can be stopped and started again, behind an address that stays.
type rig struct {
	t     *testing.T
	conn  *pgx.Conn
	front *httptest.Server
	env   map[string]string
	api   atomic.Pointer[url.URL]
	stop  func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, env: map[string]string{"DATABASE_URL": pgtest.Database(t), "SLOT": pgtest.Name("slot")}}
	conn, err := pgx.Connect(t.Context(), r.env["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	r.conn = conn
	r.exec(`create table contacts (id bigint primary key, account_id int not null, name text, tags text[]); alter table contacts replica identity full`)
	r.start()
	r.front = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:  func(q *httputil.ProxyRequest) { q.SetURL(r.api.Load()) },
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelInfo),
	})
	t.Cleanup(r.front.Close)
	return r
}

func (r *rig) exec(sql string) {
	r.t.Helper()
	if _, err := r.conn.Exec(r.t.Context(), sql); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	cfg, err := config.LoadBytes("config.yaml", []byte(configText), func(k string) (string, bool) { v, ok := r.env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		r.t.Fatal(err)
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(r.t.Output(), nil)), Version: "test", OnReady: func(string) { close(ready) }})
	if err != nil {
		r.t.Fatal(err)
	}
	address, err := a.Listen()
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("rowhook ended: %v", err)
		}
	})
	r.t.Cleanup(r.stop)
	r.api.Store(&url.URL{Scheme: "http", Host: address.String()})
	select {
	case <-ready:
	case <-time.After(patience):
		r.t.Fatal("rowhook is not ready")
	}
}

func (r *rig) client(token string) *client.Client {
	return &client.Client{URL: r.front.URL + "/api/v1", Token: token}
}

// text is what was written so far.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// listening is a listener that runs.
type listening struct {
	t          *testing.T
	out, notes text
	again      chan struct{}
	// done is closed when it has ended.
	done chan struct{}
	stop func() (Summary, error)
}

func (r *rig) listen(o Options) *listening {
	l := &listening{t: r.t, again: make(chan struct{}), done: make(chan struct{})}
	o.Out, o.Notes, o.Again = &l.out, &l.notes, l.again
	if o.Client == nil {
		o.Client = r.client(testToken)
	}
	if o.Wish.Events == nil && o.Subscription == "" {
		o.Wish.Events = []string{"*"}
	}
	o.Timeout = patience
	if o.Lease == 0 {
		o.Lease = time.Hour
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sum Summary
	var err error
	go func() {
		defer close(l.done)
		sum, err = Run(ctx, o)
	}()
	l.stop = func() (Summary, error) {
		cancel()
		<-l.done
		return sum, err
	}
	r.t.Cleanup(func() { _, _ = l.stop() })
	return l
}

// says waits for a text in what it tells.
func (l *listening) says(what string) {
	l.t.Helper()
	eventually(l.t, "it says "+what, func() bool { return strings.Contains(l.out.String()+l.notes.String(), what) })
}

// lines are the events that were shown as JSON.
func (l *listening) lines() (all []hook) {
	l.t.Helper()
	for line := range strings.Lines(l.out.String()) {
		var h hook
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			l.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, h)
	}
	return all
}

// TestListen follows a rowhook that is restarted in the middle, beside a webhook of the same events: what is sent on is what the
// webhook gets.
func TestListen(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin := r.client(testToken)
	recv := hooktest.New(t)
	recv.Handle("/flaky", hooktest.If(func(q hooktest.Request) bool { return q.Attempt < 2 }, hooktest.Always(hooktest.Status(503)), hooktest.Always(hooktest.OK())))
	real, err := admin.Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: recv.URL("/real?a=b"), Secret: testSecret, Request: client.Request{Method: "PUT"}})
	if err != nil {
		t.Fatal(err)
	}

	l := r.listen(Options{Output: Output{JSON: true}, Secret: testSecret, ForwardTo: recv.URL("/here?a=b"), Request: client.Request{Method: "PUT"}})
	thin := r.listen(Options{Request: client.Request{Format: "thin"}, ForwardTo: recv.URL("/flaky"), Retries: 1})
	third := r.listen(Options{})
	leased := r.listen(Options{Lease: 9 * time.Second})
	for _, l := range []*listening{l, thin, third, leased} {
		l.says("following sub_")
	}
	leases := func() (all []*client.Subscription) {
		for s, err := range admin.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Name == "rowhook listen" {
				all = append(all, s)
			}
		}
		return all
	}
	id := func(l *listening) string {
		return strings.TrimSuffix(strings.Fields(strings.TrimPrefix(l.notes.String(), "following "))[0], ",")
	}
	before := leases()
	if len(before) != 4 {
		t.Fatalf("%d listeners have made %d subscriptions", 4, len(before))
	}
	for _, s := range before {
		if !s.FeedOnly || s.ExpiresAt == nil || s.Secret != "" {
			t.Errorf("%+v", s)
		}
	}
	r.exec(`insert into contacts values (1, 1, 'Ada', '{a}')`)
	r.exec(`update contacts set name = 'Grace', tags = '{a,b}' where id = 1`)
	thin.says("→ " + recv.URL("/flaky") + "  200 OK")
	// Its long poll ends with the process.
	if err := admin.Delete(t.Context(), id(third)); err != nil {
		t.Fatal(err)
	}
	r.stop()
	l.says("rowhook is away")
	r.exec(`update contacts set name = 'Edsger' where id = 1`)
	r.start()
	l.says("rowhook answers again")
	r.exec(`delete from contacts where id = 1`)
	eventually(t, "all events are shown", func() bool { return len(l.lines()) == 4 })
	l.again <- struct{}{}
	eventually(t, "the last one is sent again", func() bool { return len(l.lines()) == 5 })

	// The same requests, but for their time and what follows from it.
	all := recv.WaitFor(t, func(q []hooktest.Request) bool {
		by := hooktest.ByPath(q)
		return len(by["/real"]) == 4 && len(by["/here"]) == 5 && len(by["/flaky"]) == 8
	})
	by := hooktest.ByPath(all)
	for i, want := range by["/real"] {
		got := by["/here"][i]
		for _, q := range []*hooktest.Request{&want, &got} {
			if err := q.Verify(testSecret); err != nil {
				t.Errorf("%s: %v", q, err)
			}
			q.Header = q.Header.Clone()
			q.Header.Del("Webhook-Timestamp")
			q.Header.Del("Webhook-Signature")
			q.Header.Del("Accept-Encoding")
		}
		if fmt.Sprint(got.Header) != fmt.Sprint(want.Header) || got.Method != want.Method || got.Query != want.Query || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("%s\n%v\n%s\nthe webhook got %s\n%v\n%s", got, got.Header, got.Body, want, want.Header, want.Body)
		}
	}
	if last := by["/here"][4]; last.Header.Get("Webhook-Replay") != "1" || last.ID != by["/here"][3].ID || last.Header.Get("Webhook-Attempt") != "1" {
		t.Errorf("again: %v", last.Header)
	}
	for _, q := range by["/flaky"] {
		if q.Attempt == 2 && q.RetryReason != "http_status" {
			t.Errorf("retried for %q", q.RetryReason)
		}
	}
	lines := l.lines()
	var changed []string
	for _, c := range lines[1].Changes {
		changed = append(changed, fmt.Sprintf("%s %s %s", c.Path, c.From, c.To))
	}
	if want := []string{`name "Ada" "Grace"`, `tags ["a"] ["a","b"]`}; !slices.Equal(changed, want) {
		t.Errorf("changed: %q, want %q", changed, want)
	}
	for i, h := range lines {
		if h.Signature != signatureOK || h.Instance != "contact/1" || len(h.Answers) != 1 || h.Answers[0].Status != 200 || h.Request.Method != "PUT" || h.Timestamp == nil || h.Replay != (i == 4) {
			t.Errorf("%d: %+v", i, h)
		}
	}
	// The lease goes on, and one who was deleted makes another.
	was := slices.IndexFunc(before, func(s *client.Subscription) bool { return s.ID == id(leased) })
	eventually(t, "the lease is renewed", func() bool {
		s, err := admin.Get(t.Context(), before[was].ID)
		return err == nil && s.State == "active" && s.ExpiresAt.After(*before[was].ExpiresAt)
	})
	third.says("another one was made")
	r.exec(`insert into contacts values (2, 1, 'Barbara', '{}')`)
	third.says("contact/2")

	// One that is there already is followed in its own form, from its stored events on.
	own := r.listen(Options{Output: Output{JSON: true}, Subscription: real.ID, Last: 2})
	eventually(t, "the newest are shown", func() bool { return len(own.lines()) == 2 })
	if got := own.lines(); got[0].Type != "contact.delete" || got[1].Type != "contact.create" || !got[0].Replay || got[0].Request.Method != "PUT" {
		t.Errorf("%+v", got)
	}
	stored := r.listen(Options{Output: Output{JSON: true}, Last: 3, Wish: client.Subscription{Events: []string{"contact.update"}}})
	eventually(t, "the newest of a type are shown", func() bool { return len(stored.lines()) == 2 })

	for _, l := range []*listening{l, thin, third, leased, own, stored} {
		sum, err := l.stop()
		if err != nil || sum.Failed != 0 || sum.Duplicates != 0 || sum.OutOfOrder != 0 {
			t.Errorf("%+v %v: %s", sum, err, l.notes.String())
		}
	}
	if left := leases(); len(left) != 0 {
		t.Errorf("%d subscriptions are left", len(left))
	}
	if _, err := admin.Get(t.Context(), real.ID); err != nil {
		t.Errorf("the one that was followed: %v", err)
	}

	if _, err := admin.Disable(t.Context(), real.ID, ""); err != nil {
		t.Fatal(err)
	}
	disabled := r.listen(Options{Subscription: real.ID})
	disabled.says(real.ID + " is disabled: nothing new comes to it")
	_, _ = disabled.stop()

	// What asking again does not mend.
	reader, err := admin.CreateToken(t.Context(), client.NewToken{Account: "1", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.Contains(q.URL.Path, "/event-type/") {
			_, _ = w.Write([]byte(`[]`))
			return
		}
		http.NotFound(w, q)
	}))
	defer old.Close()
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"WrongToken": {Options{Client: r.client("another-token-0123456789")}, "401"},
		"ReadOnly":   {Options{Client: r.client(reader.Token)}, "give --subscription ID"},
		"Old":        {Options{Client: &client.Client{URL: old.URL + "/api/v1", Token: "x"}}, "too old to be listened to"},
		"Event":      {Options{Wish: client.Subscription{Events: []string{"contact.craete"}}}, "contact.create"},
		"Format":     {Options{Request: client.Request{Format: "thni"}}, "request.format"},
		"Secret":     {Options{Secret: "hunter2"}, "whsec_"},
	} {
		l := r.listen(c.o)
		select {
		case <-l.done:
		case <-time.After(patience):
			t.Fatalf("%s: it goes on", name)
		}
		_, err := l.stop()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if left := leases(); len(left) != 0 {
		t.Errorf("%d subscriptions are left", len(left))
	}
}
