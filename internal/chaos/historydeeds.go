//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// inTheMiddle does something and kills rowhook meanwhile, or just behind it.
func (h *past) inTheMiddle(ctx context.Context, do func(context.Context) error) error {
	done, within := make(chan error, 1), time.Duration(h.rng.IntN(600))*time.Millisecond
	go func() { done <- do(ctx) }()
	wait(ctx, within)
	err := h.kill(ctx)
	return errors.Join(err, <-done)
}

// cut says whether a call failed as one does whose rowhook is killed.
func cut(err error) bool {
	var told *client.Error
	return err != nil && !errors.As(err, &told)
}

// pick is one of the subscribers that something may be done to.
func (h *past) pick(may func(*subscriber) bool) *subscriber {
	var of []*subscriber
	for _, s := range h.subs {
		if may(s) {
			of = append(of, s)
		}
	}
	return of[h.rng.IntN(len(of))]
}

// outage lets one or two targets fail for a while. The longer a target with a short schedule does, the more it loses.
func (h *past) outage(context.Context) error {
	for range 1 + h.rng.IntN(2) {
		s := h.pick(func(s *subscriber) bool { return !s.feed && !s.abandoned })
		a := []hooktest.Answer{hooktest.Status(503), hooktest.Status(500), hooktest.Hang(), hooktest.Reset(), hooktest.Close()}[h.rng.IntN(5)]
		d := time.Duration(300+h.rng.IntN(2200)) * time.Millisecond
		h.say("  %s for %s: %+v", s.name, d, a)
		s.down(a, time.Now().Add(d))
		h.rep.Outages++
	}
	return nil
}

// toggle lets the owner disable a subscription, or enable it again.
func (h *past) toggle(ctx context.Context) error {
	s := h.pick(func(s *subscriber) bool { return s.owned })
	return h.set(ctx, s, !s.off)
}

func (h *past) set(ctx context.Context, s *subscriber, off bool) error {
	if off {
		s.missing = true // also if the answer is lost
		h.rep.Disabled++
	}
	err := h.retried(ctx, s, func(ctx context.Context, c *client.Client) error {
		var err error
		if off {
			_, err = c.Disable(ctx, s.id, "a walk")
		} else {
			_, err = c.Enable(ctx, s.id)
		}
		return err
	})
	if err == nil {
		s.off = off
	}
	return err
}

// retried does what may be done twice until it is answered.
func (h *past) retried(ctx context.Context, s *subscriber, do func(context.Context, *client.Client) error) error {
	for deadline := time.Now().Add(patience); ; {
		err := h.call(ctx, s, do)
		if !cut(err) || time.Now().After(deadline) {
			return err
		}
		wait(ctx, again)
	}
}

func (h *past) replayAny(ctx context.Context) error {
	s := h.pick(func(s *subscriber) bool { return !s.feed && !s.off })
	r := client.Replay{State: []string{client.ReplayAll, client.ReplayAll, client.ReplayMissed, client.ReplayDelivered, ""}[h.rng.IntN(5)]}
	if h.rng.IntN(2) == 0 {
		r.Rate = 50 + h.rng.IntN(500)
	}
	ago := time.Duration(500+h.rng.IntN(4000)) * time.Millisecond
	s.mu.Lock()
	var positions []string
	for _, e := range s.arrived {
		positions = append(positions, e.position)
	}
	s.mu.Unlock()
	slices.Sort(positions)
	if h.rng.IntN(2) == 0 && len(positions) > 10 {
		i := h.rng.IntN(len(positions))
		r.FromPosition, r.ToPosition = positions[i], positions[min(len(positions)-1, i+200)]
	} else {
		from := time.Now().Add(-ago)
		r.From = &from
	}
	if h.rng.IntN(4) == 0 {
		r.ResourceID = fmt.Sprint(1 + h.rng.IntN(h.Keys))
	}
	return h.replay(ctx, s, r)
}

// replay asks for one. That one is under way, or the subscription is disabled just then, is no mistake.
func (h *past) replay(ctx context.Context, s *subscriber, r client.Replay) error {
	h.say("  replay for %s: %+v", s.name, r)
	err := h.call(ctx, s, func(ctx context.Context, c *client.Client) error {
		_, err := c.Replay(ctx, s.id, r)
		return err
	})
	if err == nil {
		h.rep.Replays++
	}
	if cut(err) || statusIs(err, 409) {
		return nil
	}
	return err
}

func (h *past) anyBackfill() (b client.Backfill) {
	if h.rng.IntN(3) > 0 {
		b.Rate = 300 + h.rng.IntN(2000)
	}
	return b
}

func (h *past) backfillAny(ctx context.Context) error {
	s, b := h.pick(func(s *subscriber) bool { return !s.off }), h.anyBackfill()
	if h.rng.IntN(3) == 0 {
		since := time.Now().Add(-time.Duration(h.rng.IntN(5000)) * time.Millisecond)
		b.Since = &since
	}
	_, err := h.backfill(ctx, s, b)
	return err
}

