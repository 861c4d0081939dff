package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

const subscriptionColumns = `key, id, version, account, events, coalesce(target_url, ''), coalesce(resource_id, ''), secrets, delivery, state, disabled,
	ignore_sources, name, description, metadata, since::text, created_at, updated_at, deleted_at,
	coalesce(filter, ''), filter_error, expires_at, coalesce(state_before, ''), coalesce(verification, ''), notify_end, ` + verificationColumn + `, request, ` + failingColumn + `, resend_since, coalesce(fallback_url, '')`

// scanSubscription reads subscriptionColumns; deleted says that only the row of a deleted one is left.
func (s *Store) scanSubscription(row pgx.Row) (x *subscriptions.Subscription, deleted bool, err error) {
	x = &subscriptions.Subscription{}
	var (
		account   *string
		url       string
		fallback  string
		secrets   []byte
		since     string
		deletedAt *time.Time
		expiresAt *time.Time
		request   []byte
		failing   *failingRow
		resend    *time.Time
	)
	if err := row.Scan(&x.Key, &x.ID, &x.Version, &account, &x.Events, &url, &x.ResourceID, &secrets, &x.Delivery, &x.State, &x.Disabled,
		&x.IgnoreSources, &x.Name, &x.Description, &x.Metadata, &since, &x.CreatedAt, &x.UpdatedAt, &deletedAt,
		&x.Filter, &x.FilterError, &expiresAt, &x.Before, &x.Verification, &x.NotifyEnd, &x.VerificationStatus, &request, &failing, &resend, &fallback); err != nil {
		return nil, false, err
	}
	x.ExpiresAt, x.ResendSince = timeOf(expiresAt), timeOf(resend)
	if x.TargetURL, err = s.openTarget(x.ID, url); err != nil {
		return nil, false, fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
	}
	if x.FallbackURL, err = s.openedFallback(x.ID, fallback); err != nil {
		return nil, false, fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
	}
	if account == nil {
		x.Admin = true
	} else {
		x.Account = *account
	}
	if x.Secrets, err = s.openSecrets(x.ID, secrets); err != nil {
		return nil, false, fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
	}
	if x.Request, err = s.openRequest(x.ID, request); err != nil {
		return nil, false, fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
	}
	x.CreatedAt, x.UpdatedAt = x.CreatedAt.UTC(), x.UpdatedAt.UTC()
	inUTC(x.VerificationStatus)
	x.Failing = failing.shown()
	x.Since, err = pglogrepl.ParseLSN(since)
	return x, deletedAt != nil, err
}

func accountOf(x *subscriptions.Subscription) any {
	if x.Admin {
		return nil
	}
	return x.Account
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// timeOf and orNever read and write a time that may be missing.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNever(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func metadataOf(x *subscriptions.Subscription) map[string]string {
	if x.Metadata == nil {
		return map[string]string{}
	}
	return x.Metadata
}

// Create implements subscriptions.Repository.
func (s *Store) Create(ctx context.Context, x *subscriptions.Subscription, most int) error {
	return s.create(ctx, x, most, making{})
}

// expiredMost bounds the subscriptions of an account with those that are expired: so many times what it may have beside.
const expiredMost = 10

// roomFor says whether an account may have one more. Those who ask at once wait for each other.
func roomFor(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription, most int) error {
	if most == 0 || x.Admin {
		return nil
	}
	var has, live int
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('rowhook subscriptions of'), hashtext($1))`, x.Account); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE state <> 'expired') FROM subscription WHERE deleted_at IS NULL AND account = $1`,
		x.Account).Scan(&has, &live); err != nil {
		return err
	}
	if live >= most || has >= expiredMost*most {
		return subscriptions.ErrTooMany
	}
	return nil
}

