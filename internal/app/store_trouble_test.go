package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// storeTrouble is something that befalls the store, in a cluster of its own.
type storeTrouble struct {
	name string
	// prepare makes the store's database and gives its URL; by default it is an empty one.
	prepare func(t *testing.T, server *pgtest.Server) string
	// begin and end are of the trouble. admin is a superuser's connection to the store's database.
	begin, end func(t *testing.T, server *pgtest.Server, admin *pgx.Conn)
	// reason matches what readiness says; empty: it is only slow, and stays green.
	reason string
	// code is that of the finding, store_unavailable if it is empty; mend is in its next step.
	code, mend string
	// gradual says that some is still stored after the beginning: free room in pages that are there already.
	gradual bool
	// alive waits until the server has heard from the blocked reader, which takes as long as that is silent at most.
	alive bool
}

func storeTroubles() []storeTrouble {
	sql := func(statements ...string) func(*testing.T, *pgtest.Server, *pgx.Conn) {
		return func(t *testing.T, _ *pgtest.Server, admin *pgx.Conn) {
			t.Helper()
			for _, s := range statements {
				mustExec(t, admin, s)
			}
		}
	}
	const others = `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'`
	return []storeTrouble{
		{
			name: "Stopped",
			begin: func(t *testing.T, server *pgtest.Server, _ *pgx.Conn) {
				if err := server.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
					t.Fatal(err)
				}
			},
			end: func(t *testing.T, server *pgtest.Server, _ *pgx.Conn) {
				if err := server.StartAgain(); err != nil {
					t.Fatal(err)
				}
			},
			reason: "refused",
			mend:   "see that the server of store.url",
			alive:  true,
		},
		{
			name: "ReadOnly",
			begin: func(t *testing.T, server *pgtest.Server, admin *pgx.Conn) {
				mustExec(t, admin, `alter system set default_transaction_read_only = on`)
				mustExec(t, admin, `select pg_reload_conf()`)
				// The server forks nobody with the new setting before it has told all others.
				eventually(t, "the setting counts", func() (on bool) {
					conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close(context.Background())
					if err := conn.QueryRow(t.Context(), `select current_setting('default_transaction_read_only')::bool`).Scan(&on); err != nil {
						t.Fatal(err)
					}
					return on
				})
			},
			end:    sql(`set default_transaction_read_only = off`, `alter system reset default_transaction_read_only`, `select pg_reload_conf()`),
			reason: "read-only transaction",
			code:   "read_only",
			mend:   "ALTER SYSTEM RESET default_transaction_read_only",
		},
		{
			name:    "DiskFull",
			prepare: onSmallDisk,
			begin:   fillDisk,
			end:     freeDisk,
			reason:  "No space left on device",
			code:    "disk_full",
			mend:    "make room on the disk of that server",
			gradual: true,
		},
		{
			name: "DiskFullByATrigger",
			begin: sql(`create function rowhook.boom() returns trigger language plpgsql as $$begin raise exception using errcode = '53100', message = 'could not extend file'; end$$`,
				`create trigger boom before insert on rowhook.event for each statement execute function rowhook.boom()`),
			end:    sql(`drop trigger boom on rowhook.event`),
			reason: "could not extend file",
			code:   "disk_full",
			mend:   "make room on the disk of that server",
		},
		{
			name:    "NoConnections",
			prepare: asRole,
			begin:   sql(`alter role hooks connection limit 0`, others),
			end:     sql(`alter role hooks connection limit -1`),
			reason:  "too many connections",
			mend:    "raise max_connections",
		},
		{
			name:   "Locked",
			begin:  sql(`begin`, `lock table rowhook.event, rowhook.outcome in access exclusive mode`),
			end:    sql(`rollback`),
			reason: "has not answered for|lock timeout",
			alive:  true,
		},
		{
			name: "Slow",
			begin: sql(`create function rowhook.slow() returns trigger language plpgsql as $$begin perform pg_sleep(1); return null; end$$`,
				`create trigger slow before insert on rowhook.event for each statement execute function rowhook.slow()`),
			end: sql(`drop trigger slow on rowhook.event`),
		},
	}
}

