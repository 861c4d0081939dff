package cdc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNothingToAccept says that there is no Incident.
var ErrNothingToAccept = errors.New("there is nothing to accept: replication is not held up by anything that needs it")

// ErrStandby says that another process reads the slot, and has to be asked.
var ErrStandby = errors.New("this process stands by: ask the one that is active")

// NeedsGap says that an incident can only be accepted with the loss of changes.
type NeedsGap struct {
	// Reason is what the incident is, and what would be lost.
	Reason   string
	Incident *Incident
}

// Error names the loss.
func (e *NeedsGap) Error() string { return "changes would be lost: " + e.Reason }

// Resume makes next the slot's checkpoint, durably, and only if old is still what the store has. With an Incident,
// subscribers are told; without one there is nothing to tell yet.
type Resume func(ctx context.Context, old, next Checkpoint, in *Incident) error

// Accept goes on in spite of the Incident that holds up replication, when a person has decided so: it makes or replaces
// what is missing at the server, and then calls save. What loses changes needs lossy, else the error is a *NeedsGap. It
// returns the incident, with where it went on; ErrNothingToAccept and ErrStandby; or what could not be done, as an Error.
// A session that is going on ends before, with all that it has taken settled.
func (s *Source) Accept(ctx context.Context, lossy bool, save Resume) (*Incident, error) {
	return s.accept(ctx, consent{lossy: lossy}, save)
}

// AcceptDrained is Accept by somebody who knows that nothing was committed between a drain and the moment at which the database was moved or
// upgraded, or its slot went: the incident then loses nothing. All other kinds of incident are a *NeedsGap.
func (s *Source) AcceptDrained(ctx context.Context, save Resume) (*Incident, error) {
	return s.accept(ctx, consent{drained: true}, save)
}

// consent is what a person has said.
type consent struct{ lossy, drained bool }

// to applies it to an incident, and says whether it is enough.
func (c consent) to(in *Incident) bool {
	in.drained = c.drained && (in.Kind == OtherDatabase || in.Kind == SlotMissing)
	return !in.Loses() || c.lossy
}

