package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// Deliveries is the log of what was sent. Whose subscription it is has been decided: its answers tell of that one alone, but for OfEvent. NotFound and
// Conflict make the errors of a delivery that is not there, or cannot be sent again.
type Deliveries interface {
	// List returns a page, newest first by position, and the position after which to go on; nil at the end. A page may be short
	// before the end.
	List(ctx context.Context, s *subscriptions.Subscription, q DeliveryQuery) (page []client.LoggedDelivery, next *cdc.Position, err error)
	// Get returns one with its request and its attempts; with answers, what the target said too.
	Get(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, answers bool) (*client.LoggedDelivery, error)
	// Stats tells how subscriptions fare, in their order, by what of their deliveries can be counted at once.
	Stats(ctx context.Context, of []*subscriptions.Subscription) ([]*client.SubscriptionStats, error)
	// Held lists the instances of which deliveries wait, soonest attempt first; the cursor is nil at the end.
	Held(ctx context.Context, s *subscriptions.Subscription, after HeldCursor, limit int) (page []client.HeldKey, next *HeldCursor, err error)
	// OfEvent lists what became of an event, as far as the scope may see it, and behind which subscription the next page begins; empty at the end.
	OfEvent(ctx context.Context, scope subscriptions.Scope, q EventDeliveryQuery) (page []client.LoggedDelivery, next string, err error)
	// Redeliver sends one again. By is who asks for it.
	Redeliver(ctx context.Context, s *subscriptions.Subscription, at cdc.Position, by string) (*client.LoggedDelivery, error)
}

// DeliveryQuery selects deliveries for a list. What is empty selects all.
type DeliveryQuery struct {
	// Status is one of client.DeliveryPending and the others.
	Status                     string
	Event, ResourceID, EventID string
	// From and To are when they were committed, both inclusive.
	From, To time.Time
	// Before is the position at which the page before has ended.
	Before *cdc.Position
	Limit  int
}

var (
	deliveries = route{methods: map[string]action{http.MethodGet: (*Server).listDeliveries}}
	delivery   = route{methods: map[string]action{http.MethodGet: (*Server).getDelivery}}
	redeliver  = route{methods: map[string]action{http.MethodPost: (*Server).redeliver}}
)

// DeliveryPrefix begins the ids of deliveries.
const DeliveryPrefix = "dlv_"

const (
	subscriptionPrefix = "sub_"
	// elsewhere begins the ids of deliveries to subscriptions whose ids are from elsewhere.
	elsewhere = "~"
)

// DeliveryID is the id of the delivery of the event at a position to a subscription. Nothing is stored for it.
func DeliveryID(subscription string, at cdc.Position) string {
	own, ok := strings.CutPrefix(subscription, subscriptionPrefix)
	if !ok || own == "" || strings.HasPrefix(own, elsewhere) {
		own = elsewhere + subscription
	}
	return DeliveryPrefix + own + "_" + at.String()
}

// parseDeliveryID is the reverse of DeliveryID.
func parseDeliveryID(id string) (subscription string, at cdc.Position, ok bool) {
	rest, ok := strings.CutPrefix(id, DeliveryPrefix)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i < 1 {
		return "", at, false
	}
	at, err := cdc.ParsePosition(rest[i+1:])
	if subscription, ok = strings.CutPrefix(rest[:i], elsewhere); !ok {
		subscription = subscriptionPrefix + rest[:i]
	}
	return subscription, at, err == nil && DeliveryID(subscription, at) == id
}

// deliveryParameters are what a list of deliveries takes.
var deliveryParameters = []string{"after", "event", "event_id", "from", "limit", "resource_id", "status", "to"}

var deliveryStatuses = []string{client.DeliveryPending, client.DeliveryDelivered, client.DeliveryFailed, client.DeliveryDropped}

