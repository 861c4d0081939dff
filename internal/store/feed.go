package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// FeedQuery asks for a page of what a subscription has matched.
type FeedQuery struct {
	// Subscription is its Key.
	Subscription int64
	// From is where the page begins, without it. Zero is the oldest that is kept; with Descending, the newest.
	From cdc.Position
	// Descending is newest first.
	Descending bool
	// Settled is the last position that may be shown.
	Settled cdc.Position
	Select  EventSelect
	// Missed leaves out what the target has taken, or did not want.
	Missed bool
	// Limit is the most events, and Bytes bounds their Size together: one is returned whatever its size.
	Limit int
	Bytes int64
}

// EventSelect selects events. What is empty selects all.
type EventSelect struct {
	// Types are names of events; Resources are names of resources of which all events are wanted.
	Types, Resources []string
	Instance         string
	// Since and Until are bounds of the commit's time, both inclusive.
	Since, Until time.Time
}

func (q *EventSelect) isEmpty() bool {
	return len(q.Types)+len(q.Resources) == 0 && q.Instance == "" && q.Since.IsZero() && q.Until.IsZero()
}

// EventPage is a part of a list of events.
type EventPage struct {
	Events []*mapping.Event
	// Next is the From of the page behind this one. Everything before it has been looked at.
	Next cdc.Position
	// More says that there may be more now.
	More bool
	// LookedBack is, of a list of events from the newest on, when the last one that was looked at was committed, where there may be more.
	LookedBack time.Time
}

const (
	// feedScan is how many deliveries one look goes through, where some are to be left out.
	feedScan = 2000
	// feedRows is how many rows of outcome are read at once, feedTailRows how many where most are only looked at.
	feedRows, feedTailRows = 64, 512
	// feedSlack is how far apart the commits of deliveries in one row of outcome may be (outcomeSpan), and how far clocks may
	// have gone back meanwhile.
	feedSlack = 70 * time.Second
)

// inOrder has rows read by index, in its order, whatever the planner thinks of their number: partitions are not analyzed.
const inOrder = `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
	set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`

// candidate is a delivery in its place.
type candidate struct {
	at cdc.Position
	// day is one of the commit's day; missed says that its target has not had it, and could have.
	day    time.Time
	missed bool
}

// Feed reads a page of what a subscription has matched. What is older than what is kept is not there: see Dropped.
//
// Deliveries are packed by the time at which they ended. Rows of outcome are read in the order of their newest position; one
// that was written later may hold an earlier position, but none of a commit more than feedSlack before. So a page costs what
// is in it, and the rows of that time behind it, of which the bodies are not read.
func (s *Store) Feed(ctx context.Context, q FeedQuery) (page EventPage, err error) {
	n := q.Limit
	if q.Missed || !q.Select.isEmpty() {
		n = max(n, feedScan)
	}
	upTo := q.Settled
	if q.Descending && !q.From.IsZero() && q.From.Before().Compare(upTo) < 0 {
		upTo = q.From.Before()
	}
	page.Next = q.From
	if !q.Descending {
		if upTo.Compare(q.From) <= 0 {
			return page, nil
		}
		page.Next = upTo
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, inOrder); err != nil {
			return err
		}
		r := &feedReader{tx: tx, q: &q, upTo: upTo, most: n}
		var err error
		if q.Descending {
			err = r.descend(ctx)
		} else {
			err = r.ascend(ctx)
		}
		if err != nil || len(r.found) == 0 {
			return err
		}
		page.More = len(r.found) > n
		if page.More {
			r.found = r.found[:n]
			page.Next = r.found[n-1].at
		}
		if q.Missed {
			if err := r.sentAgain(ctx); err != nil {
				return err
			}
			r.found = slices.DeleteFunc(r.found, func(c candidate) bool { return !c.missed })
		}
		events, cut, err := fetchEvents(ctx, tx, r.found, &q.Select, q.Limit, q.Bytes)
		if err != nil {
			return err
		}
		if page.Events = events; cut {
			page.More, page.Next = true, events[len(events)-1].Position
		} else if q.Descending && len(events) > 0 && !page.More {
			page.Next = events[len(events)-1].Position
		}
		return nil
	})
	if err != nil {
		return EventPage{}, fmt.Errorf("read the feed: %w", err)
	}
	return page, nil
}