func (s *Source) accept(ctx context.Context, c consent, save Resume) (*Incident, error) {
	if s.cfg.Temporary {
		return nil, ErrNothingToAccept
	}
	if s.Status().Phase == Standby {
		return nil, ErrStandby
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	// First without disturbing a session that goes on.
	if _, _, err := s.incident(ctx, conn, c); err != nil {
		return nil, err
	}
	if err := s.acquireNow(ctx); err != nil {
		return nil, fmt.Errorf("wait for the replication connection to end: %w", err)
	}
	defer s.release()
	f, in, err := s.incident(ctx, conn, c)
	if err != nil {
		return nil, err
	}
	// Ours has ended, and its walsender is about to. A standby that is just trying has another phase.
	for deadline := time.Now().Add(closeTimeout); f.slot != nil && f.slot.Active; {
		if time.Now().After(deadline) {
			return nil, ErrStandby
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(replyPause):
		}
		if f, in, err = s.incident(ctx, conn, c); err != nil {
			return nil, err
		}
	}
	// What is begun is ended, also when who asked for it does not wait any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptTimeout)
	defer cancel()
	if !f.known && f.slot != nil {
		// A slot that was lost before it was ever read here.
		if err := s.firstCheckpoint(ctx, f.server, f.slot.Confirmed, time.Time{}); err != nil {
			return nil, err
		}
		if f, in, err = s.incident(ctx, conn, c); err != nil {
			return nil, err
		}
	}
	next, err := s.mend(ctx, conn, f, in, save)
	if err != nil {
		return nil, err
	}
	if in.To == 0 {
		in.To = next.LSN
	}
	if err := conn.QueryRow(ctx, `select clock_timestamp()`).Scan(&in.ToTime); err != nil {
		return nil, s.trouble("read the server's time", err)
	}
	if in.Tx != nil {
		in.ToTime = in.Tx.Time
	}
	if next.LSN != f.checkpoint.LSN {
		next.SettledAt = in.ToTime
	}
	if err := save(ctx, f.checkpoint, next, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.met = nil
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return in, nil
}

// acceptTimeout bounds what Accept does at the server and in the store.
const acceptTimeout = time.Minute

// acquireNow is acquire, and asks a session that is going on, or begins meanwhile, to end.
func (s *Source) acquireNow(ctx context.Context) error {
	tick := time.NewTicker(replyPause)
	defer tick.Stop()
	for {
		s.mu.Lock()
		interrupt := s.interrupt
		s.mu.Unlock()
		if interrupt != nil {
			interrupt()
		}
		select {
		case s.busy <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// incident finds what there is to accept.
func (s *Source) incident(ctx context.Context, conn *pgx.Conn, c consent) (*found, *Incident, error) {
	f, err := s.look(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	told := s.diagnose(f)
	in := IncidentOf(told)
	switch {
	case in != nil:
	case told != nil:
		return nil, nil, told
	default:
		in, told = s.standing(f)
		if in == nil && told != nil {
			return nil, nil, told
		}
	}
	if in == nil {
		return nil, nil, ErrNothingToAccept
	}
	copied := *in
	if !c.to(&copied) {
		return nil, nil, &NeedsGap{Reason: told.Error(), Incident: in}
	}
	return f, &copied, nil
}

// standing is an incident that the state of slot and checkpoint does not show: what a stream ran into, unless one came
// further since, or tables that were missed.
func (s *Source) standing(f *found) (*Incident, error) {
	s.mu.Lock()
	met, l, reason := s.met, s.ledger, s.status.Reason
	s.mu.Unlock()
	if met != nil && l != nil {
		if received, _ := l.positions(); received <= met.received {
			if met.unsettled {
				return nil, &Error{Class: Unavailable, What: "what came before it is not stored yet", Mend: "try again when the store takes it: " + reason}
			}
			return met, errors.New(reason)
		}
	}
	if f.checkpoint.Missed != nil {
		e := s.missedTables(f.checkpoint.Missed)
		return e.Incident, e
	}
	return nil, nil
}

// mend does at the server what the incident needs, and returns the checkpoint to go on from.
func (s *Source) mend(ctx context.Context, conn *pgx.Conn, f *found, in *Incident, save Resume) (Checkpoint, error) {
	next := f.checkpoint
	if in.Kind == OtherEnvironment {
		// Nothing else was looked at, and nothing else is confirmed.
		next.Environment = s.cfg.Environment
		return next, nil
	}
	next.Slot, next.Environment, next.Epoch = s.cfg.Slot, s.cfg.Environment, max(next.Epoch, 1)
	next.SystemID, next.DatabaseOID, next.Timeline = f.server.SystemID, f.server.DatabaseOID, f.server.Timeline
	// Positions never repeat: what comes now must sort after all that was.
	anew := in.Kind == OtherDatabase || in.Kind == DatabaseRestored
	switch {
	case in.Kind == TablesUnpublished:
		// What is published from now on is looked at anew.
		in.To, next.Missed, next.Tables = f.end, nil, nil
		return next, s.publish(ctx, conn)
	case in.Tx != nil:
		// A transaction is sent again when its commit record begins at or after the position.
		next.LSN = in.Tx.Commit + 1
	case in.Kind == SlotMoved:
		next.LSN = f.slot.Confirmed
	default:
		// With another database, or another past, the slot may well be good.
		keep := anew && f.slot != nil && s.usable(f) == nil
		if keep {
			next.LSN = f.slot.Confirmed
			break
		}
		// Only a slot of rowhook's own is replaced.
		if f.slot != nil {
			if err := s.usable(f); ClassOf(err) == Refused {
				return next, err
			}
		}
		if err := s.publish(ctx, conn); err != nil {
			return next, err
		}
		// The reach may be ahead of the new slot. Should the new checkpoint not be saved, that one must not be taken for the
		// one before.
		pending := f.checkpoint
		pending.Reach, pending.Timeline = pending.LSN, cmp.Or(f.before, pending.Timeline)
		if f.slot != nil {
			pending.Reach = max(pending.Reach, f.slot.Confirmed)
		}
		if f.known && pending.Reach != f.checkpoint.Reach {
			if err := save(ctx, f.checkpoint, pending, nil); err != nil {
				return next, err
			}
		}
		if f.slot != nil {
			if _, err := conn.Exec(ctx, `select pg_drop_replication_slot($1)`, s.cfg.Slot); err != nil && SQLState(err) != "42704" {
				return next, s.trouble("drop the replication slot "+s.cfg.Slot, err)
			}
		}
		next.Tables = nil
		// Restored to a point of time, with the store: subscribers have seen later positions than the store knows of.
		anew = anew || f.before != 0
		var err error
		if next.LSN, err = s.makeSlot(ctx, conn); err != nil {
			return next, err
		}
		// The new slot begins with the publication as it is now: what was missed before is part of the same gap.
		if m := next.Missed; m != nil {
			next.Missed = nil
			if m.FromTime.Before(in.FromTime) {
				in.From, in.FromTime = m.From, m.FromTime
			}
		}
	}
	next.Reach = next.LSN
	if anew || next.LSN < f.checkpoint.LSN || f.horizon.Epoch == next.Epoch && next.LSN < f.horizon.Commit {
		next.Epoch = max(next.Epoch, f.horizon.Epoch) + 1
	}
	return next, nil
}

// publish makes the publication, and adds tables that it lacks.
func (s *Source) publish(ctx context.Context, conn *pgx.Conn) error {
	tables, err := LoadTables(ctx, conn, s.mapped())
	if err != nil {
		return s.trouble("read the tables' definitions", err)
	}
	if err := checkTables(s.mapped(), tables); err != nil {
		return err
	}
	return s.ensurePublication(ctx, conn, &Catalog{Tables: tables})
}
