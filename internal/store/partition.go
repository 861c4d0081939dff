package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/sender"
)

// partitioned are the tables with one partition for each day (UTC) of commit, in the order in which they are locked.
var partitioned = []string{"event", "attempt", "outcome", "resent"}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(retention.Partition) }

// ensurePartitions makes the partitions that the records need. They are made on demand, for the days on which
// transactions were committed, which may be long ago when there is a backlog.
func (s *Store) ensurePartitions(ctx context.Context, records []sender.Record) error {
	missing := map[string]time.Time{}
	s.mu.Lock()
	for i := range records {
		if ev := records[i].Event; ev != nil {
			day := dayOf(ev.Time)
			if name := day.Format(retention.Layout); !s.days[name] {
				missing[name] = day
			}
		}
	}
	s.mu.Unlock()
	for name, day := range missing {
		for _, t := range partitioned {
			if err := s.makePartition(ctx, t, t+"_"+name, day); err != nil {
				return fmt.Errorf("make the partition %s_%s: %w", t, name, err)
			}
		}
		s.mu.Lock()
		s.days[name] = true
		s.mu.Unlock()
	}
	return nil
}

// appendOnly are the settings of partitions. Rows are added, never changed, and read by index; the whole is dropped some
// days later. Autovacuum would read what was added again and again, to know what nobody asks for. Against the wraparound
// of transaction ids it comes all the same.
const appendOnly = "autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2147483647"

// makePartition makes one that does not exist. It is made apart and attached, since that waits for no reader: making it in
// place would wait for a backup to end, and everybody else behind it.
func (s *Store) makePartition(ctx context.Context, parent, name string, day time.Time) error {
	var exists bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, cdc.QuoteIdent(s.cfg.Schema)+"."+cdc.QuoteIdent(name)).Scan(&exists); err != nil || exists {
		return err
	}
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL) WITH (%s)`, cdc.QuoteIdent(name), parent, appendOnly)); err != nil {
			return err
		}
		if parent == "event" {
			if _, err := tx.Exec(ctx, fmt.Sprintf(instanceIndex, cdc.QuoteIdent(name+"_instance"), cdc.QuoteIdent(name))); err != nil {
				return err
			}
			// Its first range counts as summarized, and each row in it would change the summary.
			if _, err := tx.Exec(ctx, `SELECT brin_desummarize_range($1::regclass, 0)`, cdc.QuoteIdent(name+"_instance")); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`, parent, cdc.QuoteIdent(name),
			day.Format(time.RFC3339), day.Add(retention.Partition).Format(time.RFC3339)))
		return err
	})
	if code := sqlState(err); code == "42P07" || code == "23505" {
		return nil // another process has made it at the same time
	}
	return err
}

// forgetPartitions has ensurePartitions look again.
func (s *Store) forgetPartitions(records []sender.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range records {
		if ev := records[i].Event; ev != nil {
			delete(s.days, dayOf(ev.Time).Format(retention.Layout))
		}
	}
}

