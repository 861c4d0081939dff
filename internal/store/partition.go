package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

// partitioned are the tables with one partition for each day (UTC) of commit.
var partitioned = []string{"event", "delivery", "attempt"}

const dayLayout = "20060102"

// ensurePartitions makes the partitions that the records need. They are made on demand, for the days on which
// transactions were committed, which may be long ago when there is a backlog.
func (s *Store) ensurePartitions(ctx context.Context, records []sender.Record) error {
	missing := map[string]time.Time{}
	s.mu.Lock()
	for i := range records {
		if ev := records[i].Event; ev != nil {
			day := ev.Time.UTC().Truncate(24 * time.Hour)
			if name := day.Format(dayLayout); !s.days[name] {
				missing[name] = day
			}
		}
	}
	s.mu.Unlock()
	for name, day := range missing {
		for _, t := range partitioned {
			sql := fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s')`,
				cdc.QuoteIdent(t+"_"+name), t, day.Format(time.RFC3339), day.Add(24*time.Hour).Format(time.RFC3339))
			if _, err := s.pool.Exec(ctx, sql); err != nil && sqlState(err) != "42P07" {
				return fmt.Errorf("make the partition %s_%s: %w", t, name, err)
			}
		}
		s.mu.Lock()
		s.days[name] = true
		s.mu.Unlock()
	}
	return nil
}

// Expire drops the partitions of days that ended before the time and to which nothing that is due refers, and what else
// is older: dead letters stay. It returns the names of the partitions dropped.
func (s *Store) Expire(ctx context.Context, before time.Time) ([]string, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT c.relname FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid
		JOIN pg_class p ON p.oid = i.inhparent
		JOIN pg_namespace n ON n.oid = p.relnamespace
		WHERE n.nspname = $1 AND p.relname = ANY($2) AND c.relkind = 'r' ORDER BY 1`, s.cfg.Schema, partitioned)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	var dropped []string
	for _, name := range names {
		day, err := time.Parse(dayLayout, name[len(name)-len(dayLayout):])
		if err != nil || day.Add(24*time.Hour).After(before) {
			continue
		}
		var needed bool
		err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM due WHERE committed_at >= $1 AND committed_at < $2)`, day, day.Add(24*time.Hour)).Scan(&needed)
		if err != nil {
			return dropped, fmt.Errorf("look for what is due: %w", err)
		}
		if needed {
			continue
		}
		s.mu.Lock()
		delete(s.days, day.Format(dayLayout))
		s.mu.Unlock()
		if _, err := s.pool.Exec(ctx, `DROP TABLE IF EXISTS `+cdc.QuoteIdent(name)); err != nil {
			return dropped, fmt.Errorf("drop partition %s: %w", name, err)
		}
		dropped = append(dropped, name)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM subscription WHERE deleted_at < $1`, before); err != nil {
		return dropped, fmt.Errorf("remove deleted subscriptions: %w", err)
	}
	return dropped, nil
}
