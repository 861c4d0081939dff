package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// reload lets the running rowhook take over the rig's text.
func (r *rig) reload() error {
	r.t.Helper()
	env := map[string]string{"DATABASE_URL": r.url, "SLOT": r.slot}
	return r.app.Reload(r.t.Context(), func() (*config.Config, error) {
		return config.LoadBytes("config.yaml", []byte(r.text), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	})
}

func (r *rig) replace(old, new string) {
	r.t.Helper()
	if !strings.Contains(r.text, old) {
		r.t.Fatalf("the config has no %q", old)
	}
	r.text = strings.Replace(r.text, old, new, 1)
}

func (r *rig) mustReload() {
	r.t.Helper()
	if err := r.reload(); err != nil {
		r.t.Fatal(err)
	}
}

// TestReloadsUnderTraffic changes the mapping and the delivery's options twenty times while transactions of several
// batches are read: each is of one mapping, newer ones never of an older one, and nothing is lost or comes twice.
func TestReloadsUnderTraffic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.replace("Dear ${first_name}!", "version 0")
	r.start()
	r.subscribe("/")
	const rows, reloads = 600, 20
	connections := r.sample("rowhook_replication_connections")

	conn, err := pgx.Connect(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	stop, wrote := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { wrote <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, err := conn.Exec(t.Context(), `insert into contacts (id, account_id, first_name) select $1 * 1000 + i, 1, 'A' from generate_series(1, $2::int) i`, n+1, rows)
			if err != nil {
				t.Error(err)
				return
			}
			n++
			// One is on its way at any time, and no more: each version is to be seen soon.
			if _, err := r.recv.Await(t.Context(), func(q []hooktest.Request) bool { return len(q) >= (n-1)*rows }); err != nil {
				return
			}
		}
	}()
	for i := 1; i <= reloads; i++ {
		r.replace(fmt.Sprintf("version %d\n", i-1), fmt.Sprintf("version %d\n", i))
		switch i % 4 {
		case 1:
			r.replace("timeout: 2s", "timeout: 3s\n  max_in_flight: 100")
		case 2:
			r.replace("127.0.0.0/8]\n  accounts", "127.0.0.0/8, 10.0.0.0/8]\n  accounts")
		case 3:
			r.replace("timeout: 3s\n  max_in_flight: 100", "timeout: 2s")
			r.replace("127.0.0.0/8, 10.0.0.0/8]\n  accounts", "127.0.0.0/8]\n  accounts")
		}
		r.mustReload()
		if i%5 == 0 {
			good := r.text
			r.replace("${email}", "${emial}")
			if r.reload() == nil {
				t.Error("a mistake was taken")
			}
			r.text = good
		}
		// The next one comes when this one has been used.
		r.recv.WaitFor(t, func(q []hooktest.Request) bool {
			return len(q) > 0 && strings.Contains(string(q[len(q)-1].Body), fmt.Sprintf(`"greeting":"version %d"`, i))
		})
	}
	close(stop)
	n := <-wrote
	got := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)) == n*rows })
	if d := hooktest.Duplicates(got); len(d) > 0 {
		t.Errorf("%d events came twice", len(d))
	}
	versions := make([]int, n+1)
	for _, q := range got {
		var body struct{ Data struct{ Greeting string } }
		if err := json.Unmarshal(q.Body, &body); err != nil {
			t.Fatal(err)
		}
		id, _ := strconv.Atoi(strings.TrimPrefix(q.Instance(), "contact/"))
		version, err := strconv.Atoi(strings.TrimPrefix(body.Data.Greeting, "version "))
		if err != nil {
			t.Fatal(err)
		}
		switch tx := id / 1000; {
		case versions[tx] == 0:
			versions[tx] = version + 1
		case versions[tx] != version+1:
			t.Fatalf("transaction %d is of versions %d and %d", tx, versions[tx]-1, version)
		}
	}
	for tx := 2; tx <= n; tx++ {
		if versions[tx] < versions[tx-1] {
			t.Errorf("transaction %d is of version %d, the one before of %d", tx, versions[tx]-1, versions[tx-1]-1)
		}
	}
	if now := r.sample("rowhook_replication_connections"); now != connections {
		t.Errorf("%s replication connections, before %s: the stream was interrupted", now, connections)
	}
	if ok, refused := r.sample(`rowhook_config_reloads_total{result="ok"}`), r.sample(`rowhook_config_reloads_total{result="refused"}`); ok != "20" || refused != "4" {
		t.Errorf("%s reloads ok, %s refused", ok, refused)
	}
	t.Logf("%d transactions, %d events", n, len(got))
}

