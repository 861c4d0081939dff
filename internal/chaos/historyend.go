//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// agedBy kills rowhook, and lets its store say that a target has taken nothing for days.
func (h *past) agedBy(ctx context.Context, s *subscriber) error {
	return h.kill(ctx, func() error {
		conn, err := pgx.Connect(ctx, h.url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		_, err = conn.Exec(ctx, `insert into rowhook.failing (subscription, since, last_at, last_status, last_reason)
			select key, now() - interval '6 days', now(), 503, 'http_status' from rowhook.subscription where id = $1
			on conflict (subscription) do update set since = excluded.since, last_at = excluded.last_at`, s.id)
		if err != nil {
			return fmt.Errorf("age what %s fails: %w", s.name, err)
		}
		return nil
	})
}

// mendWhatWasOff does, while changes go on, what is documented for who has missed what was committed while its owner had disabled it: it asks
// for all that is there, and, when that has come, leaves out what is not behind the job's position.
func (h *past) mendWhatWasOff(ctx context.Context) error {
	for _, s := range h.subs {
		s.down(hooktest.OK(), time.Time{})
	}
	for _, s := range h.subs {
		whole, err := h.whole(ctx, s)
		if err != nil {
			return err
		}
		if whole && !s.missing {
			continue
		}
		if s.owned {
			if err := h.set(ctx, s, false); err != nil {
				return err
			}
		}
		for id := ""; id == ""; { // one from before may be under way: it does not count
			if id, err = h.backfill(ctx, s, client.Backfill{}); err != nil {
				return err
			}
			if id == "" {
				wait(ctx, 500*time.Millisecond)
				continue
			}
			ended, err := h.ends(ctx, s, id)
			if err != nil {
				return err
			}
			s.from = ended.Position
		}
	}
	return nil
}

// whole says whether a subscriber was told of all that is there: that ends where its subscription is disabled meanwhile, or is cancelled.
func (h *past) whole(ctx context.Context, s *subscriber) (is bool, err error) {
	err = h.retried(ctx, s, func(ctx context.Context, c *client.Client) error {
		all, err := c.Jobs(ctx, s.id)
		is = slices.ContainsFunc(all, func(j *client.Job) bool {
			return j.Backfill != nil && j.Backfill.Since == nil && j.State != client.JobFailed && j.State != client.JobCancelled
		})
		return err
	})
	return is, err
}

// end waits until all is quiet, lets who may have lost something have it again, and compares.
func (h *past) end(ctx context.Context) error {
	if err := h.quiet(ctx); err != nil {
		return err
	}
	from := h.began.Add(-time.Hour)
	if err := h.replayAtAll(ctx); err != nil {
		return err
	}
	for i, s := range h.subs {
		switch {
		case !s.fails || s.abandoned: // what is sent to an abandoned one is all sent again when it is enabled
			continue
		case (h.Seed+uint64(i))%2 == 0:
			if err := h.replay(ctx, s, client.Replay{From: &from, State: client.ReplayMissed}); err != nil {
				return err
			}
		default:
			if err := h.readMissed(ctx, s); err != nil {
				return err
			}
		}
	}
	if err := h.quiet(ctx); err != nil {
		return err
	}
	if err := h.jobs(ctx); err != nil {
		return err
	}
	h.ended.Store(true)
	h.following.Wait()
	if err := h.proc.Stop(patience); err != nil {
		return err
	}
	for _, s := range h.subs {
		if s.from != "" {
			s.sweep(s.from)
		}
		table, err := visible(ctx, h.url, s.account, s.kind)
		if err != nil {
			return err
		}
		h.rep.Rows = max(h.rep.Rows, len(table))
		s.compare(table)
	}
	return nil
}

// replayAtAll asks for a replay where each before was cut off by a kill before it was answered: nobody kills any more.
func (h *past) replayAtAll(ctx context.Context) error {
	for deadline := time.Now().Add(patience); h.rep.Replays == 0; wait(ctx, again) {
		from := time.Now().Add(-10 * time.Second)
		if err := h.replay(ctx, h.subs[0], client.Replay{From: &from, State: client.ReplayAll}); err != nil {
			return err
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.New("no replay is taken")
		}
	}
	return nil
}

// readMissed reads what a target did not take from the subscription's feed.
func (h *past) readMissed(ctx context.Context, s *subscriber) error {
	for after := "oldest"; ; {
		page, err := h.feed(ctx, s, client.FeedQuery{After: after, Missed: true})
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.hears(page.Events, true)
		s.mu.Unlock()
		if len(page.Events) == 0 {
			return nil
		}
		after = page.Cursor
	}
}

// feed reads a page.
func (h *past) feed(ctx context.Context, s *subscriber, q client.FeedQuery) (page *client.EventPage, err error) {
	err = h.retried(ctx, s, func(ctx context.Context, c *client.Client) (err error) { page, err = c.Feed(ctx, s.id, q); return err })
	return page, err
}

// quiet waits until nothing is under way: jobs have ended, all that was committed is delivered or has failed, and feeds were read.
func (h *past) quiet(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, h.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var end string
	if _, err = conn.Exec(ctx, `update ends set at = now()`); err == nil {
		err = conn.QueryRow(ctx, `select pg_current_wal_insert_lsn()::text`).Scan(&end)
	}
	if err != nil {
		return err
	}
	began, moved, before := time.Now(), time.Now(), ""
	for {
		var due, jobs, resend int
		var read bool
		err := conn.QueryRow(ctx, `select (select count(*) from rowhook.due d join rowhook.subscription s on s.key = d.subscription where s.deleted_at is null),
			(select count(*) from rowhook.job where finished_at is null), (select count(*) from rowhook.subscription where resend_since is not null),
			(select confirmed_flush_lsn >= $1::text::pg_lsn from pg_replication_slots where slot_name = 'history')`, end).Scan(&due, &jobs, &resend, &read)
		if err != nil {
			return fmt.Errorf("look what is under way: %w", err)
		}
		behind, err := h.behind(ctx)
		if err != nil {
			return err
		}
		if due+jobs+resend == 0 && read && behind == "" {
			h.say("quiet after %s", time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		now := fmt.Sprintf("%d due, %d jobs, %d to be sent again, all read: %t, feeds behind: %q", due, jobs, resend, read, behind)
		if now != before {
			moved, before = time.Now(), now
		}
		if time.Since(moved) > time.Minute {
			return fmt.Errorf("nothing has happened for a minute, and there is still something: %s", now)
		}
		if wait(ctx, 100*time.Millisecond); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// behind are the consumers of feeds that have not read all.
func (h *past) behind(ctx context.Context) (names string, err error) {
	for _, s := range h.subs {
		if !s.feed {
			continue
		}
		page, err := h.feed(ctx, s, client.FeedQuery{After: "latest"})
		if err != nil {
			return "", err
		}
		s.mu.Lock()
		if s.cursor < page.Cursor {
			names += " " + s.name
		}
		s.mu.Unlock()
	}
	return names, nil
}

// jobs counts what has become of them. None can fail but for a subscription that was disabled meanwhile.
func (h *past) jobs(ctx context.Context) error {
	for _, s := range h.subs {
		var all []*client.Job
		err := h.retried(ctx, s, func(ctx context.Context, c *client.Client) (err error) { all, err = c.Jobs(ctx, s.id); return err })
		if err != nil {
			return err
		}
		for _, j := range all {
			switch j.State {
			case client.JobDone:
				h.rep.JobsDone++
			case client.JobCancelled:
				h.rep.Cancelled++
			default:
				h.rep.Failed++
				if !s.owned && !s.abandoned {
					s.mu.Lock()
					s.accuse("job %s, a %s, is %s: %s", j.ID, j.Kind, j.State, j.Error)
					s.mu.Unlock()
				}
			}
			for _, r := range j.Resources {
				if r.Failed > 0 {
					s.mu.Lock()
					s.accuse("job %s could not send %d rows: %s", j.ID, r.Failed, r.Failure)
					s.mu.Unlock()
				}
			}
		}
	}
	return nil
}
