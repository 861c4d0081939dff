package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// The results of asking a target, and of telling it of the end.
const (
	verifyConfirmed = "confirmed"
	verifyTaken     = "taken"
	verifyFailed    = "failed"
	verifyGone      = "gone"
	verifyExpired   = "expired"
	endTold         = "told"
	endFailed       = "failed"
	endGivenUp      = "given_up"
)

func newVerifications() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_verifications_total",
		Help: "Targets that were asked whether they agree, by result: confirmed (at once or later), taken, failed, gone, and expired."}, []string{"result"})
	for _, result := range []string{verifyConfirmed, verifyTaken, verifyFailed, verifyGone, verifyExpired} {
		v.WithLabelValues(result)
	}
	return v
}

func newEndings() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rowhook_end_notices_total",
		Help: "Requests that tell targets of the end of their subscription, by result: told, failed, and given_up."}, []string{"result"})
	for _, result := range []string{endTold, endFailed, endGivenUp} {
		v.WithLabelValues(result)
	}
	return v
}

// verify asks a target once, and writes what came of it.
func (c *chores) verify(ctx context.Context, v store.Verification) {
	s, asked, log := v.Subscription, v.Subscription.VerificationStatus, c.app.log.With("subscription", v.Subscription.ID)
	settle := func(change func(*subscriptions.Subscription)) bool {
		return c.keep(ctx, s, func(ctx context.Context) error { return c.store.Settle(ctx, s.ID, asked, change) })
	}
	lapse := func(reason string, status subscriptions.VerificationStatus) {
		done := settle(func(x *subscriptions.Subscription) {
			x.VerificationStatus = &status
			x.Lapse(reason, time.Now())
		})
		if done {
			c.app.metrics.verifications.WithLabelValues(verifyExpired).Inc()
			log.Warn("the target has not agreed: the subscription has expired", "reason", reason)
		}
	}
	if !time.Now().Before(*asked.ExpiresAt) {
		reason := "its target did not confirm in time"
		if asked.LastError != "" {
			reason += ": " + asked.LastError
		}
		lapse(reason, *asked)
		return
	}
	out, agreed := c.dispatcher.Verify(ctx, s, v.Value, asked.Attempts+1)
	if out.Verdict == sender.Interrupted {
		return // it is still due
	}
	began := out.Started.UTC().Truncate(time.Microsecond)
	status := *asked
	status.Attempts++
	status.LastAttempt, status.LastError = &began, whatFailed(out)
	result := verifyFailed
	switch {
	case agreed:
		result = verifyConfirmed
		if settle(func(x *subscriptions.Subscription) {
			x.VerificationStatus = &status
			x.Confirm(time.Now())
		}) {
			log.Info("the target has agreed: the subscription is active", "outcome", out)
		}
	case out.Verdict == sender.Gone:
		result = verifyGone
		log.Info("the target is gone: the subscription is deleted", "outcome", out)
		c.keep(ctx, s, func(ctx context.Context) error { return c.store.DeleteUnverified(ctx, s.ID, asked) })
	case out.Verdict == sender.Delivered:
		result = verifyTaken
		status.NextAttempt = asked.ExpiresAt
		if c.tried(ctx, s, asked, &status) {
			log.Info("the target was given its secret: it may confirm", "outcome", out)
		}
	case out.Verdict == sender.Wait:
		// It has not been asked, or asks for time: that is no attempt.
		next := time.Now().Add(out.After)
		if next.After(*asked.ExpiresAt) {
			next = *asked.ExpiresAt
		}
		status.Attempts, status.NextAttempt = asked.Attempts, &next
		c.tried(ctx, s, asked, &status)
	default:
		delay, more := c.dispatcher.Wait(s, status.Attempts)
		log.Info("the target has not agreed", "attempt", status.Attempts, "outcome", out)
		if !more {
			lapse("its target did not confirm: "+status.LastError, status)
			break
		}
		next := began.Add(out.Duration + delay)
		if next.After(*asked.ExpiresAt) {
			next = *asked.ExpiresAt
		}
		status.NextAttempt = &next
		c.tried(ctx, s, asked, &status)
	}
	c.app.metrics.verifications.WithLabelValues(result).Inc()
}

func (c *chores) tried(ctx context.Context, s *subscriptions.Subscription, asked, status *subscriptions.VerificationStatus) bool {
	return c.keep(ctx, s, func(ctx context.Context) error { return c.store.Tried(ctx, s.Key, asked, status) })
}

// whatFailed says in a line why a target has not agreed, for its subscriber.
func whatFailed(out sender.Outcome) string {
	text := out.Reason
	if out.Status != 0 && out.Reason == sender.ReasonHTTPStatus {
		text += " " + strconv.Itoa(out.Status)
	}
	if out.Detail != "" {
		text += ": " + out.Detail
	}
	return text
}

// endWaits are between the attempts to tell a target of the end.
var endWaits = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// tellEnd tells a target once that its subscription is over, and writes what came of it.
func (c *chores) tellEnd(ctx context.Context, e store.Ending) {
	s, log := e.Subscription, c.app.log.With("subscription", e.Subscription.ID)
	over := func(result string) {
		c.keep(ctx, s, func(ctx context.Context) error { return c.store.Told(ctx, e.Key) })
		c.app.metrics.endings.WithLabelValues(result).Inc()
	}
	if time.Now().After(e.ExpiresAt) {
		log.Warn("the target was not told that its subscription is over: it took too long")
		over(endGivenUp)
		return
	}
	out := c.dispatcher.TellEnd(ctx, s, e.Attempts+1)
	switch {
	case out.Verdict == sender.Interrupted:
		return // it is still due
	case out.Verdict == sender.Delivered:
		log.Info("the target was told that its subscription is over", "outcome", out)
		over(endTold)
	case out.Verdict == sender.Wait:
		c.app.metrics.endings.WithLabelValues(endFailed).Inc()
		c.keep(ctx, s, func(ctx context.Context) error {
			return c.store.NotTold(ctx, e.Key, e.Attempts, time.Now().Add(out.After))
		})
	case e.Attempts >= len(endWaits) || out.Reason == sender.ReasonConfiguration || refusesForGood(out.Status):
		log.Warn("the target was not told that its subscription is over", "outcome", out)
		over(endGivenUp)
	default:
		c.app.metrics.endings.WithLabelValues(endFailed).Inc()
		c.keep(ctx, s, func(ctx context.Context) error {
			return c.store.NotTold(ctx, e.Key, e.Attempts+1, time.Now().Add(endWaits[e.Attempts]))
		})
	}
}

// refusesForGood says that a target will not answer otherwise later: it does not know the subscription any more, or no DELETE.
func refusesForGood(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status <= 499
}

// confirm is what a target asks for that has agreed later.
func (a *App) confirm(ctx context.Context, id string, value secret.String) error {
	st, err := a.openStore()
	if err != nil {
		return err
	}
	if fresh, err := st.Confirm(ctx, id, subscriptions.ValueHash(value), time.Now()); err != nil || !fresh {
		return err
	}
	a.metrics.verifications.WithLabelValues(verifyConfirmed).Inc()
	a.log.Info("the target has confirmed", "subscription", id)
	return nil
}
