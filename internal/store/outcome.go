package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

const (
	// packedSize is what a finished delivery takes: position (20 bytes), duration in microseconds (4), HTTP status (2),
	// attempts (2), status (1, with more in its upper half: see statusByte), all big endian.
	packedSize = 29
	// outcomeMax is how many deliveries a row has at most: with more the row would be larger than what Postgres keeps in
	// one piece (2 kB).
	outcomeMax = 60
	// timingSize is what the timings of a delivery take beside it, where there are any: its index in packed (1 byte), DNS, connect,
	// TLS and first byte in microseconds (4 each).
	timingSize = 17
)

// appendPacked adds a finished delivery.
func appendPacked(dst []byte, r *sender.Record) []byte {
	var duration int32
	var status int
	if o := r.Outcome; o != nil {
		duration, status = microseconds(o.Duration), o.Status
	}
	dst = append(dst, bytesOf(r.Event.Position)...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(duration))
	dst = binary.BigEndian.AppendUint16(dst, uint16(status))
	dst = binary.BigEndian.AppendUint16(dst, uint16(min(r.Attempts, math.MaxUint16)))
	return append(dst, statusByte(r))
}

// appendTimings adds what the parts of the attempt took by which a delivery ended, where there is more to tell than its duration.
func appendTimings(dst []byte, index int, r *sender.Record) []byte {
	if r.Outcome == nil || r.Outcome.Timings == nil {
		return dst
	}
	t := r.Outcome.Timings
	dst = append(dst, byte(index))
	for _, d := range [...]time.Duration{t.DNS, t.Connect, t.TLS, t.FirstByte} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(microseconds(d)))
	}
	return dst
}

// outcomes are rows of the table as arrays, the way unnest takes them.
type outcomes struct {
	subscriptions          []int64
	newest, oldest, packed [][]byte
	// timings are nil where there are none.
	timings   [][]byte
	committed []time.Time
	// open is the row that a subscription's next delivery of a minute of commits goes to.
	open map[outcomeKey]int
}

// outcomeKey is what the deliveries of a row have in common. The minute, which is within a day, is a promise: who reads rows
// in the order of newest, up to commits of a minute after a time, has seen every delivery of what committed until then.
type outcomeKey struct {
	subscription int64
	minute       int64
}

func (c *outcomes) add(r *sender.Record) {
	position := bytesOf(r.Event.Position)
	k := outcomeKey{r.Subscription, r.Event.Time.Unix() / 60}
	i, ok := c.open[k]
	if !ok || len(c.packed[i])+len(c.timings[i]) > (outcomeMax-1)*packedSize {
		if c.open == nil {
			c.open = map[outcomeKey]int{}
		}
		i = len(c.packed)
		c.open[k] = i
		c.subscriptions = append(c.subscriptions, r.Subscription)
		c.newest, c.oldest = append(c.newest, position), append(c.oldest, position)
		c.committed = append(c.committed, r.Event.Time)
		c.packed, c.timings = append(c.packed, nil), append(c.timings, nil)
	}
	if bytes.Compare(position, c.newest[i]) > 0 {
		// Of one delivery, so that no two rows have the same newest: who reads them goes on behind it.
		c.newest[i], c.committed[i] = position, r.Event.Time
	}
	if bytes.Compare(position, c.oldest[i]) < 0 {
		c.oldest[i] = position
	}
	c.timings[i] = appendTimings(c.timings[i], len(c.packed[i])/packedSize, r)
	c.packed[i] = appendPacked(c.packed[i], r)
}

// queue inserts them. One that is there already is an error (23505): of the others of its row nobody knows.
func (c *outcomes) queue(b *pgx.Batch, finished time.Time) {
	if len(c.packed) == 0 {
		return
	}
	b.Queue(`
		INSERT INTO outcome (subscription, newest, committed_at, oldest, finished_at, packed, timings)
		SELECT w.subscription, w.newest, w.committed_at, w.oldest, $6, w.packed, w.timings
		FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::bytea[], $5::bytea[], $7::bytea[])
			AS w(subscription, newest, committed_at, oldest, packed, timings)`,
		c.subscriptions, c.newest, c.committed, c.oldest, c.packed, finished, c.timings)
}

// leaveOutFinished packs the finished deliveries anew, without those that are recorded, and each once.
func (s *Store) leaveOutFinished(ctx context.Context, r *rows, records []sender.Record) error {
	var ended []Delivery
	for i := range records {
		if records[i].Op == sender.Finish && !records[i].Replay {
			ended = append(ended, Delivery{records[i].Subscription, records[i].Event})
		}
	}
	r.outcomes = outcomes{}
	if len(ended) == 0 {
		return nil
	}
	found := map[Pair]bool{}
	if err := s.finished(ctx, ended, found); err != nil {
		return err
	}
	for i := range records {
		if x := &records[i]; x.Op == sender.Finish && !x.Replay && !found[Pair{x.Subscription, x.Event.Position}] {
			found[Pair{x.Subscription, x.Event.Position}] = true
			r.outcomes.add(x)
		}
	}
	return nil
}

// finishedSQL reads the rows whose span meets that of a subscription. One by one (OFFSET 0), and after indexesOnly: of a
// subscription that has most of the rows the planner would otherwise read all that are kept, each time.
const finishedSQL = `
	SELECT w.subscription, o.packed FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS w(subscription, oldest, newest)
	CROSS JOIN LATERAL (
		SELECT packed FROM outcome WHERE subscription = w.subscription AND newest >= w.oldest AND oldest <= w.newest OFFSET 0) o`

// span is from where to where the positions of a subscription's deliveries are.
type span struct{ oldest, newest cdc.Position }

// finished adds to found which of the deliveries are finished.
func (s *Store) finished(ctx context.Context, asked []Delivery, found map[Pair]bool) error {
	spans := map[int64]span{}
	wanted := make(map[Pair]bool, len(asked))
	for _, d := range asked {
		p := d.Event.Position
		wanted[Pair{d.Subscription, p}] = true
		x, ok := spans[d.Subscription]
		if !ok || p.Compare(x.oldest) < 0 {
			x.oldest = p
		}
		if !ok || p.Compare(x.newest) > 0 {
			x.newest = p
		}
		spans[d.Subscription] = x
	}
	var subs []int64
	var from, to [][]byte
	for sub, x := range spans {
		subs, from, to = append(subs, sub), append(from, bytesOf(x.oldest)), append(to, bytesOf(x.newest))
	}
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, indexesOnly); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, finishedSQL, subs, from, to)
		if err != nil {
			return err
		}
		var sub int64
		var packed []byte
		_, err = pgx.ForEachRow(rows, []any{&sub, &packed}, func() error {
			for ; len(packed) >= packedSize; packed = packed[packedSize:] {
				p, err := cdc.PositionFromBytes(packed[:len(cdc.Position{}.Bytes())])
				if err != nil {
					return err
				}
				if pair := (Pair{sub, p}); wanted[pair] {
					found[pair] = true
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("look for finished deliveries: %w", err)
	}
	return nil
}