// TestReloadAddsAndLeavesTables follows the tables of the config: new ones are published before they can be subscribed
// to, and those that are not mapped any more are not missed.
func TestReloadAddsAndLeavesTables(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	r.subscribe("/")
	r.exec(`create table invoices (id int primary key, total int)`)
	if _, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"invoice.create"}, TargetURL: r.recv.URL("/new")}); err == nil {
		t.Fatal("an event of no resource is offered")
	}
	r.replace("  note:\n    table: notes\n    columns: all\n", "  invoice:\n    table: invoices\n    columns: all\n")
	r.mustReload()
	r.subscribe("/new", "invoice.create")
	r.exec(`insert into invoices values (1, 100)`)
	r.exec(`insert into notes values (1, 'not mapped any more')`)
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/new", "invoice/1", 1))
	got := r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	if arrived("/", "note/1", 1)(got) {
		t.Error("a resource that is gone is sent")
	}
	for _, want := range []string{"table added to the publication", "public.invoices", `ALTER PUBLICATION \"rowhook\" DROP TABLE ONLY \"public\".\"notes\";`} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
	// Both the watch and the check of a new connection look at the new list.
	r.exec(`alter publication rowhook drop table notes`)
	r.exec(`select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1`, r.slot)
	r.exec(`insert into invoices values (2, 200)`)
	r.recv.WaitFor(t, arrived("/new", "invoice/2", 1))
	r.exec(`alter publication rowhook drop table invoices`)
	eventually(t, "readiness is red when the new table is not published any more", func() bool {
		ready, err := r.admin().Ready(context.Background())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, "public.invoices") && !strings.Contains(ready.Reason, "notes")
	})
	// A reload that asks for it again mends it, and what was missed is a gap.
	r.mustReload()
	r.isRed("did not have public.invoices")
	r.accept("tables_unpublished", 2)
	r.isGreen()
}

// TestARefusedReloadChangesNothing gives all that can be wrong; each is told with its place or the next step.
func TestARefusedReloadChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`create table others (id int primary key); create view seen as select * from others`)
	r.start()
	r.subscribe("/")
	good := r.text
	for i, c := range []struct{ old, new, want, also string }{
		{"timeout: 2s", "timeout: 2s\n  tiemout: 3s", "config.yaml:14:3", "did you mean"},
		{"${env:SLOT}", "${env:SLOTT}", "config.yaml:4:", "SLOTT"},
		{"${email}", "${emial}", "config.yaml:28:16", `did you mean`},
		{"${score >= 10 ?", "${score >= 10 +", "config.yaml:31:", ""},
		{"table: notes", "table: nots", "public.nots does not exist", ""},
		{"table: notes", "table: seen", "public.seen is not a table", ""},
		{"environment: test", "environment: other\n  slot: another", "config.yaml:6:", ""},
		{"environment: test", "environment: other", "a reload cannot change database.environment", "restart rowhook"},
		{"slot: ${env:SLOT}\n  environment: test", "slot: another", "a reload cannot change database.slot, database.environment", "restart rowhook"},
		{"limits: {hold: 500ms}", "limits: {hold: 500ms, max_row: 1MiB}\nstore: {schema: other}", "a reload cannot change store.schema, limits.max_row", ""},
	} {
		r.text = good
		r.replace(c.old, c.new)
		err := r.reload()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.also) {
			t.Errorf("%s: got %v, want %s … %s", c.new, err, c.want, c.also)
		} else if !strings.Contains(r.log.String(), c.want) {
			t.Errorf("%s: the log has no %s", c.new, c.want)
		}
		if got := r.sample(`rowhook_config_reloads_total{result="refused"}`); got != fmt.Sprint(i+1) {
			t.Errorf("%s: %s reloads refused, want %d", c.new, got, i+1)
		}
		if ready, err := r.admin().Ready(t.Context()); err != nil || !ready.Ready {
			t.Errorf("%s: readiness %+v, %v", c.new, ready, err)
		}
		r.insertContact(i+1, 1)
		r.recv.WaitFor(t, arrived("/", fmt.Sprint("contact/", i+1), 1))
	}
	var published int
	if err := r.conn.QueryRow(t.Context(), `select count(*) from pg_publication_tables where pubname = 'rowhook'`).Scan(&published); err != nil || published != 2 {
		t.Errorf("%d tables are published, want 2; %v", published, err)
	}
}

