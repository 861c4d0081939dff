package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// Fitted are the tables as they were when the mapping fitted them last, of a slot.
func (s *Store) Fitted(ctx context.Context, slot string) (map[cdc.TableName]*cdc.Table, error) {
	rows, err := s.pool.Query(ctx, `SELECT definition FROM fitted WHERE slot = $1`, slot)
	if err != nil {
		return nil, fmt.Errorf("read what tables were: %w", err)
	}
	found := map[cdc.TableName]*cdc.Table{}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*cdc.Table])
	if err != nil {
		return nil, fmt.Errorf("read what tables were: %w", err)
	}
	for _, t := range all {
		found[t.TableName] = t
	}
	return found, nil
}

// SaveFitted keeps the tables that Fitted returns from then on.
func (s *Store) SaveFitted(ctx context.Context, slot string, tables map[cdc.TableName]*cdc.Table) error {
	err := s.transact(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		names := make([]string, 0, len(tables))
		for name, t := range tables {
			names = append(names, name.String())
			batch.Queue(`INSERT INTO fitted (slot, name, definition) VALUES ($1, $2, $3)
				ON CONFLICT (slot, name) DO UPDATE SET definition = excluded.definition WHERE fitted.definition <> excluded.definition`,
				slot, name.String(), t)
		}
		batch.Queue(`DELETE FROM fitted WHERE slot = $1 AND name <> ALL ($2)`, slot, names)
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("keep what tables are: %w", err)
	}
	return nil
}
