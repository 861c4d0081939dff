package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/subscriptions"
)

// Import implements subscriptions.Repository.
func (s *Store) Import(ctx context.Context, x *subscriptions.Subscription, dry bool) (*subscriptions.Subscription, error) {
	for {
		found, deleted, err := s.scanSubscription(s.pool.QueryRow(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE id = $1`, x.ID))
		switch {
		case err == nil && deleted:
			return nil, subscriptions.ErrIDUsed
		case err == nil:
			return found, nil
		case !errors.Is(err, pgx.ErrNoRows):
			return nil, unavailable(fmt.Errorf("look for the subscription to be imported: %w", err))
		case dry:
			return nil, nil
		}
		err = s.create(ctx, x, 0, making{})
		var told *pgconn.PgError
		if errors.As(err, &told) && told.ConstraintName == "subscription_id_key" {
			continue // made by another one at the same time
		}
		return nil, err
	}
}
