package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// The sizes of a page of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// errNoCatalogue says that the source is not known yet, so that no event name can be checked.
var errNoCatalogue = errors.New("no catalogue")

func (s *Server) list(c call) (answer, error) {
	q, err := listQuery(c)
	if err != nil {
		return answer{}, err
	}
	page, more, err := s.config.Repository.List(c.r.Context(), q)
	if errors.Is(err, subscriptions.ErrNotFound) && q.After != "" {
		return answer{}, badQuery("after", "is the id of no subscription: begin without it")
	}
	if err != nil {
		return answer{}, err
	}
	views := make([]subscriptions.View, len(page))
	for i, sub := range page {
		views[i] = sub.Shown(false)
	}
	a, err := ok(views)
	if err == nil && more && len(page) > 0 {
		next := c.r.URL.Query()
		next.Set("limit", strconv.Itoa(q.Limit))
		next.Set("after", page[len(page)-1].ID)
		a.header("Link", "<"+s.base+"/subscription/?"+next.Encode()+`>; rel="next"`)
	}
	return a, err
}

func badQuery(field, detail string) error {
	return refusal{problemAnswer(client.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest,
		Detail: field + " " + detail, Errors: []client.FieldError{{Field: field, Detail: detail}},
	})}
}

func (s *Server) create(c call) (answer, error) {
	body, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	rules, err := s.rules(c)
	if err != nil {
		return answer{}, err
	}
	sub, err := rules.New(body)
	if err != nil {
		return answer{}, err
	}
	sub, made, err := s.make(c, sub, body)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusCreated
	if made == subscriptions.Renewed {
		status = http.StatusOK
	}
	a, err := jsonAnswer(status, "application/json", sub.Shown(made != subscriptions.Renewed))
	a.header("Location", s.base+"/subscription/"+url.PathEscape(sub.ID)+"/")
	a.header("ETag", tag(sub))
	return a, err
}

func (s *Server) get(c call) (answer, error) {
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	// What a filter fails on is counted without a new version, and so are attempts to verify.
	if sub.FilterError == nil && !sub.Unverified() && tagged(c.r, "If-None-Match", sub, true) {
		a := answer{status: http.StatusNotModified}
		a.header("ETag", tag(sub))
		return a, nil
	}
	return shown(sub)
}

// shown is the subscription as an answer.
func shown(sub *subscriptions.Subscription) (answer, error) {
	a, err := ok(sub.Shown(false))
	a.header("ETag", tag(sub))
	return a, err
}

func (s *Server) replace(c call) (answer, error) {
	return s.update(c, subscriptions.Rules.Replace, "application/json")
}

func (s *Server) patch(c call) (answer, error) {
	return s.update(c, subscriptions.Rules.Patch, "application/merge-patch+json", "application/json")
}

// update lets change apply the body. It runs inside the repository's Update, so that two at once do not undo each other.
func (s *Server) update(
	c call, change func(subscriptions.Rules, *subscriptions.Subscription, []byte) error, types ...string,
) (answer, error) {
	body, err := readBody(c.r, types...)
	if err != nil {
		return answer{}, err
	}
	rules, err := s.rules(c)
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Update(c.r.Context(), c.scope, c.id, func(sub *subscriptions.Subscription) error {
		if err := matching(c.r)(sub); err != nil {
			return err
		}
		return change(rules, sub, body)
	})
	if err != nil {
		return answer{}, err
	}
	return shown(sub)
}

func (s *Server) remove(c call) (answer, error) {
	if err := s.config.Repository.Delete(c.r.Context(), c.scope, c.id, matching(c.r)); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// rules are what the caller may write now.
func (s *Server) rules(c call) (subscriptions.Rules, error) {
	catalogue := s.catalogue()
	if catalogue == nil {
		return subscriptions.Rules{}, errNoCatalogue
	}
	return subscriptions.Rules{
		Scope: c.scope, Catalogue: catalogue, Admin: s.config.Admin, Accounts: s.config.Accounts,
		ConfigRetries: s.config.ConfigRetries,
	}, nil
}

func (s *Server) catalogue() subscriptions.Catalogue {
	if s.config.Catalogue == nil {
		return nil
	}
	return s.config.Catalogue()
}
