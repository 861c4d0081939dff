package identity

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// Identity is who calls.
type Identity struct {
	// Account is the customer, as the account of a resource gives it. It is never empty, and never "*".
	Account string
	// MayWrite is false where the caller may only read.
	MayWrite bool
}

// Source says who calls. It may be used by many goroutines.
type Source interface {
	// Who finds the caller of a request whose RemoteAddr is the peer's. The error is an *Error, or the request's context's.
	Who(r *http.Request) (Identity, error)
	// Strip takes the headers off the request that would say who calls, where its sender must not say so. It is called with
	// every request before anything else looks at it, those to the application too.
	Strip(r *http.Request)
	// Close lets connections go.
	Close()
}

// Config says how to find out who calls. Exactly one of Path, JWT and Header is given.
type Config struct {
	// Path is asked of the application, under its URL. Empty: it is not asked.
	Path string
	// Account and Allow are expressions over its answer: the customer, and whether the caller may write. Allow may be nil:
	// then all may.
	Account, Allow *mapping.Source
	// Headers are those of the caller's that are credentials. Defaults to Authorization and Cookie.
	Headers []string
	// Cache is how long an answer of the application is good for. 0: it is asked for each request.
	Cache  time.Duration
	JWT    *JWT
	Header *Header
}

// DefaultCache is the longest that an answer may be good for, and the default.
const DefaultCache = 30 * time.Second

// DefaultHeaders are those that most APIs take credentials in.
var DefaultHeaders = []string{"Authorization", "Cookie"}

// JWT says how a token is verified, and what its claims mean.
type JWT struct {
	// JWKSURL is where the issuer's keys are; else Key is the key: a public one in PEM, or a shared secret.
	JWKSURL string
	Key     secret.String
	// Issuer and Audience are what the claims iss and aud must be. Empty: they are not looked at.
	Issuer, Audience string
	// Algorithms that a token may be signed with. Empty: all that fit the key.
	Algorithms []string
	// Account and Allow are expressions over the claims. Allow may be nil.
	Account, Allow *mapping.Source
	// Header holds the token. Defaults to Authorization, as Bearer.
	Header string
}

// Header says which header names the account, and who may set it.
type Header struct {
	Name string
	// From are the networks of the peers that are believed.
	From []netip.Prefix
	// AllowHeader says by true or false whether the caller may write. Empty: all may.
	AllowHeader string
}

// Options are what a Source needs beside its config.
type Options struct {
	// AppURL is where the application is.
	AppURL string
	// UserAgent is what the application is asked by.
	UserAgent string
	// Forward gives the question the Host and the forwarded headers that the caller's request would have on its way to the
	// application. Defaults to the caller's Host, and its address as the only one.
	Forward func(question, caller *http.Request)
	// Log is told what somebody should mend. Nil is none.
	Log *slog.Logger
}

// New makes the Source of a config.
func New(c Config, o Options) (Source, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.JWT != nil:
		return newTokens(c.JWT, o)
	case c.Header != nil:
		return newHeaders(c.Header), nil
	}
	return newAsker(c, o)
}

// Error says why there is no identity, and what to answer.
type Error struct {
	// Status is the answer's.
	Status int
	// Detail is for the caller, where the answer is ours. Empty: Body is the application's own.
	Detail string
	// Header goes with the answer.
	Header http.Header
	Body   []byte
	// Err is for the log; nil where there is nothing to tell.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Detail != "":
		return e.Detail
	}
	return "the application answers " + http.StatusText(e.Status)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// unauthorized is the answer to a caller that has shown nothing that counts.
func unauthorized(detail, problem string) *Error {
	challenge := `Bearer realm="api"`
	if problem != "" {
		challenge += `, error="` + problem + `"`
	}
	return &Error{Status: http.StatusUnauthorized, Detail: detail, Header: http.Header{"Www-Authenticate": {challenge}}}
}

// maxAccount is how long an account may be, in bytes.
const maxAccount = 800

// accounted makes an identity of what the application, a token or a gateway calls the account. Whoever has none is refused:
// the empty account and "*" are the admin's elsewhere.
func accounted(account string, mayWrite bool) (Identity, error) {
	refuse := func(detail string) (Identity, error) {
		return Identity{}, &Error{Status: http.StatusForbidden, Detail: detail}
	}
	switch {
	case account == "":
		return refuse("this login has no account")
	case account == "*":
		return refuse("this login has no account of its own")
	case len(account) > maxAccount || !utf8.ValidString(account) ||
		strings.ContainsFunc(account, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refuse("the account of this login is too long, or is no plain text")
	}
	return Identity{Account: account, MayWrite: mayWrite}, nil
}

// look reads account and permission out of what the application says, or a token.
func look(account, allow *mapping.Formula, o mapping.Object) (Identity, error) {
	text, err := account.Account(o)
	if err != nil {
		return Identity{}, &Error{Status: http.StatusBadGateway, Detail: "it could not be found out who calls", Err: err}
	}
	mayWrite := true
	if allow != nil {
		if mayWrite, err = allow.Holds(o); err != nil {
			return Identity{}, &Error{Status: http.StatusBadGateway, Detail: "it could not be found out what the caller may do", Err: err}
		}
	}
	return accounted(text, mayWrite)
}

// formulas compiles the two expressions. Allow may be nil.
func formulas(key string, account, allow *mapping.Source) (a, w *mapping.Formula, err error) {
	if account == nil {
		account = &mapping.Source{}
	}
	a, problems := mapping.ParseFormula(key+".account", account)
	if allow == nil {
		return a, nil, problems.Err()
	}
	w, more := mapping.ParseFormula(key+".allow", allow)
	return a, w, append(problems, more...).Err()
}
