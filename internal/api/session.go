package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// session lets a browser in: POST gives it a cookie for a token, which no script can read.
var session = route{public: true, browser: true, diagnosis: true, methods: map[string]action{
	http.MethodPost:   (*Server).logIn,
	http.MethodDelete: (*Server).logOut,
	http.MethodGet:    (*Server).whoAmI,
}}

const sessionPath = "/session"

const (
	// sessionIdle is how long a session lives without being used, sessionMost how long in all.
	sessionIdle = 12 * time.Hour
	sessionMost = 7 * 24 * time.Hour
	// sessionRenew is how old a cookie is when it is given anew.
	sessionRenew = 5 * time.Minute
	// sessionUnchecked is for how long a session that the store cannot be asked about sees what is wrong, from when its cookie was given.
	sessionUnchecked = time.Hour
	// sessionClocks is how far the clocks of processes that share sessions may be apart.
	sessionClocks = time.Hour
	// The log-ins in a second that one client, and that all of them may try. The first is with the burst a dozen at once.
	loginsOfClient = 6
	loginsOfAll    = 50
)

// newSession is the body of a log-in.
type newSession struct {
	Token string `json:"token"`
}

// logIn gives a cookie for a token.
func (s *Server) logIn(c call) (answer, error) {
	for _, limit := range []struct {
		of  *limiter
		key string
	}{{s.loginClients, s.clientAt(c.r)}, {s.loginAll, ""}} {
		if wait, ok := limit.of.allow(subscriptions.Scope{Account: limit.key}, time.Now()); !ok {
			return tooManyOf("too many log-ins: wait as long as Retry-After says", wait), nil
		}
	}
	body, err := readBody(c.r, "application/json")
	if err != nil {
		return answer{}, err
	}
	var given newSession
	if err := decode(body, &given, `{"token":"…"}`); err != nil {
		return answer{}, err
	}
	if given.Token == "" {
		return answer{}, refusal{fieldProblem("token", "is missing: give one of api.tokens in the config, or one that was made for you")}
	}
	l, known, err := s.byToken(c.r.Context(), given.Token)
	if err != nil {
		return answer{}, err
	}
	if !known {
		s.log.Warn("log-in refused: the token is not known", "client", s.clientAt(c.r))
		a := problem(http.StatusUnauthorized, "the token is not known")
		a.header("WWW-Authenticate", `Bearer realm="rowhook"`)
		return a, nil
	}
	now := time.Now()
	ticket := newTicket(sha256.Sum256([]byte(given.Token)), now)
	a, err := s.sessionAnswer(l, ticket.ends())
	a.header("Set-Cookie", s.cookie(c.r, ticket).String())
	return a, err
}

// whoAmI tells whom the caller is taken for: by the cookie, or the header that other routes take.
func (s *Server) whoAmI(c call) (answer, error) {
	l, refused, ok := s.enter(route{diagnosis: true}, c.r)
	if !ok {
		return refused, nil
	}
	if wait, ok := s.limiter.allow(l.scope, time.Now()); !ok {
		return tooMany(wait), nil
	}
	a, err := s.sessionAnswer(l, l.ends)
	if err == nil && l.renewed != "" {
		a.header("Set-Cookie", l.renewed)
	}
	return a, err
}

// logOut takes the cookie back, and ends the session for whoever has a copy. It asks nobody who that is: there may be none.
func (s *Server) logOut(c call) (answer, error) {
	a := answer{status: http.StatusNoContent}
	if err := s.endSession(c.r); err != nil {
		a = unavailable("this browser has no cookie any more, but the store could not be told that the session is over: who has a copy of the cookie "+
			"could go on with it for up to 12 hours, unless its token is deleted or taken out of the config", err)
	}
	over := s.cookie(c.r, ticket{})
	over.Value, over.MaxAge = "", -1
	a.header("Set-Cookie", over.String())
	return a, nil
}

// endSession ends the session of the cookie, again where that was not told to the store before. A cookie that is worth nothing fills no store.
func (s *Server) endSession(r *http.Request) error {
	t, ok := s.ticketOf(r)
	if s.config.Sessions == nil || !ok {
		return nil
	}
	if _, ok, err := s.holder(r.Context(), t); !ok {
		return err
	}
	return s.config.Sessions.EndSession(r.Context(), t.id, t.over(time.Now()))
}

func (s *Server) sessionAnswer(l login, ends time.Time) (answer, error) {
	v := client.Session{Role: "account", Account: &l.scope.Account, Name: l.name, ReadOnly: l.readOnly, Version: s.config.Version, Features: s.features()}
	if l.scope.Admin {
		v.Role, v.Account = "admin", nil
	}
	if !ends.IsZero() {
		ends = ends.UTC().Truncate(time.Second)
		v.ExpiresAt = &ends
	}
	return ok(v)
}