// written are the columns that a change of a subscription writes, by their names; secrets are sealed.
func (s *Store) written(x *subscriptions.Subscription, secrets string) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"events": x.Events, "target_url": orNull(s.sealedTarget(x.ID, x.TargetURL)), "target_host": orNull(x.TargetHost()),
		"resource_id": orNull(x.ResourceID), "filter": orNull(x.Filter), "ignore_sources": x.IgnoreSources,
		"secrets": secrets, "delivery": x.Delivery, "fallback_url": orNull(s.sealedFallback(x.ID, x.FallbackURL)),
		"state": x.State, "state_before": orNull(string(x.Before)), "disabled": x.Disabled, "expires_at": orNever(x.ExpiresAt),
		"name": x.Name, "description": x.Description, "metadata": metadataOf(x),
		"verification": orNull(x.Verification), "notify_end": x.NotifyEnd, "resend_since": orNever(x.ResendSince),
	}
}

func (s *Store) create(ctx context.Context, x *subscriptions.Subscription, most int, how making) error {
	ctx, cancel := decided(ctx)
	defer cancel()
	x.Version = 1
	var onceKey *string
	var onceBody []byte
	if once := how.once; once != nil {
		onceKey, onceBody = &once.Key, once.Body[:]
	}
	secrets, err := s.sealedSecrets(x.ID, x.Secrets)
	if err != nil {
		return fmt.Errorf("create subscription: %w", err)
	}
	request, err := s.sealedRequest(x.ID, x.Request)
	if err != nil {
		return fmt.Errorf("create subscription: %w", err)
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if how.renews {
			if err := s.liveLease(ctx, tx, x); err != nil {
				return err
			}
		}
		if err := roomFor(ctx, tx, x, most); err != nil {
			return err
		}
		since, err := s.position(ctx, tx)
		if err != nil {
			return err
		}
		if x.Since, err = pglogrepl.ParseLSN(since); err != nil {
			return err
		}
		args := s.written(x, secrets)
		args["id"], args["account"], args["since"], args["once_key"], args["once_body"] = x.ID, accountOf(x), since, onceKey, onceBody
		args["request"] = request
		args["created_at"] = orNever(x.CreatedAt)
		err = tx.QueryRow(ctx, `
			INSERT INTO subscription (id, account, events, target_url, target_host, resource_id, filter, ignore_sources, secrets, delivery, fallback_url,
				state, state_before, disabled, expires_at, name, description, metadata,
				verification, notify_end, resend_since, request, since, once_key, once_body, created_at)
			VALUES (@id, @account, @events, @target_url, @target_host, @resource_id, @filter, @ignore_sources, @secrets, @delivery, @fallback_url,
				@state, @state_before, @disabled, @expires_at, @name, @description, @metadata,
				@verification, @notify_end, @resend_since, @request, @since::text::pg_lsn, @once_key, @once_body,
				coalesce(@created_at, now()))
			RETURNING key, created_at, updated_at`, args).Scan(&x.Key, &x.CreatedAt, &x.UpdatedAt)
		if err != nil {
			return err
		}
		x.CreatedAt, x.UpdatedAt = x.CreatedAt.UTC(), x.UpdatedAt.UTC()
		if err := s.saveVerification(ctx, tx, x, nil); err != nil {
			return err
		}
		return s.announce(ctx, tx, subscriptions.Announce(x, s.id))
	})
	if errors.Is(err, subscriptions.ErrTooMany) || errors.As(err, new(errLives)) {
		return err
	}
	if err != nil {
		return unavailable(fmt.Errorf("create subscription: %w", err))
	}
	s.changed(x, false)
	return nil
}

// scoped is the condition that a caller sees a row, with $1 and $2 for the scope.
const scoped = `deleted_at IS NULL AND ($1 OR account = $2)`

