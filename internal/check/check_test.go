package check_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/check"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/problem"
)

// site is a database, a role that may do nothing yet, and a config.
type site struct {
	t                    *testing.T
	admin, url           string
	role, slot, resource string
	conn                 *pgx.Conn
	// more is put before the resources.
	more string
}

func newSite(t *testing.T, database, schema string) *site {
	t.Helper()
	s := &site{t: t, admin: database, role: pgtest.Name("Role \"x\""), slot: pgtest.Name("slot")}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(s.role, "a-password")
	s.url = u.String()
	if s.conn, err = pgx.Connect(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close(context.Background()) })
	s.exec(schema)
	t.Cleanup(func() {
		ctx := context.Background()
		for _, sql := range []string{"drop publication if exists rowhook", "drop owned by " + s.quoted(), "drop role " + s.quoted()} {
			_, _ = s.conn.Exec(ctx, sql)
		}
	})
	return s
}

func (s *site) quoted() string { return pgx.Identifier{s.role}.Sanitize() }

func (s *site) exec(sql string) {
	s.t.Helper()
	if _, err := s.conn.Exec(s.t.Context(), sql); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// login makes the role, as a DBA would without reading anything.
func (s *site) login() {
	s.t.Helper()
	s.exec("create role " + s.quoted() + " login replication password 'a-password'")
}

func (s *site) config() *config.Config {
	s.t.Helper()
	text := "database: {url: \"${env:URL}\", slot: " + s.slot + ", environment: test}\n" +
		"api: {listen: 127.0.0.1:0, tokens: [{name: ops, token: admin-token-0123456789, account: \"*\"}]}\n" + s.more + "resources:\n" + s.resource
	cfg, err := config.LoadBytes("config.yaml", []byte(text), func(string) (string, bool) { return s.url, true }, os.ReadFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

func (s *site) check() *check.Report {
	s.t.Helper()
	r, err := check.Run(s.t.Context(), s.config(), check.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *check.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "a-password") {
		t.Errorf("it shows the password:\n%s", &b)
	}
	return b.String()
}

// script runs the script by psql, or, where there is none, as it would: each statement by itself.
func (s *site) script(r *check.Report) string {
	s.t.Helper()
	var b bytes.Buffer
	if err := r.Script(&b); err != nil {
		s.t.Fatal(err)
	}
	if psql, err := exec.LookPath("psql"); err == nil {
		cmd := exec.CommandContext(s.t.Context(), psql, s.admin, "-X", "-v", "ON_ERROR_STOP=1", "-f", "-")
		cmd.Stdin = bytes.NewReader(b.Bytes())
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("psql: %v\n%s\n%s", err, out, &b)
		}
		return b.String()
	}
	for _, chunk := range strings.Split(b.String(), "\n\n") {
		var lines []string
		for line := range strings.Lines(chunk) {
			if !strings.HasPrefix(line, "--") {
				lines = append(lines, line)
			}
		}
		if sql := strings.Join(lines, ""); sql != "" {
			s.exec(sql)
		}
	}
	return b.String()
}

// want looks for a finding.
func want(t *testing.T, r *check.Report, level finding.Level, parts ...string) {
	t.Helper()
	for _, f := range r.Findings {
		all := f.Place + "\n" + f.What + "\n" + f.Consequence + "\n" + f.Mend
		for _, s := range f.SQL {
			all += "\n" + s.SQL
		}
		missing := false
		for _, p := range parts {
			missing = missing || !strings.Contains(all, p)
		}
		if !missing {
			if f.Level != level {
				t.Errorf("%q is %s, want %s", f.What, f.Level, level)
			}
			return
		}
	}
	t.Errorf("no finding has %q:\n%s", parts, text(t, r))
}

const crm = `
create table companies (id bigint primary key, name text);
create table "Contacts" (id bigint primary key, account_id bigint not null, company_id bigint, bio text, deleted_at timestamptz);
create table deals (id bigint primary key, account_id bigint not null, stage text not null);
create table notes (id bigint primary key, account_id bigint);
create table parts (id bigint primary key, account_id bigint not null) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);
create table swaps (id bigint, primary key (id) deferrable);
create table tags (id bigint primary key, contact_id bigint, name text);
alter table tags enable row level security;
`

const crmResources = `
  contact:
    table: '"Contacts"'
    account: account_id
    representation: {id: '${id}', bio: '${bio}', company: '${company}', tags: '${tags}'}
    relations:
      company: {table: companies, foreign_key: company_id, columns: [id, name]}
      tags: {table: tags, foreign_key: contact_id, many: true, columns: [id, name]}
  deal:
    table: deals
    account: account_id
    columns: [id, stage]
    events: {deal.won: stage == "won" && old.stage != "won"}
  trashed:
    table: '"Contacts"'
    delete_when: deleted_at != null
    columns: [id]
  note: {table: notes, account: account_id, columns: [id]}
  part: {table: parts, account: account_id, columns: [id]}
  swap: {table: swaps, columns: [id]}
`

// TestScriptMendsAll begins with a database that rowhook has never touched and a role that does not exist: after each
// script there is less to do, until rowhook runs as a role with the least privileges.
func TestScriptMendsAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), crm)
	s.resource = crmResources

	r := s.check()
	want(t, r, finding.Error, "database.url", "password of role", "if there is no such role", "CREATE ROLE")
	if n := r.Count(finding.Error); n != 1 {
		t.Errorf("%d errors:\n%s", n, text(t, r))
	}
	first := s.script(r)
	s.script(r) // again
	if !strings.Contains(first, `GRANT SELECT ON "public"."tags" TO `+s.quoted()) {
		t.Errorf("the script:\n%s", first)
	}
	s.exec("alter role " + s.quoted() + " password 'a-password'")

	var made bool
	published := func() bool {
		t.Helper()
		if err := s.conn.QueryRow(t.Context(), `select exists (select from pg_publication)`).Scan(&made); err != nil {
			t.Fatal(err)
		}
		return made
	}
	if published() {
		t.Error("a table without a usable identity is published unseen: updates of it fail")
	}
	s.exec(`revoke select on "Contacts" from ` + s.quoted()) // whose rows say whose relations they are
	r = s.check()
	want(t, r, finding.Error, "public.swaps", "no usable replica identity")
	want(t, r, finding.Error, "public.tags", "row-level security", "BYPASSRLS")
	want(t, r, finding.Error, "public.Contacts", "may not read it, and relations need it", "GRANT SELECT")
	want(t, r, finding.Warning, "contact.tags is looked up by contact_id", "CREATE INDEX CONCURRENTLY")
	want(t, r, finding.Warning, "config.yaml:", "stage, which deal.won needs", "deal.won is offered to nobody", "one replica identity")
	want(t, r, finding.Warning, "deal.delete", `"deals_rowhook_identity" ON "public"."deals" ("id", "account_id", "stage");`)
	want(t, r, finding.Warning, "account_id, which the account needs", "contact.delete is offered to the admin only", `ALTER TABLE "public"."Contacts" REPLICA IDENTITY FULL;`)
	want(t, r, finding.Warning, "deleted_at, which delete_when needs", "trashed.delete is offered to nobody", "one replica identity")
	want(t, r, finding.Warning, "note", "if account_id is never null", `ALTER TABLE "public"."notes" REPLICA IDENTITY FULL;`)
	want(t, r, finding.Warning, "part.delete", "pg_partition_tree")
	second := s.script(r)
	s.script(r)
	if strings.Index(second, "TABLES OF THE APPLICATION") > strings.Index(second, "REPLICA IDENTITY") {
		t.Errorf("the application's tables are altered without a word:\n%s", second)
	}

	r = s.check()
	for _, f := range r.Findings {
		if f.Level == finding.Error || len(f.SQL) > 0 {
			t.Errorf("left: %+v", f)
		}
	}
	if strings.Contains(s.script(r), ";\n") {
		t.Error("there is still something to mend")
	}
	var super, owns bool
	err := s.conn.QueryRow(t.Context(), `select rolsuper or rolcreaterole or rolcreatedb, exists (select from pg_class
		where relowner = r.oid and relnamespace = 'public'::regnamespace) from pg_roles r where rolname = $1`, s.role).Scan(&super, &owns)
	if err != nil || super || owns {
		t.Errorf("the role has more than it needs: %v %v %v", super, owns, err)
	}

	s.run(func() {
		r := s.check()
		if r.Count(finding.Error) > 0 || !strings.Contains(text(t, r), "a rowhook reads it now") {
			t.Errorf("while rowhook runs:\n%s", text(t, r))
		}
	})
	// Where nothing is in the way, all is made blindly too.
	right := s.url
	s.exec("drop publication rowhook")
	s.url = strings.Replace(s.url, "a-password", "another-one", 1)
	s.script(s.check())
	s.url = right
	if !published() {
		t.Error("the publication is not made, though it could be")
	}
	s.exec("select pg_drop_replication_slot('" + s.slot + "')")
	want(t, s.check(), finding.Error, "slot "+s.slot, "is gone, though everything up to", "resume --accept-gap")
}

