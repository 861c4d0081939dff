package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// How a dead letter ended.
const (
	// Replayed: its event has been made after all, and is sent or on its way to whoever wants it.
	Replayed = "replayed"
	// Superseded: what it would say has been said by a later event, or is not so any more.
	Superseded = "superseded"
	// Discarded: somebody decided that it is not needed.
	Discarded = "discarded"
)

// DeadLetter is a dead letter with what has become of it.
type DeadLetter struct {
	mapping.DeadLetter
	CreatedAt time.Time
	// RequestedAt is when a replay was asked for that has not ended; zero when there is none.
	RequestedAt time.Time
	// ClosedAt is zero while it is open; ClosedReason is one of Replayed, Superseded, Discarded; ClosedBy the name of the
	// token of who discarded it.
	ClosedAt     time.Time
	ClosedReason string
	ClosedBy     string
}

// DeadLetters selects dead letters. What is empty selects all.
type DeadLetters struct {
	Resource string
	// Reason is a text that is in the reason, whatever the case.
	Reason string
	// Open and Closed select by state.
	Open, Closed bool
	// Positions are those of single ones.
	Positions []cdc.Position
	// Before is the position of the last one of the page before, Limit the most of a page.
	Before *cdc.Position
	Limit  int
}

// queueLetters writes dead letters, and what became of those that were replayed. One that is there stays as it is, unless
// its event was made and has been refused: that it came of a replay is known by its row.
func (r *rows) queueLetters(b *pgx.Batch) {
	for _, l := range r.letters {
		var known any
		if len(l.Known) > 0 {
			// Texts always encode.
			text, _ := json.Marshal(l.Known)
			known = string(text)
		}
		b.Queue(`INSERT INTO dead_letter AS d (position, resource, committed_at, op, instance, reason, event_id, type, key, known, undecided, audience, account, context)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13, $14, $15)
			ON CONFLICT (position, resource) DO UPDATE SET reason = excluded.reason, tries = d.tries + 1, requested_at = NULL
			WHERE $12 AND d.closed_at IS NULL AND d.requested_at IS NOT NULL`,
			bytesOf(l.Position), l.Resource, l.Time, l.Op.String(), l.Instance, l.Reason, l.EventID, l.Type, l.Key, known, l.Undecided, l.Refused,
			l.Audience.String(), l.Account, l.Context)
	}
	for _, x := range r.amended {
		l := x.DeadLetter
		// Not where somebody has decided meanwhile, nor twice.
		if x.Closed == "" {
			b.Queue(`UPDATE dead_letter SET reason = $4, tries = tries + 1, requested_at = NULL
				WHERE position = $1 AND resource = $2 AND closed_at IS NULL AND tries = $3`, bytesOf(l.Position), l.Resource, l.Tries, l.Reason)
			continue
		}
		b.Queue(`UPDATE dead_letter SET closed_at = now(), closed_reason = $4, tries = tries + 1, requested_at = NULL, known = NULL, context = NULL
			WHERE position = $1 AND resource = $2 AND closed_at IS NULL AND tries = $3`, bytesOf(l.Position), l.Resource, l.Tries, x.Closed)
	}
}

// where is the condition of the selection, with its arguments.
func (q *DeadLetters) where() (string, []any) {
	conditions, args := []string{"true"}, []any{}
	add := func(sql string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(sql, len(args)))
	}
	if q.Resource != "" {
		add("resource = $%d", q.Resource)
	}
	if q.Reason != "" {
		add("position(lower($%d) in lower(reason)) > 0", q.Reason)
	}
	if q.Positions != nil {
		positions := make([][]byte, len(q.Positions))
		for i, p := range q.Positions {
			positions[i] = bytesOf(p)
		}
		add("position = ANY($%d::bytea[])", positions)
	}
	if q.Before != nil {
		add("position < $%d", bytesOf(*q.Before))
	}
	switch {
	case q.Open && !q.Closed:
		conditions = append(conditions, "closed_at IS NULL")
	case q.Closed && !q.Open:
		conditions = append(conditions, "closed_at IS NOT NULL")
	}
	return strings.Join(conditions, " AND "), args
}

const letterColumns = `position, resource, committed_at, op, instance, reason, event_id, type, key, known, undecided, audience, account, context, tries, created_at,
	requested_at, closed_at, coalesce(closed_reason, ''), coalesce(closed_by, '')`

