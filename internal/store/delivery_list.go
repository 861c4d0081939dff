package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// LogQuery selects deliveries of a subscription. What is empty selects all.
type LogQuery struct {
	// Subscription is its key.
	Subscription int64
	// Pending are those that are to be sent, Status those that ended so.
	Pending bool
	Status  sender.Status
	// Type, Instance and EventID are those of the event.
	Type, Instance, EventID string
	// From and To bound the commits' times, both inclusive.
	From, To time.Time
	// Before is the position at which the page before has ended.
	Before *cdc.Position
	Limit  int
}

// finishedOnly says that none is wanted that is to be sent.
func (q *LogQuery) finishedOnly() bool { return q.Status != 0 }

// ofEvents says that the event decides.
func (q *LogQuery) ofEvents() bool {
	return q.Type != "" || q.Instance != "" || q.EventID != "" || !q.From.IsZero() || !q.To.IsZero()
}

func (q *LogQuery) wantsStatus(l *Logged) bool {
	return (!q.Pending || l.Status == 0) && (q.Status == 0 || l.Status == q.Status)
}

func (q *LogQuery) wantsEvent(ev *mapping.Event) bool {
	return (q.Type == "" || ev.Type == q.Type) && (q.Instance == "" || ev.Instance == q.Instance) && (q.EventID == "" || ev.ID == q.EventID) &&
		(q.From.IsZero() || !ev.Time.Before(q.From)) && (q.To.IsZero() || !ev.Time.After(q.To))
}

// logBounds are what is read for a page, whatever the filters.
type logBounds struct {
	// rows of outcomes are read, chunk at once, and events are looked up.
	rows, chunk, events int
	// due is how many due rows of a subscription are read whole. Where there are more, events are gone through, page at once.
	due, page int
}

func defaultLogBounds() logBounds {
	return logBounds{rows: 2000, chunk: 50, events: 10_000, due: 20_000, page: 1000}
}

// ListDeliveries returns a page of a subscription's deliveries, newest first by position, and the position after which to go
// on, nil at the end. A page may be short, and even empty, before the end: what is read for it is bounded.
func (s *Store) ListDeliveries(ctx context.Context, q LogQuery) (page []*Logged, next *cdc.Position, err error) {
	err = s.looking(ctx, func(ctx context.Context, tx pgx.Tx) error {
		page, next, err = listDeliveries(ctx, tx, q, s.logBounds)
		return err
	})
	if err != nil {
		return nil, nil, unavailable(fmt.Errorf("read the delivery log: %w", err))
	}
	return page, next, nil
}

// bounds are from where to where positions are looked at: from oldest on, and before before. No bound is one that all positions are
// within: in a plan for any parameters a condition that may be left out is no condition of an index.
type bounds struct{ oldest, before []byte }

// behindAll is after every position.
var behindAll = bytes.Repeat([]byte{0xff}, cdc.PositionSize+1)

func listDeliveries(ctx context.Context, tx pgx.Tx, q LogQuery, most logBounds) ([]*Logged, *cdc.Position, error) {
	in := bounds{[]byte{}, behindAll}
	if !q.To.IsZero() {
		switch at, err := positionSince(ctx, tx, q.To.Add(clockSlack)); {
		case err != nil:
			return nil, nil, err
		case at != nil:
			in.before = at
		}
	}
	if !q.From.IsZero() {
		at, err := positionSince(ctx, tx, q.From.Add(-clockSlack))
		if err != nil || at == nil { // nothing has been committed since
			return nil, nil, err
		}
		in.oldest = at
	}
	if q.Before != nil {
		if b := bytesOf(*q.Before); bytes.Compare(b, in.before) < 0 {
			in.before = b
		}
	}
	p := &pager{tx: tx, q: q, most: most, in: in}
	if !q.finishedOnly() {
		many, err := p.readDue(ctx)
		if err != nil {
			return nil, nil, err
		}
		if many {
			err = p.throughEvents(ctx)
			return p.page, p.next, err
		}
	}
	through := p.throughOutcomes
	if q.Pending {
		through = func(ctx context.Context) error { return p.take(ctx, p.due) }
	}
	err := through(ctx)
	return p.page, p.next, err
}

