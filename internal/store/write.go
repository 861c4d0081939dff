package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// rows are what a Write adds, by table.
type rows struct {
	events              []*mapping.Event
	attempts            attempts
	outcomes            outcomes
	defers, reschedules []*sender.Record
	finished, resent    []*sender.Record
	letters             []*mapping.DeadLetter
	amended             []*sender.Record
	marks               []*sender.Record
	pauses              []*sender.Record
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
		if r.Op == sender.Mark {
			out.marks = append(out.marks, r)
			continue
		}
		if r.Op == sender.Pause {
			out.pauses = append(out.pauses, r)
			continue
		}
		if r.Op == sender.Amend {
			out.amended = append(out.amended, r)
			continue
		}
		if r.InsertEvent {
			out.events = append(out.events, r.Event)
		}
		if o := r.Outcome; o != nil && o.Verdict != sender.Delivered {
			out.attempts.add(r)
		}
		switch r.Op {
		case sender.Defer:
			out.defers = append(out.defers, r)
		case sender.Reschedule:
			out.reschedules = append(out.reschedules, r)
		case sender.Finish:
			if r.Replay {
				out.resent = append(out.resent, r)
			} else {
				out.outcomes.add(r)
			}
			if r.Stored {
				out.finished = append(out.finished, r)
			}
		}
	}
	return out
}

func bytesOf(p cdc.Position) []byte {
	b := p.Bytes()
	return b[:]
}

func microseconds(d time.Duration) int32 { return int32(min(d.Microseconds(), 1<<31-1)) }

// Write implements sender.Store.
func (s *Store) Write(ctx context.Context, records []sender.Record) error {
	records = unfolded(records)
	r := collect(records, time.Now().UTC())
	if err := s.ensurePartitions(ctx, records); err != nil {
		return err
	}
	err := s.writeRows(ctx, r, false)
	if sqlState(err) == "23514" {
		// A partition that was known to exist has been dropped, by another process perhaps.
		s.forgetPartitions(records)
		if err := s.ensurePartitions(ctx, records); err != nil {
			return err
		}
		err = s.writeRows(ctx, r, false)
	}
	if sqlState(err) == "23505" {
		// The same records have been written before, when the answer to the commit was lost, or some of them: what was under
		// way when a connection to the source was lost comes again, and ends twice.
		if err = s.leaveOutFinished(ctx, r, records); err == nil {
			err = s.writeRows(ctx, r, true)
		}
	}
	if err != nil {
		if reason := refusal(err); reason != "" {
			return fmt.Errorf("write outcomes: %w", &sender.RefusedError{Reason: reason})
		}
		return fmt.Errorf("write outcomes: %w", err)
	}
	if s.onWritten != nil {
		s.onWritten(records)
	}
	return nil
}

// OnWritten lets f be told of the records of each Write, once they are durable and before it returns. It must not block, and
// is to be called before anything is written.
func (s *Store) OnWritten(f func([]sender.Record)) { s.onWritten = f }

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

// writeRows adds events, attempts and outcomes in this order, which is that of Expire's locks, and changes what is due,
// in one transaction and two round trips. Again says that some of the events may be there.
func (s *Store) writeRows(ctx context.Context, r *rows, again bool) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	b := &pgx.Batch{}
	if len(r.events) > 0 && !again {
		if err := copyEvents(ctx, conn.Conn().PgConn(), r.events); err != nil {
			return s.rollback(ctx, conn, err)
		}
	} else {
		b.Queue(`BEGIN`)
		r.queueEvents(b)
	}
	if slot, owner := s.owned(); owner != "" {
		s.queueFence(b, slot, owner)
	}
	r.attempts.queue(b)
	r.outcomes.queue(b, r.now)
	if len(r.defers)+len(r.reschedules)+len(r.finished) > 0 {
		b.Queue(indexesOnly)
	}
	r.queueDefers(b)
	r.queueResent(b)
	r.queueFinished(b, r.now)
	r.queueReschedules(b)
	r.queueLetters(b)
	r.queueMarks(b)
	r.queuePauses(b)
	b.Queue(`COMMIT`)
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return s.rollback(ctx, conn, err)
	}
	return nil
}

// rollbackTimeout bounds the end of a transaction that failed. A connection on which it does not end is closed.
const rollbackTimeout = 5 * time.Second

// rollback ends the transaction of an error, and returns it. What follows a failed statement in a batch, its COMMIT too,
// is not done.
func (s *Store) rollback(ctx context.Context, conn *pgxpool.Conn, err error) error {
	if isNotOwner(err) {
		err = sender.ErrNotOwner
	}
	if conn.Conn().IsClosed() {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, failed := conn.Exec(ctx, `ROLLBACK`); failed != nil {
		_ = conn.Conn().Close(ctx)
	}
	return err
}
