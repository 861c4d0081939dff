package cdc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// markPrefix is that of the message that Mark writes. Nobody reads it.
const markPrefix = "rowhook-drain"

// drainPoll is how often Drained looks.
const drainPoll = 50 * time.Millisecond

// Mark returns a position up to which the log has everything that was committed before the call, on disk. It commits a transaction of its own,
// so that what was committed asynchronously is flushed with it.
func (s *Source) Mark(ctx context.Context) (LSN, error) {
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return 0, err
	}
	defer closeConn(conn)
	// local: a standby that is away must not hold it up. What is asked for is that it is in the log.
	_, err = conn.Exec(ctx, `begin read write; set local synchronous_commit = local; select pg_logical_emit_message(true, '`+markPrefix+`', ''); commit`)
	if err != nil && SQLState(err) != "25006" { // a server that takes no writes any more has nothing to flush
		return 0, s.trouble("write a mark into the log", err)
	}
	return s.read(ctx, conn, "read the log's position", `select pg_current_wal_flush_lsn()::text`)
}

// read asks for a position. Without a row it is zero.
func (s *Source) read(ctx context.Context, conn *pgx.Conn, what, sql string, args ...any) (LSN, error) {
	var text *string
	err := conn.QueryRow(ctx, sql, args...).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && text == nil {
		return 0, nil
	}
	if err != nil {
		return 0, s.trouble(what, err)
	}
	return pglogrepl.ParseLSN(*text)
}

// Drained waits until everything up to the position is settled here, and confirmed at the server's slot, and returns what the slot has
// confirmed. When ctx ends before, the error is a *NotDrained; ErrStandby says that another process reads the slot.
func (s *Source) Drained(ctx context.Context, until LSN) (LSN, error) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			closeConn(conn)
		}
	}()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	var confirmed LSN
	for {
		st := s.Status()
		if st.Phase == Standby {
			return confirmed, ErrStandby
		}
		if st.Phase == Streaming && st.Acknowledged >= until {
			var err error
			if conn == nil {
				conn, err = s.cfg.connectSQL(ctx)
			}
			if err == nil {
				confirmed, err = s.read(ctx, conn, "read the slot's position", `select confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1`, s.cfg.Slot)
			}
			switch {
			case err == nil && confirmed >= until:
				return confirmed, nil
			case err != nil && ctx.Err() == nil:
				return confirmed, err
			}
		}
		select {
		case <-ctx.Done():
			return confirmed, &NotDrained{Until: until, Status: s.Status()}
		case <-tick.C:
		}
	}
}

// NotDrained says how far it has come in the time that there was.
type NotDrained struct {
	Until  LSN
	Status Status
}

// Error names the position and what is in the way.
func (e *NotDrained) Error() string {
	text := fmt.Sprintf("everything up to %s is settled, not yet up to %s", e.Status.Acknowledged, e.Until)
	switch {
	case e.Status.Phase != Streaming:
		text += fmt.Sprintf("; replication is %s", e.Status.Phase)
		if e.Status.Reason != "" {
			text += ": " + e.Status.Reason
		}
	case e.Status.Unsettled > 0:
		text += fmt.Sprintf("; %d batches are being delivered or stored", e.Status.Unsettled)
	default:
		text += "; the server has not sent it yet"
	}
	return text
}
