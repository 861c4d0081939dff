package store

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/subscriptions"
)

// making is how a subscription is made.
type making struct {
	once *subscriptions.Once
	// renews says that nothing is made where there is a live lease for the same: errLives then.
	renews bool
}

// errLives has the id of a live lease.
type errLives struct{ id string }

func (e errLives) Error() string { return "there is a live lease" }

// Lease implements subscriptions.Repository. Who asks for the same at once waits for the first one.
func (s *Store) Lease(ctx context.Context, x *subscriptions.Subscription, most int, once *subscriptions.Once, renew func(*subscriptions.Subscription) error) (*subscriptions.Subscription, subscriptions.Made, error) {
	for {
		if once != nil {
			if made, err := s.madeOnce(ctx, x, *once); err != nil || made != nil {
				return made, subscriptions.MadeBefore, err
			}
		}
		err := s.create(ctx, x, most, making{once: once, renews: true})
		var lives errLives
		var told *pgconn.PgError
		switch {
		case errors.As(err, &lives):
			if once != nil {
				// It may be this very request's, made meanwhile: then who asks has to be told the secret.
				if made, err := s.madeOnce(ctx, x, *once); err != nil || made != nil {
					return made, subscriptions.MadeBefore, err
				}
			}
			now, err := s.clock(ctx, nil)
			if err != nil {
				return nil, subscriptions.MadeNow, unavailable(err)
			}
			renewed, err := s.Update(ctx, subscriptions.Scope{Admin: true}, lives.id, func(held *subscriptions.Subscription) error {
				if !isLive(held, now) || !held.SameLease(x) {
					return subscriptions.ErrNotFound // it was changed meanwhile
				}
				return renew(held)
			})
			if errors.Is(err, subscriptions.ErrNotFound) {
				continue
			}
			return renewed, subscriptions.Renewed, err
		case errors.As(err, &told) && told.ConstraintName == "subscription_once":
			continue
		}
		return x, subscriptions.MadeNow, err
	}
}

// isLive says whether a lease can be renewed. One that is disabled can: it stays disabled.
func isLive(x *subscriptions.Subscription, now time.Time) bool {
	return !x.ExpiresAt.IsZero() && x.State != subscriptions.Expired && !x.LeaseOver(now)
}

// liveLease returns errLives when there is a live lease for the same. Until the transaction ends nobody else makes one.
func (s *Store) liveLease(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(x.Account + "\x00" + x.TargetURL.Reveal() + "\x00" + x.ResourceID))
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('rowhook lease of'), $1)`, int32(h.Sum32())); err != nil {
		return err
	}
	now, err := s.clock(ctx, tx)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+subscriptionColumns+` FROM subscription
		WHERE expires_at IS NOT NULL AND deleted_at IS NULL AND coalesce(account, '') = coalesce($1, '') AND coalesce(target_host, '') = $2
			AND expires_at > $3 AND events @> $4 AND events <@ $4 AND coalesce(resource_id, '') = $5
		ORDER BY key`, accountOf(x), x.TargetHost(), now, x.Events, x.ResourceID)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*subscriptions.Subscription, error) {
		held, _, err := s.scanSubscription(row)
		return held, err
	})
	if err != nil {
		return err
	}
	for _, held := range found {
		if isLive(held, now) && held.SameLease(x) {
			return errLives{held.ID}
		}
	}
	return nil
}

// clock is the time of the source, by which transactions are committed. It is asked in the transaction, where one is given
// and the source is there: who holds a connection and waits for another one may wait for ever.
func (s *Store) clock(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	var in interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	} = s.pool
	switch {
	case s.source != nil:
		in = s.source
	case tx != nil:
		in = tx
	}
	if err := in.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return now, fmt.Errorf("read the source's clock: %w", err)
	}
	return now.UTC(), nil
}

// leasesAtOnce is how many leases are looked at in one go.
const leasesAtOnce = 100

// errStays ends a change that is not needed any more.
var errStays = errors.New("nothing to do")

// ExpireLeases sets the state of subscriptions whose lease was over for the given time already, and returns how many there
// were. What matches was decided without it, by the times of the commits: so it must not come before all of those whose
// time is before the end.
func (s *Store) ExpireLeases(ctx context.Context, over time.Duration) (int, error) {
	now, err := s.clock(ctx, nil)
	if err != nil {
		return 0, err
	}
	before := now.Add(-over)
	const sql = `SELECT id FROM subscription
		WHERE expires_at <= $1 AND expires_at IS NOT NULL AND deleted_at IS NULL AND state NOT IN ('expired', 'disabled')
		ORDER BY expires_at LIMIT $2`
	n := 0
	for {
		changed, err := s.eachOver(ctx, sql, before, func(id string) error {
			_, err := s.Update(ctx, subscriptions.Scope{Admin: true}, id, func(x *subscriptions.Subscription) error {
				if x.State == subscriptions.Expired || x.State == subscriptions.Disabled || !x.LeaseOver(before) {
					return errStays
				}
				x.Expire()
				return nil
			})
			return err
		})
		if n += changed; err != nil || changed == 0 {
			return n, err
		}
	}
}

// RemoveExpired deletes the subscriptions whose lease was over before the time already, once nothing is due for them, and all
// that was committed before their end is settled: whoever is late, or waits, may not have read it yet. It returns how many there were.
func (s *Store) RemoveExpired(ctx context.Context, before time.Time) (int, error) {
	const sql = `SELECT id FROM subscription s
		WHERE expires_at <= $1 AND expires_at IS NOT NULL AND deleted_at IS NULL AND state IN ('expired', 'disabled')
			AND NOT EXISTS (SELECT FROM due d WHERE d.subscription = s.key)
		ORDER BY expires_at LIMIT $2`
	var settled *time.Time
	if err := s.pool.QueryRow(ctx, `SELECT max(settled_at) FROM checkpoint`).Scan(&settled); err != nil {
		return 0, fmt.Errorf("read until when all is settled: %w", err)
	}
	if settled != nil && settled.Before(before) {
		before = *settled
	}
	n := 0
	for {
		removed, err := s.eachOver(ctx, sql, before, func(id string) error {
			return s.Delete(ctx, subscriptions.Scope{Admin: true}, id, func(x *subscriptions.Subscription) error {
				if !x.LeaseOver(before) {
					return errStays
				}
				return nil
			})
		})
		if n += removed; err != nil || removed == 0 {
			return n, err
		}
	}
}

// eachOver calls change for some of the subscriptions that the query finds, and returns how many were changed.
func (s *Store) eachOver(ctx context.Context, sql string, before time.Time, change func(id string) error) (n int, err error) {
	rows, err := s.pool.Query(ctx, sql, before, leasesAtOnce)
	if err != nil {
		return 0, fmt.Errorf("look for leases that are over: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("look for leases that are over: %w", err)
	}
	for _, id := range ids {
		switch err := change(id); {
		case err == nil:
			n++
		case errors.Is(err, errStays), errors.Is(err, subscriptions.ErrNotFound):
		default:
			return n, err
		}
	}
	return n, nil
}
