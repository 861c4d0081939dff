package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// outcomeRow is a row of the table.
type outcomeRow struct {
	newest   []byte
	day      time.Time
	finished time.Time
	packed   []byte
	timings  []byte
}

func scanOutcome(row pgx.CollectableRow) (r outcomeRow, err error) {
	var committed time.Time
	err = row.Scan(&r.newest, &committed, &r.finished, &r.packed, &r.timings)
	r.day = dayOf(committed)
	return r, err
}

// deliveries are those of a row. Of their events only the position is known, and the day in which they were committed.
func (r *outcomeRow) deliveries() ([]*Logged, error) {
	var all []*Logged
	for i, packed := 0, r.packed; len(packed) >= packedSize; i, packed = i+1, packed[packedSize:] {
		p, err := cdc.PositionFromBytes(packed[:cdc.PositionSize])
		if err != nil {
			return nil, err
		}
		rest := packed[cdc.PositionSize:packedSize]
		l := &Logged{Event: &mapping.Event{Position: p, Time: r.day}, FinishedAt: r.finished.UTC(),
			Duration:   time.Duration(binary.BigEndian.Uint32(rest)) * time.Microsecond,
			HTTPStatus: int(binary.BigEndian.Uint16(rest[4:])), Attempts: int(binary.BigEndian.Uint16(rest[6:]))}
		l.Status, l.Dropped, l.Fallback = statusOf(rest[8])
		for t := r.timings; len(t) >= timingSize; t = t[timingSize:] {
			if int(t[0]) == i {
				part := func(n int) time.Duration {
					return time.Duration(binary.BigEndian.Uint32(t[1+4*n:])) * time.Microsecond
				}
				l.Timings = &sender.Timings{DNS: part(0), Connect: part(1), TLS: part(2), FirstByte: part(3)}
			}
		}
		all = append(all, l)
	}
	return all, nil
}

const (
	outcomeColumns = `newest, committed_at, finished_at, packed, timings`
	// outcomesSQL reads rows from the newest on.
	outcomesSQL = `
		SELECT ` + outcomeColumns + ` FROM outcome
		WHERE subscription = $1 AND newest < $2 AND newest >= $3 ORDER BY newest DESC LIMIT $4`
	// aheadSQL reads rows that begin before a position and end behind it.
	aheadSQL = `
		SELECT ` + outcomeColumns + ` FROM (
			SELECT ` + outcomeColumns + `, oldest FROM outcome WHERE subscription = $1 AND newest >= $2 AND newest < $3 ORDER BY newest OFFSET 0) o
		WHERE oldest < $2`
)

// endedAgain lets deliveries, newest first, be as they ended last: what was sent again may have ended otherwise than the first time.
func endedAgain(ctx context.Context, tx pgx.Tx, subscription int64, all []*Logged) error {
	if len(all) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT position, `+resentColumns+` FROM resent WHERE subscription = $1 AND position BETWEEN $2 AND $3 ORDER BY position, finished_at`,
		subscription, bytesOf(all[len(all)-1].Event.Position), bytesOf(all[0].Event.Position))
	if err != nil {
		return err
	}
	last := map[cdc.Position]resentRow{}
	var position []byte
	var r resentRow
	_, err = pgx.ForEachRow(rows, append([]any{&position}, r.into()...), func() error {
		p, err := cdc.PositionFromBytes(position)
		last[p] = r
		return err
	})
	if err != nil || len(last) == 0 {
		return err
	}
	for _, l := range all {
		if r, ok := last[l.Event.Position]; ok {
			r.ends(l)
		}
	}
	return nil
}

const resentColumns = `finished_at, duration_us, http_status, attempts, status, dropped, coalesce(fallback, false)`

// resentRow is how a delivery ended that was sent again.
type resentRow struct {
	finished                              time.Time
	duration                              int32
	httpStatus, attempts, status, dropped int16
	fallback                              bool
}

func (r *resentRow) into() []any {
	return []any{&r.finished, &r.duration, &r.httpStatus, &r.attempts, &r.status, &r.dropped, &r.fallback}
}

func (r *resentRow) ends(l *Logged) {
	l.FinishedAt, l.Duration, l.HTTPStatus, l.Timings = r.finished.UTC(), micro(&r.duration), int(r.httpStatus), nil
	l.Attempts, l.Status, l.Dropped = int(r.attempts), sender.Status(r.status), sender.DropReason(r.dropped)
	l.Fallback = r.fallback
}
