package app_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// startTrouble is something that passes by itself, or that somebody mends while rowhook waits.
type startTrouble struct {
	name     string
	settings map[string]string
	// source says that it can befall the source only.
	source bool
	begin  func(t *testing.T, server *pgtest.Server, database string)
	end    func(t *testing.T, server *pgtest.Server)
	reason string
}

func startTroubles() []startTrouble {
	again := func(t *testing.T, server *pgtest.Server) {
		if err := server.StartAgain(); err != nil {
			t.Fatal(err)
		}
	}
	return []startTrouble{
		{
			name: "Away",
			begin: func(t *testing.T, server *pgtest.Server, _ string) {
				if err := server.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
					t.Fatal(err)
				}
			},
			end:    again,
			reason: "check that Postgres runs there",
		},
		{
			// A server that is told to stop lets its clients end, and tells others what one that starts tells them: 57P03.
			name: "Stopping",
			begin: func(t *testing.T, server *pgtest.Server, database string) {
				connect(t, database)
				if server.Shutdown(pgtest.Smart, 50*time.Millisecond) == nil {
					t.Fatal("it has stopped")
				}
			},
			end: func(t *testing.T, server *pgtest.Server) {
				if err := server.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
					t.Fatal(err)
				}
				again(t, server)
			},
			reason: "the server is starting or stopping",
		},
		{
			name:     "Full",
			settings: map[string]string{"max_connections": "12"},
			begin:    func(t *testing.T, _ *pgtest.Server, database string) { fill(t, database) },
			end:      endAll,
			reason:   "too many clients already",
		},
		{
			name:     "NoWalsender",
			settings: map[string]string{"max_wal_senders": "2"},
			source:   true,
			begin: func(t *testing.T, _ *pgtest.Server, database string) {
				u, err := url.Parse(database)
				if err != nil {
					t.Fatal(err)
				}
				q := u.Query()
				q.Set("replication", "database")
				u.RawQuery = q.Encode()
				fill(t, u.String())
			},
			end:    endAll,
			reason: "max_wal_senders",
		},
	}
}

// fill takes connections until there are none.
func fill(t *testing.T, database string) {
	t.Helper()
	for {
		conn, err := pgconn.Connect(t.Context(), database)
		if err != nil {
			if !strings.Contains(err.Error(), "53300") {
				t.Fatal(err)
			}
			return
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
}

// endAll restarts the server: it is one way to be rid of clients.
func endAll(t *testing.T, server *pgtest.Server) {
	if err := server.Restart(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
}

// TestStartWaits lets rowhook start while the source, the store, or the one server of both is not there yet: the API is
// up and says why, and when it is there all goes on by itself.
func TestStartWaits(t *testing.T) {
	t.Parallel()
	for _, trouble := range startTroubles() {
		for _, of := range []string{"Both", "Source", "Store"} {
			if trouble.source && of != "Source" {
				continue
			}
			t.Run(trouble.name+"/"+of, func(t *testing.T) {
				t.Parallel()
				server := pgtest.Cluster(t, trouble.settings)
				database := server.Database(t)
				var r *rig
				switch of {
				case "Both":
					r = newRigAt(t, database)
				case "Source":
					r = newRigAt(t, database)
					r.replace("api:\n", "store: {url: '"+pgtest.Database(t)+"'}\napi:\n")
				case "Store":
					r = newRig(t)
					r.replace("api:\n", "store: {url: '"+database+"'}\napi:\n")
				}
				trouble.begin(t, server, database)
				ready, done, _ := r.begin()
				eventually(t, "readiness says why", func() bool {
					got, err := r.admin().Ready(context.Background())
					return err == nil && !got.Ready && strings.Contains(got.Reason, trouble.reason)
				})
				if _, err := r.admin().Get(t.Context(), "sub_none"); of != "Source" && status(err) != http.StatusServiceUnavailable {
					t.Errorf("the API says %v while there is no store", err)
				}
				select {
				case err := <-done:
					t.Fatalf("rowhook ended: %v", err)
				case <-ready:
					t.Fatal("rowhook is ready")
				default:
				}
				trouble.end(t, server)
				select {
				case err := <-done:
					t.Fatalf("rowhook ended: %v", err)
				case <-ready:
				case <-time.After(60 * time.Second):
					t.Fatal("rowhook is not ready")
				}
				r.reconnect()
				r.subscribe("/")
				r.insertContact(1, 1)
				r.recv.WaitFor(t, arrived("/", "contact/1", 1))
			})
		}
	}
}

// TestStartRefuses ends the start over what only a person can mend, of the store too, tells the mend, and makes nothing.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t, nil)
	source, hooks := server.Database(t), server.Database(t)
	admin := connect(t, hooks)
	mustExec(t, admin, `create role plain login password 'pw'`)
	mustExec(t, admin, `create schema taken`)
	mustExec(t, admin, `create role norepl login password 'pw'`)
	plain := withUser(t, hooks, "plain", "pw")
	other := func(databaseURL, name string) string {
		u, err := url.Parse(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + name
		return u.String()
	}
	base := newRigAt(t, source)
	for _, c := range []struct {
		name, source, store, schema string
		want                        []string
	}{
		{"StorePassword", source, withUser(t, hooks, "plain", "hunter2-hunter2"), "rowhook", []string{"password authentication failed", "mend store.url"}},
		{"StoreDatabase", source, other(hooks, "nowhere"), "rowhook", []string{`database "nowhere" does not exist`, "mend store.url"}},
		{"StoreRole", source, withUser(t, hooks, "nobody", "hunter2-hunter2"), "rowhook", []string{"mend store.url"}},
		{"StoreMayNotMakeItsSchema", source, plain, "rowhook", []string{"make the store's schema", `CREATE SCHEMA "rowhook" AUTHORIZATION "plain";`}},
		{"StoreMayNotUseItsSchema", source, plain, "taken", []string{"may not use the schema", `ALTER SCHEMA "taken" OWNER TO "plain";`}},
		{"SourcePassword", withUser(t, source, "plain", "hunter2-hunter2"), hooks, "rowhook", []string{"password authentication failed", "mend it in database.url"}},
		{"SourceDatabase", other(source, "nowhere"), hooks, "rowhook", []string{`there is no database "nowhere"`, "mend database.url"}},
		{"SourceWithoutReplication", withUser(t, source, "norepl", "pw"), hooks, "rowhook", []string{`ALTER ROLE "norepl" REPLICATION LOGIN;`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t: t, url: c.source, slot: base.slot, text: configText, log: &lockedBuffer{Writer: t.Output()}}
			r.replace("api:\n", "store: {url: '"+c.store+"', schema: "+c.schema+"}\napi:\n")
			_, done, _ := r.begin()
			select {
			case err := <-done:
				for _, want := range c.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %s", err, want)
					}
				}
				if err != nil && strings.Contains(err.Error()+r.log.String(), "hunter2") {
					t.Errorf("the password is shown: %v", err)
				}
			case <-time.After(60 * time.Second):
				t.Fatal("it waits for what does not pass by itself")
			}
		})
	}
	var made int
	if err := base.conn.QueryRow(t.Context(), `select (select count(*) from pg_replication_slots) + (select count(*) from pg_publication)`).Scan(&made); err != nil || made != 0 {
		t.Errorf("%d slots and publications were made, %v", made, err)
	}
	if err := admin.QueryRow(t.Context(), `select count(*) from pg_namespace where nspname = 'rowhook'`).Scan(&made); err != nil || made != 0 {
		t.Errorf("a store was made by a start that was refused, %v", err)
	}
}