// List implements subscriptions.Repository. After may be a subscription that was deleted: its row is still there. One
// that never was, or is another account's, is ErrNotFound.
func (s *Store) List(ctx context.Context, q subscriptions.Query) ([]*subscriptions.Subscription, bool, error) {
	var after int64
	if q.After != "" {
		err := s.pool.QueryRow(ctx, `SELECT key FROM subscription WHERE id = $3 AND ($1 OR account = $2)`,
			q.Scope.Admin, q.Scope.Account, q.After).Scan(&after)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, false, subscriptions.ErrNotFound
		}
		if err != nil {
			return nil, false, unavailable(fmt.Errorf("list subscriptions: %w", err))
		}
	}
	search, plain := q.Search, isASCII(q.Search)
	if plain {
		search = strings.ToLower(search)
	}
	rows, err := s.pool.Query(ctx, `
		SELECT `+subscriptionColumns+` FROM subscription
		WHERE `+scoped+` AND key > $3
			AND ($5::text[] IS NULL OR events && $5) AND ($6 = '' OR state = $6) AND ($7 = '' OR target_host = lower($7))
			AND ($8 = '' OR position(lower($8) IN lower(name)) > 0)
			AND (NOT $9 OR state <> 'disabled' AND EXISTS (SELECT FROM failing f WHERE f.subscription = subscription.key))
			AND ($10::text IS NULL OR account = $10) AND (NOT $11 OR state = 'disabled' AND disabled->>'by' = 'rowhook')
			AND ($12::timestamptz IS NULL OR (disabled->>'since')::timestamptz >= $12)
			AND ($13::timestamptz IS NULL OR (disabled->>'since')::timestamptz < $13)
			AND ($14 = '' OR position($14 IN id) > 0 OR position($14 IN target_host) > 0
				OR CASE WHEN $15 THEN position($14 IN lower(name COLLATE "C")) ELSE position(lower($14) IN lower(name)) END > 0
				OR CASE WHEN $15 THEN position($14 IN lower(account COLLATE "C")) ELSE position(lower($14) IN lower(account)) END > 0)
		ORDER BY key LIMIT $4`, q.Scope.Admin, q.Scope.Account, after, q.Limit+1, subscriptions.Wanting(q.Event), string(q.State), q.TargetHost, q.Name,
		q.Failing, q.Account, q.DisabledByRowhook, orNever(q.DisabledAfter), orNever(q.DisabledBefore), search, plain)
	if err != nil {
		return nil, false, unavailable(fmt.Errorf("list subscriptions: %w", err))
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*subscriptions.Subscription, error) {
		x, _, err := s.scanSubscription(row)
		return x, err
	})
	if err != nil {
		return nil, false, unavailable(fmt.Errorf("list subscriptions: %w", err))
	}
	if len(page) > q.Limit {
		return page[:q.Limit], true, nil
	}
	return page, false, nil
}