func scanLetter(row pgx.CollectableRow) (*DeadLetter, error) {
	var (
		l                   DeadLetter
		position            []byte
		op                  string
		audience            string
		known               []byte
		requested, closedAt *time.Time
	)
	if err := row.Scan(&position, &l.Resource, &l.Time, &op, &l.Instance, &l.Reason, &l.EventID, &l.Type, &l.Key, &known, &l.Undecided, &audience, &l.Account, &l.Context, &l.Tries,
		&l.CreatedAt, &requested, &closedAt, &l.ClosedReason, &l.ClosedBy); err != nil {
		return nil, err
	}
	var err error
	if l.Position, err = cdc.PositionFromBytes(position); err != nil {
		return nil, err
	}
	if len(known) > 0 {
		if err := json.Unmarshal(known, &l.Known); err != nil {
			return nil, err
		}
	}
	for a := mapping.ToAll; a <= mapping.ToAdmin; a++ {
		if a.String() == audience {
			l.Audience = a
		}
	}
	for o := cdc.Insert; o <= cdc.Truncate; o++ {
		if o.String() == op {
			l.Op = o
		}
	}
	l.Time, l.CreatedAt = l.Time.UTC(), l.CreatedAt.UTC()
	if requested != nil {
		l.RequestedAt = requested.UTC()
	}
	if closedAt != nil {
		l.ClosedAt = closedAt.UTC()
	}
	return &l, nil
}

// ListDeadLetters returns the page, newest first, and whether there are more.
func (s *Store) ListDeadLetters(ctx context.Context, q DeadLetters) (page []*DeadLetter, more bool, err error) {
	where, args := q.where()
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`SELECT %s FROM dead_letter WHERE %s ORDER BY position DESC, resource LIMIT %d`,
		letterColumns, where, q.Limit+1), args...)
	if err == nil {
		page, err = pgx.CollectRows(rows, scanLetter)
	}
	if err != nil {
		return nil, false, unavailable(fmt.Errorf("list dead letters: %w", err))
	}
	if len(page) > q.Limit {
		return page[:q.Limit], true, nil
	}
	return page, false, nil
}

// DeadLetter returns the one at the position, or ErrNoDeadLetter.
func (s *Store) DeadLetter(ctx context.Context, at cdc.Position) (*DeadLetter, error) {
	page, _, err := s.ListDeadLetters(ctx, DeadLetters{Positions: []cdc.Position{at}, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page) == 0 {
		return nil, ErrNoDeadLetter
	}
	return page[0], nil
}

// ErrNoDeadLetter says that there is no such dead letter.
var ErrNoDeadLetter = errors.New("there is no such dead letter")

// CountDeadLetters counts those that the query selects, by resource.
func (s *Store) CountDeadLetters(ctx context.Context, q DeadLetters) (map[string]int, error) {
	where, args := q.where()
	rows, err := s.pool.Query(ctx, `SELECT resource, count(*) FROM dead_letter WHERE `+where+` GROUP BY resource`, args...)
	counts := map[string]int{}
	var resource string
	var n int
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&resource, &n}, func() error { counts[resource] = n; return nil })
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("count dead letters: %w", err))
	}
	return counts, nil
}

// ReplayRequest is the content of the message that asks, at its place in the source's log, for the replay of the dead
// letters that are marked in the store. Its prefix is that of announcements.
type ReplayRequest struct {
	Store  string `json:"store"`
	Replay bool   `json:"replay_dead_letters"`
}

