package check_test

import (
	"os"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/check"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestPoolers: each address that leads through a pooler is an error that says what to give instead.
func TestPoolers(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	s := newSite(t, direct, "create table contacts (id int primary key, name text, boss_id int)")
	for mode, settings := range map[string][]string{
		"Session":     {"pool_mode = session"},
		"Transaction": {"pool_mode = transaction"},
		"Ignoring": {"pool_mode = transaction", "ignore_startup_parameters = extra_float_digits, statement_timeout, lock_timeout, search_path, synchronous_commit, " +
			"idle_in_transaction_session_timeout, default_transaction_read_only, intervalstyle, bytea_output, quote_all_identifiers, row_security, replication, wal_sender_timeout"},
	} {
		pooled := pgtest.Pooler(t, direct, settings...)
		for key, place := range map[string]string{"URL": "database", "READ": "database.read_url", "STORE": "store"} {
			t.Run(mode+"/"+key, func(t *testing.T) {
				yaml := "database: {url: \"${env:URL}\", read_url: \"${env:READ}\", slot: " + s.slot + "}\nstore: {url: \"${env:STORE}\"}\n" +
					"api: {tokens: [{name: ops, token: admin-token-0123456789, account: \"*\"}]}\nresources:\n  contact:\n    table: contacts\n    columns: [id, name]\n" +
					"    relations:\n      boss: {table: contacts, foreign_key: boss_id, columns: [name]}\n"
				cfg, err := config.LoadBytes("config.yaml", []byte(yaml), func(name string) (string, bool) {
					if name == key {
						return pooled, true
					}
					return direct, true
				}, os.ReadFile)
				if err != nil {
					t.Fatal(err)
				}
				r, err := check.Run(t.Context(), cfg, check.Options{})
				if err != nil {
					t.Fatal(err)
				}
				want(t, r, finding.Error, place, cdc.PoolerMend)
			})
		}
	}
}
