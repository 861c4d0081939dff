package subscriptions

import (
	"context"
	"errors"
)

// Scope is whose subscriptions a caller may see: one account's, or all (Admin).
type Scope struct {
	Account string
	Admin   bool
}

// Query selects subscriptions for a list, in the order they were made.
type Query struct {
	Scope Scope
	// After is the ID of the last subscription of the page before; empty for the first page.
	After string
	// Limit is the most to return.
	Limit int
}

// Repository stores subscriptions. Every change is announced in the source's stream before the call returns, so that
// transactions that commit afterwards are matched by it. Outside the scope nothing exists: ErrNotFound.
type Repository interface {
	// Create stores s and sets its Key, Version, Since, CreatedAt and UpdatedAt.
	Create(ctx context.Context, s *Subscription) error
	// List returns the page, and whether there are more.
	List(ctx context.Context, q Query) (page []*Subscription, more bool, err error)
	Get(ctx context.Context, scope Scope, id string) (*Subscription, error)
	// Update reads the subscription, lets change alter it, and stores it with a new Version. An error of change ends it.
	Update(ctx context.Context, scope Scope, id string, change func(*Subscription) error) (*Subscription, error)
	Delete(ctx context.Context, scope Scope, id string) error
}

// ErrNotFound says that the scope holds no such subscription.
var ErrNotFound = errors.New("subscription not found")

// ErrUnavailable wraps errors of a store or source that cannot be reached: the call may be repeated.
var ErrUnavailable = errors.New("unavailable")