// TestStoreTrouble breaks the store under traffic. Whatever it is: nothing is acknowledged that is not durable, reading
// stops at the memory's bound, readiness says why, the replication connection lives on, and when the trouble is over all
// goes on by itself, with everything, in order.
func TestStoreTrouble(t *testing.T) {
	t.Parallel()
	for _, trouble := range storeTroubles() {
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			testStoreTrouble(t, trouble)
		})
	}
}

func testStoreTrouble(t *testing.T, trouble storeTrouble) {
	const memory, instances, during = 1 << 20, 50, 2000
	server := pgtest.Cluster(t, nil)
	var storeURL string
	if trouble.prepare != nil {
		storeURL = trouble.prepare(t, server)
	} else {
		storeURL = server.Database(t)
	}
	admin := connect(t, withUserOf(t, storeURL, server.URL("postgres")))
	r := newRig(t)
	r.replace("limits: {hold: 500ms}", "limits: {hold: 500ms, memory: 1MiB}\nstore: {url: '"+storeURL+"'}")
	r.start()
	r.subscribe("/")
	r.exec(`insert into contacts (id, account_id, score) select i, 1, 0 from generate_series(1, $1::int) i`, instances)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(q) == instances })
	eventually(t, "the beginning is acknowledged", func() bool { return r.behind() < 1000 && r.sample("rowhook_deliveries_in_memory") == "0" })
	connections := r.sample("rowhook_replication_connections")

	trouble.begin(t, server, admin)
	// ends are where the log was after each commit.
	var ends []cdc.LSN
	for i := range during {
		r.exec(`update contacts set score = $1, email = repeat('x', 200) where id = $2`, i+1, i%instances+1)
		ends = append(ends, r.lsn(`select pg_current_wal_insert_lsn()::text`))
	}
	if trouble.reason != "" {
		eventually(t, "readiness is red with the reason", func() bool {
			ready, err := r.admin().Ready(context.Background())
			return err == nil && !ready.Ready && regexp.MustCompile(trouble.reason).MatchString(ready.Reason)
		})
		code := trouble.code
		if code == "" {
			code = "store_unavailable"
		}
		f := r.faulty(code)
		says(t, f, client.SeverityError, "the store does not take what is to be written: ", "nothing is lost, and it goes on by itself", trouble.mend)
		if strings.ContainsAny(f.What, "\n\t") {
			t.Errorf("the finding is not in a line: %q", f.What)
		}
		eventually(t, "reading stops at the bound", func() bool { return r.metric("rowhook_memory_charged_bytes") > memory*9/10 })
		r.watched(t, trouble, ends, func() (n int) {
			if trouble.gradual {
				if err := admin.QueryRow(t.Context(), `select count(*) from rowhook.event`).Scan(&n); err != nil {
					t.Fatal(err)
				}
				n -= instances
			}
			return n
		})
		if used := r.metric("rowhook_memory_charged_bytes"); used > memory {
			t.Errorf("%.0f bytes are charged, the bound is %d", used, memory)
		}
		if d := len(r.recv.Requests()) - instances; d >= during {
			t.Errorf("all %d events were read", d)
		}
	}
	trouble.end(t, server, admin)

	// Longer than elsewhere: a busy machine takes its time for so many.
	arrive, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	got, err := r.recv.Await(arrive, func(q []hooktest.Request) bool {
		return len(q) >= instances+during && len(hooktest.ByID(hooktest.Delivered(q))) == instances+during
	})
	if err != nil {
		t.Fatalf("got %d events of %d: %v; %d due, %d in memory, ready %s", len(hooktest.ByID(hooktest.Delivered(got))), instances+during, err,
			int(r.metric("rowhook_deliveries_due")), int(r.metric("rowhook_deliveries_in_memory")), r.sample("rowhook_ready"))
	}
	if err := hooktest.CheckOrder(hooktest.Delivered(got)); err != nil {
		t.Error(err)
	}
	eventually(t, "readiness is green again", func() bool {
		ready, err := r.admin().Ready(context.Background())
		return err == nil && ready.Ready
	})
	r.status("nothing wrong", func(s *client.Status) bool { return s.Worst() != client.SeverityError })
	eventually(t, "everything is acknowledged", func() bool { return r.behind() < 1000 && r.sample("rowhook_deliveries_in_memory") == "0" })
	if now := r.sample("rowhook_replication_connections"); now != connections {
		t.Errorf("%s replication connections, before %s", now, connections)
	}
	var kept int
	if err := connect(t, withUserOf(t, storeURL, server.URL("postgres"))).QueryRow(t.Context(), `select count(*) from rowhook.event`).Scan(&kept); err != nil || kept != instances+during {
		t.Errorf("%d events are kept, want %d; %v", kept, instances+during, err)
	}
	t.Logf("%d requests, %d of them twice", len(got), len(hooktest.Duplicates(got)))
}

