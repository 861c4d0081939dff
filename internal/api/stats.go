package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

var (
	stats   = route{methods: map[string]action{http.MethodGet: (*Server).stats}}
	statsOf = route{methods: map[string]action{http.MethodGet: (*Server).statsOf}}
)

// stats tells how a subscription fares.
func (s *Server) stats(c call) (answer, error) {
	sub, err := s.config.Repository.Get(c.r.Context(), c.scope, c.id)
	if err != nil {
		return answer{}, err
	}
	all, err := s.count(c, []*subscriptions.Subscription{sub})
	if err != nil {
		return answer{}, err
	}
	return ok(all[0])
}

// statsOf tells it of several. One that is not there, or another's, is left out.
func (s *Server) statsOf(c call) (answer, error) {
	ids, err := statsQuery(c)
	if err != nil {
		return answer{}, err
	}
	var of []*subscriptions.Subscription
	for _, id := range ids {
		sub, err := s.config.Repository.Get(c.r.Context(), c.scope, id)
		if errors.Is(err, subscriptions.ErrNotFound) {
			continue
		}
		if err != nil {
			return answer{}, err
		}
		of = append(of, sub)
	}
	all := []*client.SubscriptionStats{}
	if len(of) > 0 {
		if all, err = s.count(c, of); err != nil {
			return answer{}, err
		}
	}
	return ok(all)
}

// count has one turn for all.
func (s *Server) count(c call, of []*subscriptions.Subscription) ([]*client.SubscriptionStats, error) {
	leave, err := s.logTurns.enter(c.r.Context(), c.scope)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.config.Deliveries.Stats(c.r.Context(), of)
}

// maxStats is how many subscriptions are counted at once.
const maxStats = 50

// statsQuery are the ids that are asked for, each once.
func statsQuery(c call) ([]string, error) {
	query := c.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != "id" {
			return nil, badQuery(name, "is not a parameter: there is id")
		}
	}
	var ids []string
	for _, id := range strings.Split(strings.Join(query["id"], ","), ",") {
		if id = strings.TrimSpace(id); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || len(ids) > maxStats {
		return nil, badQuery("id", "has the ids of "+strconv.Itoa(len(ids))+" subscriptions: give 1 to "+strconv.Itoa(maxStats)+", with commas")
	}
	return ids, nil
}
