package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A TB is what the helpers need of a [testing.TB]. The package is part of the shipped program, so it does not import
// testing itself.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// shared is the server of this process' tests, started by the first that asks.
var shared struct {
	once   sync.Once
	server *Server                      // nil if the server was given
	admin  string                       // a URL from which databases can be made
	url    func(database string) string // makes URLs of databases on it
	err    error
}

// Run runs the tests of a package and then ends the server that they shared:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
func Run(m interface{ Run() int }) int {
	code := m.Run()
	shared.once.Do(func() {}) // from here on nobody starts it
	if shared.server == nil {
		return code
	}
	if err := shared.server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest: stop the server:", err)
		return max(code, 1)
	}
	return code
}

// MoreAtOnce lets more of a package's tests run at once than there are processors, unless the command says how many
// (-parallel): for tests that wait for servers more than they compute, and do not look at how long something takes. It is
// called before Run, and sets the flag of package testing, which this package does not import: it is part of the program, too.
func MoreAtOnce() {
	if !flag.Parsed() {
		flag.Parse()
	}
	f := flag.Lookup("test.parallel")
	if processors := runtime.GOMAXPROCS(0); f != nil && f.Value.String() == strconv.Itoa(processors) {
		_ = f.Value.Set(strconv.Itoa(max(processors, min(3*processors, 8))))
	}
}

// Database makes an empty database for one test and returns its URL. At the end of the test it is dropped, with its
// replication slots and whoever is still connected. Where no Postgres can be had, the test is skipped, unless the
// environment has CI set: then it fails.
func Database(tb TB) string {
	tb.Helper()
	shared.once.Do(startShared)
	if shared.err != nil {
		unavailable(tb, shared.err)
	}
	if shared.url == nil {
		tb.Fatalf("pgtest: the tests of this process have ended")
	}
	name := Name("rowhook_test")
	if err := execute(shared.admin, shared.server.create(name)); err != nil {
		tb.Fatalf("pgtest: make a database: %v", err)
	}
	tb.Cleanup(func() {
		if err := dropDatabase(shared.admin, name); err != nil {
			tb.Errorf("pgtest: drop database %s: %v", name, err)
		}
	})
	return shared.url(name)
}

// Database makes an empty database on this server and returns its URL. It lives as long as the server: a test that
// broke its own server should not have to mend it in order to drop a database.
func (s *Server) Database(tb TB) string {
	tb.Helper()
	name := Name("rowhook_test")
	if err := execute(s.URL("postgres"), s.create(name)); err != nil {
		tb.Fatalf("pgtest: make a database: %v", err)
	}
	return s.URL(name)
}

// create is the statement that makes a database; a server that was given, of which nothing is known, is nil. Where Postgres has the choice
// the files are copied: else 4 MB go into the log, which every walsender reads, those of the tests beside this one too.
func (s *Server) create(name string) string {
	sql := "create database " + name
	if s != nil && s.Major() >= 15 {
		sql += " strategy file_copy"
	}
	return sql
}

// Cluster starts a server of the test's own, with the settings over the defaults, and stops it at the end of the test.
// It is for tests that restart, freeze or break the server; it takes a second or less. It is in memory where that is
// ample: a test that writes gigabytes should call [Start].
func Cluster(tb TB, settings map[string]string) *Server {
	tb.Helper()
	server, err := Start(context.Background(), Options{Settings: settings, Memory: true})
	if err != nil {
		unavailable(tb, err)
		return nil
	}
	tb.Cleanup(func() {
		if err := server.Stop(); err != nil {
			tb.Errorf("pgtest: stop the server: %v", err)
		}
	})
	return server
}

// Name returns a random name with the given prefix, fit for a database, slot, publication, role or schema. What belongs
// to the whole cluster, slots above all, needs one: tests share the cluster.
func Name(prefix string) string {
	raw := make([]byte, 6)
	_, _ = rand.Read(raw) // never fails: crypto/rand
	return prefix + "_" + hex.EncodeToString(raw)
}

// unavailable ends a test for want of a server.
func unavailable(tb TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrNotFound) && os.Getenv("CI") == "" {
		tb.Skipf("pgtest: %v", err)
	}
	tb.Fatalf("pgtest: %v", err)
}

func startShared() {
	if given := os.Getenv("ROWHOOK_TEST_DATABASE_URL"); given != "" {
		if shared.err = checkGiven(given); shared.err == nil {
			shared.admin = given
			shared.url = func(database string) string { return withDatabase(given, database) }
		}
		return
	}
	if shared.server, shared.err = Start(context.Background(), Options{Memory: true}); shared.err == nil {
		shared.admin, shared.url = shared.server.URL("postgres"), shared.server.URL
	}
}

// checkGiven says what ROWHOOK_TEST_DATABASE_URL lacks.
func checkGiven(given string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, given)
	if err != nil {
		return fmt.Errorf("connect to ROWHOOK_TEST_DATABASE_URL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var role, level string
	var version int
	var creates, replicates bool
	err = conn.QueryRow(ctx, `select current_user::text, rolcreatedb or rolsuper, rolreplication or rolsuper,
			current_setting('wal_level'), current_setting('server_version_num')::int
		from pg_roles where rolname = current_user`).Scan(&role, &creates, &replicates, &level, &version)
	if err != nil {
		return fmt.Errorf("look at ROWHOOK_TEST_DATABASE_URL: %w", err)
	}
	quoted := pgx.Identifier{role}.Sanitize()
	var wrong []error
	if version < minMajor*10000 {
		wrong = append(wrong, fmt.Errorf("its version is %d; hint: %d or newer is needed", version/10000, minMajor))
	}
	if level != "logical" {
		wrong = append(wrong, fmt.Errorf("its wal_level is %s; hint: ALTER SYSTEM SET wal_level = logical, then restart it", level))
	}
	if !creates {
		wrong = append(wrong, fmt.Errorf("its role may not make databases; hint: ALTER ROLE %s CREATEDB", quoted))
	}
	if !replicates {
		wrong = append(wrong, fmt.Errorf("its role may not replicate; hint: ALTER ROLE %s REPLICATION", quoted))
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("use ROWHOOK_TEST_DATABASE_URL: %w", err)
	}
	return nil
}

// withDatabase is a connection string for another database of the same server. It takes both forms of libpq.
func withDatabase(given, database string) string {
	u, err := url.Parse(given)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return given + " dbname=" + database // the last one counts
	}
	u.Path = "/" + database
	return u.String()
}

// execute runs one statement on a connection of its own.
func execute(databaseURL, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// dropDatabase drops a database for good: its slots' users are sent away first, then the slots go, then it.
func dropDatabase(admin, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := dropOnce(ctx, conn, name)
		if err == nil {
			return nil
		}
		select { // a walsender takes a moment to let go of its slot, and a test's client may reconnect
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func dropOnce(ctx context.Context, conn *pgx.Conn, name string) error {
	for _, sql := range []string{
		"select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active_pid is not null",
		"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1",
	} {
		if _, err := conn.Exec(ctx, sql, name); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, "drop database if exists "+name+" with (force)")
	return err
}
