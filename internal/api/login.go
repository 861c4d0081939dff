package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/rowhook/rowhook/subscriptions"
)

// login is a token that can be compared without telling by the time it takes how much of it, or its length, is right.
type login struct {
	hash  [sha256.Size]byte
	name  string
	scope subscriptions.Scope
	// readOnly lets it read only.
	readOnly bool
}

func logins(tokens []Token) []login {
	var all []login
	for _, t := range tokens {
		if t.Token == "" || t.Account == "" {
			continue
		}
		l := login{hash: sha256.Sum256([]byte(t.Token.Reveal())), name: t.Name}
		if t.Account == "*" {
			l.scope.Admin = true
		} else {
			l.scope.Account = t.Account
		}
		all = append(all, l)
	}
	return all
}

// login finds whom the request comes from. All tokens of the config are compared, always; those that were made are looked up
// by their hash, each time, so that one that was deleted lets nobody in any more. The error is the repository's.
func (s *Server) login(r *http.Request) (found login, ok bool, err error) {
	token, given := bearer(r)
	hash := sha256.Sum256([]byte(token))
	for _, l := range s.logins {
		if subtle.ConstantTimeCompare(hash[:], l.hash[:]) == 1 && !ok {
			found, ok = l, true
		}
	}
	if ok || !given || s.config.Made == nil || !strings.HasPrefix(token, subscriptions.TokenPrefix) {
		return found, ok && given, nil
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-r.Context().Done():
		return login{}, false, r.Context().Err()
	}
	t, err := s.config.Made.FindToken(r.Context(), subscriptions.TokenHash(token))
	if err != nil {
		if errors.Is(err, subscriptions.ErrTokenNotFound) {
			err = nil
		}
		return login{}, false, err
	}
	name := t.Name
	if name == "" {
		name = t.ID
	}
	return login{name: name, scope: t.Scope, readOnly: t.ReadOnly}, true, nil
}

// bearer returns the token of the Authorization header. More than one header is none: whoever stands in front of us may
// have looked at the other one.
func bearer(r *http.Request) (string, bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimLeft(token, " "), true
}
