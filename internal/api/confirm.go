package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// confirm needs no login: who knows the secret is the target.
var confirm = route{public: true, methods: map[string]action{http.MethodPost: (*Server).confirm}}

const (
	// confirmHeader carries the secret that the target was given.
	confirmHeader = "X-Hook-Secret"
	// The requests in a second that one client, and for one subscription all clients, may send. Many clients may seem to be
	// one, behind a gateway.
	confirmsOfClient       = 10
	confirmsOfSubscription = 1
	// confirmsKept is how many clients, and subscriptions, are told apart.
	confirmsKept = 10_000
)

// newConfirmLimiter bounds requests of those whom nobody knows.
func newConfirmLimiter(perSecond float64) *limiter {
	l := newLimiter(perSecond)
	l.most = confirmsKept
	return l
}

// confirm lets a target agree. Whatever is not right is one answer, and costs the same.
func (s *Server) confirm(c call) (answer, error) {
	if s.config.Confirm == nil {
		return notFound("there is no such route: see the documentation of the API"), nil
	}
	if len(c.id) > subscriptions.MaxID {
		return answer{}, errNotToConfirm
	}
	now := time.Now()
	for _, limit := range []struct {
		of  *limiter
		key string
	}{{s.confirmClients, clientOf(c.r)}, {s.confirmIDs, c.id}} {
		if wait, ok := limit.of.allow(subscriptions.Scope{Account: limit.key}, now); !ok {
			return tooManyOf("too many requests to confirm: wait as long as Retry-After says", wait), nil
		}
	}
	given := c.r.Header.Values(confirmHeader)
	if len(given) != 1 || !subscriptions.IsVerificationValue(given[0]) {
		return answer{}, errNotToConfirm
	}
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-c.r.Context().Done():
		return answer{}, c.r.Context().Err()
	}
	err := s.config.Confirm(c.r.Context(), c.id, secret.String(given[0]))
	if errors.Is(err, subscriptions.ErrNotFound) {
		err = errNotToConfirm
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// errNotToConfirm is the answer to all that cannot be confirmed.
var errNotToConfirm = refusal{notFound("there is nothing to confirm: send the secret that the target was given, as " + confirmHeader + ", to the path with its subscription's id")}

// clientKey is that of the client in a request's context.
type clientKey struct{}

// From is a request of a client for which a gateway asks, whose address is the connection's. Only strangers are told apart by
// it, so that those behind one gateway do not share one rate.
func From(r *http.Request, client string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), clientKey{}, client))
}

// clientOf is the address that a request comes from; in IPv6 its network, of which one client has all.
func clientOf(r *http.Request) string {
	host, told := r.Context().Value(clientKey{}).(string)
	if !told {
		var err error
		if host, _, err = net.SplitHostPort(r.RemoteAddr); err != nil {
			return r.RemoteAddr
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}
