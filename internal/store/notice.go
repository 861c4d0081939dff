package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// The kinds of notices: what is told of a subscription to others, in the last part of the event's name.
const (
	NoticeFailing   = "failing"
	NoticeRecovered = "recovered"
	NoticeDisabled  = "disabled"
)

// noticeGap is told to the subscription itself: what was kept for it was kept for too long. It has no place in the log: see Resend.
const noticeGap = "gap"

// SubscriptionNotice is something that is to be told of a subscription, with its place in the log.
type SubscriptionNotice struct {
	Kind string
	// Subscription is its id; Since is when what it tells of began: with Kind it names the notice.
	Subscription string
	Since        time.Time
	// Data is what the event says, as JSON.
	Data []byte
}

// noticeColumns are notices as arrays, the way unnest takes them.
type noticeColumns struct {
	kinds         []string
	subscriptions []int64
	since         []time.Time
	told          []string
}

// noticed is what is known of a target when there is something to tell, as the column told has it.
type noticed struct {
	LastAnswer *subscriptions.LastAnswer `json:"last_answer,omitempty"`
	// Missed and From are of a gap: From is since when something may be missing.
	Missed *subscriptions.Missed `json:"missed,omitempty"`
	From   *time.Time            `json:"from,omitempty"`
}

func lastAnswer(f sender.Failure) *subscriptions.LastAnswer {
	if f.Reason == "" {
		return nil
	}
	last := &subscriptions.LastAnswer{Reason: f.Reason, At: f.At.UTC().Truncate(time.Microsecond)}
	if f.Status != 0 {
		last.Status = &f.Status
	}
	return last
}

// add adds what a mark has to tell.
func (c *noticeColumns) add(m *sender.Record) {
	kind := ""
	switch m.Tell {
	case sender.TellFailing:
		kind = NoticeFailing
	case sender.TellRecovered:
		kind = NoticeRecovered
	default:
		return
	}
	c.append(kind, m.Subscription, m.Trouble.Told, noticed{LastAnswer: lastAnswer(m.Trouble.Last)})
}

func (c *noticeColumns) append(kind string, subscription int64, since time.Time, told noticed) {
	text, err := json.Marshal(told)
	if err != nil {
		panic(err) // texts and times always encode
	}
	c.kinds, c.subscriptions, c.since, c.told = append(c.kinds, kind), append(c.subscriptions, subscription), append(c.since, since), append(c.told, string(text))
}

// queue inserts them, each once, however often they are written.
func (c *noticeColumns) queue(b *pgx.Batch) {
	if len(c.kinds) == 0 {
		return
	}
	b.Queue(`
		INSERT INTO notice (kind, subscription, since, told)
		SELECT w.kind, w.subscription, w.since, w.told::jsonb
		FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[]) WITH ORDINALITY AS w(kind, subscription, since, told, n)
		WHERE EXISTS (SELECT FROM subscription s WHERE s.key = w.subscription AND s.deleted_at IS NULL)
		ORDER BY w.n
		ON CONFLICT DO NOTHING`, c.kinds, c.subscriptions, c.since, c.told)
}

// noticeDisabled notes that a subscription was disabled because its target takes nothing.
func noticeDisabled(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription) error {
	var c noticeColumns
	since := x.Disabled.Since
	if x.Disabled.FailingSince != nil {
		since = *x.Disabled.FailingSince
	}
	c.append(NoticeDisabled, x.Key, since, noticed{LastAnswer: x.Disabled.LastAnswer})
	b := &pgx.Batch{}
	c.queue(b)
	return tx.SendBatch(ctx, b).Close()
}

// noticeMissed notes that a subscription is to be told of what was kept for it for too long, while it was disabled.
func noticeMissed(ctx context.Context, tx pgx.Tx, x *subscriptions.Subscription) error {
	var c noticeColumns
	from := x.Disabled.Since
	if x.Disabled.FailingSince != nil {
		from = *x.Disabled.FailingSince
	}
	c.append(noticeGap, x.Key, x.Disabled.Since, noticed{Missed: x.Disabled.Missed, From: &from})
	b := &pgx.Batch{}
	c.queue(b)
	return tx.SendBatch(ctx, b).Close()
}

const (
	// noticesAtOnce is how many notices have one place in the log, at most.
	noticesAtOnce = 256
	// pendingMax is up to how much of what waits is counted.
	pendingMax = 10_000
)

// noticeData is what the event of a notice says.
type noticeData struct {
	Subscription string  `json:"subscription"`
	Account      *string `json:"account"`
	Name         string  `json:"name"`
	// TargetHost is without a port, path and credentials: these may be secrets.
	TargetHost *string                   `json:"target_host"`
	Reason     string                    `json:"reason"`
	Since      time.Time                 `json:"since"`
	LastAnswer *subscriptions.LastAnswer `json:"last_answer"`
	// Pending is how many deliveries wait, pendingMax for as many or more.
	Pending int `json:"pending"`
}

