package store

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
)

// bringFurther does to the store what a later release may do.
func bringFurther(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	next, err := os.ReadFile("testdata/next.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, string(next))
}

// TestLaterStoreIsUsed: what a later release has added to the store stops neither who works on it nor who starts.
func TestLaterStoreIsUsed(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	running := open(t, db)
	x := subscribe(t, running, "1")
	write(t, running, deferred(event(1, day), x.Key, 1, day), delivered(event(2, day), x.Key, 2, false))
	bringFurther(t, conn)
	for i, s := range []*Store{running, open(t, db)} {
		n := 10 * (i + 1)
		y := subscribe(t, s, "1")
		// On a day with partitions that were made before it was brought further, and on one without.
		for _, at := range []time.Time{day, day.AddDate(0, 0, i+1)} {
			write(t, s, deferred(event(n, at), y.Key, 1, at), delivered(event(n+1, at), y.Key, 2, false))
			n += 2
		}
		due, _, err := s.Due(t.Context(), y.Key, sender.Look{Now: day.AddDate(0, 0, 9), Rows: 10, Bytes: 1 << 20})
		if err != nil || len(due) != 1 {
			t.Fatalf("%d are due, want 1: %v", len(due), err)
		}
		if found, _, err := s.Recorded(t.Context(), []Delivery{{y.Key, event(n-1, day.AddDate(0, 0, i+1))}}); err != nil || len(found) != 1 {
			t.Errorf("%d are recorded, want 1: %v", len(found), err)
		}
		if _, err := s.Own(t.Context(), "slot", fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
	}
	if dropped, err := running.Expire(t.Context(), day.AddDate(0, 0, 9)); err != nil {
		t.Errorf("%v %v", dropped, err)
	}
	if got := value[string](t, conn, `SELECT release FROM store`); got != "99.0.0" {
		t.Errorf("the later release is now said to be %s", got)
	}
	v, err := Look(t.Context(), Config{URL: secret.String(db), Schema: "rowhook"})
	if err != nil || len(v.Findings) > 0 || v.Store == nil || !strings.Contains(fmt.Sprint(v.Good), "made by a later rowhook") {
		t.Fatalf("%+v, %v", v, err)
	}
	v.Store.Close()
}

// TestLaterStoreIsRefused: a store from which a later version has taken something away is not this one's to write to,
// neither at its start nor when it takes over.
func TestLaterStoreIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	conn := connect(t, db)
	standby := open(t, db)
	bringFurther(t, conn)
	next := newestMigration() + 1
	exec(t, conn, `UPDATE store SET usable_from = $1`, next)
	exec(t, conn, `INSERT INTO checkpoint (slot, system_id, database_oid, timeline, environment, epoch, lsn, owner) VALUES ('slot', '1', 1, 1, '', 1, '0/1', 'later')`)
	s, err := Open(t.Context(), Config{URL: secret.String(db), Schema: "rowhook", Release: "1.0.0"})
	if err == nil {
		s.Close()
	}
	_, owning := standby.Own(t.Context(), "slot", "earlier")
	for what, err := range map[string]error{"Open": err, "Own": owning} {
		var refused *cdc.Error
		if !errors.As(err, &refused) || refused.Class != cdc.Refused {
			t.Fatalf("%s: %v", what, err)
		}
		for _, part := range []string{"by a later rowhook (99.0.0)", fmt.Sprintf("knows version %d, this one knows %d", next, next-1), "use rowhook 99.0.0 or later"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %q", what, err, part)
			}
		}
	}
	if n := value[int](t, conn, `SELECT count(*) FROM store s, checkpoint c WHERE s.release = '99.0.0' AND c.owner = 'later'`); n != 1 {
		t.Error("something was written to the store")
	}
	// One that says nothing of it is of a time before anybody asked.
	exec(t, conn, `UPDATE store SET release = NULL; ALTER TABLE store DROP COLUMN usable_from`)
	if _, err := Open(t.Context(), Config{URL: secret.String(db), Schema: "rowhook"}); err == nil || !strings.Contains(err.Error(), "use the later rowhook") {
		t.Error(err)
	}
}

