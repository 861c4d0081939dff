package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rowhook/rowhook/client"
)

// awaitEvery is how often a subscription is looked at whose target is waited for.
const awaitEvery = 500 * time.Millisecond

// awaitAgreement waits until a subscription is pending no more. It is an error if its target has not agreed.
func (p *program) awaitAgreement(ctx context.Context, c *client.Client, id string) error {
	fmt.Fprintln(p.stderr, "waiting for its target to agree")
	tick := time.NewTicker(awaitEvery)
	defer tick.Stop()
	for attempts := 0; ; {
		s, err := c.Get(ctx, id)
		var told *client.Error
		if errors.As(err, &told) && told.Status == 404 {
			return errors.New("it is deleted: its target answered 410, or somebody has deleted it\n  hint: have the target answer 200, and make it again")
		}
		if err != nil {
			return answered(c, err)
		}
		switch v := s.VerificationStatus; {
		case s.State == "active":
			fmt.Fprintln(p.stderr, "it is active")
			return nil
		case s.State != "pending":
			why := ""
			if s.DisabledReason != nil && s.DisabledReason.Reason != "" {
				why = ": " + s.DisabledReason.Reason
			}
			return fmt.Errorf("it is %s%s\n  hint: rowhook subscription enable %s asks its target again", s.State, why, id)
		case v != nil && v.Attempts > attempts:
			attempts = v.Attempts
			if v.LastError != "" {
				fmt.Fprintf(p.stderr, "attempt %d: %s\n", attempts, v.LastError)
			} else {
				fmt.Fprintln(p.stderr, "its target has the secret, and is to confirm")
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// showVerification writes a subscription's verification, where there is one.
func showVerification(w io.Writer, s *client.Subscription) {
	v := s.VerificationStatus
	if v == nil {
		return
	}
	status := fmt.Sprintf("attempt %d", v.Attempts)
	switch {
	case v.ConfirmedAt != nil:
		status = "confirmed at " + v.ConfirmedAt.Format(time.RFC3339)
	case v.LastError != "":
		status += ": " + v.LastError
	}
	fmt.Fprintf(w, "verification\t%s, %s\n", s.Verification, status)
	if v.ConfirmedAt == nil && v.NextAttempt != nil {
		fmt.Fprintf(w, "next_attempt\t%s\n", v.NextAttempt.Format(time.RFC3339))
	}
}
