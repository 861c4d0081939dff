package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/sender"
)

// Backlogs implements sender.Store. Rows of deleted subscriptions are left out.
func (s *Store) Backlogs(ctx context.Context, maxKeys int) ([]sender.Backlog, error) {
	if err := s.mendDue(ctx); err != nil {
		return nil, fmt.Errorf("look after what waits: %w", err)
	}
	var out []sender.Backlog
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		// A backlog of millions may take its time to be counted.
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		var err error
		out, err = backlogs(ctx, tx, maxKeys)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count what is due: %w", err)
	}
	return out, nil
}

// mendDue restores, before it is relied upon, that of every key the oldest row and no other has a time.
func (s *Store) mendDue(ctx context.Context) error {
	return s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		// One pass in the order of the key, whatever the size.
		_, err := tx.Exec(ctx, `
			UPDATE due d SET due_at = CASE WHEN w.first THEN $1::timestamptz ELSE 'infinity'::timestamptz END
			FROM (
				SELECT subscription, key, position, due_at,
					row_number() OVER (PARTITION BY subscription, key ORDER BY position) = 1 AS first
				FROM due) w
			WHERE w.first = (w.due_at = 'infinity')
			AND d.subscription = w.subscription AND d.key = w.key AND d.position = w.position`, time.Now().UTC())
		return err
	})
}

// backlogs counts; keys are told one by one for those that have few, as long as they are not more than maxKeys in all.
func backlogs(ctx context.Context, tx pgx.Tx, maxKeys int) ([]sender.Backlog, error) {
	rows, err := tx.Query(ctx, `
		SELECT subscription, sum(n)::bigint, count(*) FROM (SELECT subscription, key, count(*) AS n FROM due GROUP BY 1, 2) k
		WHERE EXISTS (SELECT FROM subscription s WHERE s.key = k.subscription AND s.deleted_at IS NULL) GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	type counted struct {
		sender.Backlog
		keys int
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c counted, err error) {
		return c, row.Scan(&c.Subscription, &c.Rows, &c.keys)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Compare(a.keys, b.keys) })
	out := make([]sender.Backlog, len(all))
	at, few := map[int64]int{}, []int64{}
	for i, c := range all {
		if maxKeys -= c.keys; maxKeys >= 0 {
			c.Keys = make(map[int64]int, c.keys)
			few = append(few, c.Subscription)
		}
		out[i], at[c.Subscription] = c.Backlog, i
	}
	rows, err = tx.Query(ctx, `SELECT subscription, key, count(*) FROM due WHERE subscription = ANY($1) GROUP BY 1, 2`, few)
	if err != nil {
		return nil, err
	}
	var sub, key int64
	var n int
	_, err = pgx.ForEachRow(rows, []any{&sub, &key, &n}, func() error { out[at[sub]].Keys[key] = n; return nil })
	return out, err
}