// PrepareNotices makes what the oldest notices say that have none, and returns how many notices are ready, and have no place in the
// log yet: at most as many as have one place. Those of subscriptions that were deleted meanwhile are forgotten.
func (s *Store) PrepareNotices(ctx context.Context) (ready int, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT n.id, n.kind, n.since, n.told, s.id, s.account, s.name, s.target_host,
				(SELECT count(*) FROM (SELECT FROM due d WHERE d.subscription = n.subscription LIMIT $2) d)
			FROM (SELECT * FROM notice WHERE lsn IS NULL AND kind <> 'gap' ORDER BY id LIMIT $1) n
			LEFT JOIN subscription s ON s.key = n.subscription AND s.deleted_at IS NULL
			WHERE n.data IS NULL`, noticesAtOnce, pendingMax)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		var (
			id                 int64
			kind               string
			told               noticed
			subscription, name *string
			d                  noticeData
		)
		_, err = pgx.ForEachRow(rows, []any{&id, &kind, &d.Since, &told, &subscription, &d.Account, &name, &d.TargetHost, &d.Pending}, func() error {
			if subscription == nil {
				b.Queue(`DELETE FROM notice WHERE id = $1`, id)
				return nil
			}
			d.Subscription, d.Name, d.LastAnswer = *subscription, *name, told.LastAnswer
			d.Since = d.Since.UTC()
			d.Reason = subscriptions.TakesNothing(d.Since)
			if kind == NoticeRecovered {
				d.Reason = "its target takes events again"
			}
			data, err := json.Marshal(d)
			b.Queue(`UPDATE notice SET data = $2 WHERE id = $1`, id, data)
			told = noticed{}
			return err
		})
		if err != nil {
			return err
		}
		if b.Len() > 0 {
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM notice WHERE lsn IS NULL AND data IS NOT NULL AND kind <> 'gap' LIMIT $1) n`, noticesAtOnce).Scan(&ready)
	})
	if err != nil {
		return 0, fmt.Errorf("make what is to be told of subscriptions: %w", err)
	}
	return ready, nil
}

// NoticeRequest is the content of the message at whose place in the source's log the notices are told that are ready. Its prefix is
// that of announcements.
type NoticeRequest struct {
	Store   string `json:"store"`
	Notices bool   `json:"tell_notices"`
}

// AskNotices asks whoever reads the source's log to tell the notices that are ready.
func (s *Store) AskNotices(ctx context.Context) error {
	q := NoticeRequest{s.id, true}
	if s.source != nil {
		return s.emit(ctx, nil, q)
	}
	return s.transact(ctx, func(tx pgx.Tx) error { return s.emit(ctx, tx, q) })
}

// PlaceNotices returns the notices that are told at the place in the log, in the order in which they are told: whoever reads that
// place again tells the same. Those that are ready, and have no place yet, get this one.
func (s *Store) PlaceNotices(ctx context.Context, at cdc.LSN) (placed []SubscriptionNotice, err error) {
	err = s.transact(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE notice SET lsn = $1::text::pg_lsn WHERE id IN (
				SELECT id FROM notice WHERE lsn IS NULL AND data IS NOT NULL AND kind <> 'gap'
					AND NOT EXISTS (SELECT FROM notice WHERE lsn = $1::text::pg_lsn)
				ORDER BY id LIMIT $2)`, at.String(), noticesAtOnce)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT n.kind, s.id, n.since, n.data FROM notice n JOIN subscription s ON s.key = n.subscription
			WHERE n.lsn = $1::text::pg_lsn ORDER BY n.id`, at.String())
		if err != nil {
			return err
		}
		placed, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SubscriptionNotice])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is to be told of subscriptions: %w", err)
	}
	return placed, nil
}

// expireNotices forgets what was told before the time, what is to be told to who is not there any more, and of whom something was told.
func (s *Store) expireNotices(ctx context.Context, before time.Time) error {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM notice n WHERE (lsn IS NOT NULL OR kind = 'gap' AND data IS NOT NULL) AND created_at < $1
			OR kind = 'gap' AND NOT EXISTS (SELECT FROM subscription s WHERE s.key = n.subscription AND s.deleted_at IS NULL)`, before)
	_, other := s.pool.Exec(ctx, `
		DELETE FROM told t WHERE NOT EXISTS (SELECT FROM subscription s WHERE s.key = t.subscription AND s.deleted_at IS NULL)`)
	if err = errors.Join(err, other); err != nil {
		return fmt.Errorf("forget what was told of subscriptions: %w", err)
	}
	return nil
}
