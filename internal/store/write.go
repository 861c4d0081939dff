package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

var (
	eventColumns    = []string{"position", "committed_at", "id", "type", "resource", "instance", "account", "data", "partial"}
	deliveryColumns = []string{"subscription", "position", "committed_at", "finished_at", "duration_us", "status", "attempts", "http_status"}
	attemptColumns  = []string{"subscription", "position", "committed_at", "number", "started_at", "duration_us", "http_status", "reason", "detail", "answer"}
)

// rows are what a Write adds, by table.
type rows struct {
	events, deliveries, attempts [][]any
	defers, reschedules          []*sender.Record
	finished                     []*sender.Record
	letters                      []*mapping.DeadLetter
	// now is this process' clock: due times are compared with no other.
	now time.Time
}

func collect(records []sender.Record, now time.Time) *rows {
	out := &rows{now: now}
	for i := range records {
		r := &records[i]
		if r.Op == sender.Bury {
			out.letters = append(out.letters, r.DeadLetter)
			continue
		}
		if r.InsertEvent {
			out.events = append(out.events, eventRow(r.Event))
		}
		position := bytesOf(r.Event.Position)
		if o := r.Outcome; o != nil && o.Verdict == sender.Retry {
			out.attempts = append(out.attempts, []any{r.Subscription, position, r.Event.Time, int16(r.Attempts), o.Started,
				microseconds(o.Duration), int16(o.Status), o.Reason, o.Detail, o.Answer})
		}
		switch r.Op {
		case sender.Defer:
			out.defers = append(out.defers, r)
		case sender.Reschedule:
			out.reschedules = append(out.reschedules, r)
		case sender.Finish:
			var duration int32
			var status int16
			if o := r.Outcome; o != nil {
				duration, status = microseconds(o.Duration), int16(o.Status)
			}
			out.deliveries = append(out.deliveries, []any{r.Subscription, position, r.Event.Time, now, duration,
				int16(r.Status), int16(r.Attempts), status})
			if r.Stored {
				out.finished = append(out.finished, r)
			}
		}
	}
	return out
}

func eventRow(ev *mapping.Event) []any {
	var account any
	if ev.Accounted {
		account = ev.Account
	}
	return []any{bytesOf(ev.Position), ev.Time, ev.ID, ev.Type, ev.Resource, ev.Instance, account, ev.Data, ev.Partial}
}

func bytesOf(p cdc.Position) []byte {
	b := p.Bytes()
	return b[:]
}

func microseconds(d time.Duration) int32 { return int32(min(d.Microseconds(), 1<<31-1)) }

// Write implements sender.Store.
func (s *Store) Write(ctx context.Context, records []sender.Record) error {
	now := time.Now().UTC()
	r := collect(records, now)
	if err := s.ensurePartitions(ctx, records); err != nil {
		return err
	}
	err := s.transact(ctx, func(tx pgx.Tx) error { return s.writeRows(ctx, tx, r, copyRows) })
	if sqlState(err) == "23514" {
		// A partition that was known to exist has been dropped, by another process perhaps.
		s.forgetPartitions(records)
		if err := s.ensurePartitions(ctx, records); err != nil {
			return err
		}
		err = s.transact(ctx, func(tx pgx.Tx) error { return s.writeRows(ctx, tx, r, copyRows) })
	}
	if sqlState(err) == "23505" {
		// The same records have been written before: the answer to that commit was lost.
		err = s.transact(ctx, func(tx pgx.Tx) error { return s.writeRows(ctx, tx, r, insertRows) })
	}
	if err != nil {
		if reason := refusal(err); reason != "" {
			return fmt.Errorf("write outcomes: %w", &sender.RefusedError{Reason: reason})
		}
		return fmt.Errorf("write outcomes: %w", err)
	}
	return nil
}

// refusal says why the server refuses what was to be written for its content: trying again would not help. It is empty
// for any other error. The server's own words may quote the content.
func refusal(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	switch code := pg.Code; {
	case code == "22P05" || code == "22021":
		return "a text has a character that the encoding of the store's database does not have (SQLSTATE " + code + ")"
	case code == "23505", code == "23514" && pg.ConstraintName == "":
		return "" // written by somebody else, or a partition that was dropped, a moment ago
	case strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23"):
		return "a value does not fit the store's tables (SQLSTATE " + code + ")"
	case strings.HasPrefix(code, "54") || code == "0A000":
		return "it is beyond what the store's server can hold (SQLSTATE " + code + ")"
	}
	return ""
}

// adder adds rows to a table.
type adder func(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error

func copyRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	return err
}

// insertRows leaves out those that are there already.
func insertRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	sql := "INSERT INTO " + table + " ("
	values := ""
	for i, c := range columns {
		if i > 0 {
			sql, values = sql+", ", values+", "
		}
		sql, values = sql+c, values+fmt.Sprintf("$%d", i+1)
	}
	sql += ") VALUES (" + values + ") ON CONFLICT DO NOTHING"
	b := &pgx.Batch{}
	for _, r := range rows {
		b.Queue(sql, r...)
	}
	return tx.SendBatch(ctx, b).Close()
}

// writeRows adds events, attempts and deliveries in this order, which is that of Expire's locks, and changes what is due.
func (s *Store) writeRows(ctx context.Context, tx pgx.Tx, r *rows, add adder) error {
	if err := add(ctx, tx, "event", eventColumns, r.events); err != nil {
		return err
	}
	if err := add(ctx, tx, "attempt", attemptColumns, r.attempts); err != nil {
		return err
	}
	if err := add(ctx, tx, "delivery", deliveryColumns, r.deliveries); err != nil {
		return err
	}
	b := &pgx.Batch{}
	if len(r.defers)+len(r.reschedules)+len(r.finished) > 0 {
		b.Queue(indexesOnly)
	}
	r.queueDefers(b)
	r.queueReschedules(b)
	r.queueFinished(b, r.now)
	for _, l := range r.letters {
		b.Queue(`INSERT INTO dead_letter (position, resource, committed_at, op, instance, reason) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT DO NOTHING`, bytesOf(l.Position), l.Resource, l.Time, l.Op.String(), l.Instance, l.Reason)
	}
	if slot, owner := s.owned(); owner != "" {
		// The row stays locked until the commit: who takes over afterwards sees all that was written.
		b.Queue(`SELECT owner FROM checkpoint WHERE slot = $1 FOR SHARE`, slot).QueryRow(func(row pgx.Row) error {
			var now *string
			if err := row.Scan(&now); errors.Is(err, pgx.ErrNoRows) || err == nil && (now == nil || *now != owner) {
				return sender.ErrNotOwner
			} else if err != nil {
				return err
			}
			return nil
		})
	}
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}
