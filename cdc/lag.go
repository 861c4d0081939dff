package cdc

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Lag is what the slot keeps of the log, in bytes, as it was measured last.
type Lag struct {
	// At is when; zero before the first time.
	At time.Time
	// Retained is the log that the server may not remove: from restart_lsn on, which a long transaction holds too. Behind
	// is what is not acknowledged: from confirmed_flush_lsn on.
	Retained, Behind int64
	// Safe is how much more may be written before the slot is in danger of being lost, where max_slot_wal_keep_size bounds
	// it (Bounded). It may be negative.
	Safe    int64
	Bounded bool
	// WALStatus is the server's word: reserved, extended, unreserved, lost.
	// https://www.postgresql.org/docs/current/view-pg-replication-slots.html
	WALStatus string
	// Active says that some process reads the slot. Failover says that standbys keep it too; nil before Postgres 17.
	Active   bool
	Failover *bool
	// HasStandby says that there are slots of standbys, Standbys are those that are read now, WaitedFor those for which the server waits
	// before it sends what is of a slot with Failover. Unknown before 17.
	HasStandby          bool
	Standbys, WaitedFor []string
	// Confirmed, Restart and Current are confirmed_flush_lsn, restart_lsn and the end of the log; 0 where unknown.
	Confirmed, Restart, Current LSN
	// Clock is how much the server's clock is ahead of ours. It may be wrong by half of Trip, the time of the query.
	Clock, Trip time.Duration
}

// lagEvery is how often the slot is measured.
const lagEvery = watchEvery

// MeasureLag measures what a slot keeps on a connection of its own, for those who have no Source that runs. Errors are of
// type Error.
func MeasureLag(ctx context.Context, cfg Config) (Lag, error) {
	conn, err := cfg.connectSQL(ctx)
	if err != nil {
		return Lag{}, err
	}
	defer closeConn(conn)
	lag, err := lagOf(ctx, conn, cfg.Slot)
	if err != nil {
		return Lag{}, &Error{Class: Unavailable, What: "measure the replication slot " + cfg.Slot, Err: cause(err)}
	}
	return lag, nil
}

// lagOf asks the server what the slot keeps. One that does not exist keeps nothing.
func lagOf(ctx context.Context, conn *pgx.Conn, slot string) (Lag, error) {
	lag := Lag{At: time.Now()}
	var retained, behind, safe *int64
	var clock time.Time
	var waitedFor string
	// A row comes without a slot too. What not every server has is asked for by name.
	err := conn.QueryRow(ctx, `
		select pg_wal_lsn_diff(l.now, restart_lsn)::bigint, pg_wal_lsn_diff(l.now, confirmed_flush_lsn)::bigint, safe_wal_size,
			coalesce(wal_status, ''), coalesce(active, false), (to_jsonb(s) ->> 'failover')::boolean,
			coalesce(confirmed_flush_lsn, '0/0')::text, coalesce(restart_lsn, '0/0')::text, l.now::text, clock_timestamp(),
			coalesce(p.there, false), coalesce(p.read, '{}'), coalesce(current_setting('synchronized_standby_slots', true), '')
		from (select pg_current_wal_lsn() as now) l left join pg_replication_slots s on slot_name = $1
		left join lateral (select true as there, array_agg(slot_name::text) filter (where active) as read from pg_replication_slots
			where slot_type = 'physical' and not temporary having count(*) > 0) p on true`, slot).
		Scan(&retained, &behind, &safe, &lag.WALStatus, &lag.Active, &lag.Failover, &lag.Confirmed, &lag.Restart, &lag.Current, &clock,
			&lag.HasStandby, &lag.Standbys, &waitedFor)
	if err != nil {
		return Lag{}, err
	}
	lag.WaitedFor = slotNames(waitedFor)
	lag.Trip = time.Since(lag.At)
	lag.Clock = clock.Sub(lag.At.Add(lag.Trip / 2))
	if retained != nil {
		lag.Retained = max(*retained, 0)
	}
	if behind != nil {
		lag.Behind = max(*behind, 0)
	}
	if safe != nil {
		lag.Safe, lag.Bounded = *safe, true
	}
	return lag, nil
}

// measureLag notes what the slot keeps. What cannot be asked stays as it was.
func (s *Source) measureLag(ctx context.Context, conn *pgx.Conn) error {
	lag, err := lagOf(ctx, conn, s.cfg.Slot)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Lag = lag
	return nil
}

// lagLoop measures when the stream does not: a reader that stands still is what lets the log grow. It makes a connection
// for that each time; while streaming, the watch measures on the one that it has.
func (s *Source) lagLoop(ctx context.Context) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st := s.Status()
		if age := time.Since(st.Lag.At); age < lagEvery/2 || st.Phase == Streaming && age < 3*lagEvery && !st.Lag.At.IsZero() {
			continue
		}
		conn, err := s.cfg.connectSQL(ctx)
		if err == nil {
			err = s.measureLag(ctx, conn)
			closeConn(conn)
		}
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("the slot cannot be measured", "error", cause(err))
		}
	}
}

// measured runs lagLoop until what it returns is called.
func (s *Source) measured(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); s.lagLoop(ctx) }()
	return func() { cancel(); <-done }
}
