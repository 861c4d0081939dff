package api

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/subscriptions"
)

// listParameters are what a list of subscriptions takes.
var listParameters = []string{"account", "after", "event", "failing", "limit", "name", "search", "state", "target_host"}

// listQuery reads the parameters of a list.
func listQuery(c call) (subscriptions.Query, error) {
	query := c.r.URL.Query()
	q := subscriptions.Query{Scope: c.scope, Limit: defaultLimit}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if !slices.Contains(listParameters, name) {
			return q, badQuery(name, "is not a parameter: there are "+strings.Join(listParameters, ", "))
		}
		if len(values) > 1 {
			return q, badQuery(name, "is given more than once")
		}
		value := values[0]
		switch name {
		case "account":
			if !c.scope.Admin {
				return q, badQuery(name, "may be given by the admin only")
			}
			if value != "" {
				q.Account = &value
			}
		case "after":
			q.After = value
		case "failing":
			if value != "" && value != "true" {
				return q, badQuery(name, "is "+strconv.Quote(value)+": give true, or leave it out")
			}
			q.Failing = value == "true"
		case "event":
			q.Event = value
		case "name":
			q.Name = value
		case "search":
			q.Search = searched(value)
		case "target_host":
			q.TargetHost = value
		case "state":
			if q.State = subscriptions.State(value); value != "" && !slices.Contains(subscriptions.States, q.State) {
				return q, badQuery("state", "is "+strconv.Quote(value)+", which is none of "+states())
			}
		case "limit":
			var err error
			if q.Limit, err = limitOf(value); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

// searched is what is looked for of what somebody has pasted: of a URL its host, since paths are not stored to be read.
func searched(text string) string {
	text = strings.TrimSpace(text)
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return text
}

func limitOf(value string) (int, error) {
	if value == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badQuery("limit", "is not a whole number from 1 to "+strconv.Itoa(maxLimit))
	}
	return n, nil
}

// pageQuery reads the parameters of a list that has no others.
func pageQuery(c call) (after string, limit int, err error) {
	query := c.r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != "after" && name != "limit" {
			return "", 0, badQuery(name, "is not a parameter: there are after and limit")
		}
	}
	limit, err = limitOf(query.Get("limit"))
	return query.Get("after"), limit, err
}

func states() string {
	var names []string
	for _, s := range subscriptions.States {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
