package cdc

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// found is what there is at the server and in the store, to be compared.
type found struct {
	// server is who answers now: its identity, without tables.
	server *Catalog
	// slot is nil when there is none.
	slot *slotInfo
	// checkpoint is the slot's, when it is known.
	checkpoint Checkpoint
	known      bool
	// horizon is the newest position in the store, end that of the server's log.
	horizon Position
	end     LSN
	// before is the checkpoint's timeline where the database is on one that grew out of it; else zero.
	before int32
}

// look reads what there is. It changes nothing.
func (s *Source) look(ctx context.Context, conn *pgx.Conn) (*found, error) {
	f := &found{server: &Catalog{}}
	if err := s.identify(ctx, f.server); err != nil {
		return nil, err
	}
	if err := s.checkServer(ctx, conn, f.server); err != nil {
		return nil, err
	}
	var err error
	// In this order: while another process streams, the slot is never beyond the reach that was saved before, nor what is
	// recorded beyond the end of the log.
	if f.slot, err = s.slot(ctx, conn); err != nil {
		return nil, s.trouble("look for the replication slot", err)
	}
	if f.checkpoint, f.known, err = s.checkpoints.LoadCheckpoint(ctx, s.cfg.Slot); err != nil {
		return nil, &Error{Class: Unavailable, What: "read the checkpoint", Err: cause(err)}
	}
	if f.horizon, err = s.checkpoints.Horizon(ctx); err != nil {
		return nil, &Error{Class: Unavailable, What: "read the newest position of the store", Err: cause(err)}
	}
	var text string
	if err := conn.QueryRow(ctx, `select pg_current_wal_flush_lsn()::text`).Scan(&text); err != nil {
		return nil, s.trouble("read the log's position", err)
	}
	return f, f.end.Scan(text)
}

// slotInfo is the slot's row in pg_replication_slots.
// https://www.postgresql.org/docs/current/view-pg-replication-slots.html
type slotInfo struct {
	Plugin, Database    string
	Temporary, TwoPhase bool
	Failover            bool
	Active              bool
	WALStatus           string
	// Invalidation is why the slot cannot be used any more; empty where it can, and before Postgres 17.
	Invalidation           string
	Confirmed              LSN
	HasConfirmed, HasStart bool
}

