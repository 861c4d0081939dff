package store

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

func TestOpenMakesTheSchemaOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	var wg sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		wg.Go(func() {
			s, err := Open(context.Background(), Config{URL: secret.String(db), Schema: "rowhook"})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = s.ID()
			s.Close()
		})
	}
	wg.Wait()
	if s := open(t, db); s.ID() == "" || ids[0] != s.ID() || ids[3] != s.ID() {
		t.Errorf("ids %v and %s", ids, s.ID())
	}
}

func TestSchemaNamesAreQuoted(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	cfg := Config{URL: secret.String(db), Schema: `Row "hook", x`}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := subscribe(t, s, "1")
	write(t, s, deferred(event(1, day), x.Key, 1, day), delivered(event(1, day), x.Key, 1, true))
	if dropped, err := s.Expire(t.Context(), day.AddDate(0, 0, 2)); err != nil || len(dropped) != len(partitioned) {
		t.Errorf("Expire: %v %v", dropped, err)
	}
	conn := connect(t, db)
	if n := value[int](t, conn, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); n != 0 {
		t.Errorf("%d tables in public", n)
	}
	if err := s.Drop(t.Context()); err != nil {
		t.Error(err)
	}
	if n := value[int](t, conn, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'Row%'`); n != 0 {
		t.Error("the schema is left")
	}
}

// as is the URL for another role.
func as(t *testing.T, db, role, password string) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	role := pgtest.Name("humble")
	exec(t, conn, `CREATE ROLE `+role+` LOGIN PASSWORD 'hunter2'`)
	t.Cleanup(func() {
		exec(t, conn, `REASSIGN OWNED BY `+role+` TO CURRENT_USER`)
		exec(t, conn, `DROP OWNED BY `+role)
		exec(t, conn, `DROP ROLE `+role)
	})
	exec(t, conn, `CREATE SCHEMA others`)
	exec(t, conn, `CREATE SCHEMA visible; GRANT USAGE ON SCHEMA visible TO `+role)
	exec(t, conn, `CREATE SCHEMA own AUTHORIZATION `+role)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for name, c := range map[string]struct {
		cfg   Config
		class cdc.Class
		says  string
	}{
		"MayNotMakeTheSchema": {Config{URL: secret.String(as(t, db, role, "hunter2")), Schema: "rowhook"}, cdc.Refused, `CREATE SCHEMA "rowhook" AUTHORIZATION "` + role},
		"MayNotUseTheSchema":  {Config{URL: secret.String(as(t, db, role, "hunter2")), Schema: "others"}, cdc.Refused, `ALTER SCHEMA "others" OWNER TO "` + role},
		"MayNotWriteThere":    {Config{URL: secret.String(as(t, db, role, "hunter2")), Schema: "visible"}, cdc.Refused, `"` + role},
		"WrongPassword":       {Config{URL: secret.String(as(t, db, role, "wrong-hunter2")), Schema: "own"}, cdc.Refused, "hint: mend "},
		"NoSuchDatabase":      {Config{URL: secret.String(strings.Replace(db, "rowhook_test", "no_such", 1)), Schema: "own"}, cdc.Refused, "hint: mend "},
		"NobodyListens":       {Config{URL: secret.String("postgres://u:hunter2@" + addr + "/x"), Schema: "own"}, cdc.Unavailable, addr},
		"ReadOnly":            {Config{URL: secret.String(db + "&default_transaction_read_only=on"), Schema: "rowhook"}, cdc.Unavailable, "read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), c.cfg)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			var told *cdc.Error
			if !errors.As(err, &told) || told.Class != c.class || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("BadURL", func(t *testing.T) {
		if _, err := Open(t.Context(), Config{URL: "postgres://u:hunter2@host:port/x", Schema: "x"}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("OwnSchemaIsEnough", func(t *testing.T) {
		s, err := Open(t.Context(), Config{URL: secret.String(as(t, db, role, "hunter2")), Schema: "own"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		x := subscribe(t, s, "1")
		write(t, s, delivered(event(1, day), x.Key, 1, false))
		if _, err := s.Expire(t.Context(), day.AddDate(0, 0, 9)); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionsAreSetUp(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	for name, want := range map[string]string{"synchronous_commit": "on", "TimeZone": "UTC", "search_path": `"rowhook"`, "statement_timeout": "1min"} {
		rows, err := s.pool.Query(t.Context(), `SELECT current_setting($1)`, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil || got != want {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if err := s.Ping(t.Context()); err != nil || s.Connections() < 1 {
		t.Errorf("%v, %d connections", err, s.Connections())
	}
}
