package subscriptions

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
)

// Token lets a caller in. It is made by the admin, and kept as a hash.
type Token struct {
	// ID begins with tok_.
	ID string
	// Name is for people and for the log.
	Name string
	// Scope is whom it lets in as.
	Scope Scope
	// ReadOnly lets it read only.
	ReadOnly  bool
	CreatedAt time.Time
	// ExpiresAt is when it ends; zero for one without an end.
	ExpiresAt time.Time
}

// TokenPrefix begins every token that is made, so that a scanner for leaked secrets can find it.
const TokenPrefix = "rht_"

// TokenHash is what is kept of a token. The text is random enough for a plain hash.
func TokenHash(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// Tokens stores tokens.
type Tokens interface {
	// CreateToken stores t under the hash, and sets its CreatedAt.
	CreateToken(ctx context.Context, t *Token, hash [sha256.Size]byte) error
	// FindToken returns the token with the hash that has not ended, or ErrTokenNotFound.
	FindToken(ctx context.Context, hash [sha256.Size]byte) (*Token, error)
	// ListTokens returns those that have not ended, in the order they were made: at most limit after the one with the id
	// after, and whether there are more. An after that is not there is ErrTokenNotFound.
	ListTokens(ctx context.Context, after string, limit int) (page []*Token, more bool, err error)
	// DeleteToken ends a token at once, or returns ErrNotFound.
	DeleteToken(ctx context.Context, id string) error
}

// maxTokenLife is the longest life of a token that ends.
const maxTokenLife = 10 * 365 * 24 * time.Hour

// NewToken makes the token that a POST's body describes, with its text, which is not kept. The error is an *Invalid.
func NewToken(body []byte, now time.Time) (*Token, secret.String, error) {
	var m mistakes
	o, err := parseObject(body, &m)
	if err != nil {
		return nil, "", err
	}
	t := &Token{ID: "tok_" + strings.ToLower(rand.Text())}
	hasAccount := false
	for _, member := range o {
		v := member.value
		switch member.name {
		case "account":
			hasAccount = true
			account, ok := v.(string)
			switch {
			case !ok:
				m.add("account", `is %s: give the customer's id as a string, or "*" for the admin`, kindOf(v))
			case account == "":
				m.add("account", `is empty: give the customer's id, or "*" for the admin`)
			case account == "*":
				t.Scope.Admin = true
			default:
				checkText(&m, "account", account, maxAccount)
				t.Scope.Account = account
			}
		case "expires_in":
			if v == nil {
				continue
			}
			if d, ok := duration(&m, "expires_in", v, time.Second, maxTokenLife); ok {
				t.ExpiresAt = now.Add(time.Duration(d)).UTC().Truncate(time.Microsecond)
			}
		case "read_only":
			only, ok := v.(bool)
			if v != nil && !ok {
				m.add("read_only", "is %s: give true or false", kindOf(v))
			}
			t.ReadOnly = only
		case "name":
			t.Name = readText(&m, "name", v, maxName)
		default:
			unknown(&m, "", member.name, []string{"account", "expires_in", "read_only", "name"})
		}
	}
	if !hasAccount {
		m.add("account", `"account" is required: give the customer's id, or "*" for the admin`)
	}
	if t.Scope.Admin && !t.ReadOnly {
		m.add("account", `an admin's token that may write stands in the config: give "read_only": true, or the account of a customer`)
	}
	if err := m.err(); err != nil {
		return nil, "", err
	}
	return t, secret.String(TokenPrefix + rand.Text() + rand.Text()), nil
}

// ErrTokenNotFound says that there is no such token.
var ErrTokenNotFound = errors.New("token not found")