// narrowing are statements that an earlier release, which runs beside or after them, may fail on.
var narrowing = regexp.MustCompile(`(?i)\b(DROP\s+(TABLE|COLUMN|VIEW|FUNCTION|CONSTRAINT|DEFAULT|INDEX|TYPE|SCHEMA)|ALTER\s+TABLE\s+\S+\s+DROP\b|RENAME\b|` +
	`ALTER\s+(COLUMN\s+)?\S+\s+(SET\s+DATA\s+)?TYPE\b|SET\s+NOT\s+NULL|ADD\s+(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b|CREATE\s+UNIQUE\s+INDEX)`)

// filled is a column that an earlier release leaves out though it has to have a value.
func filled(sql string) bool {
	for _, add := range regexp.MustCompile(`(?i)\bADD\s+COLUMN\b[^,;]*`).FindAllString(sql, -1) {
		add = strings.ToUpper(add)
		if strings.Contains(add, "NOT NULL") && !strings.Contains(add, "DEFAULT") && !strings.Contains(add, "GENERATED") {
			return true
		}
	}
	return false
}

var sqlComment = regexp.MustCompile(`--[^\n]*`)

// narrows says whether a migration takes something away, and whether it says so.
func narrows(version int64, sql string) (narrow, said bool) {
	sql = sqlComment.ReplaceAllString(sql, "")
	raise := regexp.MustCompile(fmt.Sprintf(`(?i)\bUPDATE\s+store\s+SET\s+usable_from\s*=\s*%d\b`, version))
	return narrowing.MatchString(sql) || filled(sql), raise.MatchString(sql)
}

// TestMigrationsSayWhoMayGoOn: a migration that takes away what an earlier release uses raises usable_from to its own
// version; it comes a release after nothing uses that any more. One that only adds leaves it.
func TestMigrationsSayWhoMayGoOn(t *testing.T) {
	t.Parallel()
	for _, version := range knownMigrations() {
		if version <= 34 { // before it was asked
			continue
		}
		files, err := migrations.ReadDir("migrations")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasPrefix(f.Name(), fmt.Sprintf("%04d_", version)) {
				continue
			}
			text, err := migrations.ReadFile("migrations/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			if narrow, said := narrows(version, string(text)); narrow && !said {
				t.Errorf("%s takes something away that earlier releases may use: add UPDATE store SET usable_from = %d, or only add", f.Name(), version)
			}
		}
	}
	for sql, want := range map[string]bool{
		`ALTER TABLE due ADD COLUMN fallback jsonb;`:                                         false,
		`ALTER TABLE due ADD COLUMN n int NOT NULL DEFAULT 3, ADD COLUMN o text;`:            false,
		`CREATE TABLE x (a int NOT NULL PRIMARY KEY, b text UNIQUE); CREATE INDEX ON x (b);`: false,
		"-- A later one may DROP TABLE due.\nCREATE OR REPLACE VIEW delivery AS SELECT 1;":   false,
		`ALTER TABLE due ADD COLUMN n int NOT NULL;`:                                         true,
		`ALTER TABLE due DROP COLUMN n;`:                                                     true,
		`ALTER TABLE due DROP n;`:                                                            true,
		"drop\n table due;":                                                                  true,
		`ALTER TABLE due RENAME COLUMN n TO m;`:                                              true,
		`ALTER TABLE due RENAME TO m;`:                                                       true,
		`ALTER TABLE due ALTER COLUMN n TYPE bigint;`:                                        true,
		`ALTER TABLE due ALTER n SET DATA TYPE bigint;`:                                      true,
		`ALTER TABLE due ALTER COLUMN n SET NOT NULL;`:                                       true,
		`ALTER TABLE due ADD CHECK (n > 0);`:                                                 true,
		`CREATE UNIQUE INDEX x ON due (n);`:                                                  true,
		`ALTER TABLE due ALTER COLUMN n SET DEFAULT 3;`:                                      false,
	} {
		if narrow, said := narrows(40, sql); narrow != want || said {
			t.Errorf("%s narrows: %v, want %v", sql, narrow, want)
		}
		if _, said := narrows(40, sql+"\nUPDATE store SET usable_from = 40;"); !said {
			t.Errorf("%s says it, and is not heard", sql)
		}
	}
}
