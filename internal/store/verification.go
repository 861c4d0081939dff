package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// verificationColumn is a subscription's VerificationStatus, as JSON.
const verificationColumn = `(SELECT json_build_object('attempts', v.attempts, 'last_attempt', v.attempted_at, 'last_error', v.error,
		'next_attempt', v.due_at, 'expires_at', v.expires_at, 'confirmed_at', v.confirmed_at)
	FROM verification v WHERE v.subscription = subscription.key)`

// inUTC is for times that came as JSON.
func inUTC(v *subscriptions.VerificationStatus) {
	if v == nil {
		return
	}
	for _, t := range []*time.Time{v.LastAttempt, v.NextAttempt, v.ExpiresAt, v.ConfirmedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
}

func valuePlace(id string) string { return "subscription/" + id + "/verification" }

// saveVerification writes how far the verification has come, where that has changed. The value goes from memory into the
// row.
func (s *Store) saveVerification(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription, before *subscriptions.VerificationStatus) error {
	v := x.VerificationStatus
	switch {
	case reflect.DeepEqual(before, v):
		return nil
	case v == nil:
		_, err := tx.Exec(ctx, `DELETE FROM verification WHERE subscription = $1`, x.Key)
		return err
	case v.Value == "":
		_, err := tx.Exec(ctx, `
			UPDATE verification SET attempts = $2, attempted_at = $3, error = $4, due_at = $5, expires_at = $6, confirmed_at = $7::timestamptz,
				value = CASE WHEN $5::timestamptz IS NOT NULL THEN value END
			WHERE subscription = $1`, x.Key, v.Attempts, v.LastAttempt, v.LastError, v.NextAttempt, v.ExpiresAt, v.ConfirmedAt)
		return err
	}
	hash := subscriptions.ValueHash(v.Value)
	value := v.Value.Reveal()
	if s.cfg.Keys != nil {
		value = s.cfg.Keys.Seal(value, valuePlace(x.ID))
	}
	v.Value = ""
	_, err := tx.Exec(ctx, `
		INSERT INTO verification (subscription, value, hash, due_at, expires_at, confirmed_at)
		VALUES ($1, CASE WHEN $6::timestamptz IS NULL THEN $2 END, $3, $4, $5, $6)
		ON CONFLICT (subscription) DO UPDATE SET value = excluded.value, hash = excluded.hash, attempts = 0, attempted_at = NULL, error = '',
			due_at = excluded.due_at, expires_at = excluded.expires_at, confirmed_at = excluded.confirmed_at`,
		x.Key, value, hash[:], v.NextAttempt, v.ExpiresAt, v.ConfirmedAt)
	return err
}

// Verification is one that something is to be done for.
type Verification struct {
	Subscription *subscriptions.Subscription
	// Value is what the target has to answer.
	Value secret.String
}

// Ending is a target that is to be told that its subscription is over.
type Ending struct {
	Key int64
	// Subscription holds what is needed to send: no more is there of it.
	Subscription *subscriptions.Subscription
	Attempts     int
	ExpiresAt    time.Time
}

// Chores bounds what DueVerifications and DueEndings return.
type Chores struct {
	// Now is the time at which they are due or not.
	Now time.Time
	// Limit is the most to return, PerAccount the most of one account; nothing of those in Busy.
	Limit, PerAccount int
	Busy              []string
	// Skip are the keys of those under way.
	Skip []int64
}

// ChoreAccount names whom a chore is for, as in Chores.Busy.
func ChoreAccount(x *subscriptions.Subscription) string {
	if x.Admin {
		return ""
	}
	return x.Account
}

// choresRead bounds how many of those that are due are looked at.
const choresRead = 1000

// DueVerifications returns verifications that are due, no account's before another's, and when the next one is: zero for
// never. It returns sender.ErrNotOwner when another process reads the slot: then it is that one's to ask the targets.
func (s *Store) DueVerifications(ctx context.Context, c Chores) (due []Verification, next time.Time, err error) {
	fail := func(err error) ([]Verification, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("read which targets are to be verified: %w", err)
	}
	keys, next, err := s.dueChores(ctx, c, `verification v JOIN subscription s ON s.key = v.subscription AND s.state = 'pending' AND s.deleted_at IS NULL`,
		`v.subscription`, `s.account`)
	if err != nil {
		return fail(err)
	}
	if len(keys) == 0 {
		return nil, next, nil
	}
	for _, key := range keys {
		v, err := s.verification(ctx, key)
		switch {
		case errors.Is(err, pgx.ErrNoRows): // it was changed meanwhile
		case errors.Is(err, ErrSealed):
			// One that cannot be read holds up no other.
			s.cfg.Log.Error("the target of a subscription cannot be verified", "error", err)
		case err != nil:
			return fail(err)
		default:
			due = append(due, v)
		}
	}
	return due, next, nil
}

// verification reads one that is under way, or returns pgx.ErrNoRows.
func (s *Store) verification(ctx context.Context, key int64) (Verification, error) {
	x, _, err := s.scanSubscription(s.pool.QueryRow(ctx, `SELECT `+subscriptionColumns+` FROM subscription WHERE key = $1 AND deleted_at IS NULL AND state = 'pending'`, key))
	if err != nil {
		return Verification{}, err
	}
	if x.VerificationStatus == nil || x.VerificationStatus.ExpiresAt == nil {
		return Verification{}, pgx.ErrNoRows
	}
	var value string
	err = s.pool.QueryRow(ctx, `SELECT coalesce(value, '') FROM verification WHERE subscription = $1 AND expires_at = $2`, key, x.VerificationStatus.ExpiresAt).Scan(&value)
	if err != nil {
		return Verification{}, err
	}
	if value, err = s.cfg.Keys.Open(value, valuePlace(x.ID)); err != nil {
		return Verification{}, fmt.Errorf("subscription %s: %w", x.ID, sealError(err))
	}
	return Verification{Subscription: x, Value: secret.String(value)}, nil
}

// dueChores returns the keys of rows that are due, and when the next one is.
func (s *Store) dueChores(ctx context.Context, c Chores, from, key, account string) (keys []int64, next time.Time, err error) {
	skip, busy := c.Skip, c.Busy
	if skip == nil {
		skip = []int64{}
	}
	if busy == nil {
		busy = []string{}
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if err := s.stillOwner(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT key FROM (
				SELECT key, due_at, row_number() OVER (PARTITION BY account ORDER BY due_at, key) AS turn FROM (
					SELECT `+key+` AS key, `+account+` AS account, v.due_at FROM `+from+`
					WHERE v.due_at <= $1 AND NOT `+key+` = ANY ($2) AND NOT coalesce(`+account+`, '') = ANY ($3)
					ORDER BY v.due_at LIMIT $4) looked) turns
			WHERE turn <= $5 ORDER BY turn, due_at LIMIT $6`, c.Now, skip, busy, choresRead, c.PerAccount, c.Limit)
		if err != nil {
			return err
		}
		if keys, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT v.due_at FROM `+from+` WHERE v.due_at > $1 ORDER BY v.due_at LIMIT 1`, c.Now).Scan(&next)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		next = next.UTC()
		return err
	})
	return keys, next, err
}