// TestReloadWithoutThePrivilege prints the statement for whoever may run it, and works once that is done.
func TestReloadWithoutThePrivilege(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	role := strings.ReplaceAll(r.slot, "slot", "role")
	r.exec(`create role ` + role + ` login replication password 'pw'`)
	t.Cleanup(func() {
		_, _ = r.conn.Exec(context.Background(), `drop owned by `+role+`; drop role `+role)
	})
	r.exec(`create publication rowhook for table contacts, notes; create schema rowhook authorization ` + role + `;
		create table invoices (id int primary key)`)
	owner := r.url
	r.url = withUser(t, owner, role, "pw")
	r.start()
	r.text += "  invoice:\n    table: invoices\n    columns: all\n"
	err := r.reload()
	statement := `ALTER PUBLICATION "rowhook" ADD TABLE ONLY "public"."invoices"`
	if err == nil || !strings.Contains(err.Error(), statement+";") {
		t.Fatalf("got %v", err)
	}
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	r.exec(statement)
	r.mustReload()
	r.exec(`insert into invoices values (1)`)
	r.recv.WaitFor(t, arrived("/", "invoice/1", 1))
}

// TestReloadOfTokensAndPolicies takes effect for the next request and the next attempt, also of what already waits.
func TestReloadOfTokensAndPolicies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	acme := r.client("acme-token-0123456789")
	sub, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/acme")})
	if err != nil {
		t.Fatal(err)
	}
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/acme", "contact/1", 1))

	r.replace("    - {name: acme, token: acme-token-0123456789, account: \"1\"}\n", "    - {name: acme, token: acme-token-of-today, account: \"1\"}\n")
	r.replace("accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}", "accounts: {}")
	r.mustReload()
	if _, err := acme.Get(t.Context(), sub.ID); status(err) != http.StatusUnauthorized {
		t.Errorf("a revoked token: %v", err)
	}
	today := r.client("acme-token-of-today")
	if _, err := today.Get(t.Context(), sub.ID); err != nil {
		t.Error(err)
	}
	if _, err := today.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/second")}); status(err) != http.StatusUnprocessableEntity {
		t.Errorf("a target that is not allowed any more: %v", err)
	}
	r.insertContact(2, 1)
	eventually(t, "the attempt is refused", func() bool { return r.sample(`rowhook_attempts_total{result="configuration"}`) != "none" })
	if arrived("/acme", "contact/2", 1)(r.recv.Requests()) {
		t.Error("sent to a target that is not allowed any more")
	}
	r.replace("accounts: {}", "accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}")
	r.mustReload()
	r.recv.WaitFor(t, arrived("/acme", "contact/2", 1))
}

func status(err error) int {
	var told *client.Error
	if errors.As(err, &told) {
		return told.Status
	}
	return 0
}

func withUser(t *testing.T, databaseURL, user, password string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}
