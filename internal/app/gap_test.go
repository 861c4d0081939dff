package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// accept goes on in spite of a gap, after a try without saying so was refused.
func (r *rig) accept(kind string, told int) {
	r.t.Helper()
	var refused *client.Error
	if _, err := r.admin().Resume(r.t.Context(), false); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		r.t.Fatalf("without --accept-gap: %v", err)
	}
	done, err := r.admin().Resume(r.t.Context(), true)
	for deadline := time.Now().Add(2 * time.Minute); errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable &&
		strings.Contains(refused.Error(), "transactions that were running when it began") && time.Now().Before(deadline); {
		// A new slot waits for all transactions of the cluster, also those of other tests. Who asked is told to ask again.
		done, err = r.admin().Resume(r.t.Context(), true)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if done.Incident != kind || !done.Gap || done.Told != told || done.To == nil {
		r.t.Errorf("got %+v, want %s, %d told", done, kind, told)
	}
}

// gaps are the rowhook.gap events that came to a path, each of which must be signed and have a position of its own.
func gaps(q []hooktest.Request, path string) (out []hooktest.Request) {
	for _, x := range hooktest.Delivered(hooktest.ByPath(q)[path]) {
		if x.Type == "rowhook.gap" {
			out = append(out, x)
		}
	}
	return out
}

type gapBody struct {
	Reason    string
	From, To  *time.Time
	Resources []string
}

func gapOf(t *testing.T, x hooktest.Request) (g gapBody) {
	t.Helper()
	if err := json.Unmarshal(x.Data(), &g); err != nil {
		t.Fatalf("%s: %v", x.Data(), err)
	}
	return g
}

// TestAMissingSlotIsAGap drops the slot of a rowhook that does not run. Nothing is made in its place, and nothing sent,
// until that is accepted; then everything goes on, with what was due, and subscribers know.
func TestAMissingSlotIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.ForInstance("contact/2", hooktest.Times(1, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())), hooktest.Always(hooktest.OK())))
	r.text = strings.Replace(r.text, "retries: [100ms, 200ms,", "retries: [1s, 200ms,", 1)
	stop := r.start()
	s := r.subscribe("/")
	acme := r.client("acme-token-0123456789")
	if _, err := acme.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/acme")}); err != nil {
		t.Fatal(err)
	}
	feed, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, FeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	r.insertContact(1, 1)
	r.insertContact(2, 9) // its first attempt fails: it is due
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return len(hooktest.ByPath(q)["/"]) == 2 && len(hooktest.ByPath(q)["/acme"]) == 1
	})
	stop()
	before := time.Now()
	r.exec(`select pg_drop_replication_slot($1)`, r.slot)
	r.insertContact(3, 1) // lost
	n := len(r.recv.Requests())
	r.startRed("rowhook resume --accept-gap")
	var slots int
	if err := r.conn.QueryRow(t.Context(), `select count(*) from pg_replication_slots where slot_name = $1`, r.slot).Scan(&slots); err != nil || slots != 0 {
		t.Errorf("%d slots, %v", slots, err)
	}
	if got := len(r.recv.Requests()); got != n {
		t.Errorf("%d requests while it waits", got-n)
	}
	if _, err := acme.Resume(t.Context(), true); err == nil {
		t.Error("an account may resume")
	}
	r.accept("slot_missing", 3)
	r.isGreen()
	r.insertContact(4, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/", "contact/4", 1)(q) && arrived("/acme", "contact/4", 1)(q) && len(gaps(q, "/")) == 1 && len(gaps(q, "/acme")) == 1 &&
			len(hooktest.ByInstance(hooktest.Delivered(q))["contact/2"]) == 1
	})
	if arrived("/", "contact/3", 1)(all) {
		t.Error("what was lost has arrived")
	}
	told := gaps(all, "/")[0]
	g := gapOf(t, told)
	if g.Reason != "slot_missing" || g.Resources != nil || g.From == nil || g.To == nil || g.From.After(before) || g.To.Before(before.Add(-time.Second)) {
		t.Errorf("got %+v", g)
	}
	if err := told.Verify(s.Secret); err != nil {
		t.Errorf("signature: %v", err)
	}
	byInstance := hooktest.ByInstance(hooktest.ByPath(all)["/"])
	if first, last := byInstance["contact/1"][0].Position, byInstance["contact/4"][0].Position; told.Position <= first || told.Position >= last {
		t.Errorf("position %s is not between %s and %s", told.Position, first, last)
	}
	shown := feedEvents(t, r.feedOf(r.admin(), feed.ID, client.FeedQuery{After: "oldest"}, 4))
	if len(shown) == 4 && (shown[2].Type != "rowhook.gap" || shown[3].Data.ID != 4) {
		t.Errorf("the feed has %+v", shown)
	}
	if _, err := r.admin().Resume(t.Context(), true); err == nil {
		t.Error("there was still something to accept")
	}
}

