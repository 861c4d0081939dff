package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
)

// stopsAtStep names in the environment of a child the step at which its backfill stops, as "read 2" for the second read.
const stopsAtStep = "ROWHOOK_TEST_STOPS_AT"

// stopAt lets backfills read few rows at once, and stop at a step for good.
func stopAt(a *app.App, at string) {
	app.SaveProgressAlways()
	a.ReadRows(4)
	times := map[string]int{}
	a.OnBackfillStep(func(step string) {
		times[step]++
		if fmt.Sprint(step, " ", times[step]) == at {
			fmt.Println("stopped at " + at)
			select {}
		}
	})
}

// TestBackfillIsKilledBetweenItsSteps kills rowhook at each step of one and the same backfill, while rows change: it goes on behind what it
// has saved, counts each row once, and tells nothing that is older than what was told.
func TestBackfillIsKilledBetweenItsSteps(t *testing.T) {
	t.Parallel()
	const rows = 30
	r := newRig(t)
	r.exec(`insert into contacts (id, account_id, first_name, score) select i, i % 2 + 1, 'old', 1 from generate_series(1, $1::int) i`, rows)
	var sub *client.Subscription
	var job *client.Job
	done := int64(0)
	for life, at := range []string{"begin 1", "marked 1", "placed 1", "settled 1", "saved 1", "read 2", "placed 2", ""} {
		cmd, out := r.spawnWith(stopsAtStep + "=" + at)
		if sub == nil {
			sub = r.subscribe("/", "contact.*")
		}
		if job == nil {
			var err error
			if job, err = r.admin().Backfill(t.Context(), sub.ID, client.Backfill{}); err != nil {
				t.Fatal(err)
			}
		}
		if at == "" {
			break
		}
		if line, err := out.ReadString('\n'); strings.TrimSpace(line) != "stopped at "+at {
			t.Fatalf("life %d says %q, %v, and should be stopped at %s\n%s", life, line, err, at, r.log)
		}
		// One that was told of, and one that will be.
		r.exec(`update contacts set score = score + 1 where id in ($1, $2)`, 1+life%4, rows-life)
		j, err := r.admin().Job(t.Context(), job.ID)
		if err != nil || j.State != client.JobRunning || j.Done < done {
			t.Errorf("at %s the job is %+v, and had done %d; %v", at, j, done, err)
		}
		if saved := at == "saved 1" || strings.HasSuffix(at, " 2"); saved && j.Done == done {
			t.Errorf("at %s no more is saved than the %d of the lives before", at, done)
		}
		done = j.Done
		kill(t, cmd)
	}
	j := r.jobEnds(job.ID)
	if d := j.Resources[0]; j.State != client.JobDone || j.Done != rows || d.Done != rows || d.Failed != 0 || d.Sent > rows {
		t.Errorf("the job is %s %s, and has done %d: %+v", j.State, j.Error, j.Done, j.Resources)
	}
	r.settle()
	version, backfilled := map[int]int{}, map[int]int{}
	for _, b := range r.sentTo("/") {
		if b.version() < version[b.Data.ID] {
			t.Errorf("%+v stands behind version %d", b, version[b.Data.ID])
		}
		version[b.Data.ID] = b.version()
		if b.Backfill {
			backfilled[b.Data.ID]++
		}
	}
	for id := 1; id <= rows; id++ {
		var score int
		if err := r.conn.QueryRow(t.Context(), `select score::int from contacts where id = $1`, id).Scan(&score); err != nil {
			t.Fatal(err)
		}
		if version[id] != score {
			t.Errorf("%d: the table has %d, the receiver %d", id, score, version[id])
		}
		if score == 1 && backfilled[id] == 0 {
			t.Errorf("%d did not come", id)
		}
	}
	// Each has one id, however often it came.
	ids := map[string]string{}
	for _, q := range r.recv.Requests() {
		if what := q.Instance(); q.Header.Get("Webhook-Backfill") == "1" {
			if ids[what] == "" {
				ids[what] = q.ID
			}
			if ids[what] != q.ID {
				t.Errorf("%s has the ids %s and %s", what, ids[what], q.ID)
			}
		}
	}
}
