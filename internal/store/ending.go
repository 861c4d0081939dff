package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/subscriptions"
)

// endingFor is how long it is tried to tell a target that its subscription is over.
const endingFor = time.Hour

// addEnding lets the target be told that the subscription is over, before its row is emptied. One that has not agreed to
// anything is told nothing.
func (s *Store) addEnding(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription) error {
	if !x.NotifyEnd || x.TargetURL == "" || x.Unverified() {
		return nil
	}
	now := time.Now()
	_, err := tx.Exec(ctx, `INSERT INTO ending (id, account, target_url, secrets, request, delivery, due_at, expires_at)
		SELECT id, account, target_url, secrets, request, delivery, $2, $3 FROM subscription WHERE key = $1`, x.Key, now, now.Add(endingFor))
	return err
}

// DueEndings returns targets that are to be told that their subscription is over, as DueVerifications does.
func (s *Store) DueEndings(ctx context.Context, c Chores) (due []Ending, next time.Time, err error) {
	fail := func(err error) ([]Ending, time.Time, error) {
		return nil, time.Time{}, fmt.Errorf("read which targets are to be told of an end: %w", err)
	}
	keys, next, err := s.dueChores(ctx, c, `ending v`, `v.key`, `v.account`)
	if err != nil {
		return fail(err)
	}
	if len(keys) == 0 {
		return nil, next, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT key, id, account, target_url, secrets, request, delivery, attempts, expires_at FROM ending WHERE key = ANY ($1)`, keys)
	if err != nil {
		return fail(err)
	}
	due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Ending, error) {
		x := &subscriptions.Subscription{State: subscriptions.Active}
		e := Ending{Subscription: x}
		var account *string
		var url string
		var secrets, request []byte
		if err := row.Scan(&e.Key, &x.ID, &account, &url, &secrets, &request, &x.Delivery, &e.Attempts, &e.ExpiresAt); err != nil {
			return e, err
		}
		if account == nil {
			x.Admin = true
		} else {
			x.Account = *account
		}
		// One that cannot be opened, since the key was changed meanwhile, has no target, and ends by that.
		if target, err := s.openTarget(x.ID, url); err == nil {
			if x.Secrets, err = s.openSecrets(x.ID, secrets); err == nil {
				if x.Request, err = s.openRequest(x.ID, request); err == nil {
					x.TargetURL = target
				}
			}
		}
		return e, nil
	})
	if err != nil {
		return fail(err)
	}
	return due, next, nil
}

// sealEndings seals as sealSome does. What cannot be opened ends by itself, and holds up nobody's start.
func (s *Store) sealEndings(ctx context.Context) error {
	type row struct {
		Key              int64
		ID, URL          string
		Secrets, Request []byte
	}
	for last, more := int64(0), true; more; {
		err := s.transact(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `
				SELECT key, id, target_url, secrets, request FROM ending
				WHERE key > $3 AND NOT (starts_with(secrets #>> '{}', $1) AND starts_with(target_url, $1) AND starts_with(coalesce(request #>> '{}', $1), $1))
				ORDER BY key LIMIT $2 FOR UPDATE`, s.cfg.Keys.Prefix(), sealedAtOnce, last)
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
			if err != nil {
				return err
			}
			more = len(found) == sealedAtOnce
			batch := &pgx.Batch{}
			for _, r := range found {
				last = r.Key
				target, err := s.openTarget(r.ID, r.URL)
				if err != nil {
					continue
				}
				secrets, err := s.openSecrets(r.ID, r.Secrets)
				if err != nil {
					continue
				}
				opened, err := s.openRequest(r.ID, r.Request)
				if err != nil {
					continue
				}
				text, err := s.sealedSecrets(r.ID, secrets)
				if err != nil {
					return err
				}
				request, err := s.sealedRequest(r.ID, opened)
				if err != nil {
					return err
				}
				batch.Queue(`UPDATE ending SET secrets = $2, target_url = $3, request = $4 WHERE key = $1`, r.Key, text, s.sealedTarget(r.ID, target), request)
			}
			return tx.SendBatch(ctx, batch).Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Told removes an ending: its target knows, or never will.
func (s *Store) Told(ctx context.Context, key int64) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM ending WHERE key = $1`, key)
	return err
}

// NotTold notes an attempt that failed, and when the next one is due.
func (s *Store) NotTold(ctx context.Context, key int64, attempts int, due time.Time) error {
	_, err := s.pool.Exec(ctx, `UPDATE ending SET attempts = $2, due_at = $3 WHERE key = $1`, key, attempts, due)
	return err
}
