package cdc

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestATableThatWasRepublishedIsAGap: a table was taken out of the publication and put back between two looks, or while
// nobody looked. What happened to it meanwhile was not sent.
func TestATableThatWasRepublishedIsAGap(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	rec := newRecorder()
	_, stop := f.run(rec)
	f.exec(`insert into t values (1, 'x')`)
	rec.wait(t, 1)
	eventually(t, "the tables are noted", func() bool {
		c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
		return len(c.Tables) == 1
	})
	stop()
	p := QuoteIdent(f.cfg.Publication)
	f.exec(`create table u (id int primary key)`)
	f.exec(`alter publication ` + p + ` add table u`)
	f.exec(`alter publication ` + p + ` drop table t`)
	f.exec(`insert into t values (2, 'never sent')`)
	f.exec(`alter publication ` + p + ` add table t`)
	s, _ := f.run(rec)
	f.exec(`insert into t values (3, 'x')`)
	rec.wait(t, 2)
	eventually(t, "the gap is told", func() bool {
		c, _, _ := f.mem.LoadCheckpoint(t.Context(), f.cfg.Slot)
		return c.Missed != nil && s.Status().Degraded != ""
	})
}
