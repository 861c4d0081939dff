package console_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
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

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

const tables = `
create table contacts (
	id bigint primary key, account_id int not null, first_name text, last_name text, email text, city text, score int, secret_note text);
alter table contacts replica identity full;
create table deals (id bigint primary key, account_id int not null, title text, stage text, amount numeric(12,2));
alter table deals replica identity full;
create table leads (id bigint primary key, account_id int not null, budget text);
alter table leads replica identity full;
alter table leads replica identity full;
`

const (
	adminToken = "admin-token-0123456789"
	acmeToken  = "acme-token-0123456789"
)

const configText = `database:
  url: ${env:DATABASE_URL}
  slot: ${env:SLOT}
  environment: test
api:
  listen: 127.0.0.1:0
  show_answers: true
  tokens:
    - {name: ops, token: admin-token-0123456789, account: "*"}
    - {name: acme, token: acme-token-0123456789, account: "1"}
    - {name: other, token: other-token-012345678, account: "2"}
delivery:
  timeout: 60s
  retries: [200ms, 1h, 2h]
  allow_http: true
  allow_networks: [127.0.0.0/8]
  accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}
limits: {hold: 500ms}
retention: {events: all}
resources:
  contact:
    table: contacts
    account: account_id
    representation:
      id: ${id}
      type: contact
      name: ${first_name + " " + last_name}
      email: ${email}
      address: {city: "${city}"}
      rank: '${score >= 10 ? "gold" : "plain"}'
      url: https://api.example.com/contacts/${id}
  deal:
    table: deals
    account: account_id
    columns: all
  lead:
    table: leads
    account: account_id
    representation:
      id: ${id}
      budget: ${int(budget)}
`

// rig is rowhook with its console, a database, a receiver, and traffic.
type rig struct {
	t    testing.TB
	conn *pgx.Conn
	recv *hooktest.Receiver
	// at is where the listener of the API is: http://127.0.0.1:port.
	at string
	// good takes all, bad answers 503, moody refuses contact 13 only.
	good, bad, moody, acme, other *client.Subscription
}

// logged keeps what rowhook says for a failed test.
type logged struct{ t testing.TB }

func (l logged) Write(p []byte) (int, error) {
	l.t.Output().Write(p)
	return len(p), nil
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.conn.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

func (r *rig) client(token string) *client.Client {
	return &client.Client{URL: r.at + "/api/v1", Token: token}
}

func (r *rig) create(token string, s *client.Subscription) *client.Subscription {
	r.t.Helper()
	made, err := r.client(token).Create(r.t.Context(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// answerAsApplication is the API of the application: it knows one contact, otherwise than the mapping has it.
func answerAsApplication(w http.ResponseWriter, r *http.Request) {
	switch path.Base(r.URL.Path) {
	case "42":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id": 42, "type": "contact", "name": "Grace", "email": "grace@example.com", "address": {"city": "Kiel"}, "rank": "silver", "url": "https://api.example.com/contacts/42"}`)
	case "1":
		http.Error(w, "the application is out of order", http.StatusInternalServerError)
	default:
		http.NotFound(w, r)
	}
}

// newRig starts rowhook on a database without rows and subscriptions.
func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOf(t, configText)
}

// newRigOf does so with another config, and more tables.
func newRigOf(t testing.TB, text string, more ...string) *rig {
	t.Helper()
	url := pgtest.Database(t)
	r := &rig{t: t, recv: hooktest.New(t)}
	var err error
	if r.conn, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close(context.Background()) })
	for _, sql := range append([]string{tables}, more...) {
		r.exec(sql)
	}

	application := httptest.NewServer(http.HandlerFunc(answerAsApplication))
	t.Cleanup(application.Close)
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"DATABASE_URL": url, "APP_URL": application.URL, "SLOT": pgtest.Name("slot")}
	cfg, err := config.LoadBytes(file, []byte(text), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{
		Log: slog.New(slog.NewTextHandler(logged{t}, nil)), Version: "1.2.3", OnReady: func(string) { close(ready) },
	})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	r.at = "http://" + addr.String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(60 * time.Second):
			t.Error("rowhook does not stop")
		}
	}))
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("rowhook ended: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("rowhook is not ready")
	}
	return r
}