// isASCII says that upper and lower case of a text are plain: Postgres is several times as fast where it need not know a language.
func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// Get implements subscriptions.Repository.
func (s *Store) Get(ctx context.Context, scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	x, _, err := s.scanSubscription(s.pool.QueryRow(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE `+scoped+` AND id = $3`,
		scope.Admin, scope.Account, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, subscriptions.ErrNotFound
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("read subscription: %w", err))
	}
	return x, nil
}

// lockSubscription reads a row for a change.
func (s *Store) lockSubscription(ctx context.Context, tx pgx.Tx, scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	x, _, err := s.scanSubscription(tx.QueryRow(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE `+scoped+` AND id = $3 FOR UPDATE`,
		scope.Admin, scope.Account, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, subscriptions.ErrNotFound
	}
	return x, err
}

// errChange wraps an error of the caller's change, which must come back as it is.
type errChange struct{ err error }

func (e errChange) Error() string { return e.err.Error() }

// Update implements subscriptions.Repository.
func (s *Store) Update(ctx context.Context, scope subscriptions.Scope, id string, change func(*subscriptions.Subscription) error) (*subscriptions.Subscription, error) {
	ctx, cancel := decided(ctx)
	defer cancel()
	var x *subscriptions.Subscription
	err := s.transact(ctx, func(tx pgx.Tx) error {
		var err error
		if x, err = s.lockSubscription(ctx, tx, scope, id); err != nil {
			return err
		}
		was := x.Clone()
		before := subscriptions.Announce(was, s.id)
		if err := change(x); err != nil {
			return errChange{err}
		}
		// Whoever reads the log from before the change has to match as it was, also if nobody gets there before the process ends.
		if now := subscriptions.Announce(x, s.id); !reflect.DeepEqual(before, now) {
			if err := supersede(ctx, tx, x.Key, before, unheard); err != nil {
				return err
			}
		}
		x.Version++
		secrets, err := s.sealedSecrets(x.ID, x.Secrets)
		if err != nil {
			return err
		}
		request, err := s.sealedRequest(x.ID, x.Request)
		if err != nil {
			return err
		}
		args := s.written(x, secrets)
		args["request"], args["key"], args["version"] = request, x.Key, x.Version
		err = tx.QueryRow(ctx, `
			UPDATE subscription SET version = @version, events = @events, target_url = @target_url, target_host = @target_host,
				resource_id = @resource_id, filter = @filter,
				filter_error = CASE WHEN filter IS NOT DISTINCT FROM @filter THEN filter_error END,
				ignore_sources = @ignore_sources, secrets = @secrets, delivery = @delivery, fallback_url = @fallback_url, state = @state, state_before = @state_before,
				disabled = @disabled, expires_at = @expires_at, name = @name, description = @description, metadata = @metadata,
				verification = @verification, notify_end = @notify_end, resend_since = @resend_since, request = @request,
				updated_at = now()
			WHERE key = @key RETURNING updated_at`, args).Scan(&x.UpdatedAt)
		if err != nil {
			return err
		}
		x.UpdatedAt = x.UpdatedAt.UTC()
		if err := s.saveVerification(ctx, tx, x, was.VerificationStatus); err != nil {
			return err
		}
		if x.State == subscriptions.Expired && was.State != subscriptions.Expired {
			if err := s.addEnding(ctx, tx, x); err != nil {
				return err
			}
		}
		if was.Disabled != nil && was.Disabled.Missed != nil && x.State != subscriptions.Disabled {
			if err := noticeMissed(ctx, tx, was); err != nil {
				return err
			}
		}
		if x.DisabledByRowhook() && !was.DisabledByRowhook() {
			if err := noticeDisabled(ctx, tx, x); err != nil {
				return err
			}
		}
		return s.announce(ctx, tx, subscriptions.Announce(x, s.id))
	})
	var mine errChange
	if errors.As(err, &mine) {
		return nil, mine.err
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("change subscription: %w", err))
	}
	s.changed(x, false)
	return x, nil
}

// deletedAtOnce is how many due rows go with their subscription at once; Expire removes the rest. One that was behind by
// millions could not be deleted at all within the time of a request.
const deletedAtOnce = 1000

