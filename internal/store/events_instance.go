package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// instanceIndex is the index of a partition of event by which the events of one instance are found without reading the others. It holds
// nothing of single rows, so that writing one costs next to nothing: a Bloom filter of the instances in each half megabyte, which
// Summarize makes behind the writer, and the first and last position there (https://www.postgresql.org/docs/current/brin.html). The
// position stands as an expression, which the primary key does not know: else the planner may take that.
const instanceIndex = `CREATE INDEX %s ON %s USING brin (` + placeSQL + `, instance text_bloom_ops (n_distinct_per_range = 3000, false_positive_rate = 0.01))
	WITH (pages_per_range = 64, autosummarize = off)`

// placeSQL is how much of a position says which transaction it is of: as place.
const placeSQL = `(substring(position, 1, 12))`

// byInstance has rows found by that index alone.
const byInstance = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true),
	set_config('enable_bitmapscan', 'on', true), set_config('enable_sort', 'on', true), set_config('jit', 'off', true)`

// byPosition takes that back, for inOrder.
const byPosition = `SELECT set_config('enable_indexscan', 'on', true), set_config('enable_indexonlyscan', 'on', true), set_config('enable_bitmapscan', 'off', true),
	set_config('enable_sort', 'off', true)`

// instanceTime is how long one look for an instance takes, unless a single step is longer.
const instanceTime = 100 * time.Millisecond

// indexedByInstance says whether all partitions have the index: those that a release before it has made do not.
func indexedByInstance(ctx context.Context, tx pgx.Tx) (is bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'event'::regclass AND NOT EXISTS (
			SELECT FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am a ON a.oid = c.relam
			WHERE x.indrelid = i.inhrelid AND x.indisvalid AND a.amname = 'brin'))`).Scan(&is)
	return is, err
}

// instanceSQL are the wanted events of a stretch of the log, newest first.
const instanceSQL = `SELECT position, committed_at FROM event
	WHERE instance = $1 AND ` + placeSQL + ` >= $2 AND ` + placeSQL + ` <= $3 AND (position || ''::bytea) < $4 AND (position || ''::bytea) > $5
		AND (type = ANY ($6) OR resource = ANY ($7) OR $6::text[] IS NULL)
		AND ($8::timestamptz IS NULL OR committed_at >= $8) AND ($9::timestamptz IS NULL OR committed_at <= $9)
		AND CASE WHEN $10::text IS NULL THEN audience IS DISTINCT FROM 'account'
			ELSE coalesce(account, '') = $10 AND $10 <> '' AND audience IS DISTINCT FROM 'admin' AND type NOT LIKE '%.truncate' END
	ORDER BY position DESC LIMIT $11`

// findInstance goes on from high, exclusively, back to from, exclusively, for at most n events of one instance, in stretches of the log that
// become longer: the first is eight times span, in bytes of WAL. It says how far it has come, exclusively again, and of when what follows is; zero at
// the end of the log.
func (s *Store) findInstance(ctx context.Context, tx pgx.Tx, q *EventsQuery, from, high cdc.Position, span *big.Int, n int) (found []candidate, reached cdc.Position, back time.Time, err error) {
	types, resources := q.Select.typesOrNull()
	began := time.Now()
	for {
		var next []byte
		switch err := tx.QueryRow(ctx, `SELECT position, committed_at FROM event WHERE position < $1 AND position > $2 ORDER BY position DESC LIMIT 1`,
			bytesOf(high), bytesOf(from)).Scan(&next, &back); {
		case errors.Is(err, pgx.ErrNoRows):
			return found, from, time.Time{}, nil
		case err != nil:
			return nil, from, back, err
		case reached != (cdc.Position{}) && time.Since(began) >= s.instanceTime, n <= 0:
			return found, high, back.UTC(), nil
		}
		top := place(next)
		low := new(big.Int).Sub(top, span.Lsh(span, 3))
		if low.Sign() < 0 {
			low.SetInt64(0)
		}
		if _, err := tx.Exec(ctx, byInstance); err != nil {
			return nil, from, back, err
		}
		rows, err := tx.Query(ctx, instanceSQL, q.Select.Instance, positionOf(low)[:placeSize], positionOf(top)[:placeSize], bytesOf(high), bytesOf(from), types, resources,
			timeOrNull(q.Select.Since), timeOrNull(q.Select.Until), q.Account, n)
		if err != nil {
			return nil, from, back, err
		}
		var position []byte
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&position, &at}, func() error {
			p, err := cdc.PositionFromBytes(position)
			found = append(found, candidate{at: p, day: dayOf(at)})
			n--
			return err
		})
		if err != nil {
			return nil, from, back, err
		}
		if _, err := tx.Exec(ctx, byPosition); err != nil {
			return nil, from, back, err
		}
		if high, err = cdc.PositionFromBytes(positionOf(low)); err != nil {
			return nil, from, back, err
		}
		if reached = high; bytes.Compare(positionOf(low), bytesOf(from)) <= 0 {
			return found, from, time.Time{}, nil
		}
	}
}

const (
	// instancePages is how many pages one summary of the index is of, and defaultSummaryLag how many the newest summary stays behind the end of the
	// log: what is written into pages that are summarized already costs a change of the summary each time. Postgres adds up to 512 empty
	// pages at once.
	instancePages, defaultSummaryLag = 64, 1024
	// summaryPages is how many pages are summarized by one statement: while it runs, nobody can drop the partition.
	summaryPages = 256 * instancePages
)

// Summarize brings the indexes by instance up to date with what was written. It reads what is new of the log, and holds nobody up. It is
// for one goroutine.
func (s *Store) Summarize(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, `
		SELECT c.oid::regclass::text, pg_relation_size(i.inhrelid) / current_setting('block_size')::bigint
		FROM pg_inherits i JOIN pg_index x ON x.indrelid = i.inhrelid JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am a ON a.oid = c.relam
		WHERE i.inhparent = 'event'::regclass AND a.amname = 'brin' AND x.indisvalid`)
	if err != nil {
		return fmt.Errorf("list the indexes of events: %w", err)
	}
	type grown struct {
		name  string
		pages int64
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g grown, err error) { return g, row.Scan(&g.name, &g.pages) })
	if err != nil {
		return fmt.Errorf("list the indexes of events: %w", err)
	}
	was := s.summarized
	s.summarized = map[string]int64{}
	for _, g := range all {
		from := was[g.name]
		for to := (g.pages - s.summaryLag) / instancePages * instancePages; from < to; from += summaryPages {
			// What is summarized already is left as it is: after a start all of it is asked for again.
			if _, err := s.pool.Exec(ctx, `SELECT brin_summarize_range($1::regclass, page) FROM generate_series($2::bigint, $3::bigint, $4) page`,
				g.name, from, min(from+summaryPages, to)-1, instancePages); err != nil {
				if code := sqlState(err); code == "42P01" || code == "42704" {
					break // dropped meanwhile
				}
				return fmt.Errorf("summarize %s: %w", g.name, err)
			}
		}
		s.summarized[g.name] = max(0, min(from, (g.pages-s.summaryLag)/instancePages*instancePages))
	}
	return nil
}
