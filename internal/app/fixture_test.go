package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

const schema = `
create table companies (id bigint primary key, name text not null);
create table contacts (
	id bigint primary key, account_id int not null, first_name text, last_name text, email text,
	street text, city text, score numeric(10,2), tags text[], prefs jsonb, vip boolean not null default false,
	created_at timestamptz not null default '2026-11-22 01:02:03.5+00');
alter table contacts replica identity full;
create table notes (id int primary key, body text);
`

const configText = `
database:
  url: ${env:DATABASE_URL}
  slot: ${env:SLOT}
  environment: test
api:
  listen: 127.0.0.1:0
  tokens:
    - {name: ops, token: admin-token-0123456789, account: "*"}
    - {name: acme, token: acme-token-0123456789, account: "1"}
    - {name: other, token: other-token-012345678, account: "2"}
delivery:
  timeout: 2s
  retries: [100ms, 200ms, 300ms, 1s, 2s, 2s, 2s, 2s]
  allow_http: true
  allow_networks: [127.0.0.0/8]
  accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}
limits: {hold: 500ms}
resources:
  contact:
    table: contacts
    account: account_id
    representation:
      id: ${id}
      type: contact
      name: ${first_name + " " + last_name}
      greeting: Dear ${first_name}!
      email: ${email}
      address: {street: "${street}", city: "${city}", geo: {country: NL}}
      score: ${score}
      rank: '${score >= 10 ? "gold" : "plain"}'
      tags: ${tags}
      prefs: ${prefs}
      flags: ["${vip}", 7, null]
      price: $${5}
      url: https://api.example.com/contacts/${id}
      created_at: ${created_at}
  note:
    table: notes
    columns: all
`

// rig is a database, a receiver, and rowhook between them.
type rig struct {
	t    *testing.T
	url  string
	slot string
	text string
	conn *pgx.Conn
	recv *hooktest.Receiver
	log  *lockedBuffer
	api  string
	// listen is the API's address where the config names it.
	listen string
	// level is from where on it logs: info if it is zero.
	level slog.Level
	// app is the one that was started last.
	app *app.App
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	io.Writer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Writer != nil {
		_, _ = l.Writer.Write(p)
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T, script ...hooktest.Script) *rig {
	t.Helper()
	return newRigAt(t, pgtest.Database(t), script...)
}

func newRigAt(t *testing.T, url string, script ...hooktest.Script) *rig {
	t.Helper()
	r := &rig{t: t, url: url, slot: pgtest.Name("slot"), text: configText, recv: hooktest.New(t, script...),
		log: &lockedBuffer{Writer: t.Output()}}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close(context.Background()) })
	r.conn = conn
	r.exec(schema)
	return r
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.conn.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// reconnect is for after the server was restarted.
func (r *rig) reconnect() {
	r.t.Helper()
	eventually(r.t, "the database answers", func() bool {
		conn, err := pgx.Connect(r.t.Context(), r.url)
		if err == nil {
			r.conn = conn
		}
		return err == nil
	})
}

func (r *rig) load() *config.Config {
	r.t.Helper()
	return loadConfig(r.t, r.text, r.url, r.slot)
}

func loadConfig(t testing.TB, text, url, slot string) *config.Config {
	env := map[string]string{"DATABASE_URL": url, "SLOT": slot}
	cfg, err := config.LoadBytes("config.yaml", []byte(text), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatalf("config:\n%v", err)
	}
	return cfg
}

// start runs rowhook until the function it returns is called, which waits for its end.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	ready, done, stop := r.begin()
	select {
	case <-ready:
	case err := <-done:
		r.t.Fatalf("rowhook ended: %v", err)
	case <-time.After(60 * time.Second):
		r.t.Fatal("rowhook is not ready")
	}
	return stop
}

// startRed runs rowhook and waits until it is not ready for a reason that has the text.
func (r *rig) startRed(text string) (stop func()) {
	r.t.Helper()
	_, _, stop = r.begin()
	r.isRed(text)
	return stop
}

func (r *rig) isRed(text string) {
	r.t.Helper()
	eventually(r.t, "readiness is red: "+text, func() bool {
		ready, err := r.admin().Ready(context.Background())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, text)
	})
}

func (r *rig) isGreen() {
	r.t.Helper()
	eventually(r.t, "readiness is green", func() bool {
		ready, err := r.admin().Ready(context.Background())
		return err == nil && ready.Ready
	})
}

// begin is start without waiting for it: ready is closed when it is, and done has what Run returned if it ended before
// stop was called.
func (r *rig) begin() (ready chan struct{}, done chan error, stop func()) {
	r.t.Helper()
	ready, done = make(chan struct{}), make(chan error, 1)
	a, err := app.New(r.load(), app.Options{
		Log:     slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: r.level})),
		Version: "test",
		OnReady: func(string) { close(ready) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	addr, err := a.Listen()
	if err != nil {
		r.t.Fatal(err)
	}
	r.api, r.app = "http://"+addr.String(), a
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); ctx.Err() == nil {
			done <- err
		} else if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(60 * time.Second):
			r.t.Error("rowhook does not stop")
		}
	})
	r.t.Cleanup(stop)
	return ready, done, stop
}

func (r *rig) client(token string) *client.Client {
	return &client.Client{URL: r.api + "/api/v1", Token: token}
}

func (r *rig) admin() *client.Client { return r.client("admin-token-0123456789") }

// subscribe makes a subscription of the admin's to all events at a path of the receiver.
func (r *rig) subscribe(path string, events ...string) *client.Subscription {
	r.t.Helper()
	if len(events) == 0 {
		events = []string{"*"}
	}
	s, err := r.admin().Create(r.t.Context(), &client.Subscription{Events: events, TargetURL: r.recv.URL(path)})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// eventually looks until it is so. A look that is dear is taken less often: what it costs is taken from what is looked at, and from the tests
// beside this one.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(150 * time.Second)
	for {
		begin := time.Now()
		if ok() {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-time.After(min(max(10*time.Millisecond, 4*time.Since(begin)), 250*time.Millisecond)):
		}
	}
}

func (r *rig) insertContact(id, account int) {
	r.t.Helper()
	r.exec(`insert into contacts (id, account_id, first_name, last_name) values ($1, $2, 'Ada', $3)`, id, account, fmt.Sprint("L", id))
}

func types(requests []hooktest.Request) string {
	var out []string
	for _, q := range requests {
		out = append(out, q.Type)
	}
	return strings.Join(out, " ")
}

// pause waits for a moment that means nothing, where a test is about what does not happen.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// sample is a value of /metrics as text, "none" when it is not there.
func (r *rig) sample(name string) string {
	r.t.Helper()
	resp, err := http.Get(r.api + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// metric is a value of /metrics that has to be there.
func (r *rig) metric(name string) float64 {
	r.t.Helper()
	v, err := strconv.ParseFloat(r.sample(name), 64)
	if err != nil {
		r.t.Fatalf("metric %s is %s", name, r.sample(name))
	}
	return v
}
