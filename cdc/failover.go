package cdc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/finding"
)

// failoverVersion is the first version whose standbys can keep logical slots.
// https://www.postgresql.org/docs/17/logical-replication-failover.html
const failoverVersion = 170000

// The codes, in a status, of what Lag.FailoverAdvice tells.
const (
	// SlotNotOnStandbys: there are standbys, and the slot would not be there after a failover.
	SlotNotOnStandbys = "slot_not_on_standbys"
	// FailoverUnguarded: the slot is kept on standbys, and the server does not wait for them.
	FailoverUnguarded = "failover_unguarded"
	// StandbyAway: the server holds changes back for a standby that is not there.
	StandbyAway = "standby_away"
)

// FailoverAdvice is what to know of the slot and standbys: of a server before 17 nothing, since its standbys keep no slots. The code is one of
// those above; empty where there is nothing to tell.
func (l Lag) FailoverAdvice(slot string) (code string, f finding.Finding) {
	place := "slot " + slot
	if l.Failover == nil {
		return "", f
	}
	away := slices.DeleteFunc(slices.Clone(l.WaitedFor), func(name string) bool { return slices.Contains(l.Standbys, name) })
	switch {
	case !*l.Failover && l.HasStandby:
		return SlotNotOnStandbys, finding.Finding{Level: finding.Info, Place: place,
			What:        fmt.Sprintf("the server has standbys, and the slot %s is not kept on them (failover is off)", slot),
			Consequence: "after a failover the slot is missing: a gap, which somebody has to accept",
			Mend: fmt.Sprintf(`stop rowhook, then: psql "…?replication=database" -c 'ALTER_REPLICATION_SLOT %s (FAILOVER true)', and see Failover in docs/operations.md`,
				QuoteIdent(slot))}
	case *l.Failover && len(away) > 0:
		names := strings.Join(away, ", ")
		return StandbyAway, finding.Finding{Level: finding.Warning, Place: place,
			What:        fmt.Sprintf("the server waits for a standby before it sends changes: synchronized_standby_slots names %s, which nobody reads", names),
			Consequence: "no change is read until that standby is there again; what is committed meanwhile is kept in the log, and sent then",
			Mend:        "start that standby; or, if it is gone for good, take its slot out of synchronized_standby_slots: ALTER SYSTEM SET synchronized_standby_slots = '…';  SELECT pg_reload_conf();"}
	case *l.Failover && l.HasStandby && len(l.WaitedFor) == 0:
		return FailoverUnguarded, finding.Finding{Level: finding.Warning, Place: place,
			What: fmt.Sprintf("the slot %s is kept on standbys, and synchronized_standby_slots is empty: the server does not wait for them before it sends changes", slot),
			Consequence: "a failover may lose deliveries that were in the store and not yet on the standby, and nothing would tell of it; " +
				"and subscribers may hear of changes that do not exist after it",
			Mend: "name the standby's slot (SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical'): " +
				"ALTER SYSTEM SET synchronized_standby_slots = '…';  SELECT pg_reload_conf();"}
	}
	return "", f
}

// slotNames are the names in a value of synchronized_standby_slots.
func slotNames(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.Trim(strings.TrimSpace(name), `"`); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// makeSlotSQL is the statement that makes the slot; standbys keep it where they can.
func makeSlotSQL(version int) string {
	if version >= failoverVersion {
		return `select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput', false, false, true)`
	}
	return `select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput', false, false)`
}

// guard holds back what is acknowledged to a slot that standbys keep. The standby that is promoted goes on at the slot's position, so all that
// is settled before that position must be in its store: a delivery that was only written down would be lost else. What was settled is in
// the log before its end at a moment after that. Once the stream itself has come as far, the standby has it too, if the server waits
// for standbys (synchronized_standby_slots), and only then does the position move.
type guard struct {
	// proven counts the settled batches that standbys have; everything before cleared may be acknowledged.
	proven  uint64
	cleared LSN
	// settled, watermark and written are of the moment that is waited for; written is zero where none is.
	settled            uint64
	watermark, written LSN
}

// held is how far may be acknowledged of what the ledger has settled.
func (g *guard) held(l *ledger) LSN {
	if g.written > 0 && l.received >= g.written {
		g.proven, g.cleared, g.written = g.settled, max(g.cleared, g.watermark), 0
	}
	if g.proven == l.settledEvents {
		// Nothing was written since: what came to nothing needs no proof.
		g.cleared = max(g.cleared, l.watermark)
	}
	return g.cleared
}

// unproven says whether there is something to be proven, and returns the moment.
func (l *ledger) unproven() (settled uint64, watermark LSN, wanted bool) {
	l.positions()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settledEvents, l.watermark, l.guard != nil && l.guard.written == 0 && l.guard.proven != l.settledEvents
}

// prove says that all that was settled at a moment is in the log before written.
func (l *ledger) prove(settled uint64, watermark, written LSN) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guard.settled, l.guard.watermark, l.guard.written = settled, watermark, written
}

// guardLoop asks for the end of the log whenever something was settled. It is for slots that standbys keep.
func (s *Source) guardLoop(ctx context.Context, l *ledger, sql *shared) {
	tick := time.NewTicker(statusPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		settled, watermark, wanted := l.unproven()
		if !wanted {
			continue
		}
		var end LSN
		err := sql.do(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, `select pg_current_wal_flush_lsn()::text`).Scan(&end)
		})
		if err != nil {
			if ctx.Err() == nil {
				s.cfg.Log.Debug("the log's position cannot be read", "error", cause(err))
			}
			continue
		}
		l.prove(settled, watermark, end)
	}
}
