package subscriptions

import (
	"context"
	"errors"
	"time"
)

// Scope is whose subscriptions a caller may see: one account's, or all (Admin).
type Scope struct {
	Account string
	Admin   bool
}

// Query selects subscriptions for a list, in the order they were made. What is empty selects all.
type Query struct {
	Scope Scope
	// Event selects those that get an event: contact.create, or an entry of events as it stands there (deal.*).
	Event string
	State State
	// TargetHost is the host of their targets, without a port.
	TargetHost string
	// Name is a part of their names, in upper or lower case.
	Name string
	// Search is a part of their names, ids, accounts or targets' hosts, in upper or lower case.
	Search string
	// Failing selects those whose targets take nothing.
	Failing bool
	// Account, when not nil, selects those of the account, of what Scope may see.
	Account *string
	// DisabledByRowhook selects those that are disabled because their targets take nothing, of them those that have been that since
	// DisabledAfter or later, and before DisabledBefore, where these are not zero.
	DisabledByRowhook             bool
	DisabledAfter, DisabledBefore time.Time
	// After is the ID of the last subscription of the page before; empty for the first page.
	After string
	// Limit is the most to return.
	Limit int
}

// Repository stores subscriptions. Every change is announced in the source's stream before the call returns, so that
// transactions that commit afterwards are matched by it. Outside the scope nothing exists: ErrNotFound.
type Repository interface {
	// Create stores s and sets its Key, Version, Since, CreatedAt and UpdatedAt. ErrTooMany says that its account has as many
	// as most, where that is not 0, already.
	Create(ctx context.Context, s *Subscription, most int) error
	// CreateOnce is Create, unless the same account has made one with the same once before, which is there still: then it
	// returns that one as it is now, and again. ErrOnceDiffers says that it was another request that had the key.
	CreateOnce(ctx context.Context, s *Subscription, most int, once Once) (made *Subscription, again bool, err error)
	// Lease is Create, or CreateOnce where once is not nil, of one with ExpiresAt: where there is a live SameLease, renew
	// changes that instead, and it is returned as it is then. An error of renew ends it.
	Lease(ctx context.Context, s *Subscription, most int, once *Once, renew func(held *Subscription) error) (*Subscription, Made, error)
	// Import is Create of one with an ID, and perhaps a CreatedAt, of its own. Where there is one with the ID, of whatever
	// account, it makes nothing and returns that one, else nil. ErrIDUsed says that there was one until it was deleted. A dry
	// one only looks.
	Import(ctx context.Context, s *Subscription, dry bool) (found *Subscription, err error)
	// List returns the page, and whether there are more.
	List(ctx context.Context, q Query) (page []*Subscription, more bool, err error)
	Get(ctx context.Context, scope Scope, id string) (*Subscription, error)
	// Update reads the subscription, lets change alter it, and stores it with a new Version. An error of change ends it.
	Update(ctx context.Context, scope Scope, id string, change func(*Subscription) error) (*Subscription, error)
	// Delete deletes the subscription if when, where it is not nil, says nothing against it as it is: its error ends it.
	Delete(ctx context.Context, scope Scope, id string, when func(*Subscription) error) error
}

// ErrTooMany says that an account has as many subscriptions as it may.
var ErrTooMany = errors.New("the account has as many subscriptions as it may")

// Once names a request to make a subscription, so that it can be repeated when its answer was lost.
type Once struct {
	// Key is the caller's own.
	Key string
	// Body tells the request apart from others with the same key.
	Body [32]byte
}

// Made says what came of a request to make a subscription.
type Made uint8

// MadeNow is a new one, MadeBefore one that an equal request made, Renewed a lease that was there.
const (
	MadeNow Made = iota
	MadeBefore
	Renewed
)

// ErrIDUsed says that an ID belonged to a subscription that was deleted.
var ErrIDUsed = errors.New("the id belonged to a subscription that was deleted")

// OnceFor is how long a request can be repeated.
const OnceFor = 24 * time.Hour

// ErrOnceDiffers says that the key was used for another request.
var ErrOnceDiffers = errors.New("the key was used for another request")

// ErrNotFound says that the scope holds no such subscription.
var ErrNotFound = errors.New("subscription not found")

// ErrUnavailable wraps errors of a store or source that cannot be reached: the call may be repeated.
var ErrUnavailable = errors.New("unavailable")