// run runs rowhook while f does something.
func (s *site) run(f func()) {
	s.t.Helper()
	ready, done := make(chan struct{}), make(chan error, 1)
	a, err := app.New(s.config(), app.Options{Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)), OnReady: func(string) { close(ready) }})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	go func() { done <- a.Run(ctx) }()
	select {
	case <-ready:
		f()
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	case err := <-done:
		s.t.Fatalf("rowhook does not run as the least-privileged role: %v", err)
	case <-time.After(60 * time.Second):
		s.t.Fatal("rowhook is not ready")
	}
}

// TestFindings is what is wrong with a database that somebody has begun to set up.
func TestFindings(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), crm+`
		create unlogged table visits (id bigint primary key);
		create table bare (id bigint);
		create view seen as select * from deals;
		create table prices (id bigint primary key, price money, label text);
		create table halves (id bigint primary key, a text, b text);
		create table private (id bigint primary key, owner text);
		create table codes (id bigint primary key, code text not null unique);
		alter table codes replica identity using index codes_code_key;
		create publication rowhook for table deals with (publish = 'insert');
		create schema rowhook;`)
	s.login()
	s.more = "delivery: {allow_http: true, allow_networks: [10.0.0.0/8], accounts: {allow_networks: [10.0.0.0/8]}}\n"
	s.resource = `
  visit: {table: visits, columns: all}
  bare: {table: bare, columns: all}
  swap: {table: swaps, columns: all}
  seen: {table: seen, columns: all}
  price: {table: prices, columns: all}
  deal: {table: dealz, columns: all}
  half: {table: halves, columns: all, ignore_changes: [a]}
  typo: {table: private, columns: [id, ownr, wholesale]}
  code: {table: codes, columns: all}
  named: {table: codes, key: code, columns: all}
`
	s.exec("select pg_create_logical_replication_slot('" + s.slot + "', 'test_decoding')")
	r := s.check()
	for _, c := range []struct {
		level finding.Level
		parts []string
	}{
		{finding.Error, []string{"config.yaml:6:18", "visits is unlogged", "SET LOGGED"}},
		{finding.Error, []string{"config.yaml:7:17", "bare has no primary key", "ADD PRIMARY KEY"}},
		{finding.Error, []string{"config.yaml:8:17", "swaps has no usable replica identity", "REPLICA IDENTITY FULL"}},
		{finding.Error, []string{"config.yaml:9:17", "seen is not a table"}},
		{finding.Error, []string{"config.yaml:11:17", "dealz does not exist", "did you mean public.deals?"}},
		{finding.Error, []string{"config.yaml:13:40", `"ownr"`, `did you mean "owner"?`}},
		{finding.Error, []string{"config.yaml:13:46", `"wholesale"`, "it has id, owner: name one of them, leave this out, or add the column"}},
		{finding.Error, []string{"config.yaml:14:17", `lacks "id" of its primary key`, `ALTER TABLE "public"."codes" REPLICA IDENTITY DEFAULT;`}},
		{finding.Error, []string{"publication rowhook", "every kind of change", "insert, update, delete, truncate"}},
		{finding.Error, []string{"publication rowhook", "does not have", "public.prices", "the role may not add to it", "ADD TABLE"}},
		{finding.Error, []string{"slot " + s.slot, "test_decoding", "pg_drop_replication_slot"}},
		{finding.Error, []string{"store", "ALTER SCHEMA"}},
		{finding.Warning, []string{"delivery.allow_http"}},
		{finding.Warning, []string{"delivery.accounts.allow_networks", "behind your firewall"}},
		{finding.Info, []string{"max_slot_wal_keep_size"}},
	} {
		want(t, r, c.level, c.parts...)
	}
	if n := strings.Count(text(t, r), "codes lacks"); n != 1 {
		t.Errorf("what is wrong with codes is told %d times:\n%s", n, text(t, r))
	}
	if n := strings.Count(text(t, r), "dealz"); n != 1 {
		t.Errorf("dealz is told %d times:\n%s", n, text(t, r))
	}

	// What a mapping that fits tells beside.
	pgtest.Needs(t, s.url, 15, "row filters and column lists")
	s.resource = "  price: {table: prices, columns: all}\n  half: {table: halves, columns: all, ignore_changes: [a]}\n"
	s.more = ""
	s.exec("select pg_drop_replication_slot('" + s.slot + "')")
	s.exec("drop publication rowhook")
	s.exec("create publication rowhook for table prices where (id > 3), halves (id, b)")
	r = s.check()
	want(t, r, finding.Warning, "row filter on public.prices", "DROP TABLE")
	want(t, r, finding.Error, "leaves out columns of public.halves: a", "dead letters")
	want(t, r, finding.Info, "price is of the type money", "lc_monetary")
	want(t, r, finding.Warning, "the old row, which ignore_changes needs", "every update of a row is half.update", "REPLICA IDENTITY FULL")
	want(t, r, finding.Warning, "public.prices", "may not read it", "label may hold large values", "GRANT SELECT")
	s.script(r)
	r = s.check()
	if n := r.Count(finding.Error) + r.Count(finding.Warning); n != 0 {
		t.Errorf("%d are left:\n%s", n, text(t, r))
	}

	// What the publication keeps from being updated is told of tables that are not mapped, too, and is so.
	s.exec("alter publication rowhook add table bare; insert into bare values (1)")
	if _, err := s.conn.Exec(t.Context(), "update bare set id = 2"); err == nil {
		t.Error("Postgres takes the update of a table that cannot name its old rows")
	}
	want(t, s.check(), finding.Error, "publication rowhook", "table public.bare has no usable replica identity", "the application's updates and deletes there fail")
	s.exec("alter publication rowhook drop table bare; update bare set id = 2")

	// The publication is made of what can be published, once that is mended.
	s.exec("drop publication rowhook")
	s.resource += "  swap: {table: swaps, columns: all}\n  deal: {table: dealz, columns: all}\n"
	r = s.check()
	want(t, r, finding.Error, "publication rowhook", "does not exist", `ONLY "public"."halves", ONLY "public"."swaps"`)
	if out := s.script(r); strings.Index(out, "REPLICA IDENTITY") > strings.Index(out, "CREATE PUBLICATION") {
		t.Errorf("a table is published before it can be:\n%s", out)
	}
	if left := s.check().Unscripted(); len(left) != 1 || s.check().Count(finding.Error) != 1 {
		t.Errorf("left: %+v", left)
	}
	s.resource = strings.Replace(s.resource, "  deal: {table: dealz, columns: all}\n", "", 1)

	// JSON has it all.
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Errors   *int
		OK       []string
		Findings []struct{ Level, Place, What string }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.Errors == nil || len(got.OK) < 4 || len(got.Findings) != len(r.Findings) {
		t.Errorf("%v\n%s", err, &b)
	}

	// A store of a later version is not touched.
	s.run(func() {})
	s.exec("insert into rowhook.migration (version_id, is_applied) values (9999, true); update rowhook.store set usable_from = 9999")
	want(t, s.check(), finding.Error, "store", "version 9999 by a later rowhook")
	s.exec("delete from rowhook.migration where version_id in (9999, (select max(version_id) from rowhook.migration where version_id < 9999))")
	if out := text(t, s.check()); !regexp.MustCompile(`version \d+: rowhook run brings it to`).MatchString(out) {
		t.Errorf("an older store:\n%s", out)
	}
}

