package cdc

import (
	"fmt"
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestLargeMessages stop nothing: whoever may log in may write them.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	f.cfg.MaxMessage = 1 << 20
	rec := newRecorder()
	f.run(rec)
	f.exec(`insert into t values (1, 'one')`)
	f.exec(`select pg_logical_emit_message(false, 'theirs', repeat('x', 3000000)), pg_logical_emit_message(true, repeat('x', 3000000), '')`)
	f.exec(`begin`)
	f.exec(`insert into t values (2, 'two')`)
	f.exec(`select pg_logical_emit_message(true, 'mine', repeat('x', 3000000)), pg_logical_emit_message(true, 'theirs', repeat('x', 3000000))`)
	f.exec(`insert into t values (3, repeat('3', 5))`)
	f.exec(`commit`)
	f.exec(`update t set a = 'eins' where id = 1`)
	got := rec.wait(t, 5)
	want := []string{"insert t 1 one", "insert t 2 two", "message mine ", "insert t 3 33333", "update t 1 eins"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
