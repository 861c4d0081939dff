//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// queryText runs a query that answers with one text.
func queryText(t *testing.T, databaseURL, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(context.Background())
	var text string
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestServer(t *testing.T) {
	t.Parallel()
	s := Cluster(t, map[string]string{"work_mem": "3MB"})
	u := s.Database(t)

	for setting, want := range map[string]string{
		"wal_level": "logical", "work_mem": "3MB", "server_encoding": "UTF8", "max_replication_slots": "64", "fsync": "off",
	} {
		if got := queryText(t, u, "show "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := queryText(t, u, "show server_version"); got != s.Version() {
		t.Errorf("Version() is %q, want %q", s.Version(), got)
	}

	t.Run("AsksForThePassword", func(t *testing.T) {
		if got := queryText(t, u, "select split_part(rolpassword, ':', 1) from pg_authid where rolname = current_user"); got != fmt.Sprint("SCRAM-SHA-256$", rounds) {
			t.Errorf("the password is kept as %q", got)
		}
		for _, wrong := range []string{"", newPassword()} {
			conn, err := pgx.Connect(t.Context(), strings.Replace(u, s.password, wrong, 1))
			if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != "28P01" {
				t.Errorf("with the password %q: got %v, want that it is refused", wrong, err)
			}
			if err == nil {
				_ = conn.Close(t.Context())
			}
		}
	})

	t.Run("IsStoppedAndGone", func(t *testing.T) {
		pid, dir := s.Pid(), s.Dir()
		for range 2 {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is still there: %v", pid, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("directory %s is still there: %v", dir, err)
		}
		if err := s.StartAgain(); !errors.Is(err, errStopped) {
			t.Errorf("StartAgain after Stop: got %v, want %v", err, errStopped)
		}
	})
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	var name, slot string
	t.Run("IsEmptyAndCanReplicate", func(t *testing.T) {
		u := Database(t)
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		name, slot = parsed.Path[1:], Name("slot")
		if got := queryText(t, u, "select current_database()::text"); got != name {
			t.Errorf("connected to %q, want %q", got, name)
		}
		queryText(t, u, "select pg_create_logical_replication_slot('"+slot+"', 'pgoutput')::text")
	})
	for sql, what := range map[string]string{
		"select count(*)::text from pg_database where datname = '" + name + "'":            "database",
		"select count(*)::text from pg_replication_slots where slot_name = '" + slot + "'": "slot",
	} {
		if got := queryText(t, shared.admin, sql); got != "0" {
			t.Errorf("the %s is still there", what)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := Start(b.Context(), Options{})
		if err != nil {
			unavailable(b, err)
		}
		b.StopTimer()
		if err := s.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkDatabase(b *testing.B) {
	Database(b) // starts the shared server
	for b.Loop() {
		Database(b)
	}
}
