package uninstall_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/internal/uninstall"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func load(t *testing.T, url, slot string) *config.Config {
	t.Helper()
	env := map[string]string{"URL": url, "SLOT": slot}
	cfg, err := config.LoadBytes("config.yaml", []byte(`
database: {url: "${env:URL}", slot: "${env:SLOT}"}
resources:
  contact: {table: contacts, columns: all}
`), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// install makes all that rowhook makes.
func install(t *testing.T, url, slot string) *pgx.Conn {
	t.Helper()
	conn := connect(t, url)
	exec(t, conn, `create table contacts (id int primary key); alter table contacts replica identity full; create publication rowhook for table contacts`)
	exec(t, conn, `select pg_create_logical_replication_slot($1, 'pgoutput')`, slot)
	st, err := store.Open(t.Context(), store.Config{URL: secret.String(url), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	return conn
}

func left(t *testing.T, conn *pgx.Conn, slot string) (what string) {
	t.Helper()
	err := conn.QueryRow(t.Context(), `select concat_ws(' ', (select 'slot' from pg_replication_slots where slot_name = $1),
		(select 'publication' from pg_publication where pubname = 'rowhook'), (select 'schema' from pg_namespace where nspname = 'rowhook'),
		(select 'table' from pg_class where oid = to_regclass('contacts')))`, slot).Scan(&what)
	if err != nil {
		t.Fatal(err)
	}
	return what
}

func TestRemovesWhatRowhookMade(t *testing.T) {
	t.Parallel()
	url, slot := pgtest.Database(t), pgtest.Name("slot")
	conn := install(t, url, slot)
	cfg := load(t, url, slot)
	p, err := uninstall.Look(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Left) != 1 || !strings.Contains(p.Left[0], "contacts REPLICA IDENTITY DEFAULT;  -- it is FULL") {
		t.Errorf("left: %q", p.Left)
	}
	var done []string
	if err := p.Remove(t.Context(), func(part uninstall.Part) { done = append(done, part.Name) }); err != nil {
		t.Fatal(err)
	}
	if got := left(t, conn, slot); got != "table" || len(done) != 3 {
		t.Errorf("left is %q after %q", got, done)
	}
	again, err := uninstall.Look(t.Context(), cfg)
	if err != nil || again.Any() {
		t.Errorf("there is still something: %+v, %v", again, err)
	}
}

// TestTheScriptRemovesTheSame: the statements of --sql, in the database that they name.
func TestTheScriptRemovesTheSame(t *testing.T) {
	t.Parallel()
	url, slot := pgtest.Database(t), pgtest.Name("slot")
	conn := install(t, url, slot)
	script := uninstall.New(load(t, url, slot)).Script()
	for range 2 { // it can be run again
		for line := range strings.Lines(script) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, `\connect`) {
				exec(t, conn, line)
			}
		}
	}
	if got := left(t, conn, slot); got != "table" {
		t.Errorf("left is %q", got)
	}
}

func TestRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	url, slot := pgtest.Database(t), pgtest.Name("slot")
	conn := install(t, url, slot)
	cfg := load(t, url, slot)
	refused := func(want string) {
		t.Helper()
		if _, err := uninstall.Look(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	// Somebody reads it.
	cfgURL, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfgURL.RuntimeParams["replication"] = "database"
	repl, err := pgconn.ConnectConfig(t.Context(), cfgURL)
	if err != nil {
		t.Fatal(err)
	}
	defer repl.Close(context.Background())
	if err := pglogrepl.StartReplication(t.Context(), repl, slot, 0, pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", "publication_names 'rowhook'"}}); err != nil {
		t.Fatal(err)
	}
	refused("a rowhook reads the replication slot")
	_ = repl.Close(context.Background())
	exec(t, conn, `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active`, slot)

	exec(t, conn, `insert into rowhook.checkpoint (slot, system_id, database_oid, timeline, environment, epoch, lsn) values ('another', '1', 1, 1, 'x', 1, '0/1')`)
	refused("also the store of the slot another")
	exec(t, conn, `drop schema rowhook cascade; create schema rowhook; create table rowhook.theirs (id int)`)
	refused("the schema rowhook is not rowhook's")
	exec(t, conn, `drop schema rowhook cascade`)
	cfg = load(t, url, pgtest.Name("none"))
	if p, err := uninstall.Look(t.Context(), cfg); err != nil || p.Parts[0].There || !p.Parts[1].There {
		t.Errorf("without the slot and the schema: %+v, %v", p, err)
	}
}