// backfill asks for one, and returns the job where it was made.
func (h *past) backfill(ctx context.Context, s *subscriber, b client.Backfill) (id string, err error) {
	h.say("  backfill for %s: %+v", s.name, b)
	err = h.call(ctx, s, func(ctx context.Context, c *client.Client) error {
		j, err := c.Backfill(ctx, s.id, b)
		if err == nil {
			id = j.ID
			h.rep.Backfills++
		}
		return err
	})
	if cut(err) || statusIs(err, 409) {
		return id, nil
	}
	return id, err
}

// cancelled begins a backfill and cancels it.
func (h *past) cancelled(ctx context.Context) error {
	s := h.pick(func(s *subscriber) bool { return !s.off })
	id, err := h.backfill(ctx, s, client.Backfill{Rate: 100})
	if err != nil || id == "" {
		return err
	}
	wait(ctx, time.Duration(h.rng.IntN(600))*time.Millisecond)
	err = h.retried(ctx, s, func(ctx context.Context, c *client.Client) error { return c.CancelJob(ctx, id) })
	if statusIs(err, 409) {
		return nil // it has ended
	}
	return err
}

// twice asks for two, one after the other.
func (h *past) twice(ctx context.Context) error {
	s := h.pick(func(s *subscriber) bool { return !s.off && !s.owned && !s.abandoned })
	for range 2 {
		id, err := h.backfill(ctx, s, client.Backfill{})
		if err != nil {
			return err
		}
		if id == "" {
			continue
		}
		if _, err := h.ends(ctx, s, id); err != nil {
			return err
		}
	}
	return nil
}

// ends waits for the end of a job.
func (h *past) ends(ctx context.Context, s *subscriber, id string) (*client.Job, error) {
	for deadline := time.Now().Add(patience); ; {
		var j *client.Job
		err := h.retried(ctx, s, func(ctx context.Context, c *client.Client) (err error) { j, err = c.Job(ctx, id); return err })
		if err != nil || j.Ended() {
			return j, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("job %s of %s does not end: %+v", id, s.name, j)
		}
		wait(ctx, again)
	}
}

// late makes a subscription in the middle, and asks for what is there at once.
func (h *past) late(ctx context.Context) error {
	h.rep.Late++
	of := &subscriber{name: fmt.Sprint("late", h.rep.Late), account: []string{"", "1", "2"}[h.rng.IntN(3)], kind: []string{"", "a", "b"}[h.rng.IntN(3)],
		batch: h.rng.IntN(4) == 0, feed: h.rng.IntN(4) == 0}
	if of.feed {
		of.batch = false
	}
	b := h.anyBackfill()
	var s *subscriber
	for try := 1; s == nil; try++ {
		var err error
		if s, err = h.subscribe(ctx, of); cut(err) && try < 1000 {
			// It may be there all the same, and nobody knows its id: what it gets, nobody looks at.
			of = &subscriber{name: fmt.Sprintf("late%d-%d", h.rep.Late, try), account: of.account, kind: of.kind, batch: of.batch, feed: of.feed}
			wait(ctx, again)
		} else if err != nil {
			return err
		}
	}
	for {
		if id, err := h.backfill(ctx, s, b); id != "" || err != nil {
			return err
		}
		// The answer was lost.
		if asked, err := h.asked(ctx, s); asked || err != nil {
			return err
		}
	}
}

// asked says whether a backfill of a subscription was asked for.
func (h *past) asked(ctx context.Context, s *subscriber) (is bool, err error) {
	err = h.retried(ctx, s, func(ctx context.Context, c *client.Client) error {
		all, err := c.Jobs(ctx, s.id)
		is = len(all) > 0
		return err
	})
	return is, err
}

// giveUp lets a target fail until rowhook disables its subscription: what it waits for, days, is taken from the store while rowhook is
// down. Then it is enabled, and gets all that it missed.
func (h *past) giveUp(ctx context.Context) error {
	s := h.pick(func(s *subscriber) bool { return s.abandoned })
	s.down(hooktest.Status(503), time.Now().Add(time.Hour))
	wait(ctx, 200*time.Millisecond)
	err := h.agedBy(ctx, s)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; {
		var now *client.Subscription
		err := h.retried(ctx, s, func(ctx context.Context, c *client.Client) (err error) { now, err = c.Get(ctx, s.id); return err })
		if err != nil {
			return err
		}
		if now.State == "disabled" {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is never disabled: it is %+v", s.name, now)
		}
		wait(ctx, again)
	}
	h.rep.GivenUp++
	wait(ctx, time.Duration(h.rng.IntN(500))*time.Millisecond)
	s.down(hooktest.OK(), time.Time{})
	err = h.retried(ctx, s, func(ctx context.Context, c *client.Client) error { _, err := c.Enable(ctx, s.id); return err })
	if h.rng.IntN(2) == 0 {
		return errors.Join(err, h.kill(ctx))
	}
	return err
}
