package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// queueMarks writes what is known of targets that take nothing, and forgets those that do again. The last mark of a subscription
// counts. What others are to be told of is noted each time.
func (r *rows) queueMarks(b *pgx.Batch) {
	if len(r.marks) == 0 {
		return
	}
	last := map[int64]*sender.Record{}
	var n noticeColumns
	for _, m := range r.marks {
		last[m.Subscription] = m
		n.add(m)
	}
	var failing, well, told, untold []int64
	var since, at, toldSince []time.Time
	var statuses []int16
	var reasons []string
	for key, m := range last {
		t := *m.Trouble
		if m.Tell == sender.TellRecovered {
			t = sender.Trouble{}
		}
		if t.Since.IsZero() {
			well = append(well, key)
		} else {
			failing, since = append(failing, key), append(since, t.Since)
			at, statuses, reasons = append(at, t.Last.At), append(statuses, int16(t.Last.Status)), append(reasons, t.Last.Reason)
		}
		if t.Told.IsZero() {
			untold = append(untold, key)
		} else {
			told, toldSince = append(told, key), append(toldSince, t.Told)
		}
	}
	if len(failing) > 0 {
		b.Queue(`
			INSERT INTO failing (subscription, since, last_at, last_status, last_reason)
			SELECT subscription, since, CASE WHEN last_reason <> '' THEN last_at END, last_status, nullif(last_reason, '')
			FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::smallint[], $5::text[]) AS w(subscription, since, last_at, last_status, last_reason)
			ON CONFLICT (subscription) DO UPDATE SET since = excluded.since, last_at = excluded.last_at, last_status = excluded.last_status,
				last_reason = excluded.last_reason`, failing, since, at, statuses, reasons)
	}
	if len(told) > 0 {
		b.Queue(`
			INSERT INTO told (subscription, since) SELECT * FROM unnest($1::bigint[], $2::timestamptz[])
			ON CONFLICT (subscription) DO UPDATE SET since = excluded.since`, told, toldSince)
	}
	b.Queue(`DELETE FROM failing WHERE subscription = ANY ($1)`, well)
	b.Queue(`DELETE FROM told WHERE subscription = ANY ($1)`, untold)
	n.queue(b)
}

// failingColumn is a failingRow, null where the target takes something.
const failingColumn = `(SELECT json_build_object('since', f.since, 'at', f.last_at, 'status', f.last_status, 'reason', f.last_reason)
	FROM failing f WHERE f.subscription = subscription.key)`

type failingRow struct {
	Since  time.Time  `json:"since"`
	At     *time.Time `json:"at"`
	Status *int       `json:"status"`
	Reason *string    `json:"reason"`
}

func (f *failingRow) shown() *subscriptions.Failing {
	if f == nil {
		return nil
	}
	out := &subscriptions.Failing{Since: f.Since.UTC()}
	if f.At != nil && f.Reason != nil {
		out.Last = &subscriptions.LastAnswer{Reason: *f.Reason, At: f.At.UTC()}
		if f.Status != nil && *f.Status != 0 {
			out.Last.Status = f.Status
		}
	}
	return out
}

// Failing implements sender.Store.
func (s *Store) Failing(ctx context.Context) (map[int64]sender.Trouble, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT subscription, f.since, f.last_at, coalesce(f.last_status, 0), coalesce(f.last_reason, ''), t.since
		FROM failing f FULL JOIN told t USING (subscription)`)
	if err != nil {
		return nil, fmt.Errorf("read which targets take nothing: %w", err)
	}
	all := map[int64]sender.Trouble{}
	var key int64
	var since, at, told *time.Time
	var status int16
	var reason string
	_, err = pgx.ForEachRow(rows, []any{&key, &since, &at, &status, &reason, &told}, func() error {
		all[key] = sender.Trouble{Since: timeOf(since), Last: sender.Failure{Status: int(status), Reason: reason, At: timeOf(at)}, Told: timeOf(told)}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read which targets take nothing: %w", err)
	}
	return all, nil
}
