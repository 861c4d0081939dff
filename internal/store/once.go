package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/subscriptions"
)

// CreateOnce implements subscriptions.Repository. Of two at once, the index lets one wait for the other.
func (s *Store) CreateOnce(ctx context.Context, x *subscriptions.Subscription, most int, once subscriptions.Once) (*subscriptions.Subscription, bool, error) {
	for {
		made, err := s.madeOnce(ctx, x, once)
		if err != nil || made != nil {
			return made, made != nil, err
		}
		err = s.create(ctx, x, most, making{once: &once})
		var told *pgconn.PgError
		if errors.As(err, &told) && told.ConstraintName == "subscription_once" {
			continue
		}
		if errors.Is(err, subscriptions.ErrTooMany) {
			// The last one that there was room for may be this very request's, made meanwhile.
			if made, again := s.madeOnce(ctx, x, once); made != nil || again != nil {
				return made, made != nil, again
			}
		}
		return x, false, err
	}
}

// madeOnce returns what was made with the key, nil when nothing was. A key that is too old is free again.
func (s *Store) madeOnce(ctx context.Context, x *subscriptions.Subscription, once subscriptions.Once) (*subscriptions.Subscription, error) {
	fail := func(err error) (*subscriptions.Subscription, error) {
		return nil, unavailable(fmt.Errorf("look for the subscription of an Idempotency-Key: %w", err))
	}
	var id string
	var body []byte
	var old bool
	err := s.pool.QueryRow(ctx, `
		SELECT id, once_body, created_at < now() - make_interval(secs => $3) FROM subscription
		WHERE deleted_at IS NULL AND coalesce(account, '') = coalesce($1, '') AND once_key = $2`, accountOf(x), once.Key, subscriptions.OnceFor.Seconds()).Scan(&id, &body, &old)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return fail(err)
	case old:
		if _, err := s.pool.Exec(ctx, `UPDATE subscription SET once_key = NULL, once_body = NULL WHERE id = $1`, id); err != nil {
			return fail(err)
		}
		return nil, nil
	case !bytes.Equal(body, once.Body[:]):
		return nil, subscriptions.ErrOnceDiffers
	}
	made, err := s.Get(ctx, subscriptions.Scope{Admin: true}, id)
	if errors.Is(err, subscriptions.ErrNotFound) {
		return nil, nil // deleted meanwhile
	}
	return made, err
}