// aheadOf is from which position on rows of outcomes have nothing that is before a position: those of a row are of a minute of commits,
// of which there may be any number.
func aheadOf(ctx context.Context, tx pgx.Tx, before []byte) ([]byte, error) {
	var at time.Time
	err := tx.QueryRow(ctx, `SELECT committed_at FROM event WHERE position <= $1 ORDER BY position DESC LIMIT 1`, before).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return before, nil
	}
	if err != nil {
		return nil, err
	}
	ahead, err := positionSince(ctx, tx, at.Add(feedSlack))
	if err == nil && ahead == nil {
		ahead = behindAll
	}
	return ahead, err
}

// pager makes a page.
type pager struct {
	tx   pgx.Tx
	q    LogQuery
	most logBounds
	in   bounds
	// due are what is to be sent within the bounds, newest first; again are the positions of those that have ended before.
	due   []*Logged
	again map[cdc.Position]bool
	// looked counts the events that were looked up.
	looked int
	page   []*Logged
	next   *cdc.Position
}

// full says that the page has ended, before the position.
func (p *pager) full() bool { return p.next != nil }

func (p *pager) endAt(at cdc.Position) { p.next = &at }

const dueOfLog = `position, committed_at, nullif(due_at, 'infinity'), attempts, retry_reason, replay, fallback IS NOT NULL`

func scanDueOfLog(row pgx.CollectableRow) (*Logged, error) {
	l := &Logged{Event: &mapping.Event{}}
	var position []byte
	var attempts int16
	var at *time.Time
	if err := row.Scan(&position, &l.Event.Time, &at, &attempts, &l.RetryReason, &l.Replay, &l.Fallback); err != nil {
		return nil, err
	}
	l.Attempts, l.NextAttempt, l.Event.Time = int(attempts), timeOf(at), l.Event.Time.UTC()
	var err error
	l.Event.Position, err = cdc.PositionFromBytes(position)
	return l, err
}