// moreTables and moreResources are so many that there is a search, and moreConfig names the application's API.
const (
	moreTables = `
create table calls (id bigint primary key, account_id int not null);
create table mails (id bigint primary key, account_id int not null);
create table notes (id bigint primary key, account_id int not null);
create table tasks (id bigint primary key, account_id int not null);
create table files (id bigint primary key, account_id int not null);
create table visits (id bigint primary key, account_id int not null);
`
	moreConfig    = "app: {url: \"${env:APP_URL}\"}\n"
	moreResources = `  call: {table: calls, account: account_id, columns: all}
  mail: {table: mails, account: account_id, columns: all}
  note: {table: notes, account: account_id, columns: all}
  task: {table: tasks, account: account_id, columns: all}
  file: {table: files, account: account_id, columns: all}
  visit: {table: visits, account: account_id, columns: all}
`
)

// newFullRig starts rowhook with all that pages can show.
func newFullRig(t testing.TB) *rig {
	t.Helper()
	return newRigOf(t, moreConfig+strings.Replace(configText, "    table: contacts\n", "    table: contacts\n    path: /contacts/${id}\n", 1)+moreResources, moreTables)
}

// hurts are texts that pages have to bear: a script, one from right to left, one without a place to break it.
const (
	hurtsScript = `<script>window.broken = 1</script><img src=x onerror="window.broken = 2">`
	hurtsRight  = "שלום לך עולם, מערכת החשבונות"
)

var hurtsLong = strings.Repeat("longwithoutaplacetobreak", 4)

// populate makes subscriptions of two accounts and of the admin, and traffic that arrives, fails, waits and cannot be mapped.
func (r *rig) populate() {
	r.t.Helper()
	r.recv.Handle("/bad", hooktest.Always(hooktest.Answer{Status: 503, Body: strings.Repeat(`the database of the receiver is away, says `+hurtsScript+` `, 40)}))
	r.recv.Handle("/moody", hooktest.ForInstance("contact/13", hooktest.Always(hooktest.Answer{Status: 422, Body: `{"error": "email is not known"}`}), hooktest.Always(hooktest.OK())))
	r.good = r.create(adminToken, &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/good"), Name: "warehouse"})
	r.bad = r.create(adminToken, &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/bad?" + strings.Repeat("a-very-long-query&", 60)), Name: hurtsScript + hurtsLong})
	r.moody = r.create(adminToken, &client.Subscription{Events: []string{"contact.*", "deal.create"}, TargetURL: r.recv.URL("/moody"), Name: "moody", Delivery: client.Delivery{Retries: &client.Retries{Count: 0}}})
	r.acme = r.create(acmeToken, &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/acme"), Name: "acme books"})
	r.other = r.create("other-token-012345678", &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/other-account-only"), Name: hurtsRight})
	for i := 1; i <= 20; i++ {
		r.exec(`insert into contacts values ($1, $2, 'Ada', $3, $4, 'Hamburg', $5, 'classified')`, i, i%2+1, fmt.Sprint("L", i), fmt.Sprintf("ada%d@example.com", i), i)
	}
	r.exec(`insert into contacts values (42, 1, 'Grace', $1, 'grace@example.com', 'Bremen', 12, 'classified')`, hurtsScript)
	r.exec(`update contacts set city = 'Kiel' where id = 42`)
	r.exec(`insert into deals values (1, 1, 'Lenses', 'lead', 990), (2, 2, 'Only of the other account', 'won', 12)`)
	r.exec(`insert into leads values (1, 1, 'a lot'), (2, 2, 'not known'), (3, 1, '12')`)
	r.wait("what was sent is written down", func() bool {
		delivered := 0
		for d, err := range r.client(adminToken).Deliveries(r.t.Context(), r.good.ID, client.DeliveryFilter{}) {
			if err != nil {
				r.t.Fatal(err)
			}
			if d.Status == client.DeliveryDelivered {
				delivered++
			}
		}
		return delivered >= 25
	})
}

func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			r.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