// feedReader finds the deliveries of a page, and one more if there is one.
type feedReader struct {
	tx    pgx.Tx
	q     *FeedQuery
	upTo  cdc.Position
	most  int
	found []candidate
}

// add takes a delivery that is in question.
func (r *feedReader) add(c candidate) {
	if c.at.Compare(r.upTo) > 0 || !r.q.Descending && c.at.Compare(r.q.From) <= 0 {
		return
	}
	r.found = append(r.found, c)
}

// unpack takes the deliveries of a row of outcome.
func (r *feedReader) unpack(packed []byte, day time.Time) error {
	for ; len(packed) >= packedSize; packed = packed[packedSize:] {
		at, err := cdc.PositionFromBytes(packed[:cdc.PositionSize])
		if err != nil {
			return err
		}
		r.add(candidate{at: at, day: day, missed: missedStatus(packed[packedSize-1])})
	}
	return nil
}

// missedStatus says that a delivery that ended so did not reach its target, which did not say that it does not want it.
func missedStatus(b byte) bool {
	switch status, dropped, fallback := statusOf(b); status {
	case sender.StatusDelivered:
		return fallback
	case sender.StatusFailed:
		return true
	case sender.StatusDropped:
		return dropped == sender.DropShadow || dropped == sender.DropFeed
	}
	return false
}

// order sorts what was found, each once. Of a delivery that ended between two reads the end counts, which was read later.
func (r *feedReader) order() {
	slices.SortStableFunc(r.found, func(a, b candidate) int {
		if r.q.Descending {
			return b.at.Compare(a.at)
		}
		return a.at.Compare(b.at)
	})
	kept := r.found[:0]
	for _, c := range r.found {
		if n := len(kept); n > 0 && kept[n-1].at == c.at {
			kept[n-1] = c
			continue
		}
		kept = append(kept, c)
	}
	r.found = kept
}

// sentAgain notes what has reached its target when it was sent again.
func (r *feedReader) sentAgain(ctx context.Context) error {
	low, high := r.found[0].at, r.found[len(r.found)-1].at
	if r.q.Descending {
		low, high = high, low
	}
	rows, err := r.tx.Query(ctx, `SELECT position FROM resent WHERE subscription = $1 AND position >= $2 AND position <= $3 AND status = $4 AND fallback IS NOT TRUE`,
		r.q.Subscription, bytesOf(low), bytesOf(high), int16(sender.StatusDelivered))
	if err != nil {
		return err
	}
	delivered := map[cdc.Position]bool{}
	var position []byte
	if _, err = pgx.ForEachRow(rows, []any{&position}, func() error {
		p, err := cdc.PositionFromBytes(position)
		delivered[p] = true
		return err
	}); err != nil {
		return err
	}
	for i := range r.found {
		r.found[i].missed = r.found[i].missed && !delivered[r.found[i].at]
	}
	return nil
}

// pending reads what waits. It comes first: what is not there any more a moment later has ended by then, and is found there.
func (r *feedReader) pending(ctx context.Context) error {
	sql := `SELECT position, committed_at FROM due WHERE subscription = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4`
	from := r.q.From
	if r.q.Descending {
		from = cdc.Position{}
		sql = `SELECT position, committed_at FROM due WHERE subscription = $1 AND position > $2 AND position <= $3 ORDER BY position DESC LIMIT $4`
	}
	rows, err := r.tx.Query(ctx, sql, r.q.Subscription, bytesOf(from), bytesOf(r.upTo), r.most+1)
	if err != nil {
		return err
	}
	var position []byte
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&position, &at}, func() error {
		p, err := cdc.PositionFromBytes(position)
		if err == nil {
			r.add(candidate{at: p, day: dayOf(at), missed: true})
		}
		return err
	})
	return err
}

const (
	ascendSQL = `SELECT newest, committed_at, packed FROM outcome WHERE subscription = $1 AND newest > $2 ORDER BY newest LIMIT $3`
	// tailSQL has the packed ones only where some of them are in question.
	tailSQL = `SELECT newest, committed_at, CASE WHEN oldest <= $4 THEN packed END FROM outcome WHERE subscription = $1 AND newest > $2
		ORDER BY newest LIMIT $3`
	descendSQL = `SELECT newest, committed_at, packed FROM outcome WHERE subscription = $1 AND newest <= $2 ORDER BY newest DESC LIMIT $3`
)

