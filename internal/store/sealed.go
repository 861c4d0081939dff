package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// What nobody may read who can read the store: what signs, where to, but for the host, and the request block with its headers
// and its login. A target's address is a secret with many receivers. Each is sealed for its subscription and column, so that nobody can move one to another row.

func secretsPlace(id string) string  { return "subscription/" + id + "/secrets" }
func targetPlace(id string) string   { return "subscription/" + id + "/target_url" }
func fallbackPlace(id string) string { return "subscription/" + id + "/fallback_url" }
func requestPlace(id string) string  { return "subscription/" + id + "/request" }

// sealedSecrets is the column secrets: JSON, or a JSON string that holds it sealed.
func (s *Store) sealedSecrets(id string, secrets []subscriptions.SigningSecret) (string, error) {
	text, err := subscriptions.EncodeSecrets(secrets)
	if err != nil {
		return "", err
	}
	return s.sealedJSON(text, secretsPlace(id))
}

// sealedJSON is the JSON as it is, or a JSON string that holds it sealed.
func (s *Store) sealedJSON(text []byte, place string) (string, error) {
	if s.cfg.Keys == nil {
		return string(text), nil
	}
	sealed, err := json.Marshal(s.cfg.Keys.Seal(string(text), place))
	return string(sealed), err
}

// openJSON is the reverse of sealedJSON.
func (s *Store) openJSON(column []byte, place string) ([]byte, error) {
	if len(column) == 0 || column[0] != '"' {
		return column, nil
	}
	var sealed string
	if err := json.Unmarshal(column, &sealed); err != nil {
		return nil, err
	}
	text, err := s.cfg.Keys.Open(sealed, place)
	return []byte(text), err
}

func (s *Store) openSecrets(id string, column []byte) ([]subscriptions.SigningSecret, error) {
	text, err := s.openJSON(column, secretsPlace(id))
	if err != nil {
		return nil, err
	}
	return subscriptions.DecodeSecrets(text)
}

// sealedRequest is the column request: nil where there is none, else as secrets are.
func (s *Store) sealedRequest(id string, r *subscriptions.Request) (*string, error) {
	text, err := subscriptions.EncodeRequest(r)
	if err != nil || text == nil {
		return nil, err
	}
	column, err := s.sealedJSON(text, requestPlace(id))
	return &column, err
}

func (s *Store) openRequest(id string, column []byte) (*subscriptions.Request, error) {
	text, err := s.openJSON(column, requestPlace(id))
	if err != nil {
		return nil, err
	}
	return subscriptions.DecodeRequest(text)
}

func (s *Store) sealedTarget(id string, target secret.String) string {
	if s.cfg.Keys == nil || target == "" {
		return target.Reveal()
	}
	return s.cfg.Keys.Seal(target.Reveal(), targetPlace(id))
}

func (s *Store) openTarget(id, column string) (secret.String, error) {
	text, err := s.cfg.Keys.Open(column, targetPlace(id))
	return secret.String(text), err
}

func (s *Store) sealedFallback(id string, url secret.String) string {
	if s.cfg.Keys == nil || url == "" {
		return url.Reveal()
	}
	return s.cfg.Keys.Seal(url.Reveal(), fallbackPlace(id))
}

func (s *Store) openedFallback(id, column string) (secret.String, error) {
	text, err := s.cfg.Keys.Open(column, fallbackPlace(id))
	return secret.String(text), err
}

// sealedAtOnce is how many subscriptions are sealed in one transaction.
const sealedAtOnce = 500

// seal seals what is in the clear, or with an older key, with the key of now. Without keys it says what is missing if there
// is something that cannot be opened.
func (s *Store) seal(ctx context.Context) error {
	if s.cfg.Keys == nil {
		return s.openable(ctx)
	}
	sealed := 0
	for {
		n := 0
		err := s.transact(ctx, func(tx pgx.Tx) (err error) {
			n, err = s.sealSome(ctx, tx)
			return err
		})
		if err != nil {
			return sealError(err)
		}
		if sealed += n; n < sealedAtOnce {
			break
		}
	}
	if err := s.sealVerifications(ctx); err != nil {
		return sealError(err)
	}
	if err := s.sealEndings(ctx); err != nil {
		return sealError(err)
	}
	if sealed > 0 {
		s.cfg.Log.Info("secrets and targets of subscriptions sealed with store.encryption_key", "subscriptions", sealed)
	}
	return nil
}

func (s *Store) sealSome(ctx context.Context, tx pgx.Tx) (int, error) {
	rows, err := tx.Query(ctx, `
		SELECT key, id, coalesce(target_url, ''), coalesce(fallback_url, ''), secrets, request FROM subscription
		WHERE deleted_at IS NULL AND NOT (starts_with(secrets #>> '{}', $1) AND starts_with(coalesce(target_url, $1), $1)
			AND starts_with(coalesce(fallback_url, $1), $1) AND starts_with(coalesce(request #>> '{}', $1), $1))
		ORDER BY key LIMIT $2 FOR UPDATE`, s.cfg.Keys.Prefix(), sealedAtOnce)
	if err != nil {
		return 0, err
	}
	type row struct {
		Key               int64
		ID, URL, Fallback string
		Secrets, Request  []byte
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, err
	}
	batch := &pgx.Batch{}
	for _, r := range found {
		target, err := s.openTarget(r.ID, r.URL)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		fallback, err := s.openedFallback(r.ID, r.Fallback)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		secrets, err := s.openSecrets(r.ID, r.Secrets)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		text, err := s.sealedSecrets(r.ID, secrets)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		opened, err := s.openRequest(r.ID, r.Request)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		request, err := s.sealedRequest(r.ID, opened)
		if err != nil {
			return 0, fmt.Errorf("subscription %s: %w", r.ID, err)
		}
		batch.Queue(`UPDATE subscription SET secrets = $2, target_url = $3, request = $4, fallback_url = $5 WHERE key = $1`, r.Key, text,
			orNull(s.sealedTarget(r.ID, target)), request, orNull(s.sealedFallback(r.ID, fallback)))
	}
	return len(found), tx.SendBatch(ctx, batch).Close()
}

// openable says, without keys, whether anything is sealed.
func (s *Store) openable(ctx context.Context) error {
	var id, sealed string
	err := s.pool.QueryRow(ctx, `SELECT id, secrets #>> '{}' FROM subscription WHERE deleted_at IS NULL AND starts_with(secrets #>> '{}', $1) LIMIT 1`,
		s.cfg.Keys.Prefix()).Scan(&id, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.cfg.Keys.Open(sealed, secretsPlace(id))
	return sealError(fmt.Errorf("subscription %s: %w", id, err))
}

// ErrSealed says that the store holds what the given keys do not open. A person has to give the key.
var ErrSealed = errors.New("the store holds secrets that cannot be opened")

// sealedError is an ErrSealed with the next step.
func sealedError(err error, mend string) error {
	return &cdc.Error{Class: cdc.Refused, What: ErrSealed.Error(), Err: &lineError{text: err.Error(), err: fmt.Errorf("%w: %w", ErrSealed, err)}, Mend: mend}
}

func sealError(err error) error {
	switch {
	case errors.Is(err, seal.ErrNoKey):
		return sealedError(err, "give the key that sealed it as store.encryption_key, or in store.previous_encryption_keys")
	case errors.Is(err, seal.ErrBroken):
		return sealedError(err, "restore the row, or delete it and let its owner subscribe again")
	}
	return err
}
