package doccheck

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestStaleUpdatesDoNoHarm has the SQL of docs/receiving.md take hooks in every order, and twice.
func TestStaleUpdatesDoNoHarm(t *testing.T) {
	t.Parallel()
	var sql []string
	for _, b := range blocks(t, "docs/receiving.md") {
		if b.lang == "sql" {
			sql = append(sql, b.text)
		}
	}
	if len(sql) != 2 {
		t.Fatalf("docs/receiving.md has %d blocks of SQL, want the table and the statement", len(sql))
	}
	conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql[0]); err != nil {
		t.Fatal(err)
	}
	take := strings.TrimSuffix(strings.TrimSpace(sql[1]), ";")
	type hook struct {
		data     *string
		position string
	}
	for round := range 20 {
		id, last := fmt.Sprint(round), 5+rand.IntN(5)
		var hooks []hook
		for i := range last + 1 {
			data := fmt.Sprintf(`{"n": %d}`, i)
			h := hook{&data, cdc.Position{Epoch: 1, Commit: cdc.LSN(1 << (4 * i)), Ordinal: 1}.String()}
			if i == last && round%2 == 0 {
				h.data = nil
			}
			hooks = append(hooks, h, h)
		}
		rand.Shuffle(len(hooks), func(i, j int) { hooks[i], hooks[j] = hooks[j], hooks[i] })
		for _, h := range hooks {
			if _, err := conn.Exec(t.Context(), take, id, h.data, h.position); err != nil {
				t.Fatal(err)
			}
		}
		var got *string
		if err := conn.QueryRow(t.Context(), `select data from contact_copy where id = $1`, id).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"n": %d}`, last); round%2 == 0 && got != nil || round%2 == 1 && (got == nil || *got != want) {
			t.Errorf("round %d ends with %v", round, got)
		}
	}
}