// stillOwner lets the transaction fail when another process has begun to read the slot. Until the transaction ends none does.
func (s *Store) stillOwner(ctx context.Context, tx pgx.Tx) error {
	slot, owner := s.owned()
	if slot == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, s.fenceKey(slot)); err != nil {
		return err
	}
	var ours bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM checkpoint WHERE slot = $1 AND owner = $2)`, slot, owner).Scan(&ours); err != nil {
		return err
	}
	if !ours {
		return sender.ErrNotOwner
	}
	return nil
}

// ErrOtherVerification says that the verification is over, or has begun again.
var ErrOtherVerification = errors.New("the verification is over, or has begun again")

// Tried notes an attempt of a verification, unless that is over or has begun again: ErrOtherVerification. asked is the status
// that the attempt began with, and v the one that it ended with.
func (s *Store) Tried(ctx context.Context, key int64, asked, v *subscriptions.VerificationStatus) error {
	tag, err := s.pool.Exec(ctx, `UPDATE verification SET attempts = $3, attempted_at = $4, error = $5,
			due_at = CASE WHEN due_at IS NOT NULL THEN $6::timestamptz END -- it may have been disabled meanwhile
		WHERE subscription = $1 AND expires_at = $2 AND confirmed_at IS NULL`, key, asked.ExpiresAt, v.Attempts, v.LastAttempt, v.LastError, v.NextAttempt)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrOtherVerification
	}
	return err
}

// Settle changes a subscription whose verification has ended as change says, unless that is over or has begun again:
// ErrOtherVerification.
func (s *Store) Settle(ctx context.Context, id string, asked *subscriptions.VerificationStatus, change func(*subscriptions.Subscription)) error {
	_, err := s.Update(ctx, subscriptions.Scope{Admin: true}, id, func(x *subscriptions.Subscription) error {
		if !isOf(x, asked) {
			return ErrOtherVerification
		}
		change(x)
		return nil
	})
	return err
}

// DeleteUnverified deletes a subscription whose target is gone, unless its verification is over or has begun again:
// ErrOtherVerification.
func (s *Store) DeleteUnverified(ctx context.Context, id string, asked *subscriptions.VerificationStatus) error {
	return s.Delete(ctx, subscriptions.Scope{Admin: true}, id, func(x *subscriptions.Subscription) error {
		if !isOf(x, asked) {
			return ErrOtherVerification
		}
		return nil
	})
}

// isOf says whether the verification that x is in is still the one that was asked.
func isOf(x *subscriptions.Subscription, asked *subscriptions.VerificationStatus) bool {
	v := x.VerificationStatus
	return x.Unverified() && v != nil && v.ExpiresAt != nil && asked.ExpiresAt != nil && v.ExpiresAt.Equal(*asked.ExpiresAt)
}

// Confirm confirms the verification of a subscription by the hash of its value, as its target does, and says whether that is
// new: one that is confirmed already stays so. Everything that is not there, or not right, is subscriptions.ErrNotFound, and costs the same: nothing is
// looked for but the value.
func (s *Store) Confirm(ctx context.Context, id string, hash [sha256.Size]byte, now time.Time) (bool, error) {
	var asked subscriptions.VerificationStatus
	var key int64
	err := s.pool.QueryRow(ctx, `SELECT subscription, expires_at, confirmed_at FROM verification WHERE hash = $1`, hash[:]).
		Scan(&key, &asked.ExpiresAt, &asked.ConfirmedAt)
	if err == nil {
		// Only now: a join could begin with the id, and take longer for one that is there.
		err = s.pool.QueryRow(ctx, `SELECT key FROM subscription
			WHERE key = $1 AND id = $2 AND deleted_at IS NULL AND verification = $3 AND state <> 'expired'`, key, id, subscriptions.VerifySecret).Scan(&key)
	}
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, subscriptions.ErrNotFound
	case err != nil:
		return false, unavailable(fmt.Errorf("confirm a subscription: %w", err))
	case asked.ConfirmedAt != nil:
		return false, nil
	case asked.ExpiresAt == nil || !now.Before(*asked.ExpiresAt):
		return false, subscriptions.ErrNotFound
	}
	err = s.Settle(ctx, id, &asked, func(x *subscriptions.Subscription) { x.Confirm(now) })
	if errors.Is(err, ErrOtherVerification) {
		err = subscriptions.ErrNotFound
	}
	return err == nil, err
}

// sealVerifications seals values as sealSome does secrets.
func (s *Store) sealVerifications(ctx context.Context) error {
	return s.transact(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT v.subscription, s.id, v.value FROM verification v JOIN subscription s ON s.key = v.subscription
			WHERE v.value IS NOT NULL AND NOT starts_with(v.value, $1) FOR UPDATE OF v`, s.cfg.Keys.Prefix())
		if err != nil {
			return err
		}
		type row struct {
			Key       int64
			ID, Value string
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for _, r := range found {
			value, err := s.cfg.Keys.Open(r.Value, valuePlace(r.ID))
			if err != nil {
				return fmt.Errorf("subscription %s: %w", r.ID, err)
			}
			batch.Queue(`UPDATE verification SET value = $2 WHERE subscription = $1`, r.Key, s.cfg.Keys.Seal(value, valuePlace(r.ID)))
		}
		return tx.SendBatch(ctx, batch).Close()
	})
}

// expireUnverified deletes subscriptions that expired before the time, and whose targets have not agreed: what is due for them is
// never sent.
func (s *Store) expireUnverified(ctx context.Context, before time.Time) error {
	rows, err := s.pool.Query(ctx, `SELECT s.id FROM subscription s JOIN verification v ON v.subscription = s.key
		WHERE s.deleted_at IS NULL AND s.state = 'expired' AND v.confirmed_at IS NULL AND (s.disabled->>'since')::timestamptz < $1 LIMIT $2`, before, choresRead)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.Delete(ctx, subscriptions.Scope{Admin: true}, id, func(x *subscriptions.Subscription) error {
			if x.State != subscriptions.Expired || !x.Unverified() || x.Disabled == nil || !x.Disabled.Since.Before(before) {
				return ErrOtherVerification
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrOtherVerification) && !errors.Is(err, subscriptions.ErrNotFound) {
			return err
		}
	}
	return nil
}