// TestTouch looks at tables as rowhook run does that are in the stream for the sake of relations that touch.
func TestTouch(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), `
		create table companies (id bigint primary key, name text);
		create table contacts (id bigint primary key, company_id bigint not null, name text);
		create table notes (id bigint primary key, contact_id bigint not null, body text);
		create table bare (contact_id bigint not null, body text);
		create publication rowhook for table contacts;`)
	s.login()
	s.resource = `  contact:
    table: contacts
    representation: {id: '${id}', company: '${company}', notes: '${notes}'}
    relations:
      company: {table: companies, foreign_key: company_id, columns: [name], touch: true}
      notes: {table: notes, foreign_key: contact_id, many: true, columns: [body], touch: true}
      bare: {table: bare, foreign_key: contact_id, many: true, columns: [body], touch: true}
`
	r := s.check()
	want(t, r, finding.Error, "table public.bare", "no primary key")
	s.exec("drop table bare")
	want(t, s.check(), finding.Error, "config.yaml:", "public.bare of relation contact.bare does not exist")
	if n := strings.Count(text(t, s.check()), "public.bare"); n != 1 {
		t.Errorf("what is not there is told %d times:\n%s", n, text(t, s.check()))
	}
	s.resource = s.resource[:strings.Index(s.resource, "      bare:")]
	r = s.check()
	want(t, r, finding.Error, "publication rowhook", "does not have", "public.companies", `ADD TABLE ONLY "public"."notes";`)
	want(t, r, finding.Warning, "config.yaml:", "contact_id, which touch of contact.notes needs", "whom a row belonged to that is deleted or moved is not updated", "USING INDEX")
	want(t, r, finding.Warning, "config.yaml:", "contact.company touches by company_id of public.contacts", "CREATE INDEX CONCURRENTLY")
	s.script(r)
	r = s.check()
	if n := r.Count(finding.Error) + r.Count(finding.Warning); n != 0 {
		t.Errorf("%d are left:\n%s", n, text(t, r))
	}
	s.run(func() {})
}