// Delete implements subscriptions.Repository. What is due for the subscription goes with it. Where when clears NotifyEnd the
// target is not told.
func (s *Store) Delete(ctx context.Context, scope subscriptions.Scope, id string, when func(*subscriptions.Subscription) error) error {
	ctx, cancel := decided(ctx)
	defer cancel()
	var x *subscriptions.Subscription
	err := s.transact(ctx, func(tx pgx.Tx) error {
		var err error
		if x, err = s.lockSubscription(ctx, tx, scope, id); err != nil {
			return err
		}
		if when != nil {
			if err := when(x); err != nil {
				return errChange{err}
			}
		}
		x.Version++
		// One that has expired was told then.
		if x.State != subscriptions.Expired {
			if err := s.addEnding(ctx, tx, x); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM verification WHERE subscription = $1`, x.Key); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE subscription SET deleted_at = now(), version = $2, target_url = NULL, target_host = NULL, fallback_url = NULL, once_key = NULL, once_body = NULL, secrets = '[]', metadata = '{}', name = '', description = '',
				filter = NULL, filter_error = NULL, request = NULL
			WHERE key = $1`, x.Key, x.Version); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			DELETE FROM due WHERE ctid = ANY (ARRAY(SELECT ctid FROM due WHERE subscription = $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`,
			x.Key, deletedAtOnce); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM superseded WHERE subscription = $1`, x.Key); err != nil {
			return err
		}
		return s.announce(ctx, tx, subscriptions.Announcement{Store: s.id, ID: x.ID, Version: x.Version, Deleted: true})
	})
	var mine errChange
	if errors.As(err, &mine) {
		return mine.err
	}
	if err != nil {
		return unavailable(fmt.Errorf("delete subscription: %w", err))
	}
	s.changed(x, true)
	return nil
}

// Each calls f with every subscription, in the order in which they were made, as they are read: with what is needed to
// match and to send, as subscriptions.Index keeps it. After an error it may have been called with some of them.
func (s *Store) Each(ctx context.Context, f func(*subscriptions.Subscription)) error {
	rows, err := s.pool.Query(ctx, `
		SELECT key, id, version, account, events, coalesce(target_url, ''), coalesce(resource_id, ''), secrets, nullif(delivery, '{}'), state,
			(since - '0/0'::pg_lsn)::text, ignore_sources, coalesce(filter, ''), expires_at, coalesce(state_before, ''), request, coalesce(disabled->>'by', ''), resend_since, coalesce(fallback_url, '')
		FROM subscription WHERE deleted_at IS NULL ORDER BY key`)
	if err != nil {
		return fmt.Errorf("read subscriptions: %w", err)
	}
	var (
		x                 subscriptions.Subscription
		account           *string
		url, since, by    string
		fallback          string
		secrets, delivery []byte
		expiresAt, resend *time.Time
		request           []byte
	)
	into := []any{&x.Key, &x.ID, &x.Version, &account, &x.Events, &url, &x.ResourceID, &secrets, &delivery, &x.State, &since, &x.IgnoreSources, &x.Filter,
		&expiresAt, &x.Before, &request, &by, &resend, &fallback}
	_, err = pgx.ForEachRow(rows, into, func() (err error) {
		one := x
		if by != "" {
			one.Disabled = &subscriptions.DisabledReason{By: by}
		}
		one.Admin = account == nil
		one.ExpiresAt, one.ResendSince = timeOf(expiresAt), timeOf(resend)
		if one.TargetURL, err = s.openTarget(x.ID, url); err != nil {
			return fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
		}
		if one.FallbackURL, err = s.openedFallback(x.ID, fallback); err != nil {
			return fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
		}
		if account != nil {
			one.Account = *account
		}
		if one.Secrets, err = s.openSecrets(x.ID, secrets); err != nil {
			return fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
		}
		if one.Request, err = s.openRequest(x.ID, request); err != nil {
			return fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
		}
		if delivery != nil {
			if err := json.Unmarshal(delivery, &one.Delivery); err != nil {
				return fmt.Errorf("subscription %s: delivery options: %w", x.ID, err)
			}
		}
		lsn, err := strconv.ParseUint(since, 10, 64)
		if err != nil {
			return fmt.Errorf("subscription %s: since: %w", x.ID, err)
		}
		one.Since = cdc.LSN(lsn)
		f(&one)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read subscriptions: %w", err)
	}
	return nil
}

// All returns every subscription.
func (s *Store) All(ctx context.Context) ([]*subscriptions.Subscription, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE deleted_at IS NULL ORDER BY key`)
	if err != nil {
		return nil, fmt.Errorf("read subscriptions: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*subscriptions.Subscription, error) {
		x, _, err := s.scanSubscription(row)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read subscriptions: %w", err)
	}
	return all, nil
}
