package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rowhook/rowhook/mapping"
)

const (
	// skew is how far clocks may differ.
	skew = time.Minute
	// maxToken bounds a token, in bytes.
	maxToken = 16 << 10
	// maxKeyID bounds the name of a key, in bytes.
	maxKeyID = 256
)

// tokens verifies tokens.
type tokens struct {
	header         string
	account, allow *mapping.Formula
	parser         *jwt.Parser
	keys           keySource
	teller         teller
}

// keySource has the keys that a token may be signed with.
type keySource interface {
	// find returns those that the token's header points to: by name, or all where it names none. None is errUnknownKey,
	// and a source that is away errKeysAway.
	find(ctx context.Context, id string, named bool) ([]verificationKey, error)
	close()
}

var (
	errUnknownKey = errors.New("the token is signed with a key that is not known")
	errKeysAway   = errors.New("the keys cannot be had")
	errHeader     = errors.New("the token's header is not understood")
)

func newTokens(c *JWT, o Options) (*tokens, error) {
	account, allow, err := formulas("proxy.identity.jwt", c.Account, c.Allow)
	if err != nil {
		return nil, err
	}
	t := &tokens{header: "Authorization", account: account, allow: allow, teller: teller{log: o.Log}}
	if c.Header != "" {
		t.header = http.CanonicalHeaderKey(c.Header)
	}
	algorithms := c.Algorithms
	if c.JWKSURL != "" {
		if len(algorithms) == 0 {
			algorithms = publicAlgorithms
		}
		t.keys = newKeySet(c.JWKSURL, o)
	} else {
		key, fitting, err := ParseKey(c.Key)
		if err != nil {
			return nil, fmt.Errorf("proxy.identity.jwt.key %w", err)
		}
		if len(algorithms) == 0 {
			algorithms = fitting
		}
		t.keys = oneKey{verificationKey{key: key}}
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(skew), jwt.WithJSONNumber(), jwt.WithStrictDecoding(),
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	if c.Audience != "" {
		options = append(options, jwt.WithAudience(c.Audience))
	}
	t.parser = jwt.NewParser(options...)
	return t, nil
}

func (t *tokens) Strip(*http.Request) {}

func (t *tokens) Close() { t.keys.close() }

// Who verifies the caller's token. That costs less than asking anybody, so nothing is remembered.
func (t *tokens) Who(r *http.Request) (Identity, error) {
	text, err := t.token(r)
	if err != nil {
		return Identity{}, err
	}
	claims := jwt.MapClaims{}
	_, err = t.parser.ParseWithClaims(text, claims, func(token *jwt.Token) (any, error) { return t.keysFor(r.Context(), token) })
	switch {
	case err == nil:
	case errors.Is(err, errKeysAway):
		return Identity{}, &Error{
			Status: http.StatusServiceUnavailable, Detail: "it cannot be found out now whether the token is good: try again",
			Header: http.Header{"Retry-After": {"5"}}, Err: err,
		}
	case r.Context().Err() != nil:
		return Identity{}, r.Context().Err()
	default:
		return Identity{}, unauthorized(reasonOf(err), "invalid_token")
	}
	written, err := json.Marshal(claims) // its size bounds what the expressions may use
	if err != nil {
		return Identity{}, unauthorized("the token is not good", "invalid_token")
	}
	o, ok := mapping.ReadObject(written)
	if !ok {
		return Identity{}, unauthorized("the token is not good", "invalid_token")
	}
	id, err := look(t.account, t.allow, o)
	t.teller.none(err, t.account, o)
	return id, err
}

// token is the text of the only token that the caller shows.
func (t *tokens) token(r *http.Request) (string, error) {
	values := r.Header.Values(t.header)
	if len(values) == 0 {
		return "", unauthorized("log in as for the rest of this API", "")
	}
	text := strings.TrimSpace(values[0])
	scheme, rest, spaced := strings.Cut(text, " ")
	switch bearer := spaced && strings.EqualFold(scheme, "Bearer"); {
	case len(values) > 1:
		// Whoever stands in front of us may have looked at the other one.
		return "", unauthorized("more than one token was sent", "invalid_request")
	case bearer:
		text = strings.TrimSpace(rest)
	case t.header == "Authorization":
		return "", unauthorized("log in as for the rest of this API", "")
	}
	if text == "" || len(text) > maxToken {
		return "", unauthorized("the token is empty, or too long", "invalid_token")
	}
	return text, nil
}

// keysFor finds what a token may be signed with. Nothing that the token itself brings, a key or an address of one, is used.
func (t *tokens) keysFor(ctx context.Context, token *jwt.Token) (any, error) {
	if _, critical := token.Header["crit"]; critical {
		return nil, errHeader // it names what must be understood, and we understand none of it
	}
	raw, named := token.Header["kid"]
	id, isText := raw.(string)
	if named && (!isText || len(id) > maxKeyID) {
		return nil, errHeader
	}
	found, err := t.keys.find(ctx, id, named)
	if err != nil {
		return nil, err
	}
	var set jwt.VerificationKeySet
	for _, k := range found {
		if k.fits(token.Method.Alg()) {
			set.Keys = append(set.Keys, k.key)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errUnknownKey
	}
	return set, nil
}

// reasonOf tells the caller what is wrong with a token, without any of it.
func reasonOf(err error) string {
	for _, known := range []struct {
		err  error
		says string
	}{
		{jwt.ErrTokenMalformed, "the token is no JWT"},
		{errUnknownKey, errUnknownKey.Error()},
		{errHeader, errHeader.Error()},
		{jwt.ErrTokenExpired, "the token is expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim: exp, or one that is asked for"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature or algorithm is not good"},
	} {
		if errors.Is(err, known.err) {
			return known.says
		}
	}
	return "the token is not good"
}

// verificationKey is a key that a token may be signed with.
type verificationKey struct {
	id string
	// algorithm is what the issuer says that the key is for; empty: any that fits.
	algorithm string
	key       any
}

func (k verificationKey) fits(algorithm string) bool {
	return (k.algorithm == "" || k.algorithm == algorithm) && slices.Contains(algorithmsOf(k.key), algorithm)
}

// oneKey is the key of the config. It fits whatever name a token gives it.
type oneKey struct{ verificationKey }

func (o oneKey) find(context.Context, string, bool) ([]verificationKey, error) {
	return []verificationKey{o.verificationKey}, nil
}

func (oneKey) close() {}