// Expire drops the partitions of days that ended before the time and to which nothing that is due refers, and removes
// what is left of subscriptions that were deleted before it, and dead letters that were closed before it. It returns the names of the partitions
// dropped. A day that is in use is left for the next time.
func (s *Store) Expire(ctx context.Context, before time.Time) ([]string, error) {
	if err := s.sweepDue(ctx); err != nil {
		return nil, err
	}
	days, err := s.partitions(ctx)
	if err != nil {
		return nil, err
	}
	keptFrom, err := s.keptFrom(ctx, before)
	if err != nil {
		return nil, err
	}
	var dropped []string
	for _, name := range sortedKeys(days) {
		day, err := time.Parse(retention.Layout, name)
		if err != nil || day.Add(retention.Partition).After(keptFrom) {
			continue
		}
		gone, err := s.dropDay(ctx, day, days[name])
		if err != nil {
			return dropped, fmt.Errorf("drop the partitions of %s: %w", name, err)
		}
		dropped = append(dropped, gone...)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM token WHERE expires_at < now()`); err != nil {
		return dropped, fmt.Errorf("remove tokens that have ended: %w", err)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM ended_session WHERE ends_at < now()`); err != nil {
		return dropped, fmt.Errorf("forget sessions whose cookies are worth nothing: %w", err)
	}
	if _, err := s.pool.Exec(ctx, `
		DELETE FROM failing f WHERE NOT EXISTS (SELECT FROM subscription s WHERE s.key = f.subscription AND s.deleted_at IS NULL)`); err != nil {
		return dropped, fmt.Errorf("forget the targets of deleted subscriptions: %w", err)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM paused WHERE until < now()`); err != nil {
		return dropped, fmt.Errorf("forget the pauses that are over: %w", err)
	}
	if err := s.expireUnverified(ctx, before); err != nil {
		return dropped, fmt.Errorf("remove subscriptions that were never verified: %w", err)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM subscription WHERE deleted_at < $1`, before); err != nil {
		return dropped, fmt.Errorf("remove deleted subscriptions: %w", err)
	}
	if err := s.expireNotices(ctx, before); err != nil {
		return dropped, err
	}
	if err := s.expireJobs(ctx, before); err != nil {
		return dropped, err
	}
	return dropped, s.expireLetters(ctx, before)
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// partitions returns the names of the partitions by day.
func (s *Store) partitions(ctx context.Context) (map[string][]string, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT p.relname, c.relname FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid
		JOIN pg_class p ON p.oid = i.inhparent
		JOIN pg_namespace n ON n.oid = p.relnamespace
		WHERE n.nspname = $1 AND p.relname = ANY($2) AND c.relkind = 'r'
		ORDER BY array_position($2::text[], p.relname::text), c.relname`, s.cfg.Schema, partitioned)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	days := map[string][]string{}
	var parent, name string
	_, err = pgx.ForEachRow(rows, []any{&parent, &name}, func() error {
		if day, ok := strings.CutPrefix(name, parent+"_"); ok {
			days[day] = append(days[day], name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	return days, nil
}

// dropDay drops the partitions of a day, unless something that is due refers to it. The lock on event keeps Write from
// adding that in between. It waits for the lock only shortly: who waits for it keeps others from theirs.
func (s *Store) dropDay(ctx context.Context, day time.Time, names []string) (dropped []string, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '2s'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `LOCK TABLE ONLY event IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		var needed bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM due WHERE committed_at >= $1 AND committed_at < $2)`,
			day, day.Add(retention.Partition)).Scan(&needed)
		if err != nil || needed {
			return err
		}
		if err := noteDropped(ctx, tx, names); err != nil {
			return err
		}
		quoted := make([]string, len(names))
		for i, name := range names {
			quoted[i] = cdc.QuoteIdent(name)
		}
		if _, err := tx.Exec(ctx, `DROP TABLE IF EXISTS `+strings.Join(quoted, ", ")); err != nil {
			return err
		}
		dropped = names
		return nil
	})
	if sqlState(err) == "55P03" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if dropped != nil {
		s.mu.Lock()
		delete(s.days, day.Format(retention.Layout))
		s.mu.Unlock()
	}
	return dropped, nil
}

// sweepRows is how many due rows are removed in one transaction.
const sweepRows = 10_000

// sweepDue removes the due rows of deleted subscriptions: those that were too many for Delete, and those that were
// written while it ran.
func (s *Store) sweepDue(ctx context.Context) error {
	for {
		tag, err := s.pool.Exec(ctx, `
			DELETE FROM due WHERE ctid = ANY (ARRAY(
				SELECT d.ctid FROM due d
				WHERE NOT EXISTS (SELECT FROM subscription s WHERE s.key = d.subscription AND s.deleted_at IS NULL)
				LIMIT $1 FOR UPDATE SKIP LOCKED))`, sweepRows)
		if err != nil {
			return fmt.Errorf("remove what nobody wants: %w", err)
		}
		if tag.RowsAffected() < sweepRows {
			return nil
		}
	}
}