// rowsOf reads rows of outcome until visit says that it is enough. It returns the newest position of the last one, and whether
// there may be more.
func (r *feedReader) rowsOf(ctx context.Context, sql string, args []any, limit int, visit func(committed time.Time) (enough bool)) (last []byte, more bool, err error) {
	rows, err := r.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, false, err
	}
	var newest, packed []byte
	var committed time.Time
	n, enough := 0, false
	_, err = pgx.ForEachRow(rows, []any{&newest, &committed, &packed}, func() error {
		n++
		if enough {
			return nil
		}
		last = slices.Clone(newest)
		enough = visit != nil && visit(committed)
		return r.unpack(packed, dayOf(committed))
	})
	return last, n == limit && !enough, err
}

func (r *feedReader) ascend(ctx context.Context) error {
	if err := r.pending(ctx); err != nil {
		return err
	}
	from, more := bytesOf(r.q.From), true
	ended := 0
	for more && ended <= r.most {
		before := len(r.found)
		last, again, err := r.rowsOf(ctx, ascendSQL, []any{r.q.Subscription, from, feedRows}, feedRows, nil)
		if err != nil {
			return err
		}
		if more = again; last != nil {
			from = last
		}
		ended += len(r.found) - before
	}
	r.order()
	if !more || len(r.found) == 0 {
		return nil
	}
	// What ended later may be before the end of the page.
	bound := r.found[min(len(r.found)-1, r.most)].at
	if err := r.tail(ctx, from, bound); err != nil {
		return err
	}
	r.order()
	return nil
}

// tail adds what stands before the bound in rows whose newest position is behind from.
func (r *feedReader) tail(ctx context.Context, from []byte, bound cdc.Position) error {
	at, ok, err := committedUpTo(ctx, r.tx, bound)
	if err != nil || !ok {
		return err
	}
	at = at.Add(feedSlack)
	for more := true; more; {
		last, again, err := r.rowsOf(ctx, tailSQL, []any{r.q.Subscription, from, feedTailRows, bytesOf(bound)}, feedTailRows,
			func(committed time.Time) bool { return committed.After(at) })
		if err != nil {
			return err
		}
		if more = again; last != nil {
			from = last
		}
	}
	return nil
}

func (r *feedReader) descend(ctx context.Context) error {
	if err := r.pending(ctx); err != nil {
		return err
	}
	if err := r.tail(ctx, bytesOf(r.upTo), r.upTo); err != nil {
		return err
	}
	to := bytesOf(r.upTo)
	for more := true; more; {
		last, again, err := r.rowsOf(ctx, descendSQL, []any{r.q.Subscription, to, feedRows}, feedRows, nil)
		if err != nil {
			return err
		}
		r.order()
		if more = again; !more {
			break
		}
		newest, err := cdc.PositionFromBytes(last)
		if err != nil {
			return err
		}
		to = bytesOf(newest.Before())
		// The rows that are left hold nothing behind their newest.
		more = len(r.found) <= r.most || r.found[r.most].at.Compare(newest) < 0
	}
	r.order()
	return nil
}

// committedUpTo is when the last event up to a position was committed. It is false where none is kept.
func committedUpTo(ctx context.Context, tx pgx.Tx, at cdc.Position) (time.Time, bool, error) {
	var t time.Time
	err := tx.QueryRow(ctx, `SELECT committed_at FROM event WHERE position <= $1 ORDER BY position DESC LIMIT 1`, bytesOf(at)).Scan(&t)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, false, nil
	}
	return t, err == nil, err
}

// fetchSQL reads events one by one, in the order given, as many bodies as there is room for.
const fetchSQL = `
	SELECT position, committed_at, id, type, resource, instance, account, audience, data, partial, previous, context, matches
	FROM (
		SELECT e.*, w.n, count(*) OVER () AS matches, row_number() OVER (ORDER BY w.n) AS place,
			sum(e.size) OVER (ORDER BY w.n) - e.size AS before
		FROM unnest($1::bytea[]) WITH ORDINALITY AS w(at, n)
		CROSS JOIN LATERAL (
			SELECT position, committed_at, id, type, resource, instance, account, audience, data, partial, previous, context,
				octet_length(data) + coalesce(octet_length(previous), 0) + coalesce(octet_length(context), 0) AS size
			FROM event
			WHERE position = w.at AND committed_at >= $2 AND committed_at < $3
				AND ($4::text[] IS NULL OR type = ANY ($4) OR resource = ANY ($5)) AND ($6 = '' OR instance = $6)
				AND ($7::timestamptz IS NULL OR committed_at >= $7) AND ($8::timestamptz IS NULL OR committed_at <= $8)
			LIMIT 1 OFFSET 0) e) x
	WHERE place <= $9 AND (before < $10 OR before = 0)
	ORDER BY n`

