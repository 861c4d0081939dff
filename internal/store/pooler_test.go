package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// ignoring are all settings that rowhook asks for, left out without a word, as poolers are often told to do.
const ignoring = "ignore_startup_parameters = extra_float_digits, statement_timeout, lock_timeout, idle_in_transaction_session_timeout, search_path, " +
	"synchronous_commit, default_transaction_read_only, datestyle, intervalstyle, bytea_output, row_security, quote_all_identifiers, replication, wal_sender_timeout, " +
	"xmloption, lc_monetary, lc_numeric, lc_time, idle_session_timeout, timezone, transaction_timeout, geqo, jit"

// TestPoolersAreRefused: with a pooler in the way nothing is made and nothing goes on, and what to do is said.
func TestPoolersAreRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	for name, settings := range map[string][]string{
		"Session":             {"pool_mode = session"},
		"Transaction":         {"pool_mode = transaction"},
		"SessionIgnoring":     {"pool_mode = session", ignoring},
		"TransactionIgnoring": {"pool_mode = transaction", ignoring},
		"StatementIgnoring":   {"pool_mode = statement", ignoring},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pooled := pgtest.Pooler(t, db, settings...)
			refused := func(what string, err error) {
				t.Helper()
				var told *cdc.Error
				if !errors.As(err, &told) || told.Class != cdc.Refused || !strings.Contains(err.Error(), cdc.PoolerMend) {
					t.Errorf("%s: %v", what, err)
				}
			}
			s, err := Open(t.Context(), Config{URL: secret.String(pooled), Schema: "rowhook"})
			if err == nil {
				s.Close()
			}
			refused("Open", err)
			v, err := Look(t.Context(), Config{URL: secret.String(pooled), Schema: "rowhook"})
			if err != nil || len(v.Findings) != 1 || v.Findings[0].Mend != cdc.PoolerMend {
				t.Errorf("Look: %+v, %v", v, err)
			}
			conn, err := cdc.Connect(t.Context(), secret.String(pooled), nil)
			if err == nil {
				_ = conn.Close(t.Context())
			}
			refused("Connect", err)
		})
	}
	t.Cleanup(func() {
		conn := connect(t, db)
		if n := value[int](t, conn, `SELECT count(*) FROM pg_namespace WHERE nspname = 'rowhook' OR EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')`); n != 0 {
			t.Errorf("something was made, in %d schemas", n)
		}
	})
}

// TestDirectIsNoPooler: settings of a role or of a database, and those of the URL, are none.
func TestDirectIsNoPooler(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	exec(t, conn, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''5s''', current_database()); END $$`)
	s := open(t, db+"&options=-c%20geqo%3Doff&role=none&App.Name=x&Jit=off")
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	pool, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close(t.Context()) }()
	if err := cdc.RefusePooler(t.Context(), pool); err != nil {
		t.Error(err)
	}
}