// TestALostSlotIsAGap has the server remove log that was not read.
func TestALostSlotIsAGap(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, map[string]string{"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"})
	r := newRigAt(t, srv.Database(t))
	stop := r.start()
	r.subscribe("/")
	stop()
	r.exec(`create table other (a text)`)
	for range 6 {
		r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 12000)`)
		r.exec(`select pg_switch_wal()`)
	}
	r.exec(`checkpoint`)
	r.startRed("is lost")
	says(t, r.faulty("slot_lost"), client.SeverityError, "the server has removed log that was not read yet (max_slot_wal_keep_size)", "nothing is sent until you decide",
		"rowhook resume --accept-gap")
	r.accept("slot_lost", 1)
	r.isGreen()
	r.well("slot_lost")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/1", 1)(q) && len(gaps(q, "/")) == 1 })
}

// TestALostSlotThatWasNeverReadIsAGap: the config names another slot, which was made by hand and lost since. There are
// subscribers, and they are told; since when is not known.
func TestALostSlotThatWasNeverReadIsAGap(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, map[string]string{"max_slot_wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"})
	r := newRigAt(t, srv.Database(t))
	stop := r.start()
	r.subscribe("/")
	stop()
	r.slot = pgtest.Name("slot")
	r.exec(`select pg_create_logical_replication_slot($1, 'pgoutput')`, r.slot)
	r.exec(`create table other (a text)`)
	for range 6 {
		r.exec(`insert into other select repeat('x', 1000) from generate_series(1, 12000)`)
		r.exec(`select pg_switch_wal()`)
	}
	r.exec(`checkpoint`)
	r.startRed("is lost")
	r.accept("slot_lost", 1)
	r.isGreen()
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(gaps(q, "/")) == 1 })
	if g := gapOf(t, gaps(all, "/")[0]); g.From != nil {
		t.Errorf("got %+v", g)
	}
}

// TestASlotThatWasMovedIsAGap advances the slot by hand, as is often advised when the log fills the disk.
func TestASlotThatWasMovedIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	r.insertContact(2, 1) // lost
	r.exec(`select pg_replication_slot_advance($1, pg_current_wal_lsn())`, r.slot)
	r.startRed("beyond")
	r.accept("slot_moved", 1)
	r.isGreen()
	r.insertContact(3, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/3", 1)(q) && len(gaps(q, "/")) == 1 })
}

// TestACopyOfTheStoreIsConfirmed lets another environment find the store: nothing is sent, not even what is due, until
// somebody says that it is no copy. Nothing is lost then, so nobody is told of a gap.
func TestACopyOfTheStoreIsConfirmed(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Times(1, hooktest.Always(hooktest.Status(500)), hooktest.Always(hooktest.OK())))
	r.text = strings.Replace(r.text, "retries: [100ms, 200ms,", "retries: [500ms, 200ms,", 1)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	r.insertContact(2, 1)
	r.text = strings.Replace(r.text, "environment: test", "environment: staging", 1)
	r.startRed(`"test", this is "staging"`)
	pause(t, time.Second) // twice as long as what is due would wait
	if n := len(r.recv.Requests()); n != 1 {
		t.Errorf("%d requests of a copy", n-1)
	}
	done, err := r.admin().Resume(t.Context(), false)
	if err != nil || done.Gap || done.Told != 0 || done.Incident != "other_environment" {
		t.Fatalf("got %+v, %v", done, err)
	}
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(hooktest.Delivered(q))) == 2 })
	if len(gaps(all, "/")) != 0 {
		t.Error("subscribers were told of a gap")
	}
}

// TestAnotherDatabaseIsAGap gives the store to another cluster, as after a move with a dump: positions of the log are
// lower there, and sort after all that was.
func TestAnotherDatabaseIsAGap(t *testing.T) {
	t.Parallel()
	own := pgtest.Database(t)
	r := newRig(t)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n", 1)
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	first := r.recv.WaitFor(t, arrived("/", "contact/1", 1))[0]
	stop()
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `update hooks.subscription set since = 'FF/0'; update hooks.checkpoint set lsn = 'FF/0', reach = 'FF/0'`); err != nil {
		t.Fatal(err)
	}

	moved := newRigAt(t, pgtest.Cluster(t, nil).Database(t))
	moved.text, moved.recv, moved.slot = r.text, r.recv, r.slot
	moved.startRed("belongs to another source")
	moved.accept("other_database", 1)
	moved.isGreen()
	moved.insertContact(2, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/2", 1)(q) && len(gaps(q, "/")) == 1 })
	if p := hooktest.ByInstance(all)["contact/2"][0].Position; p <= first.Position {
		t.Errorf("position %s after %s", p, first.Position)
	}
}

// TestAPromotionThatHasEverythingIsNoGap brings the cluster to another timeline, with the slot.
func TestAPromotionThatHasEverythingIsNoGap(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	r := newRigAt(t, srv.Database(t))
	r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	promote(t, srv)
	r.reconnect()
	r.isGreen()
	r.insertContact(2, 1)
	all := r.recv.WaitFor(t, arrived("/", "contact/2", 1))
	if len(gaps(all, "/")) != 0 {
		t.Error("subscribers were told of a gap")
	}
	var timeline int
	eventually(t, "the checkpoint is of the new timeline", func() bool {
		err := r.conn.QueryRow(t.Context(), `select timeline from rowhook.checkpoint`).Scan(&timeline)
		return err == nil && timeline == 2
	})
}

// TestAMissingSlotOnANewTimelineBeginsAnEpoch: after a restore to an earlier point of time, store and all, the log has other
// changes at positions that subscribers have seen. A restored database has no slots.
func TestAMissingSlotOnANewTimelineBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	r := newRigAt(t, srv.Database(t))
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.Wait(t, 1, patience)
	stop()
	promote(t, srv)
	r.reconnect()
	r.exec(`select pg_drop_replication_slot($1)`, r.slot)
	r.startRed("rowhook resume --accept-gap")
	r.accept("slot_missing", 1)
	r.isGreen()
	r.insertContact(2, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/2", 1)(q) && len(gaps(q, "/")) == 1 })
	if p := hooktest.ByInstance(all)["contact/2"][0].Position; p[:8] != "00000002" {
		t.Errorf("position %s is of the epoch before", p)
	}
}

// TestADatabaseThatIsBehindIsAGap has a store that knows of more than the log has, on the same timeline and on a new one.
func TestADatabaseThatIsBehindIsAGap(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("new timeline ", other), func(t *testing.T) {
			t.Parallel()
			srv := pgtest.Cluster(t, nil)
			r := newRigAt(t, srv.Database(t))
			stop := r.start()
			r.subscribe("/")
			r.insertContact(1, 1)
			first := r.recv.WaitFor(t, arrived("/", "contact/1", 1))[0]
			stop()
			r.exec(`update rowhook.checkpoint set lsn = lsn + 1000000000, reach = reach + 1000000000`)
			if other {
				promote(t, srv)
				r.reconnect()
			}
			r.startRed("it was restored to an earlier state")
			r.accept("database_restored", 1)
			r.isGreen()
			r.insertContact(2, 1)
			all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/2", 1)(q) && len(gaps(q, "/")) == 1 })
			if p := hooktest.ByInstance(all)["contact/2"][0].Position; p[:8] != "00000002" || p <= first.Position {
				t.Errorf("position %s after %s", p, first.Position)
			}
		})
	}
}

// promote stops the server, starts it as a standby of nobody, and promotes it.
func promote(t *testing.T, srv *pgtest.Server) {
	t.Helper()
	if err := srv.Shutdown(pgtest.Fast, patience); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(srv.Dir(), "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), srv.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `select pg_promote()`); err != nil {
		t.Fatal(err)
	}
}

// TestADroppedPublicationIsAGap drops it under the stream: what was before is delivered, then it says what is wrong.
func TestADroppedPublicationIsAGap(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	r.subscribe("/")
	stop()
	r.insertContact(1, 1)
	r.exec(`drop publication rowhook`)
	r.insertContact(2, 1)
	r.exec(`create publication rowhook for table contacts, notes`)
	r.insertContact(3, 1)
	r.start()
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))
	r.isRed("did not exist when the log")
	r.accept("publication_missing", 1)
	r.isGreen()
	r.insertContact(4, 1)
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/4", 1)(q) && len(gaps(q, "/")) == 1 })
	if arrived("/", "contact/2", 1)(all) || arrived("/", "contact/3", 1)(all) {
		t.Error("what was said to be lost has arrived")
	}
}

// TestTablesThatWereNotPublishedAreAGap takes a table out of the publication, and back: everything else goes on
// meanwhile, and the gap is remembered until it is accepted, over restarts too.
func TestTablesThatWereNotPublishedAreAGap(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			stop := r.start()
			r.subscribe("/all")
			r.subscribe("/contacts", "contact.*")
			r.subscribe("/notes", "note.create")
			acme, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/acme")})
			if err != nil || acme.ID == "" {
				t.Fatal(err)
			}
			// Which tables are published is known from the first look on.
			eventually(t, "the tables are noted", func() bool {
				var n int
				err := r.conn.QueryRow(t.Context(), `select jsonb_array_length(tables) from rowhook.checkpoint`).Scan(&n)
				return err == nil && n == 2
			})
			if restart {
				stop()
			}
			r.exec(`alter publication rowhook drop table notes`)
			r.exec(`insert into notes values (1, 'lost')`)
			if restart {
				// It is published again by the start, and not forgotten.
				_, _, _ = r.begin()
			} else {
				r.isRed("does not have public.notes any more")
				r.insertContact(1, 1)
				r.recv.WaitFor(t, arrived("/contacts", "contact/1", 1))
				r.exec(`alter publication rowhook add table notes`)
			}
			r.isRed("did not have public.notes")
			r.exec(`insert into notes values (2, 'sent')`)
			r.recv.WaitFor(t, arrived("/notes", "note/2", 1))
			r.accept("tables_unpublished", 2)
			r.isGreen()
			r.exec(`insert into notes values (3, 'sent')`)
			r.insertContact(3, 1)
			all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
				return len(gaps(q, "/all")) == 1 && len(gaps(q, "/notes")) == 1 && arrived("/notes", "note/3", 1)(q) && arrived("/acme", "contact/3", 1)(q)
			})
			if g := gapOf(t, gaps(all, "/notes")[0]); !slices.Equal(g.Resources, []string{"note"}) || g.Reason != "tables_unpublished" {
				t.Errorf("got %+v", g)
			}
			if len(gaps(all, "/contacts"))+len(gaps(all, "/acme")) != 0 {
				t.Error("somebody was told of what does not concern them")
			}
			if d := hooktest.Duplicates(hooktest.Delivered(all)); len(d) != 0 {
				t.Errorf("%d came twice", len(d))
			}
		})
	}
}

// TestAPoisonedTransactionIsLeftOut has rows that are too large, or that the server cannot decode. Only their transaction
// is lost, when that is accepted.
func TestAPoisonedTransactionIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, prepare, poison, red string
		sent                             int // of each contact
		unknown                          bool
	}{
		{"too large", "too_large", ``, `update contacts set street = repeat('x', 2000000) where id = 1`, "larger than limits.max_row", 2, false},
		{"undecodable", "undecodable_change", `create publication rowhook for table contacts where (10 / (score - 7) < 1000000), notes`,
			`update contacts set score = 7 where id = 1`, "cannot decode", 1, false},
		{"undecodable from the first change on", "undecodable_change", `create publication rowhook for table contacts where (10 / (score - 7) < 1000000), notes`,
			`update contacts set score = 7 where id = 1`, "not known where its transaction ends", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.text = strings.Replace(r.text, "limits: {", "limits: {max_row: 1MiB, ", 1)
			if c.prepare != "" {
				pgtest.Needs(t, r.url, 15, "row filters")
				r.exec(c.prepare)
			}
			stop := r.start()
			r.subscribe("/")
			// Everything is there at once when rowhook starts again: what stands before the poison must be handed on.
			stop()
			r.insertContact(1, 1)
			r.exec(`update contacts set score = 1`)
			if c.unknown {
				r.exec(c.poison)
				_, _, _ = r.begin()
				r.isRed(c.red)
			} else {
				// The first change of the transaction arrives, the second one does not.
				r.exec(`with a as (insert into notes values (1, 'first') returning id) ` + strings.Replace(c.poison, " where id = 1", " from a where contacts.id = a.id", 1))
				r.insertContact(2, 1)
				r.exec(`update contacts set score = 1 where id = 2`)
				_, _, _ = r.begin()
				r.isRed(c.red)
			}
			r.recv.WaitFor(t, arrived("/", "contact/1", c.sent))
			r.accept(c.kind, 1)
			r.isGreen()
			if c.unknown {
				r.insertContact(2, 1)
				r.exec(`update contacts set score = 1 where id = 2`)
			}
			all := r.recv.WaitFor(t, func(q []hooktest.Request) bool {
				return arrived("/", "contact/2", c.sent)(q) && len(gaps(q, "/")) == 1
			})
			if g := gapOf(t, gaps(all, "/")[0]); !c.unknown && (g.From == nil || g.To == nil || !g.From.Equal(*g.To)) {
				t.Errorf("the gap is of one transaction, got %+v", g)
			}
			if n := len(hooktest.ByInstance(hooktest.Delivered(all))["contact/1"]); n != c.sent {
				t.Errorf("contact/1 came %d times", n)
			}
			// What stands before the poison in its own transaction would not come again.
			if n := len(hooktest.ByInstance(hooktest.Delivered(all))["note/1"]); !c.unknown && n != 1 {
				t.Errorf("note/1 came %d times", n)
			}
		})
	}
}