// fetchEvents reads the events of deliveries that are selected. Cut says that there were more of them.
func fetchEvents(ctx context.Context, tx pgx.Tx, found []candidate, q *EventSelect, limit int, size int64) (events []*mapping.Event, cut bool, err error) {
	if len(found) == 0 {
		return nil, false, nil
	}
	positions := make([][]byte, len(found))
	first, last := found[0].day, found[0].day
	for i, c := range found {
		positions[i] = bytesOf(c.at)
		if c.day.Before(first) {
			first = c.day
		}
		if c.day.After(last) {
			last = c.day
		}
	}
	types, resources := q.typesOrNull()
	rows, err := tx.Query(ctx, fetchSQL, positions, first, last.Add(retention.Partition), types, resources, q.Instance,
		timeOrNull(q.Since), timeOrNull(q.Until), limit, size)
	if err != nil {
		return nil, false, err
	}
	matches := 0
	events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*mapping.Event, error) { return scanEvent(row, &matches) })
	return events, matches > len(events), err
}

// typesOrNull are the arguments for types and resources: both null where all are wanted.
func (q *EventSelect) typesOrNull() (types, resources []string) {
	if len(q.Types)+len(q.Resources) == 0 {
		return nil, nil
	}
	return append([]string{}, q.Types...), append([]string{}, q.Resources...)
}

// scanEvent reads a row of fetchSQL.
func scanEvent(row pgx.CollectableRow, matches *int) (*mapping.Event, error) {
	var position []byte
	var account, audience *string
	ev := &mapping.Event{}
	if err := row.Scan(&position, &ev.Time, &ev.ID, &ev.Type, &ev.Resource, &ev.Instance, &account, &audience, &ev.Data, &ev.Partial,
		&ev.Previous, &ev.Context, matches); err != nil {
		return nil, err
	}
	ev.Time = ev.Time.UTC()
	if account != nil {
		ev.Account, ev.Accounted = *account, true
	}
	if audience != nil {
		for _, a := range []mapping.Audience{mapping.ToAccount, mapping.ToAdmin} {
			if a.String() == *audience {
				ev.Audience = a
			}
		}
	}
	var err error
	ev.Position, err = cdc.PositionFromBytes(position)
	return ev, err
}

// Dropped is the highest position of which something has been dropped because it was older than the retention, zero when
// nothing has.
func (s *Store) Dropped(ctx context.Context) (cdc.Position, error) {
	var p []byte
	if err := s.pool.QueryRow(ctx, `SELECT dropped FROM store`).Scan(&p); err != nil {
		return cdc.Position{}, fmt.Errorf("read what has been dropped: %w", err)
	}
	if p == nil {
		return cdc.Position{}, nil
	}
	return cdc.PositionFromBytes(p)
}

// Oldest is the position of the oldest event that is kept, zero when there is none.
func (s *Store) Oldest(ctx context.Context) (p cdc.Position, at time.Time, err error) {
	var b []byte
	err = s.pool.QueryRow(ctx, `SELECT position, committed_at FROM event ORDER BY position LIMIT 1`).Scan(&b, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, at, nil
	}
	if err == nil {
		p, err = cdc.PositionFromBytes(b)
	}
	if err != nil {
		return p, at, fmt.Errorf("read the oldest event: %w", err)
	}
	return p, at.UTC(), nil
}

// noteDropped notes what goes with partitions, before it does.
func noteDropped(ctx context.Context, tx pgx.Tx, names []string) error {
	for _, name := range names {
		if len(name) < len("event_") || name[:len("event_")] != "event_" {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE store SET dropped = greatest(dropped, d.position)
			FROM (SELECT position FROM `+cdc.QuoteIdent(name)+` ORDER BY position DESC LIMIT 1) d`); err != nil {
			return err
		}
	}
	return nil
}
