package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// attempts are rows of the table as arrays, the way unnest takes them.
type attempts struct {
	subscriptions         []int64
	positions, answers    [][]byte
	committed, started    []time.Time
	numbers, httpStatuses []int16
	durations             []int32
	reasons, details      []string
}

func (c *attempts) add(r *sender.Record) {
	o := r.Outcome
	c.subscriptions = append(c.subscriptions, r.Subscription)
	c.positions, c.answers = append(c.positions, bytesOf(r.Event.Position)), append(c.answers, o.Answer)
	c.committed, c.started = append(c.committed, r.Event.Time), append(c.started, o.Started)
	c.numbers, c.httpStatuses = append(c.numbers, int16(r.Attempts)), append(c.httpStatuses, int16(o.Status))
	c.durations = append(c.durations, microseconds(o.Duration))
	c.reasons, c.details = append(c.reasons, o.Reason), append(c.details, o.Detail)
}

// queue inserts them, but for those that are there.
func (c *attempts) queue(b *pgx.Batch) {
	if len(c.subscriptions) == 0 {
		return
	}
	b.Queue(`
		INSERT INTO attempt (subscription, position, committed_at, number, started_at, duration_us, http_status, reason, detail, answer)
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::smallint[], $5::timestamptz[], $6::integer[],
			$7::smallint[], $8::text[], $9::text[], $10::bytea[])
		ON CONFLICT DO NOTHING`,
		c.subscriptions, c.positions, c.committed, c.numbers, c.started, c.durations, c.httpStatuses, c.reasons, c.details, c.answers)
}
