package store

import (
	"context"
	"fmt"
	"time"
)

// FilterFailure is what a subscription's filter failed on since it was noted last.
type FilterFailure struct {
	// Key is the subscription's, ID its name.
	Key int64
	ID  string
	// Filter is the one that failed: of another one nothing is noted.
	Filter    string
	Message   string
	EventID   string
	EventType string
	At        time.Time
	// Count is on how many events it failed.
	Count int64
}

// NoteFilterErrors adds to what the subscriptions' filters failed on. It makes no new version of them.
func (s *Store) NoteFilterErrors(ctx context.Context, failures []*FilterFailure) error {
	n := len(failures)
	keys, counts, at := make([]int64, n), make([]int64, n), make([]time.Time, n)
	filters, messages, ids, types := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, f := range failures {
		keys[i], counts[i], at[i], filters[i], messages[i], ids[i], types[i] = f.Key, f.Count, f.At, f.Filter, f.Message, f.EventID, f.EventType
	}
	_, err := s.pool.Exec(ctx, `
		UPDATE subscription s SET filter_error = jsonb_build_object('message', f.message, 'event_id', f.event_id, 'event_type', f.event_type,
			'at', f.at, 'count', coalesce((s.filter_error->>'count')::bigint, 0) + f.count)
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
			AS f (key, filter, message, event_id, event_type, at, count)
		WHERE s.key = f.key AND s.filter = f.filter AND s.deleted_at IS NULL`, keys, filters, messages, ids, types, at, counts)
	if err != nil {
		return fmt.Errorf("note what filters failed on: %w", err)
	}
	return nil
}
