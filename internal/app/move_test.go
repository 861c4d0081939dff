package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// newServer is where a database moves to: of the version whose binaries are in ROWHOOK_UPGRADE_TO, else of the one that all tests have.
func newServer(t *testing.T) *pgtest.Server {
	t.Helper()
	bin := os.Getenv("ROWHOOK_UPGRADE_TO")
	if bin == "" {
		return pgtest.Cluster(t, nil)
	}
	srv, err := pgtest.Start(t.Context(), pgtest.Options{Bin: bin, Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// move dumps a database, and restores it into a new one of a server, as the steps for an upgrade of Postgres say.
func move(t *testing.T, from string, to *pgtest.Server) string {
	t.Helper()
	for _, program := range []string{"pg_dump", "psql"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: %v", program, err)
		}
	}
	moved := to.Database(t)
	if out, err := exec.CommandContext(t.Context(), "pg_dump", "--dbname", from, "--schema-only", "--file", os.DevNull).CombinedOutput(); strings.Contains(string(out), "server version mismatch") {
		t.Skipf("pg_dump is older than the server: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", `set -o pipefail; pg_dump --no-owner "$0" | psql -q -v ON_ERROR_STOP=1 "$1" >/dev/null`, from, moved)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_dump and psql: %v: %s", err, out)
	}
	return moved
}

// TestAMoveAfterADrainIsNoGap goes to a new server by dump and restore, as an upgrade does: what was committed before is delivered or waits in the
// store, what comes after is sent, and nobody is told of a gap. Nor does anything go out of the copy before somebody has said so.
func TestAMoveAfterADrainIsNoGap(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	r := newRig(t, hooktest.If(func(q hooktest.Request) bool { return q.Path == "/down" && !up.Load() },
		hooktest.Always(hooktest.Status(503)), hooktest.Always(hooktest.OK())))
	stop := r.start()
	r.subscribe("/")
	r.subscribe("/down")
	r.insertContact(1, 1)
	first := r.recv.WaitFor(t, arrived("/", "contact/1", 1))[0]
	if _, err := r.admin().Pause(t.Context(), "the move"); err != nil {
		t.Fatal(err)
	}
	r.insertContact(2, 1)
	done, err := r.admin().Drain(t.Context(), client.Drain{Wait: "60s"})
	if err != nil || !done.Drained {
		t.Fatalf("got %+v, %v", done, err)
	}
	stop()
	r.url = move(t, r.url, newServer(t))
	r.reconnect()
	var version string
	if err := r.conn.QueryRow(t.Context(), `select current_setting('server_version')`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	t.Logf("moved to Postgres %s", version)
	sent := len(r.recv.Requests())
	up.Store(true)

	r.startRed("rowhook resume --drained")
	var refused *client.Error
	if _, err := r.admin().Resume(t.Context(), false); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("without a word on what is missing: %v", err)
	}
	if n := len(r.recv.Requests()); n != sent {
		t.Errorf("%d requests of what may be a copy", n-sent)
	}
	resumed, err := r.admin().ResumeAs(t.Context(), client.Resume{Drained: true})
	if err != nil || resumed.Incident != "other_database" || resumed.Gap || resumed.Told != 0 || resumed.PausedSince == nil {
		t.Fatalf("got %+v, %v", resumed, err)
	}
	r.isGreen()
	r.insertContact(3, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		for _, path := range []string{"/", "/down"} {
			for _, instance := range []string{"contact/1", "contact/2", "contact/3"} {
				if len(hooktest.ByInstance(hooktest.Delivered(hooktest.ByPath(q)[path]))[instance]) == 0 {
					return false
				}
			}
		}
		return true
	})
	for _, path := range []string{"/", "/down"} {
		if len(gaps(all, path)) != 0 || len(hooktest.Duplicates(hooktest.Delivered(hooktest.ByPath(all)[path]))) != 0 {
			t.Errorf("%s was told of a gap, or got something twice: %s", path, types(hooktest.ByPath(all)[path]))
		}
	}
	if p := hooktest.ByInstance(all)["contact/3"][0].Position; p <= first.Position {
		t.Errorf("position %s after %s", p, first.Position)
	}
	if strings.Contains(r.log.String(), "a gap was accepted") {
		t.Error("the log tells of a gap")
	}
}

// TestDrainedIsNoWordForALoss: what a drain does not explain is refused.
func TestDrainedIsNoWordForALoss(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	r.insertContact(2, 1)
	r.exec(`select pg_replication_slot_advance($1, pg_current_wal_lsn())`, r.slot)
	r.startRed("beyond")
	var refused *client.Error
	if _, err := r.admin().ResumeAs(t.Context(), client.Resume{Drained: true}); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("got %v", err)
	}
	r.accept("slot_moved", 1)
}

// TestADumpRestoredOverTheDatabase: the publication is dropped and made again for it, so what is written meanwhile cannot be decoded, and the
// store is as old as the dump.
func TestADumpRestoredOverTheDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	first := r.recv.WaitFor(t, arrived("/", "contact/1", 1))[0]
	file := filepath.Join(t.TempDir(), "dump.sql")
	restore := func(script string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "bash", "-c", script, r.url, file).CombinedOutput()
		if strings.Contains(string(out), "server version mismatch") || errors.Is(err, exec.ErrNotFound) {
			t.Skipf("pg_dump is older than the server: %v: %s", err, out)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	restore(`pg_dump "$0" -f "$1"`)
	r.insertContact(2, 1)
	r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	stop()
	r.exec(`drop publication rowhook`)
	r.exec(`drop schema rowhook cascade`)
	r.exec(`drop schema public cascade`)
	r.exec(`create schema public`)
	restore(`psql -q -v ON_ERROR_STOP=1 "$0" -f "$1" >/dev/null`)
	r.startRed("rowhook resume --accept-gap")
	// Where the slot was acknowledged beyond what the dump knows, that is one gap, and that the publication was not there is the next.
	told, newest := 0, 2
	eventually(t, "it goes on", func() bool {
		if told > 0 && arrived("/", fmt.Sprintf("contact/%d", newest), 1)(r.recv.Requests()) {
			return true
		}
		ready, err := r.admin().Ready(t.Context())
		if err != nil || ready.Ready || !strings.Contains(ready.Reason, "--accept-gap") {
			return false
		}
		var nothing *client.Error
		if _, err := r.admin().Resume(t.Context(), true); errors.As(err, &nothing) && nothing.Status == http.StatusConflict && told > 0 {
			return false // it was what is accepted already
		} else if err != nil {
			t.Fatal(err)
		}
		t.Log(ready.Reason)
		told++
		newest++
		r.insertContact(newest, 1)
		return false
	})
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(gaps(q, "/")) == told })
	if p := all[len(all)-1].Position; p <= first.Position {
		t.Errorf("position %s after %s", p, first.Position)
	}
}