// RequestReplay marks those of the selected dead letters that are open, and asks whoever reads the source's log to replay
// them. It returns how many they are.
func (s *Store) RequestReplay(ctx context.Context, q DeadLetters) (int, error) {
	ctx, cancel := decided(ctx)
	defer cancel()
	q.Open, q.Closed = true, false
	where, args := q.where()
	n := 0
	err := s.transact(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE dead_letter SET requested_at = now() WHERE `+where, args...)
		if err != nil {
			return err
		}
		if n = int(tag.RowsAffected()); n == 0 || s.source != nil {
			return nil
		}
		return s.emit(ctx, tx, ReplayRequest{s.id, true})
	})
	if err == nil && n > 0 && s.source != nil {
		// What is marked is there when the message is read. One that cannot be written leaves a mark that the next one finds.
		err = s.emit(ctx, nil, ReplayRequest{s.id, true})
	}
	if err != nil {
		return 0, unavailable(fmt.Errorf("ask for the replay of dead letters: %w", err))
	}
	return n, nil
}

// AskReplay asks once more for what is marked.
func (s *Store) AskReplay(ctx context.Context) error {
	if s.source != nil {
		return s.emit(ctx, nil, ReplayRequest{s.id, true})
	}
	return s.transact(ctx, func(tx pgx.Tx) error { return s.emit(ctx, tx, ReplayRequest{s.id, true}) })
}

// RequestedLetters returns the first of the open dead letters beyond a position whose replay has been asked for, in the
// order of the log.
func (s *Store) RequestedLetters(ctx context.Context, after cdc.Position, limit int) ([]*DeadLetter, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+letterColumns+` FROM dead_letter WHERE requested_at IS NOT NULL AND closed_at IS NULL
		AND position > $1 ORDER BY position LIMIT $2`, bytesOf(after), limit)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanLetter)
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return found, nil
}

// Discard closes an open dead letter. It returns ErrNoDeadLetter when there is none, and ErrClosed when it is closed.
func (s *Store) Discard(ctx context.Context, at cdc.Position, by string) error {
	tag, err := s.pool.Exec(ctx, `UPDATE dead_letter SET closed_at = now(), closed_reason = $2, closed_by = $3, requested_at = NULL, known = NULL, context = NULL
		WHERE position = $1 AND closed_at IS NULL`, bytesOf(at), Discarded, by)
	switch {
	case err != nil:
		return unavailable(fmt.Errorf("discard a dead letter: %w", err))
	case tag.RowsAffected() > 0:
		return nil
	}
	if _, err := s.DeadLetter(ctx, at); err != nil {
		return err
	}
	return ErrClosed
}

// ErrClosed says that a dead letter is closed already.
var ErrClosed = errors.New("the dead letter is closed")

// overtakenWithin bounds the search for later events: it reads all events from the oldest position on.
const overtakenWithin = "2s"

// Overtaken returns which of the deliveries have been overtaken: a later event of the same instance is in the store for
// the same subscription, finished or due. Where that takes too long to find out nothing is returned: what is sent then is
// the state of now all the same.
func (s *Store) Overtaken(ctx context.Context, asked []Delivery) (map[Pair]bool, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	type named struct{ resource, instance string }
	oldest := map[named]cdc.Position{}
	for _, d := range asked {
		k := named{d.Event.Resource, d.Event.Instance}
		if p, ok := oldest[k]; !ok || d.Event.Position.Compare(p) < 0 {
			oldest[k] = d.Event.Position
		}
	}
	var resources, instances []string
	var from [][]byte
	for k, p := range oldest {
		resources, instances, from = append(resources, k.resource), append(instances, k.instance), append(from, bytesOf(p))
	}
	later := map[named][]*mapping.Event{}
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '`+overtakenWithin+`'`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT e.resource, e.instance, e.position, e.committed_at
			FROM event e JOIN unnest($1::text[], $2::text[], $3::bytea[]) AS w(resource, instance, oldest)
				ON e.resource = w.resource AND e.instance = w.instance AND e.position > w.oldest
			WHERE e.position > $4`, resources, instances, from, slices.MinFunc(from, bytes.Compare))
		if err != nil {
			return err
		}
		var k named
		var position []byte
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&k.resource, &k.instance, &position, &at}, func() error {
			p, err := cdc.PositionFromBytes(position)
			later[k] = append(later[k], &mapping.Event{Resource: k.resource, Instance: k.instance, Position: p, Time: at})
			return err
		})
		return err
	})
	if sqlState(err) == "57014" && ctx.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for later events: %w", err)
	}
	var candidates []Delivery
	for _, d := range asked {
		for _, ev := range later[named{d.Event.Resource, d.Event.Instance}] {
			if ev.Position.Compare(d.Event.Position) > 0 {
				candidates = append(candidates, Delivery{d.Subscription, ev})
			}
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	recorded, _, err := s.Recorded(ctx, candidates)
	if err != nil {
		return nil, err
	}
	found := map[Pair]bool{}
	for _, d := range asked {
		for _, ev := range later[named{d.Event.Resource, d.Event.Instance}] {
			if ev.Position.Compare(d.Event.Position) > 0 && recorded[Pair{d.Subscription, ev.Position}] {
				found[Pair{d.Subscription, d.Event.Position}] = true
			}
		}
	}
	return found, nil
}

// expireLetters removes dead letters that were closed before the time. Open ones stay.
func (s *Store) expireLetters(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM dead_letter WHERE closed_at < $1`, before); err != nil {
		return fmt.Errorf("remove closed dead letters: %w", err)
	}
	return nil
}

// emit writes a message into the source's log: in the transaction, or, without one, by itself.
func (s *Store) emit(ctx context.Context, tx pgx.Tx, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	const sql = `SELECT pg_logical_emit_message(true, $1, $2::text)`
	if tx != nil {
		_, err = tx.Exec(ctx, sql, subscriptions.MessagePrefix, string(text))
	} else {
		_, err = s.source.Exec(ctx, sql, subscriptions.MessagePrefix, string(text))
	}
	return err
}
