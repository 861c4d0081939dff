package store

import (
	"context"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

// Supersede keeps what a subscription matched until the change of it that was committed at until, for as long as the log
// before it may be read again.
func (s *Store) Supersede(ctx context.Context, key int64, old subscriptions.Announcement, until cdc.LSN) error {
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if slot, _ := s.owned(); slot != "" {
			_, err := tx.Exec(ctx, `DELETE FROM superseded USING checkpoint c WHERE c.slot = $1 AND until < c.lsn`, slot)
			if err != nil {
				return err
			}
		}
		return supersede(ctx, tx, key, old, until)
	})
	if err != nil {
		return fmt.Errorf("note what a subscription matched: %w", err)
	}
	return nil
}

// unheard is in the place of a change's commit as long as it has not been read from the log.
const unheard = ^cdc.LSN(0)

// supersede is repeated with the commit of the change once that is known.
func supersede(ctx context.Context, tx pgx.Tx, key int64, old subscriptions.Announcement, until cdc.LSN) error {
	_, err := tx.Exec(ctx, `INSERT INTO superseded (subscription, version, until, announcement) VALUES ($1, $2, $3::text::pg_lsn, $4)
		ON CONFLICT (subscription, version) DO UPDATE SET until = excluded.until WHERE superseded.until > excluded.until`,
		key, old.Version, until.String(), old)
	return err
}

// Former is what a subscription matched before a change of it.
type Former struct {
	subscriptions.Announcement
	// Until is a position of the log at or before which the change was announced.
	Until cdc.LSN
}

// Superseded returns, by the subscriptions' Key, what those matched at a position of the log that were changed after it.
func (s *Store) Superseded(ctx context.Context, at cdc.LSN) (map[int64]Former, error) {
	fail := func(err error) (map[int64]Former, error) {
		return nil, fmt.Errorf("read what subscriptions matched: %w", err)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT ON (subscription) subscription, until = $2::text::pg_lsn, until::text, announcement
		FROM superseded WHERE until >= $1::text::pg_lsn ORDER BY subscription, until, version`, at.String(), unheard.String())
	if err != nil {
		return fail(err)
	}
	found := map[int64]Former{}
	var (
		key     int64
		pending bool
		until   string
		a       subscriptions.Announcement
	)
	pends := false
	_, err = pgx.ForEachRow(rows, []any{&key, &pending, &until, &a}, func() error {
		x := Former{Announcement: a, Until: unheard}
		if !pending {
			var err error
			if x.Until, err = pglogrepl.ParseLSN(until); err != nil {
				return err
			}
		}
		pends = pends || pending
		found[key], a = x, subscriptions.Announcement{}
		return nil
	})
	if err != nil || !pends {
		if err != nil {
			return fail(err)
		}
		return found, nil
	}
	// The changes are there, so their announcements are in the log up to here.
	end, err := s.end(ctx)
	if err != nil {
		return fail(err)
	}
	for key, x := range found {
		x.Until = min(x.Until, end)
		found[key] = x
	}
	return found, nil
}

// forgetSuperseded is for a log that has nothing to do with the one before.
func forgetSuperseded(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM superseded`)
	return err
}
