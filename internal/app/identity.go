package app

import (
	"errors"
	"net/http"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/identity"
)

// Callers are those that a source of identities knows, as the API takes them behind the application's login.
func Callers(s identity.Source) func(*http.Request) (api.Caller, error) {
	return func(r *http.Request) (api.Caller, error) {
		id, err := s.Who(r)
		var e *identity.Error
		switch {
		case err == nil:
			return api.Caller{Account: id.Account, ReadOnly: !id.MayWrite}, nil
		case errors.As(err, &e):
			return api.Caller{}, &api.Denied{Status: e.Status, Detail: e.Detail, Header: e.Header, Body: e.Body, Cause: e.Err}
		}
		return api.Caller{}, err
	}
}
