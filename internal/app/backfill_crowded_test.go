package app_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
)

// TestBackfillWhereMuchChanges: more rows change between all reads and their marks than can be noted. What is read again is all that is
// noted then, so that it ends, and nothing is told as it was before what was told before.
func TestBackfillWhereMuchChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(`insert into contacts (id, account_id, first_name, score) select i, 1, 'old', 1 from generate_series(1, 60) i`)
	stop := r.start()
	r.app.ReadRows(8)
	r.app.NoteChanges(20)
	s := r.subscribe("/all", "contact.*")
	r.app.OnBackfillRead(func() {
		conn, err := pgx.Connect(context.Background(), r.url)
		if err == nil {
			_, err = conn.Exec(context.Background(), `update contacts set score = score + 1 where id % 2 = 0`)
			_ = conn.Close(context.Background())
		}
		if err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	j, err := r.admin().Backfill(t.Context(), s.ID, client.Backfill{})
	if err != nil {
		t.Fatal(err)
	}
	if j = r.jobEnds(j.ID); j.State != client.JobDone || j.Done != 60 || j.Resources[0].Sent != 30 {
		t.Errorf("the job is %+v", j)
	}
	r.settle()
	version, backfilled := map[int]int{}, map[int]bool{}
	for _, b := range r.sentTo("/all") {
		if b.version() < version[b.Data.ID] {
			t.Errorf("%+v stands behind version %d", b, version[b.Data.ID])
		}
		version[b.Data.ID] = b.version()
		if b.Backfill {
			backfilled[b.Data.ID] = true
			if b.Position <= j.Position {
				t.Errorf("%+v stands before the job's position %s", b, j.Position)
			}
		}
	}
	if len(version) != 60 || len(backfilled) != 30 {
		t.Errorf("%d have come, %d of them by the backfill", len(version), len(backfilled))
	}
	stop()
}
