package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/subscriptions"
)

// HeldCursor is where a page of what is held ends: when its last key is sent, and which that is.
type HeldCursor struct {
	Next time.Time
	Key  int64
}

// EventDeliveryQuery asks for what became of an event.
type EventDeliveryQuery struct {
	// Position is where the event is; where it is zero, EventID is given.
	Position cdc.Position
	EventID  string
	// After is the last subscription of the page before; nil for the first page.
	After *subscriptions.Subscription
	Limit int
}

var (
	held            = route{methods: map[string]action{http.MethodGet: (*Server).held}}
	eventDeliveries = route{methods: map[string]action{http.MethodGet: (*Server).eventDeliveries}}
)

// held lists the instances of which something waits for a subscription.
func (s *Server) held(c call) (answer, error) {
	text, limit, err := pageQuery(c)
	if err != nil {
		return answer{}, err
	}
	var after HeldCursor
	if text != "" {
		at, key, _ := strings.Cut(text, ":")
		us, err1 := strconv.ParseInt(at, 10, 64)
		n, err2 := strconv.ParseInt(key, 10, 64)
		if err1 != nil || err2 != nil {
			return answer{}, badQuery("after", "is not where a page has ended: begin without it")
		}
		after = HeldCursor{Next: time.UnixMicro(us), Key: n}
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	page, next, err := s.config.Deliveries.Held(c.r.Context(), sub, after, limit)
	leave()
	if err != nil {
		return answer{}, err
	}
	a, err := ok(page)
	if err == nil && next != nil {
		a.header("Link", s.nextLink("/subscription/"+url.PathEscape(sub.ID)+"/held/", fmt.Sprintf("%d:%d", next.Next.UnixMicro(), next.Key), limit))
	}
	return a, err
}

// eventDeliveries lists what became of an event, of what the caller may see.
func (s *Server) eventDeliveries(c call) (answer, error) {
	after, limit, err := pageQuery(c)
	if err != nil {
		return answer{}, err
	}
	q := EventDeliveryQuery{EventID: c.id, Limit: limit}
	if at, err := cdc.ParsePosition(c.id); err == nil {
		q.Position, q.EventID = at, ""
	}
	if after != "" {
		if q.After, err = s.config.Repository.Get(c.r.Context(), c.scope, after); err != nil {
			return answer{}, badQuery("after", "is the id of no subscription: begin without it")
		}
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	page, next, err := s.config.Deliveries.OfEvent(c.r.Context(), c.scope, q)
	leave()
	if err != nil {
		return answer{}, err
	}
	a, err := ok(page)
	if err == nil && next != "" {
		a.header("Link", s.nextLink("/event/"+url.PathEscape(c.id)+"/delivery/", next, limit))
	}
	return a, err
}

// nextLink leads from a path under the base to its next page.
func (s *Server) nextLink(path, after string, limit int) string {
	on := url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}
	return "<" + s.base + path + "?" + on.Encode() + `>; rel="next"`
}
