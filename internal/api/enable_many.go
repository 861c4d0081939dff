package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

var enableFailed = route{methods: map[string]action{http.MethodPost: (*Server).enableFailed}}

// enableWork is how long one request goes on enabling: then it says where to go on.
const enableWork = 8 * time.Second

// errNotFailed says that a subscription is not disabled any more as it was when it was found.
var errNotFailed = errors.New("it is not disabled any more")

// enableFailed enables subscriptions that rowhook has disabled, those of the caller that the body selects, each on its own. That all
// are meant has to be said.
func (s *Server) enableFailed(c call) (answer, error) {
	b, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	var want client.EnableFailed
	such := `{"target_host": "hooks.example.com"}, {"event": "contact.create"} or {"all": true}, with "dry_run" where wanted`
	if err := decode(b, &want, such); err != nil {
		return answer{}, err
	}
	q, wrong := failedQuery(c, want)
	if wrong != nil {
		return *wrong, nil
	}
	page, more, err := s.config.Repository.List(c.r.Context(), q)
	if errors.Is(err, subscriptions.ErrNotFound) && q.After != "" {
		return fieldProblem("after", "is the id of no subscription: begin without it"), nil
	}
	if err != nil {
		return answer{}, err
	}
	done := client.Enabled{DryRun: want.DryRun, More: more}
	until := time.Now().Add(enableWork)
	for i, found := range page {
		if i > 0 && time.Now().After(until) {
			done.More = true
			break
		}
		err := error(nil)
		if want.DryRun {
			err = found.Enable(time.Now())
		} else {
			_, err = s.config.Repository.Update(c.r.Context(), c.scope, found.ID, func(now *subscriptions.Subscription) error {
				if !now.DisabledByRowhook() || !now.Disabled.Since.Equal(found.Disabled.Since) {
					return errNotFailed
				}
				return now.Enable(time.Now())
			})
		}
		switch {
		case err == nil:
			done.Enabled++
		case errors.Is(err, subscriptions.ErrLeaseOver):
			done.Skipped++
		case errors.Is(err, errNotFailed), errors.Is(err, subscriptions.ErrNotFound): // somebody was faster
		default:
			return answer{}, fmt.Errorf("after %d subscriptions were enabled: %w", done.Enabled, err)
		}
		done.After = found.ID
	}
	if !done.More {
		done.After = ""
	}
	return ok(done)
}

// failedQuery selects what the body does. The answer says what is wrong with it.
func failedQuery(c call, want client.EnableFailed) (subscriptions.Query, *answer) {
	q := subscriptions.Query{Scope: c.scope, Event: want.Event, TargetHost: want.TargetHost, Name: want.Name, DisabledByRowhook: true, After: want.After, Limit: want.Limit}
	refuse := func(field, detail string) (subscriptions.Query, *answer) {
		a := fieldProblem(field, detail)
		return q, &a
	}
	for field, at := range map[string]*time.Time{"disabled_after": want.DisabledAfter, "disabled_before": want.DisabledBefore} {
		// Within what Postgres takes.
		if at != nil && (at.Year() < 1 || at.Year() > 9999) {
			return refuse(field, "is no time that can be meant")
		}
	}
	if want.DisabledAfter != nil {
		q.DisabledAfter = *want.DisabledAfter
	}
	if want.DisabledBefore != nil {
		q.DisabledBefore = *want.DisabledBefore
	}
	if want.Account != "" {
		if !c.scope.Admin {
			return refuse("account", "may be given by the admin only")
		}
		q.Account = &want.Account
	}
	for field, text := range map[string]string{"event": want.Event, "target_host": want.TargetHost, "name": want.Name, "account": want.Account, "after": want.After} {
		if !storable(text) {
			return refuse(field, "has a zero byte in it")
		}
	}
	selects := want.Event != "" || want.TargetHost != "" || want.Name != "" || want.Account != "" || want.DisabledAfter != nil || want.DisabledBefore != nil
	switch {
	case selects && want.All:
		return refuse("all", "does not go with a filter")
	case !selects && !want.All:
		return refuse("", `says nothing: give "event", "target_host", "name", "disabled_after" or "disabled_before", or "all": true`)
	case want.Limit < 0 || want.Limit > maxLimit:
		return refuse("limit", fmt.Sprintf("is not a whole number from 1 to %d", maxLimit))
	case want.Limit == 0:
		q.Limit = maxLimit
	}
	return q, nil
}