func deliveryQuery(c call) (q DeliveryQuery, err error) {
	query := c.r.URL.Query()
	q.Limit = defaultLimit
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(deliveryParameters, name) {
			return q, badQuery(name, "is not a parameter: there are "+strings.Join(deliveryParameters, ", "))
		}
		if len(query[name]) > 1 {
			return q, badQuery(name, "is given more than once")
		}
		value := query[name][0]
		if value == "" {
			continue
		}
		switch name {
		case "status":
			if q.Status = value; !slices.Contains(deliveryStatuses, value) {
				return q, badQuery(name, "is "+strconv.Quote(value)+", which is none of "+strings.Join(deliveryStatuses, ", "))
			}
		case "event":
			q.Event = value
		case "event_id":
			q.EventID = value
		case "resource_id":
			q.ResourceID = value
		case "from", "to":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return q, badQuery(name, `is no time such as "2030-01-31T12:00:00Z"`)
			}
			if name == "from" {
				q.From = at
			} else {
				q.To = at
			}
		case "limit":
			if q.Limit, err = limitOf(value); err != nil {
				return q, err
			}
		case "after":
			subscription, at, ok := parseDeliveryID(value)
			if !ok || subscription != c.id {
				return q, badQuery(name, "is the id of no delivery of this subscription: begin without it")
			}
			q.Before = &at
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return q, badQuery("to", "is before from")
	}
	return q, nil
}

func (s *Server) listDeliveries(c call) (answer, error) {
	q, err := deliveryQuery(c)
	if err != nil {
		return answer{}, err
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	page, next, err := s.config.Deliveries.List(c.r.Context(), sub, q)
	leave()
	if err != nil {
		return answer{}, err
	}
	a, err := ok(page)
	if err == nil && next != nil {
		on := c.r.URL.Query()
		on.Set("limit", strconv.Itoa(q.Limit))
		on.Set("after", DeliveryID(sub.ID, *next))
		a.header("Link", "<"+s.base+"/subscription/"+url.PathEscape(sub.ID)+"/delivery/?"+on.Encode()+`>; rel="next"`)
	}
	return a, err
}

// errNoDelivery is the answer for what is not there, or is another account's.
var errNoDelivery = NotFound("there is no such delivery")

// deliveryOf returns whose the delivery of the path is, and where.
func (s *Server) deliveryOf(c call) (*subscriptions.Subscription, cdc.Position, error) {
	id, at, ok := parseDeliveryID(c.id)
	if !ok {
		return nil, at, errNoDelivery
	}
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, id)
	if errors.Is(err, subscriptions.ErrNotFound) {
		err = errNoDelivery
	}
	return sub, at, err
}

func (s *Server) getDelivery(c call) (answer, error) {
	sub, at, err := s.deliveryOf(c)
	if err != nil {
		return answer{}, err
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	d, err := s.config.Deliveries.Get(c.r.Context(), sub, at, c.scope.Admin || s.config.ShowAnswers)
	if err != nil {
		return answer{}, err
	}
	return ok(d)
}

// redeliver sends a delivery again that has ended.
func (s *Server) redeliver(c call) (answer, error) {
	if _, err := optionalBody(c.r); err != nil {
		return answer{}, err
	}
	sub, at, err := s.deliveryOf(c)
	if err != nil {
		return answer{}, err
	}
	switch {
	case sub.State == subscriptions.Disabled || sub.State == subscriptions.Expired:
		return answer{}, Conflict("the subscription is " + string(sub.State) + ": enable it first")
	case sub.State == subscriptions.Shadow || sub.TargetURL == "":
		return answer{}, Conflict("nothing is sent to the subscription: it is a shadow, or has no target")
	case sub.Unverified():
		return answer{}, Conflict("its target has not agreed to anything yet: enable asks it again")
	}
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return answer{}, err
	}
	defer leave()
	d, err := s.config.Deliveries.Redeliver(c.r.Context(), sub, at, c.caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusAccepted, "application/json", d)
}