// TestRefusedConnections tells why nothing could be looked at, and what of the config is wrong all the same.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), "create table t (id int primary key);")
	s.exec("create role " + s.quoted() + " login password 'a-password'")
	s.resource = "  t: {table: t, columns: all}\n"
	good := s.url
	r := s.check()
	want(t, r, finding.Error, "role "+s.role, "replication", "REPLICATION LOGIN")
	want(t, r, finding.Error, "publication rowhook", "does not exist, and the role does not own the tables", "CREATE PUBLICATION")

	for name, c := range map[string]struct {
		change func(*url.URL)
		parts  []string
	}{
		"Password": {func(u *url.URL) { u.User = url.UserPassword(s.role, "wrong") }, []string{"wrong or missing"}},
		"Database": {func(u *url.URL) { u.Path = "/nowhere" }, []string{`no database "nowhere"`}},
		"Refused":  {func(u *url.URL) { u.Host = "127.0.0.1:1" }, []string{"check that Postgres runs there"}},
		"TLS":      {func(u *url.URL) { u.RawQuery = "sslmode=require" }, []string{"speaks no TLS"}},
	} {
		u, err := url.Parse(good)
		if err != nil {
			t.Fatal(err)
		}
		c.change(u)
		s.url, s.resource = u.String(), "  t: {table: t, representation: {id: '${id +}'}}\n"
		r := s.check()
		want(t, r, finding.Error, append(c.parts, "database.url")...)
		want(t, r, finding.Error, "config.yaml:4:")
		if !strings.HasPrefix(strings.TrimSpace(text(t, r)), "error    config.yaml:") {
			t.Errorf("%s: the config's mistakes do not come first:\n%s", name, text(t, r))
		}
	}
}