func (s *Source) slot(ctx context.Context, conn *pgx.Conn) (*slotInfo, error) {
	i := &slotInfo{}
	var confirmed, restart *string
	err := conn.QueryRow(ctx, `
		select coalesce(plugin, ''), coalesce(database, ''), temporary, two_phase, active, coalesce(wal_status, ''),
			confirmed_flush_lsn::text, restart_lsn::text, coalesce((to_jsonb(s) ->> 'failover')::boolean, false), coalesce(to_jsonb(s) ->> 'invalidation_reason', '')
		from pg_replication_slots s where slot_name = $1`, s.cfg.Slot).
		Scan(&i.Plugin, &i.Database, &i.Temporary, &i.TwoPhase, &i.Active, &i.WALStatus, &confirmed, &restart, &i.Failover, &i.Invalidation)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i.HasStart = restart != nil
	if confirmed != nil {
		i.HasConfirmed = true
		if i.Confirmed, err = pglogrepl.ParseLSN(*confirmed); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// lost says that the server has removed log that the slot needed.
func (i *slotInfo) lost() bool { return i.WALStatus == "lost" || !i.HasStart && i.HasConfirmed }

// lostBy is why a slot is lost.
// https://www.postgresql.org/docs/18/view-pg-replication-slots.html
func (i *slotInfo) lostBy() string {
	switch i.Invalidation {
	case "idle_timeout":
		return "nobody read it for longer than idle_replication_slot_timeout"
	case "rows_removed":
		return "the server has removed rows of its catalog that reading it needs"
	case "wal_level_insufficient":
		return "the server ran with a wal_level below logical"
	}
	return "the server has removed log that was not read yet (max_slot_wal_keep_size)"
}

// diagnose compares: nil says that reading can go on where it was, from the checkpoint or the slot, whichever is later. A
// slot that is missing is no incident while there is no checkpoint. A timeline that grew out of ours is noted in f.
func (s *Source) diagnose(f *found) error {
	if f.known {
		if err := s.sameSource(f); err != nil {
			return err
		}
	}
	switch {
	case f.slot == nil && f.known:
		return gap(s.since(f, SlotMissing), nil,
			"it was dropped, or the server was failed over or restored without it. rowhook makes no new one by itself, since that would hide the loss.\n"+
				"    To accept that they are not delivered, and go on with what happens from now on: "+acceptCommand,
			"the replication slot %s is gone, though everything up to %s was read from it: changes since then cannot be delivered",
			s.cfg.Slot, f.checkpoint.LSN)
	case f.slot == nil:
		return nil
	}
	if err := s.usable(f); err != nil {
		return err
	}
	if f.known && f.checkpoint.Reach > 0 && f.slot.Confirmed > f.checkpoint.Reach {
		return gap(s.since(f, SlotMoved), nil,
			"somebody advanced it (pg_replication_slot_advance), made it anew, or read from it; or the store was restored to an earlier state.\n"+
				"    What lies between the two positions will never be delivered. To accept that and go on: "+acceptCommand,
			"the replication slot %s stands at %s, beyond %s, up to which it was acknowledged", s.cfg.Slot, f.slot.Confirmed, f.checkpoint.Reach)
	}
	return nil
}

// since is an incident that began at the checkpoint.
func (s *Source) since(f *found, kind IncidentKind) Incident {
	return Incident{Kind: kind, From: f.checkpoint.LSN, FromTime: f.checkpoint.SettledAt}
}

// sameSource finds out whether the store's checkpoint is of this source. A copy of a database must not send the hooks of
// the original; a standby that was promoted goes on by itself when it has everything that was delivered.
func (s *Source) sameSource(f *found) error {
	cp := &f.checkpoint
	const copied = "a copy of a database must not send the hooks of the original: give it a store and an environment of its own.\n    "
	const goOn = "If this is the database to go on with: " + acceptCommand + "   (" + movedCommand +
		", if it was moved or upgraded and nothing was committed since a rowhook drain: then nobody is told of a gap)"
	switch {
	case cp.SystemID != f.server.SystemID:
		return gap(s.since(f, OtherDatabase), nil, copied+goOn,
			"rowhook's store belongs to another source: its checkpoint is of cluster %s, this is cluster %s", cp.SystemID, f.server.SystemID)
	case cp.DatabaseOID != f.server.DatabaseOID:
		return gap(s.since(f, OtherDatabase), nil, copied+goOn,
			"rowhook's store belongs to another source: its checkpoint is of the database with OID %d, this is %d", cp.DatabaseOID, f.server.DatabaseOID)
	case cp.Environment != s.cfg.Environment:
		return gap(s.since(f, OtherEnvironment), nil,
			copied+"If it is no copy, and only the name or the host has changed: "+resumeCommand+"   (or set database.environment to the old one)",
			"rowhook's store belongs to another environment: its checkpoint is of %q, this is %q", cp.Environment, s.cfg.Environment)
	}
	// What has been recorded may be ahead of the checkpoint by a moment.
	delivered := cp.LSN
	if f.horizon.Epoch == cp.Epoch {
		delivered = max(delivered, f.horizon.Commit)
	}
	const restored = "it was restored to an earlier state, or a standby was promoted that had not received everything.\n" +
		"    Changes in between may be missing, and some that were delivered do not exist any more. To accept that and go on: " + acceptCommand
	if cp.Timeline != f.server.Timeline {
		fork, ok := f.server.forkOf(cp.Timeline)
		switch {
		case !ok:
			return gap(s.since(f, DatabaseRestored), nil, restored,
				"the database is on timeline %d, which did not grow out of timeline %d of the checkpoint", f.server.Timeline, cp.Timeline)
		case fork < delivered:
			return gap(s.since(f, DatabaseRestored), nil, restored,
				"the database went over to timeline %d at %s, and everything up to %s had been delivered", f.server.Timeline, fork, delivered)
		}
		s.cfg.Log.Info("the database is on a new timeline, which has everything that was delivered", "timeline", f.server.Timeline,
			"before", cp.Timeline, "fork", fork.String())
		f.before, cp.Timeline = cp.Timeline, f.server.Timeline
	}
	if delivered > f.end {
		return gap(s.since(f, DatabaseRestored), nil, restored,
			"everything up to %s was delivered, which is beyond the end of the server's log, %s", delivered, f.end)
	}
	return nil
}

// usable says why the slot cannot be used, or nil.
func (s *Source) usable(f *found) error {
	i := f.slot
	refuse := func(format string, args ...any) error {
		return &Error{Class: Refused, What: fmt.Sprintf("the replication slot %s ", s.cfg.Slot) + fmt.Sprintf(format, args...),
			Mend: "choose another name in database.slot, or, if nobody needs it: SELECT pg_drop_replication_slot(" +
				QuoteLiteral(s.cfg.Slot) + ");"}
	}
	switch {
	case i.Plugin != "pgoutput":
		return refuse("uses the plugin %q, not pgoutput: it is not rowhook's", i.Plugin)
	case i.Database != f.server.Database:
		return refuse("belongs to the database %q, not to %q", i.Database, f.server.Database)
	case i.Temporary:
		return refuse("is temporary: it belongs to another session")
	case i.TwoPhase:
		return refuse("decodes prepared transactions, which may be rolled back (two_phase)")
	case i.lost():
		in := s.since(f, SlotLost)
		if !f.known {
			in.From = i.Confirmed
		}
		return gap(in, nil, "rowhook makes no new one by itself, since that would hide the loss.\n"+
			"    To accept that they are not delivered, and go on with what happens from now on: "+acceptCommand,
			"the replication slot %s is lost: %s, so changes since %s cannot be delivered",
			s.cfg.Slot, i.lostBy(), in.From)
	case !i.HasConfirmed:
		return &Error{Class: Unavailable, What: fmt.Sprintf("the replication slot %s is being made", s.cfg.Slot),
			Mend: "it waits for transactions that are older than it; " + blockersHint}
	}
	return nil
}
