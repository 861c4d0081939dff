package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

var (
	tokens = route{admin: true, methods: map[string]action{
		http.MethodGet:  (*Server).listTokens,
		http.MethodPost: (*Server).createToken,
	}}
	oneToken = route{admin: true, methods: map[string]action{http.MethodDelete: (*Server).deleteToken}}
)

func (s *Server) createToken(c call) (answer, error) {
	body, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	t, text, err := subscriptions.NewToken(body, time.Now())
	var invalid *subscriptions.Invalid
	if errors.As(err, &invalid) {
		return answer{}, refusal{invalidAnswer(invalid, "token request")}
	}
	if err != nil {
		return answer{}, err
	}
	if err := s.config.Made.CreateToken(c.r.Context(), t, subscriptions.TokenHash(text.Reveal())); err != nil {
		return answer{}, err
	}
	shown := tokenView(t)
	shown.Token = text.Reveal()
	a, err := jsonAnswer(http.StatusCreated, "application/json", shown)
	a.header("Location", s.base+"/token/"+url.PathEscape(t.ID)+"/")
	return a, err
}

func (s *Server) listTokens(c call) (answer, error) {
	after, limit, err := pageQuery(c)
	if err != nil {
		return answer{}, err
	}
	page, more, err := s.config.Made.ListTokens(c.r.Context(), after, limit)
	if errors.Is(err, subscriptions.ErrTokenNotFound) {
		return answer{}, badQuery("after", "is the id of no token: begin without it")
	}
	if err != nil {
		return answer{}, err
	}
	views := make([]client.Token, len(page))
	for i, t := range page {
		views[i] = tokenView(t)
	}
	a, err := ok(views)
	if err == nil && more && len(page) > 0 {
		next := url.Values{"limit": {strconv.Itoa(limit)}, "after": {page[len(page)-1].ID}}
		a.header("Link", "<"+s.base+"/token/?"+next.Encode()+`>; rel="next"`)
	}
	return a, err
}

func (s *Server) deleteToken(c call) (answer, error) {
	if err := s.config.Made.DeleteToken(c.r.Context(), c.id); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

func tokenView(t *subscriptions.Token) client.Token {
	v := client.Token{ID: t.ID, Name: t.Name, Account: t.Scope.Account, ReadOnly: t.ReadOnly, CreatedAt: t.CreatedAt.UTC()}
	if t.Scope.Admin {
		v.Account = "*"
	}
	if !t.ExpiresAt.IsZero() {
		ends := t.ExpiresAt.UTC()
		v.ExpiresAt = &ends
	}
	return v
}
