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
	// What the parts took, in microseconds; nil where there was none.
	dns, connect, tls, firstByte []*int32
	fallback                     []*bool
}

// add adds that by which the record came. The number of one that asked for time and is not counted is that of the next
// attempt, below zero: the first of those before each that counts is kept, however often a target asks.
func (c *attempts) add(r *sender.Record) {
	o := r.Outcome
	c.subscriptions = append(c.subscriptions, r.Subscription)
	c.positions, c.answers = append(c.positions, bytesOf(r.Event.Position)), append(c.answers, o.Answer)
	c.committed, c.started = append(c.committed, r.Event.Time), append(c.started, o.Started)
	number := r.Attempts
	if o.Verdict == sender.Wait {
		number = -(number + 1)
	}
	c.numbers, c.httpStatuses = append(c.numbers, int16(number)), append(c.httpStatuses, int16(o.Status))
	c.durations = append(c.durations, microseconds(o.Duration))
	c.reasons, c.details = append(c.reasons, o.Reason), append(c.details, o.Detail)
	var t sender.Timings
	if o.Timings != nil {
		t = *o.Timings
	}
	c.dns, c.connect = append(c.dns, part(t.DNS)), append(c.connect, part(t.Connect))
	c.tls, c.firstByte = append(c.tls, part(t.TLS)), append(c.firstByte, part(t.FirstByte))
	c.fallback = append(c.fallback, orNot(o.Fallback))
}

// part is a time as it is stored: null for none.
func part(d time.Duration) *int32 {
	if d <= 0 {
		return nil
	}
	us := max(microseconds(d), 1)
	return &us
}

// queue inserts them, but for those that are there.
func (c *attempts) queue(b *pgx.Batch) {
	if len(c.subscriptions) == 0 {
		return
	}
	b.Queue(`
		INSERT INTO attempt (subscription, position, committed_at, number, started_at, duration_us, http_status, reason, detail, answer,
			dns_us, connect_us, tls_us, first_byte_us, fallback)
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::smallint[], $5::timestamptz[], $6::integer[],
			$7::smallint[], $8::text[], $9::text[], $10::bytea[], $11::integer[], $12::integer[], $13::integer[], $14::integer[],
			$15::boolean[])
		ON CONFLICT DO NOTHING`,
		c.subscriptions, c.positions, c.committed, c.numbers, c.started, c.durations, c.httpStatuses, c.reasons, c.details, c.answers,
		c.dns, c.connect, c.tls, c.firstByte, c.fallback)
}
