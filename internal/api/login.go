package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// login is a token that can be compared without telling by the time it takes how much of it, or its length, is right.
type login struct {
	hash  [sha256.Size]byte
	name  string
	scope subscriptions.Scope
	// readOnly lets it read only.
	readOnly bool
	// ends is when the session ends, where it is one; renewed the cookie that is to be given then.
	ends    time.Time
	renewed string
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

// login finds whom the request comes from. A header goes before a session's cookie. The error is the repository's.
func (s *Server) login(r *http.Request) (found login, ok bool, err error) {
	if s.hasCookie(r) {
		return s.bySession(r.Context(), r)
	}
	token, given := bearer(r)
	found, ok, err = s.byToken(r.Context(), token)
	return found, ok && given, err
}

// byToken finds whom a token lets in. All tokens of the config are compared, always; those that were made are looked up by their
// hash, each time, so that one that was deleted lets nobody in any more.
func (s *Server) byToken(ctx context.Context, token string) (found login, ok bool, err error) {
	hash := sha256.Sum256([]byte(token))
	if found, ok = s.byHash(hash); ok || !strings.HasPrefix(token, subscriptions.TokenPrefix) {
		return found, ok, nil
	}
	return s.madeByHash(ctx, hash)
}

// byHash finds a token of the config.
func (s *Server) byHash(hash [sha256.Size]byte) (found login, ok bool) {
	for _, l := range s.logins {
		if subtle.ConstantTimeCompare(hash[:], l.hash[:]) == 1 && !ok {
			found, ok = l, true
		}
	}
	return found, ok
}

// madeByHash finds a token that was made.
func (s *Server) madeByHash(ctx context.Context, hash [sha256.Size]byte) (found login, ok bool, err error) {
	if s.config.Made == nil {
		return login{}, false, nil
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-ctx.Done():
		return login{}, false, ctx.Err()
	}
	t, err := s.config.Made.FindToken(ctx, hash)
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
