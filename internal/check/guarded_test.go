package check_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/mapping"
)

// TestGuarded is a relation to a table under row-level security, which rowhook reads with row_security off: rows that a
// policy hides must not look as if they were gone. So no policy helps, whatever it says.
func TestGuarded(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), `
		create table contacts (id bigint primary key);
		create table tags (id bigint primary key, contact_id bigint, name text);
		create index on tags (contact_id);
		insert into contacts values (1);
		insert into tags values (1, 1, 'vip');
		alter table tags enable row level security;
		create policy everybody on tags for select using (true);`)
	s.login()
	s.exec("grant create on database " + pgx.Identifier{s.conn.Config().Database}.Sanitize() + " to " + s.quoted())
	s.exec("grant select on contacts, tags to " + s.quoted())
	s.exec("create publication rowhook for table contacts")
	s.resource = `
  contact:
    table: contacts
    representation: {id: '${id}', tags: '${tags}'}
    relations:
      tags: {table: tags, foreign_key: contact_id, many: true, representation: '${name}'}
`
	if err := s.reads(); err == nil {
		t.Error("a guarded table can be read: the test is in vain")
	}
	want(t, s.check(), finding.Error, "public.tags", "row-level security", "dead letters", "BYPASSRLS")
	if err := s.refusal(); err == nil || !strings.Contains(err.Error(), "row-level security guards public.tags") || !strings.Contains(err.Error(), "BYPASSRLS") {
		t.Errorf("run: %v", err)
	}
	s.script(s.check())
	if r := s.check(); r.Count(finding.Error) > 0 {
		t.Errorf("after the script:\n%s", text(t, r))
	}
	if err := s.reads(); err != nil {
		t.Errorf("after the script: %v", err)
	}
	s.run(func() {})
}

// TestWhoseTheApplicationsAnswerIs is looked up in the table, which takes SELECT.
func TestWhoseTheApplicationsAnswerIs(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), `create table contacts (id bigint primary key, account_id bigint)`)
	s.login()
	s.more = "app: {url: 'http://127.0.0.1:1'}\n"
	s.resource = "\n  contact: {table: contacts, account: account_id, path: '/contacts/${id}', representation: {id: '${id}', note: '${api.note}'}}\n"
	want(t, s.check(), finding.Warning, "public.contacts", "whose an instance is", "${api.…}", "GRANT SELECT")
	s.exec("grant select on contacts to " + s.quoted())
	if out := text(t, s.check()); strings.Contains(out, "whose an instance is") {
		t.Error(out)
	}
}

// TestKeyOfTheStore: check tells what run would refuse, and that there is no key.
func TestKeyOfTheStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, pgtest.Database(t), `create table contacts (id bigint primary key)`)
	s.login()
	s.exec("grant create on database " + pgx.Identifier{s.conn.Config().Database}.Sanitize() + " to " + s.quoted())
	s.exec("create publication rowhook for table contacts")
	s.resource = "\n  contact: {table: contacts, columns: all}\n"
	want(t, s.check(), finding.Info, "store.encryption_key", "as they are", "openssl rand -base64 32")
	key := seal.NewKey()
	s.more = "store: {encryption_key: \"" + key.Reveal() + "\"}\n"
	s.run(func() {})
	keys, err := seal.New(key)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(`insert into rowhook.subscription (id, events, target_url, secrets, delivery, state, name, description, metadata, since)
		values ('sub_1', '{"*"}', 'https://example.com/', to_jsonb('` + keys.Seal("[]", "subscription/sub_1/secrets") + `'::text), '{}', 'active', '', '', '{}', '0/0')`)
	if r := s.check(); r.Count(finding.Error) > 0 {
		t.Errorf("with the key:\n%s", text(t, r))
	}
	s.more = "store: {encryption_key: \"" + seal.NewKey().Reveal() + "\"}\n"
	r := s.check()
	want(t, r, finding.Error, "store", "secrets that cannot be opened", "previous_encryption_keys")
	s.more = ""
	want(t, s.check(), finding.Error, "store", "secrets that cannot be opened", "store.encryption_key")
}

// reads reads rows of relations as rowhook does.
func (s *site) reads() error {
	s.t.Helper()
	cfg := s.config()
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		s.t.Fatal(err)
	}
	conn, err := cdc.Connect(s.t.Context(), cfg.Database.URL, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	tables, err := cdc.LoadTables(s.t.Context(), conn, append(def.Tables(), def.RelatedTables()...))
	if err != nil {
		s.t.Fatal(err)
	}
	m, problems := def.Compile(tables, "")
	if err := problems.Err(); err != nil {
		s.t.Fatal(err)
	}
	event, err := m.Preview("contact", cdc.Insert, cdc.Row{{Kind: cdc.Text, Data: []byte("1")}})
	if err != nil {
		s.t.Fatal(err)
	}
	rows := cdc.NewRowReader(cfg.Database.ReadURL, 0, slog.New(slog.DiscardHandler))
	defer rows.Close()
	return rows.ReadRelated(s.t.Context(), nil, mapping.NewCompletion([]*mapping.Event{event}), 1<<20)
}

// refusal is why rowhook does not start.
func (s *site) refusal() error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	a, err := app.New(s.config(), app.Options{Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)), OnReady: func(string) { cancel() }})
	if err != nil {
		s.t.Fatal(err)
	}
	return a.Run(ctx)
}