// watched looks at the blocked reader: the server hears from it, and no more is acknowledged than is stored.
func (r *rig) watched(t *testing.T, trouble storeTrouble, ends []cdc.LSN, stored func() int) {
	t.Helper()
	heard := map[time.Time]bool{}
	eventually(t, "the server hears from the blocked reader", func() bool {
		var reply time.Time
		err := r.conn.QueryRow(t.Context(), `select r.reply_time from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
			where s.slot_name = $1`, r.slot).Scan(&reply)
		if err != nil {
			t.Fatalf("the replication connection is gone: %v", err)
		}
		confirmed := r.lsn(`select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, r.slot)
		acknowledged, _ := slices.BinarySearch(ends, confirmed+1)
		if n := stored(); acknowledged > n {
			t.Fatalf("%d are acknowledged, %d are stored", acknowledged, n)
		}
		heard[reply] = true
		return len(heard) > 1 || !trouble.alive
	})
}

// lsn asks for a position.
func (r *rig) lsn(sql string, args ...any) (at cdc.LSN) {
	r.t.Helper()
	var text string
	if err := r.conn.QueryRow(r.t.Context(), sql, args...).Scan(&text); err != nil {
		r.t.Fatal(err)
	}
	if err := at.Scan(text); err != nil {
		r.t.Fatal(err)
	}
	return at
}

// behind is how many bytes of the log are not acknowledged.
func (r *rig) behind() (n int64) {
	r.t.Helper()
	err := r.conn.QueryRow(r.t.Context(), `select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), confirmed_flush_lsn)::bigint from pg_replication_slots where slot_name = $1`, r.slot).Scan(&n)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// withUserOf is the URL with the user of another one.
func withUserOf(t *testing.T, databaseURL, other string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(other)
	if err != nil {
		t.Fatal(err)
	}
	return withUser(t, databaseURL, cfg.User, cfg.Password)
}

// asRole gives the store to a role that is no superuser: those have connections kept for them.
func asRole(t *testing.T, server *pgtest.Server) string {
	url := server.Database(t)
	admin := connect(t, url)
	mustExec(t, admin, `create role hooks login password 'pw'`)
	mustExec(t, admin, `create schema rowhook authorization hooks`)
	return withUser(t, url, "hooks", "pw")
}

func diskOf(server *pgtest.Server) string { return filepath.Join(server.Dir(), "small") }

func fillDisk(t *testing.T, server *pgtest.Server, _ *pgx.Conn) {
	f, err := os.Create(filepath.Join(diskOf(server), "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func freeDisk(t *testing.T, server *pgtest.Server, _ *pgx.Conn) {
	if err := os.Remove(filepath.Join(diskOf(server), "filler")); err != nil {
		t.Fatal(err)
	}
}