// TestServer is about settings, each on a server of its own; and that check leaves no trace, not so much as a
// transaction's number.
func TestServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, map[string]string{"wal_level": "replica", "synchronous_standby_names": "", "max_slot_wal_keep_size": "1GB"})
	s := newSite(t, server.Database(t), crm)
	s.exec("create role " + s.quoted() + " login password 'a-password'")
	s.resource = crmResources
	state := func() (out string) {
		t.Helper()
		err := s.conn.QueryRow(t.Context(), `select concat_ws(' ', pg_snapshot_xmax(pg_current_snapshot()), (select count(*) from pg_class), (select count(*) from pg_namespace),
			(select count(*) from pg_publication), (select count(*) from pg_replication_slots), (select count(*) from pg_roles), pg_current_wal_insert_lsn() - '0/0')`).Scan(&out)
		if err != nil {
			t.Fatal(err)
		}
		return out[:strings.LastIndex(out, " ")]
	}
	before := state()
	r := s.check()
	want(t, r, finding.Error, "server", "wal_level = replica", "ALTER SYSTEM SET wal_level = 'logical';")
	want(t, r, finding.Error, "may not replicate", "rds_replication")
	want(t, r, finding.Warning, "max_slot_wal_keep_size", "1024 MB", "the slot is lost before")
	if after := state(); after != before {
		t.Errorf("check has left a trace: %s, before %s", after, before)
	}
	s.script(r)
	if err := server.Restart(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.conn, err = pgx.Connect(t.Context(), s.admin); err != nil {
		t.Fatal(err)
	}
	s.script(s.check())
	before = state()
	r = s.check()
	if r.Count(finding.Error) != 0 {
		t.Errorf("after the script:\n%s", text(t, r))
	}
	if after := state(); after != before {
		t.Errorf("check has left a trace: %s, before %s", after, before)
	}
	s.exec("alter system set synchronous_standby_names = '*'")
	s.exec("select pg_reload_conf()")
	eventually(t, "the setting counts", func() bool { return s.check().Count(finding.Error) > 0 })
	want(t, s.check(), finding.Error, "matches every replication connection")
	s.exec("alter system reset synchronous_standby_names")
	s.exec("select pg_reload_conf()")
}