// features are the parts of the API that there are.
func (s *Server) features() []string {
	all := []string{}
	for _, f := range []struct {
		name  string
		there bool
	}{
		{"dead_letters", s.config.DeadLetters != nil}, {"deliveries", s.config.Deliveries != nil}, {"event_deliveries", s.config.Deliveries != nil}, {"feed", s.config.Feed != nil},
		{"held", s.config.Deliveries != nil}, {"jobs", s.config.Jobs != nil}, {"preview", s.config.System != nil}, {"resume", s.config.Resume != nil}, {"search", true}, {"status", s.config.Status != nil}, {"system", s.config.System != nil}, {"tokens", s.config.Made != nil},
	} {
		if f.there {
			all = append(all, f.name)
		}
	}
	return all
}

// bySession finds whom a session's cookie lets in: as long as its token does, and until somebody logs out. Renewed is set where the cookie is
// to be given anew. Where the store cannot say whether somebody has logged out, that is the error, an *unchecked.
func (s *Server) bySession(ctx context.Context, r *http.Request) (found login, ok bool, err error) {
	t, ok := s.ticketOf(r)
	if !ok {
		return login{}, false, nil
	}
	if found, ok, err = s.holder(ctx, t); !ok {
		return login{}, false, err
	}
	found.ends = t.ends()
	now := time.Now()
	if s.config.Sessions != nil {
		ended, err := s.config.Sessions.SessionEnded(ctx, t.id)
		switch {
		case errors.Is(err, subscriptions.ErrUnavailable) && now.Sub(t.used) > sessionUnchecked:
			return login{}, false, nil // with a token of the config it takes no store to log in again
		case errors.Is(err, subscriptions.ErrUnavailable):
			return login{}, false, &unchecked{found, err}
		case ended || err != nil:
			return login{}, false, err
		}
	}
	if now.Sub(t.used) > sessionRenew {
		t.used = now
		found.renewed = s.cookie(r, t).String()
		found.ends = t.ends()
	}
	return found, true, nil
}

// unchecked is the error of a session of which the store cannot say whether it was ended. It lets in where one sees what is wrong, as the
// console does, and nowhere else. Its cookie is not given anew: the copy of one that was ended must not outlive what the store keeps of that.
type unchecked struct {
	login login
	cause error
}

func (u *unchecked) Error() string { return "look whether the session was ended: " + u.cause.Error() }
func (u *unchecked) Unwrap() error { return u.cause }

// holder finds whose token a ticket was made with, while both are good.
func (s *Server) holder(ctx context.Context, t ticket) (found login, ok bool, err error) {
	if now := time.Now(); now.After(t.ends()) || now.Before(t.began.Add(-sessionClocks)) {
		return login{}, false, nil
	}
	if found, ok = s.byHash(t.hash); !ok {
		if found, ok, err = s.madeByHash(ctx, t.hash); !ok {
			return login{}, false, err
		}
	}
	return found, true, nil
}

// refuseForeign refuses what a page of another site may have made a browser send, with the cookie that comes along by itself.
func (s *Server) refuseForeign(r *http.Request) (answer, bool) {
	if safe(r.Method) {
		return answer{}, false
	}
	if err := s.origin.Check(r); err != nil {
		return problem(http.StatusForbidden, "the request comes from a page of another origin"), true
	}
	return notJSON(r)
}

// ticket is what a session's cookie says: whose token it was made with, and when. It says nothing of the token itself.
type ticket struct {
	hash [sha256.Size]byte
	// id is the session's, the same in each of its cookies.
	id          [16]byte
	began, used time.Time
}

func newTicket(hash [sha256.Size]byte, now time.Time) ticket {
	t := ticket{hash: hash, began: now, used: now}
	_, _ = rand.Read(t.id[:]) // it never fails
	return t
}

// over is from when on no cookie of the session is good anywhere if none is given after now: one may have just been renewed.
func (t ticket) over(now time.Time) time.Time {
	t.used = now
	return t.ends().Add(sessionClocks)
}

func (t ticket) ends() time.Time {
	ends, most := t.used.Add(sessionIdle), t.began.Add(sessionMost)
	if most.Before(ends) {
		return most
	}
	return ends
}

// String keeps the hash out of logs.
func (t ticket) String() string { return fmt.Sprintf("ticket of %s", t.began) }

// LogValue keeps the hash out of logs.
func (t ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }
