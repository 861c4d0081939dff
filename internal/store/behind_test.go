package store

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

var loops = regexp.MustCompile(`loops=(\d+)`)

// TestWhatWaitsBehindIsReadAsFarAsWanted: of many instances, each with many rows, those are read that are wanted, not all for the sake of
// the first ones: everybody else waits for a look.
func TestWhatWaitsBehindIsReadAsFarAsWanted(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	s := open(t, db)
	x := subscribe(t, s, "1")
	conn := connect(t, db)
	const keys, each = 100, 200
	exec(t, conn, `INSERT INTO due (subscription, key, position, committed_at, due_at, attempts)
		SELECT $1, n % $3, decode(lpad(to_hex(n), 40, '0'), 'hex'), $2, CASE WHEN n <= $3 THEN $2::timestamptz ELSE 'infinity' END, 0
		FROM generate_series(1, $3 * $4::integer) n`, x.Key, day, keys, each)
	all := make([]string, keys)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	list, none := `'{`+strings.Join(all, ",")+`}'`, `'{`+strings.Repeat(`"",`, keys-1)+`""}'`
	later := day.Add(time.Hour).Format(`'` + time.RFC3339 + `'`)
	for name, sql := range map[string]string{
		"Due":    fmt.Sprintf(`PREPARE looked AS %s; EXPLAIN (ANALYZE) EXECUTE looked(%d, %s, %d, '{}', %d, %d)`, dueBehindSQL, x.Key, later, each, 1<<20, each),
		"Behind": fmt.Sprintf(`PREPARE looked AS %s; EXPLAIN (ANALYZE) EXECUTE looked(%d, %s, %s, %d, %d)`, waitingSQL, x.Key, list, none, each, 1<<20),
	} {
		prepare, explain, _ := strings.Cut(sql, "; EXPLAIN")
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				exec(t, conn, `ANALYZE due`)
			}
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				tx, err := conn.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				exec(t, conn, `SET LOCAL plan_cache_mode = `+mode)
				if name == "Behind" {
					exec(t, conn, indexesOnly)
				}
				exec(t, conn, prepare)
				rows, err := tx.Query(t.Context(), "EXPLAIN"+explain)
				if err != nil {
					t.Fatal(err)
				}
				plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatal(err)
				}
				_ = tx.Rollback(t.Context())
				exec(t, conn, `DEALLOCATE looked`)
				for _, line := range plan {
					n := loops.FindStringSubmatch(line)
					if n == nil || !strings.Contains(line, " on due") {
						continue
					}
					if n, _ := strconv.Atoi(n[1]); n > keys/10 {
						t.Errorf("%s, %s, analyzed %v: rows of %d instances are read:\n%s", name, mode, analyzed, n, strings.Join(plan, "\n"))
					}
				}
			}
		}
	}
}