// readDue reads what is to be sent. It is true where that is too much to be put in order.
func (p *pager) readDue(ctx context.Context) (many bool, err error) {
	var n int
	if err := p.tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM due WHERE subscription = $1 LIMIT $2) d`, p.q.Subscription, p.most.due+1).Scan(&n); err != nil || n > p.most.due {
		return n > p.most.due, err
	}
	rows, err := p.tx.Query(ctx, `
		SELECT `+dueOfLog+` FROM due
		WHERE subscription = $1 AND position >= $2 AND position < $3 ORDER BY position DESC`,
		p.q.Subscription, p.in.oldest, p.in.before)
	if err != nil {
		return false, err
	}
	p.due, err = pgx.CollectRows(rows, scanDueOfLog)
	p.sentAgain(p.due)
	return false, err
}

// sentAgain notes what is to be sent again: it is shown as that.
func (p *pager) sentAgain(due []*Logged) {
	p.again = map[cdc.Position]bool{}
	for _, l := range due {
		if l.Replay {
			p.again[l.Event.Position] = true
		}
	}
}

// throughOutcomes goes through what has ended, and merges with it what is to be sent. Rows come by their newest, and may
// overlap: what is in them is certain down to the newest of the first that is not read yet.
func (p *pager) throughOutcomes(ctx context.Context) error {
	var waiting []*Logged // read, and not taken yet, newest first
	before := p.in.before
	if !bytes.Equal(before, behindAll) {
		ahead, err := aheadOf(ctx, p.tx, before)
		if err != nil {
			return err
		}
		rows, err := p.tx.Query(ctx, aheadSQL, p.q.Subscription, before, ahead)
		if err == nil {
			waiting, err = p.within(ctx, waiting, rows)
		}
		if err != nil {
			return err
		}
	}
	for read := 0; ; read += p.most.chunk {
		rows, err := p.tx.Query(ctx, outcomesSQL,
			p.q.Subscription, before, p.in.oldest, p.most.chunk)
		if err != nil {
			return err
		}
		fresh, err := pgx.CollectRows(rows, scanOutcome)
		if err != nil {
			return err
		}
		if waiting, err = p.add(ctx, waiting, fresh); err != nil {
			return err
		}
		last := len(fresh) < p.most.chunk
		from := 0
		if !last {
			before = fresh[len(fresh)-1].newest
			for from < len(waiting) && bytes.Compare(bytesOf(waiting[from].Event.Position), before) >= 0 {
				from++
			}
		} else {
			from = len(waiting)
		}
		certain := waiting[:from]
		waiting = waiting[from:]
		if !p.q.finishedOnly() {
			n := 0
			for n < len(p.due) && (last || bytes.Compare(bytesOf(p.due[n].Event.Position), before) >= 0) {
				n++
			}
			certain = append(slices.Clone(certain), p.due[:n]...)
			p.due = p.due[n:]
			newestFirst(certain)
		}
		if err := p.take(ctx, certain); err != nil || p.full() || last {
			return err
		}
		if read+p.most.chunk >= p.most.rows {
			at, err := cdc.PositionFromBytes(before)
			p.endAt(at)
			return err
		}
	}
}

func newestFirst(all []*Logged) {
	slices.SortFunc(all, func(a, b *Logged) int { return b.Event.Position.Compare(a.Event.Position) })
}

func (p *pager) within(ctx context.Context, waiting []*Logged, rows pgx.Rows) ([]*Logged, error) {
	fresh, err := pgx.CollectRows(rows, scanOutcome)
	if err != nil {
		return nil, err
	}
	return p.add(ctx, waiting, fresh)
}

// add adds what is in the rows and within the bounds, as it ended last.
func (p *pager) add(ctx context.Context, waiting []*Logged, fresh []outcomeRow) ([]*Logged, error) {
	var found []*Logged
	for i := range fresh {
		all, err := fresh[i].deliveries()
		if err != nil {
			return nil, err
		}
		for _, l := range all {
			at := bytesOf(l.Event.Position)
			if bytes.Compare(at, p.in.before) < 0 && bytes.Compare(at, p.in.oldest) >= 0 && !p.again[l.Event.Position] {
				found = append(found, l)
			}
		}
	}
	newestFirst(found)
	if err := endedAgain(ctx, p.tx, p.q.Subscription, found); err != nil {
		return nil, err
	}
	for _, l := range found {
		if p.q.wantsStatus(l) {
			waiting = append(waiting, l)
		}
	}
	newestFirst(waiting)
	// What was under way when a connection was lost may have ended twice.
	return slices.CompactFunc(waiting, func(a, b *Logged) bool { return a.Event.Position == b.Event.Position }), nil
}

// take takes what is wanted of deliveries, newest first, until the page is full.
func (p *pager) take(ctx context.Context, all []*Logged) error {
	for len(all) > 0 && !p.full() {
		// As many as the page may need; with filters on the event, as many as one query may well look up.
		n := p.q.Limit + 1 - len(p.page)
		if p.q.ofEvents() {
			n = p.most.page
		}
		n = min(n, len(all), p.most.events)
		if err := describe(ctx, p.tx, all[:n]); err != nil {
			return err
		}
		p.takeDescribed(all[:n])
		if p.looked += n; p.looked >= p.most.events && !p.full() {
			p.endAt(all[n-1].Event.Position)
		}
		all = all[n:]
	}
	return nil
}

// takeDescribed takes what is wanted of deliveries whose events are known.
func (p *pager) takeDescribed(all []*Logged) {
	for _, l := range all {
		if !p.q.wantsStatus(l) || !p.q.wantsEvent(l.Event) {
			continue
		}
		if len(p.page) == p.q.Limit {
			p.endAt(p.page[len(p.page)-1].Event.Position)
			return
		}
		p.page = append(p.page, l)
	}
}

// describe reads the events of deliveries, but for what they hold. Of each the day of its commit is known, so that one
// partition is looked into.
func describe(ctx context.Context, tx pgx.Tx, all []*Logged) error {
	positions, days := make([][]byte, len(all)), make([]time.Time, len(all))
	for i, l := range all {
		positions[i], days[i] = bytesOf(l.Event.Position), dayOf(l.Event.Time)
	}
	rows, err := tx.Query(ctx, `
		SELECT w.n, e.committed_at, e.id, e.type, e.resource, e.instance
		FROM unnest($1::bytea[], $2::timestamptz[]) WITH ORDINALITY AS w(position, day, n)
		CROSS JOIN LATERAL (
			SELECT committed_at, id, type, resource, instance FROM event
			WHERE position = w.position AND committed_at >= w.day AND committed_at < w.day + interval '24 hours' LIMIT 1 OFFSET 0) e`, positions, days)
	if err != nil {
		return err
	}
	var n int
	var at time.Time
	var id, kind, resource, instance string
	_, err = pgx.ForEachRow(rows, []any{&n, &at, &id, &kind, &resource, &instance}, func() error {
		ev := all[n-1].Event
		ev.Time, ev.ID, ev.Type, ev.Resource, ev.Instance = at.UTC(), id, kind, resource, instance
		return nil
	})
	return err
}

// throughEvents goes through events, and asks of each what has become of it. It is for a subscription with so much to be sent
// that its rows, which are in the order of instances, cannot be put in that of positions.
func (p *pager) throughEvents(ctx context.Context) error {
	before, chunk := p.in.before, p.most.page
	for read := 0; read < p.most.events; read += chunk {
		rows, err := p.tx.Query(ctx, `
			SELECT position, committed_at, id, type, resource, instance FROM event
			WHERE position < $1 AND position >= $2 ORDER BY position DESC LIMIT $3`, before, p.in.oldest, chunk)
		if err != nil {
			return err
		}
		events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*mapping.Event, error) {
			ev := &mapping.Event{}
			var position []byte
			if err := row.Scan(&position, &ev.Time, &ev.ID, &ev.Type, &ev.Resource, &ev.Instance); err != nil {
				return nil, err
			}
			ev.Time = ev.Time.UTC()
			var err error
			ev.Position, err = cdc.PositionFromBytes(position)
			return ev, err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		before = bytesOf(events[len(events)-1].Position)
		all, err := p.becameOf(ctx, events)
		if err != nil {
			return err
		}
		if p.takeDescribed(all); p.full() || len(events) < chunk {
			return nil
		}
	}
	at, err := cdc.PositionFromBytes(before)
	p.endAt(at)
	return err
}

// becameOf returns the subscription's deliveries of the events, newest first.
func (p *pager) becameOf(ctx context.Context, events []*mapping.Event) ([]*Logged, error) {
	byPosition := make(map[cdc.Position]*mapping.Event, len(events))
	for _, ev := range events {
		byPosition[ev.Position] = ev
	}
	due, err := dueOf(ctx, p.tx, p.q.Subscription, events)
	if err != nil {
		return nil, err
	}
	newest, oldest := bytesOf(events[0].Position), bytesOf(events[len(events)-1].Position)
	ahead, err := aheadOf(ctx, p.tx, newest)
	if err != nil {
		return nil, err
	}
	rows, err := p.tx.Query(ctx, `
		SELECT `+outcomeColumns+` FROM (
			SELECT `+outcomeColumns+`, oldest FROM outcome WHERE subscription = $1 AND newest >= $2 AND newest < $4 ORDER BY newest OFFSET 0) o
		WHERE oldest <= $3`, p.q.Subscription, oldest, newest, ahead)
	if err != nil {
		return nil, err
	}
	p.sentAgain(due)
	all, err := p.within(ctx, nil, rows)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(append(all, due...), func(l *Logged) bool {
		ev := byPosition[l.Event.Position]
		if ev != nil {
			l.Event = ev
		}
		return ev == nil
	})
	newestFirst(all)
	return all, nil
}

// dueOf returns those of the events' deliveries that are to be sent.
func dueOf(ctx context.Context, tx pgx.Tx, subscription int64, events []*mapping.Event) ([]*Logged, error) {
	positions, ordered, loose := make([][]byte, len(events)), make([]int64, len(events)), make([]int64, len(events))
	for i, ev := range events {
		positions[i] = bytesOf(ev.Position)
		ordered[i], loose[i] = sender.OrderingKeys(ev)
	}
	rows, err := tx.Query(ctx, `
		SELECT d.* FROM unnest($2::bytea[], $3::bigint[], $4::bigint[]) AS w(position, ordered, loose)
		CROSS JOIN LATERAL (
			SELECT `+dueOfLog+` FROM due
			WHERE subscription = $1 AND key IN (w.ordered, w.loose) AND position = w.position LIMIT 1 OFFSET 0) d`, subscription, positions, ordered, loose)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanDueOfLog)
}
