package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/subscriptions"
)

const (
	tokenColumns = `id, name, account, read_only, created_at, expires_at`
	tokenLives   = `(expires_at IS NULL OR expires_at > now())`
)

// CreateToken implements subscriptions.Tokens.
func (s *Store) CreateToken(ctx context.Context, t *subscriptions.Token, hash [sha256.Size]byte) error {
	var account *string
	if !t.Scope.Admin {
		account = &t.Scope.Account
	}
	var ends *time.Time
	if !t.ExpiresAt.IsZero() {
		ends = &t.ExpiresAt
	}
	err := s.pool.QueryRow(ctx, `INSERT INTO token (id, hash, name, account, read_only, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING created_at`,
		t.ID, hash[:], t.Name, account, t.ReadOnly, ends).Scan(&t.CreatedAt)
	if err != nil {
		return unavailable(fmt.Errorf("create token: %w", err))
	}
	t.CreatedAt = t.CreatedAt.UTC()
	return nil
}

// FindToken implements subscriptions.Tokens.
func (s *Store) FindToken(ctx context.Context, hash [sha256.Size]byte) (*subscriptions.Token, error) {
	t, err := scanToken(s.pool.QueryRow(ctx, `SELECT `+tokenColumns+` FROM token WHERE hash = $1 AND `+tokenLives, hash[:]))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, subscriptions.ErrTokenNotFound
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("look for a token: %w", err))
	}
	return t, nil
}

// ListTokens implements subscriptions.Tokens.
func (s *Store) ListTokens(ctx context.Context, after string, limit int) ([]*subscriptions.Token, bool, error) {
	fail := func(err error) ([]*subscriptions.Token, bool, error) {
		return nil, false, unavailable(fmt.Errorf("list tokens: %w", err))
	}
	var from int64
	if after != "" {
		err := s.pool.QueryRow(ctx, `SELECT key FROM token WHERE id = $1`, after).Scan(&from)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, false, subscriptions.ErrTokenNotFound
		}
		if err != nil {
			return fail(err)
		}
	}
	rows, err := s.pool.Query(ctx, `SELECT `+tokenColumns+` FROM token WHERE key > $1 AND `+tokenLives+` ORDER BY key LIMIT $2`, from, limit+1)
	if err != nil {
		return fail(err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*subscriptions.Token, error) { return scanToken(row) })
	if err != nil {
		return fail(err)
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, nil
}

// DeleteToken implements subscriptions.Tokens.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, `DELETE FROM token WHERE id = $1 AND `+tokenLives, id)
	if err != nil {
		return unavailable(fmt.Errorf("delete token: %w", err))
	}
	if tag.RowsAffected() == 0 {
		return subscriptions.ErrTokenNotFound
	}
	return nil
}

func scanToken(row pgx.Row) (*subscriptions.Token, error) {
	t := &subscriptions.Token{}
	var account *string
	var ends *time.Time
	if err := row.Scan(&t.ID, &t.Name, &account, &t.ReadOnly, &t.CreatedAt, &ends); err != nil {
		return nil, err
	}
	t.CreatedAt = t.CreatedAt.UTC()
	if account == nil {
		t.Scope.Admin = true
	} else {
		t.Scope.Account = *account
	}
	if ends != nil {
		t.ExpiresAt = ends.UTC()
	}
	return t, nil
}
