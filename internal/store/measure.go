package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

// Counts are what is in the store, for people.
type Counts struct {
	// At is when they were read.
	At time.Time
	// States counts the subscriptions by state, FeedOnly those without a target, Targets the active ones with one.
	States            map[string]int
	FeedOnly, Targets int
	// OldestDue is the commit time of the oldest change of which something is due; zero where nothing is.
	OldestDue time.Time
	// Due are deliveries that are due, at most maxDueCounted of them.
	Due int
	// Letters are the dead letters that are open, OldestLetter is when the oldest one was made; zero where there is none.
	Letters      int
	OldestLetter time.Time
	// LetterResource and LetterReason are of the newest of them.
	LetterResource, LetterReason string
	// Disabled are those of them that rowhook has disabled by itself.
	Disabled int
	// FilterErrors are subscriptions whose filter has failed.
	FilterErrors int
	// Failing counts the subscriptions whose targets take nothing.
	Failing int
}

// maxDueCounted bounds the count of what is due: who sends knows the number, and others need only know that it is large.
const maxDueCounted = 10_000

// Count counts what is in the store.
func (s *Store) Count(ctx context.Context) (*Counts, error) {
	c := &Counts{At: time.Now(), States: map[string]int{}}
	var oldestDue, oldestLetter *time.Time
	err := s.pool.QueryRow(ctx, `
		SELECT (SELECT min(committed_at) FROM due), (SELECT count(*) FROM (SELECT FROM due LIMIT $1) d),
			(SELECT count(*) FROM dead_letter WHERE closed_at IS NULL), (SELECT min(created_at) FROM dead_letter WHERE closed_at IS NULL),
			(SELECT count(*) FROM failing f JOIN subscription s ON s.key = f.subscription WHERE s.deleted_at IS NULL AND s.state = 'active')`, maxDueCounted).
		Scan(&oldestDue, &c.Due, &c.Letters, &oldestLetter, &c.Failing)
	if err != nil {
		return nil, unavailable(fmt.Errorf("count what is in the store: %w", err))
	}
	c.OldestDue, c.OldestLetter = timeOf(oldestDue), timeOf(oldestLetter)
	if c.Letters > 0 {
		err := s.pool.QueryRow(ctx, `SELECT resource, reason FROM dead_letter WHERE closed_at IS NULL ORDER BY created_at DESC, position DESC LIMIT 1`).
			Scan(&c.LetterResource, &c.LetterReason)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, unavailable(fmt.Errorf("read the newest dead letter: %w", err))
		}
	}
	rows, err := s.pool.Query(ctx, `SELECT state, count(*), count(*) FILTER (WHERE target_url IS NULL), count(*) FILTER (WHERE filter_error IS NOT NULL),
			count(*) FILTER (WHERE state = 'disabled' AND disabled ->> 'by' = $1)
		FROM subscription WHERE deleted_at IS NULL GROUP BY state`, subscriptions.ByRowhook)
	if err != nil {
		return nil, unavailable(fmt.Errorf("count subscriptions: %w", err))
	}
	var state string
	var n, feedOnly, filterErrors, disabled int
	if _, err := pgx.ForEachRow(rows, []any{&state, &n, &feedOnly, &filterErrors, &disabled}, func() error {
		c.States[state] += n
		c.FeedOnly += feedOnly
		if state == "active" {
			c.Targets = n - feedOnly
		}
		c.FilterErrors += filterErrors
		c.Disabled += disabled
		return nil
	}); err != nil {
		return nil, unavailable(fmt.Errorf("count subscriptions: %w", err))
	}
	return c, nil
}

// FailingTarget is a subscription whose target takes nothing.
type FailingTarget struct {
	Key      int64
	ID, Name string
	// Account is nil in one of the admin.
	Account    *string
	TargetHost string
	Since      time.Time
	// Reason and Status are of the last failure; empty and 0 where they are not known.
	Reason string
	Status int
}

// FailingTargets are the active subscriptions whose targets take nothing, the longest first.
func (s *Store) FailingTargets(ctx context.Context, limit int) ([]FailingTarget, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT s.key, s.id, s.name, s.account, coalesce(s.target_host, ''), f.since, coalesce(f.last_reason, ''), coalesce(f.last_status, 0)
		FROM failing f JOIN subscription s ON s.key = f.subscription
		WHERE s.deleted_at IS NULL AND s.state = 'active' ORDER BY f.since, s.key LIMIT $1`, limit)
	if err != nil {
		return nil, unavailable(fmt.Errorf("read which targets take nothing: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t FailingTarget, err error) {
		err = row.Scan(&t.Key, &t.ID, &t.Name, &t.Account, &t.TargetHost, &t.Since, &t.Reason, &t.Status)
		t.Since = t.Since.UTC()
		return t, err
	})
	if err != nil {
		return nil, unavailable(fmt.Errorf("read which targets take nothing: %w", err))
	}
	return all, nil
}

// RunningJobs are jobs that have not ended, the oldest first. Other than OpenJobs it changes nothing, and any process may ask.
func (s *Store) RunningJobs(ctx context.Context, limit int) ([]*Job, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` WHERE j.finished_at IS NULL ORDER BY j.key LIMIT $1`, limit)
	if err != nil {
		return nil, unavailable(fmt.Errorf("read jobs: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Job, error) { return scanJob(row) })
	if err != nil {
		return nil, unavailable(fmt.Errorf("read jobs: %w", err))
	}
	return all, nil
}

// Sizes are what the store takes on disk.
type Sizes struct {
	// At is when they were measured.
	At time.Time
	// Store has all of the schema, with indexes; Log what is kept by the day.
	Store, Log int64
	// Days are those of which something is kept.
	Days int
	// Events is about how many are kept; Oldest is the commit time of the first one, zero where there is none.
	Events int64
	Oldest time.Time
}

// sampledPages are what is read of a partition to know how many rows are on a page. What has no more is counted.
const sampledPages = 8

// Measure measures the store. It reads a few pages of each day, whatever there is: statistics would not do, since partitions are not
// analyzed, and those that the server counts by itself are lost in a crash.
func (s *Store) Measure(ctx context.Context) (*Sizes, error) {
	z := &Sizes{At: time.Now()}
	err := s.pool.QueryRow(ctx, `
		SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
			coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE p.relname = ANY ($2)), 0)::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
		WHERE n.nspname = $1 AND c.relkind = 'r'`, s.cfg.Schema, partitioned).Scan(&z.Store, &z.Log)
	if err != nil {
		return nil, unavailable(fmt.Errorf("measure the store: %w", err))
	}
	days, err := s.partitions(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	z.Days = len(days)
	for _, day := range sortedKeys(days) {
		n, err := s.estimate(ctx, "event_"+day)
		if sqlState(err) == "42P01" {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, unavailable(fmt.Errorf("estimate the events of %s: %w", day, err))
		}
		z.Events += n
	}
	if _, z.Oldest, err = s.Oldest(ctx); err != nil {
		return nil, unavailable(err)
	}
	return z, nil
}

// estimate is about how many rows a table has.
func (s *Store) estimate(ctx context.Context, table string) (int64, error) {
	var pages, rows int64
	name := cdc.QuoteIdent(table)
	err := s.pool.QueryRow(ctx, fmt.Sprintf(`
		SELECT pg_relation_size('%[1]s') / current_setting('block_size')::bigint, (SELECT count(*) FROM %[1]s WHERE ctid < '(%[2]d,0)')`, name, sampledPages)).
		Scan(&pages, &rows)
	if err != nil {
		return 0, err
	}
	if pages <= sampledPages {
		return rows, nil
	}
	return rows * pages / sampledPages, nil
}
