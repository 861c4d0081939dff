package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// patience bounds every wait of a script.
const patience = 2 * time.Minute

// What a script keeps, by key.
type (
	testKey      struct{}
	processesKey struct{}
	receiverKey  struct{}
)

func setUp(env *testscript.Env) error {
	env.Values[testKey{}] = env.T()
	all := processes{}
	env.Values[processesKey{}] = all
	env.Values[receiverKey{}] = &hooks{}
	env.Setenv("NO_COLOR", "1")
	// With the race detector each of the commands would sleep for a second at its end, for reports that are under way.
	env.Setenv("GORACE", "atexit_sleep_ms=20")
	env.Defer(func() {
		for _, p := range all {
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
	return nil
}

// script is a testscript as helpers for tests want it.
type script struct{ *testscript.TestScript }

func (script) Helper()                             {}
func (s script) Cleanup(f func())                  { s.Defer(f) }
func (s script) Errorf(format string, args ...any) { s.Fatalf(format, args...) }
func (s script) Skipf(format string, args ...any) {
	s.Value(testKey{}).(testscript.T).Skip(fmt.Sprintf(format, args...))
}
func (s script) deadline() (context.Context, func()) {
	return context.WithTimeout(context.Background(), patience)
}

// database makes an empty database: DATABASE_URL.
func database(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("DATABASE_URL", pgtest.Database(script{ts}))
}

// cluster [SETTING=VALUE…] starts a server of the script's own, with an empty database: DATABASE_URL.
func cluster(ts *testscript.TestScript, _ bool, args []string) {
	settings := map[string]string{}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		settings[name] = value
	}
	server := pgtest.Cluster(script{ts}, settings)
	ts.Setenv("DATABASE_URL", server.Database(script{ts}))
}

// sql STATEMENT… runs statements in the database and writes what they return to stdout, as CSV.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := script{ts}.deadline()
	defer cancel()
	conn, err := pgx.Connect(ctx, ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(ctx)
	out := csv.NewWriter(ts.Stdout())
	for _, a := range args {
		if strings.HasSuffix(a, ".sql") {
			a = ts.ReadFile(a)
		}
		results, err := conn.PgConn().Exec(ctx, a).ReadAll()
		if (err != nil) != neg {
			ts.Fatalf("%s: %v", a, err)
		}
		for _, r := range results {
			for _, row := range r.Rows {
				values := make([]string, len(row))
				for i, v := range row {
					values[i] = string(v)
				}
				ts.Check(out.Write(values))
			}
		}
	}
	out.Flush()
}

// with VARIABLE user=… password=… database=… port=… is DATABASE_URL with other parts.
func with(ts *testscript.TestScript, _ bool, args []string) {
	u, err := url.Parse(ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	user := u.User.Username()
	password, _ := u.User.Password()
	for _, a := range args[1:] {
		name, value, _ := strings.Cut(a, "=")
		switch name {
		case "user":
			user = value
		case "password":
			password = value
		case "database":
			u.Path = "/" + value
		case "port":
			u.Host = u.Hostname() + ":" + value
		default:
			ts.Fatalf("unknown part %q", name)
		}
	}
	u.User = url.UserPassword(user, password)
	ts.Setenv(args[0], u.String())
}