// TestOddNames makes a script for names that would end a quote, a comment or a block.
func TestOddNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), `create table "a'b $rowhook$ ""c" (id bigint primary key, "x`+"\r"+`y
drop table z; --" bigint, parent bigint);
		create table z (id int)`)
	s.login()
	s.resource = `
  odd:
    table: '"a''b $rowhook$ ""c"'
    account: '$env["x\ry\ndrop table z; --"]'
    representation: {id: '${id}', of: '${of}'}
    relations: {of: {table: '"a''b $rowhook$ ""c"', foreign_key: parent, many: true, columns: [id]}}
`
	s.script(s.check())
	r := s.check()
	if n := r.Count(finding.Error) + r.Count(finding.Warning); n != 0 {
		t.Errorf("%d are left:\n%s", n, text(t, r))
	}
	s.exec("table z")
}

// TestStoreApart has the store in a database in which the role may do nothing.
func TestStoreApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), "create table t (id int primary key);")
	s.login()
	other := newSite(t, pgtest.Database(t), "")
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	there, err := url.Parse(other.admin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = there.Path
	s.more, s.resource = "store: {url: '"+u.String()+"'}\n", "  t: {table: t, columns: all}\n"
	r := s.check()
	want(t, r, finding.Error, "store", "may not make the schema rowhook")
	out := s.script(r)
	if !strings.Contains(out, "-- in the database "+strings.TrimPrefix(there.Path, "/")+" of store.url:\n-- CREATE SCHEMA") {
		t.Errorf("the script:\n%s", out)
	}
	if left := s.check().Unscripted(); len(left) != 1 || left[0].Place != "store" {
		t.Errorf("left: %+v", left)
	}
	other.exec("create schema rowhook authorization " + s.quoted())
	if r := s.check(); r.Count(finding.Error) != 0 {
		t.Errorf("after it:\n%s", text(t, r))
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	_, err := config.LoadBytes("config.yaml", []byte("databse: {}\n"), func(string) (string, bool) { return "", false }, os.ReadFile)
	var list problem.List
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	r := check.Mistakes(list)
	want(t, r, finding.Error, "config.yaml:1:1", `"databse"`, `did you mean "database"?`)
	want(t, r, finding.Error, "database is required")
}
