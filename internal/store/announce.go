package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

// OnChange sets what is called with every change that is made through this process, after it is durable and before the
// call that made it returns.
func (s *Store) OnChange(f func(id string, version int64, deleted bool, key int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = f
}

func (s *Store) changed(x *subscriptions.Subscription, deleted bool) {
	s.mu.Lock()
	f := s.onChange
	s.mu.Unlock()
	if f != nil {
		f(x.ID, x.Version, deleted, x.Key)
	}
}

// changeTimeout bounds a change of a subscription.
const changeTimeout = 15 * time.Second

// decided lets a change end as it has begun, also when its caller has gone away: between the announcement and the commit
// there must be no other reason to fail than the store's own.
func decided(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
}

// announce writes the change into the source's log. In the source's own database it is part of the transaction. In a
// store of its own it comes before the commit, so that a change that is not announced is not made; who reads the
// announcement waits for the row.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, a subscriptions.Announcement) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	const sql = `SELECT pg_logical_emit_message(true, $1, $2::text)`
	if s.source == nil {
		_, err = tx.Exec(ctx, sql, subscriptions.MessagePrefix, string(text))
	} else {
		_, err = s.source.Exec(ctx, sql, subscriptions.MessagePrefix, string(text))
	}
	if err != nil {
		return fmt.Errorf("announce the change in the source: %w", err)
	}
	return nil
}

// end is where the source's log ends now.
func (s *Store) end(ctx context.Context) (cdc.LSN, error) {
	var at cdc.LSN
	err := s.transact(ctx, func(tx pgx.Tx) error {
		text, err := s.position(ctx, tx)
		if err == nil {
			at, err = pglogrepl.ParseLSN(text)
		}
		return err
	})
	return at, err
}

// position is where the source's log ends now.
func (s *Store) position(ctx context.Context, tx pgx.Tx) (string, error) {
	const sql = `SELECT pg_current_wal_insert_lsn()::text`
	var lsn string
	var err error
	if s.source == nil {
		err = tx.QueryRow(ctx, sql).Scan(&lsn)
	} else {
		err = s.source.QueryRow(ctx, sql).Scan(&lsn)
	}
	if err != nil {
		return "", fmt.Errorf("read the source's position: %w", err)
	}
	return lsn, nil
}

// Announced reads the subscription that an announcement is about, as it is now. It returns nil when it has been deleted,
// and ErrNotFound when the row is not visible yet: an announcement can be read before the transaction that wrote it is
// visible to others.
func (s *Store) Announced(ctx context.Context, a subscriptions.Announcement) (*subscriptions.Subscription, error) {
	x, deleted, err := s.scanSubscription(s.pool.QueryRow(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE id = $1`, a.ID))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, subscriptions.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read subscription: %w", err)
	}
	if deleted {
		return nil, nil
	}
	if x.Version < a.Version {
		return nil, subscriptions.ErrNotFound
	}
	return x, nil
}

// BeginAt makes a subscription begin after a position of the log, if it began before it: only transactions that commit
// after it match.
func (s *Store) BeginAt(ctx context.Context, key int64, at cdc.LSN) error {
	_, err := s.pool.Exec(ctx, `UPDATE subscription SET since = greatest(since, $2::text::pg_lsn) WHERE key = $1`, key, at.String())
	if err != nil {
		return fmt.Errorf("note where subscription begins: %w", err)
	}
	return nil
}
