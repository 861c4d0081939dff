package api_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// foreignCase says how an account could try to learn of another one's objects by a route.
type foreignCase struct {
	// ids are of things that are there: another account's, the admin's. Unknown makes one of the same form that never was.
	ids     func(others) []string
	unknown func() string
	// bodies are sent each, with queries as they are.
	bodies []string
	// lists are compared with those of a server where the others have nothing.
	lists []string
	// nothing says why there is nothing to learn.
	nothing string
}

// others is what there is that account 2 must not learn of.
type others struct {
	account, admin, deleted *client.Subscription
	token                   *client.Token
}

func subscriptionIDs(o others) []string { return []string{o.account.ID, o.admin.ID, o.deleted.ID} }

const tokenMade = "tok_4hdvrlrqkz6uphbnkrk5sd4rtu"

// foreignCases has an entry for each method of each route.
func foreignCases() map[string]foreignCase {
	full := `{"event":"*","target_url":"https://example.com/"}`
	subscription := foreignCase{ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{"", "{}", `{"name":1}`, "{", `{"name":"x"}`, full}}
	action := foreignCase{ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{"", "{}", "{", `{"reason":"x"}`, `{"secret":"short"}`, `{"nonsense":1}`}}
	letter := foreignCase{ids: func(others) []string { return []string{letterAt(2).String(), letterAt(1).String()} },
		unknown: func() string { return letterAt(1 << 40).String() }, bodies: []string{"", "{}"}}
	logged := foreignCase{ids: func(o others) []string {
		return []string{api.DeliveryID(o.account.ID, letterAt(1)), api.DeliveryID(o.admin.ID, letterAt(1)), api.DeliveryID(o.deleted.ID, letterAt(1)), api.DeliveryID(o.account.ID, letterAt(1<<40))}
	}, unknown: func() string { return api.DeliveryID(subscriptions.NewID(), letterAt(1)) }, bodies: []string{"", "{}", "{"}}
	aJob := foreignCase{ids: func(others) []string { return []string{jobOfOne, jobOfAdmin} }, unknown: func() string { return "job_" + strings.ToLower(rand.Text()) }, bodies: []string{""}}
	return map[string]foreignCase{
		"GET /subscription/": {lists: []string{"", "?limit=1", "?limit=1000", "?event=contact.create", "?event=*", "?state=disabled", "?target_host=secret.example.com", "?name=hidden", "?search=hidden", "?search=secret.example.com", "?search=sub_", "?failing=true", "?account=1",
			"?after={foreign}", "?after={foreign}&limit=1"}},
		"POST /subscription/":                   {nothing: "TestAnAccountsCreationTellsNothing"},
		"GET /subscription/{id}/":               subscription,
		"PUT /subscription/{id}/":               subscription,
		"PATCH /subscription/{id}/":             subscription,
		"DELETE /subscription/{id}/":            subscription,
		"POST /subscription/{id}/enable":        action,
		"POST /subscription/{id}/disable":       action,
		"POST /subscription/{id}/ping":          action,
		"POST /subscription/{id}/rotate-secret": action,
		"POST /subscription/{id}/confirm":       {nothing: "TestConfirm: every id is one that is looked for by the same query, and limited alike"},
		"GET /subscription/{id}/event/":         {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{""}},
		"GET /event/":                           {nothing: "the tests of internal/store and internal/app: it is asked for the account of the login alone"},
		"GET /subscription/{id}/delivery/":      {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{""}},
		"GET /delivery/{id}/":                   logged,
		"POST /delivery/{id}/redeliver":         logged,
		"GET /token/":                           {lists: []string{"", "?limit=1", "?after=" + tokenMade}},
		"GET /subscription/{id}/stats":          {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{""}},
		"GET /subscription/stats":               {lists: []string{"", "?id={foreign}", "?id={foreign},{foreign}", "?id={foreign}&id=x"}},
		"GET /subscription/{id}/held/":          {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{""}},
		"GET /event/{id}/delivery/":             {nothing: "TestEventDeliveries of internal/store: it is asked for the account of the login alone"},
		"GET /check":                            {lists: []string{"", "?fresh=true"}},
		"GET /config":                           {lists: []string{""}},
		"GET /resource/":                        {lists: []string{""}},
		"GET /resource/{name}/":                 {ids: func(others) []string { return []string{"contact"} }, unknown: func() string { return "nothing" }, bodies: []string{""}},
		"POST /resource/{name}/preview":         {ids: func(others) []string { return []string{"contact"} }, unknown: func() string { return "nothing" }, bodies: []string{"", "{}", `{"id":"1"}`, "{"}},
		"POST /resource/{name}/compare":         {ids: func(others) []string { return []string{"contact"} }, unknown: func() string { return "nothing" }, bodies: []string{"", "{}", `{"ids":["1"]}`, "{"}},
		"POST /session":                         {nothing: "TestSession: it tells of the token that is given alone"},
		"GET /session":                          {nothing: "TestSession: it tells of the caller alone"},
		"DELETE /session":                       {nothing: "it ends the session of the cookie that it is given, and answers alike where there is none: TestLogOut"},
		"POST /token/":                          {lists: []string{""}, bodies: []string{`{"account":"1"}`, "{"}},
		"DELETE /token/{id}/": {ids: func(o others) []string { return []string{o.token.ID} }, unknown: func() string { return tokenMade },
			bodies: []string{""}},
		"POST /subscription/{id}/replay": {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{"", "{}", "{", `{"from":"2026-11-22T08:00:00Z"}`,
			`{"from":"2026-11-22T08:00:00Z","dry_run":true}`, `{"nonsense":1}`}},
		"POST /subscription/{id}/backfill": {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{"", "{}", "{", `{"resources":["contact"]}`,
			`{"dry_run":true}`, `{"nonsense":1}`}},
		"GET /subscription/{id}/job/":   {ids: subscriptionIDs, unknown: subscriptions.NewID, bodies: []string{""}},
		"GET /job/{id}/":                aJob,
		"DELETE /job/{id}/":             aJob,
		"GET /pause":                    {lists: []string{""}},
		"POST /pause":                   {lists: []string{""}, bodies: []string{"", "{}", `{"reason":"x"}`, "{"}},
		"GET /log-level":                {lists: []string{""}},
		"PUT /log-level":                {lists: []string{""}, bodies: []string{"", `{"level":"debug"}`, `{"level":"x"}`, "{"}},
		"POST /drain":                   {lists: []string{""}, bodies: []string{"", "{}", `{"until_lsn":"0/1"}`, `{"until_lsn":"x"}`, "{"}},
		"POST /resume":                  {lists: []string{""}, bodies: []string{"", "{}", `{"accept_gap":true}`}},
		"GET /status":                   {lists: []string{""}},
		"GET /dead-letter/":             {lists: []string{"", "?limit=1", "?resource=contact", "?after=" + letterAt(2).String()}},
		"GET /dead-letter/{id}/":        letter,
		"DELETE /dead-letter/{id}/":     letter,
		"POST /dead-letter/{id}/replay": letter,
		"POST /dead-letter/replay":      {lists: []string{""}, bodies: []string{`{"all":true}`, `{"ids":["` + letterAt(2).String() + `"]}`, "{"}},
		"POST /subscription/enable": {lists: []string{""}, bodies: []string{`{"all":true}`, `{"all":true,"dry_run":true}`, `{"target_host":"secret.example.com"}`, `{"name":"hidden","dry_run":true}`,
			`{"event":"*"}`, `{"disabled_after":"2020-01-01T00:00:00Z"}`, `{"account":"1"}`, `{"all":true,"after":"{foreign}"}`, "{"}},
		"POST /subscription/import":     {lists: []string{"", "?dry_run=true"}, bodies: []string{`{"id":"{foreign}","events":["*"],"target_url":"https://example.com/"}`, "{"}},
		"GET /event-type/{name}/":       {nothing: "events are the config's, and no account's"},
		"GET /event-type/{name}/schema": {nothing: "events are the config's, and no account's"},
		"GET /event-type/{name}/sample": {nothing: "internal/app's tests of samples: rows are read for the account of the login alone"},
		"GET /event-type/":              {nothing: "it is the same for everybody, without a login"},
		"GET /openapi.json":             {nothing: "it is the same for everybody, without a login"},
		"GET /docs":                     {nothing: "it is the same for everybody, without a login"},
		"GET /healthz":                  {nothing: "it is the same for everybody, without a login"},
		"GET /readyz":                   {nothing: "it is the same for everybody, without a login"},
		"GET /metrics":                  {nothing: "it is the same for everybody, without a login"},
	}
}

// counted notes which of the repository's methods are called, and whether they read anything.
type counted struct {
	subscriptions.Repository
	mu    sync.Mutex
	calls []string
}

func (c *counted) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *counted) taken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := strings.Join(c.calls, " ")
	c.calls = nil
	return all
}

func (c *counted) Get(ctx context.Context, scope subscriptions.Scope, id string) (*subscriptions.Subscription, error) {
	c.note("Get as " + scope.Account)
	return c.Repository.Get(ctx, scope, id)
}

func (c *counted) List(ctx context.Context, q subscriptions.Query) ([]*subscriptions.Subscription, bool, error) {
	c.note("List as " + q.Scope.Account)
	return c.Repository.List(ctx, q)
}

func (c *counted) Update(ctx context.Context, scope subscriptions.Scope, id string, change func(*subscriptions.Subscription) error) (*subscriptions.Subscription, error) {
	c.note("Update as " + scope.Account)
	return c.Repository.Update(ctx, scope, id, func(s *subscriptions.Subscription) error {
		c.note("and it is read")
		return change(s)
	})
}

func (c *counted) Delete(ctx context.Context, scope subscriptions.Scope, id string, when func(*subscriptions.Subscription) error) error {
	c.note("Delete as " + scope.Account)
	return c.Repository.Delete(ctx, scope, id, func(s *subscriptions.Subscription) error {
		c.note("and it is read")
		return when(s)
	})
}

// populate makes what account 2 must not learn of.
func populate(t *testing.T, b *bench) (o others) {
	t.Helper()
	make := func(token string, s client.Subscription) *client.Subscription {
		made, err := b.client(token).Create(t.Context(), &s)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	o.account = make(tokenOne, client.Subscription{Events: []string{"*"}, TargetURL: "https://secret.example.com/h", Name: "hidden"})
	o.admin = make(tokenAdmin, client.Subscription{Events: []string{"*"}, TargetURL: "https://secret.example.com/h", Name: "hidden"})
	o.deleted = make(tokenOne, client.Subscription{Events: []string{"*"}, TargetURL: "https://secret.example.com/h", Name: "hidden"})
	if err := b.client(tokenOne).Delete(t.Context(), o.deleted.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client(tokenOne).Disable(t.Context(), o.account.ID, "hidden"); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.token, err = b.client(tokenAdmin).CreateToken(t.Context(), client.NewToken{Account: "1", Name: "hidden"}); err != nil {
		t.Fatal(err)
	}
	return o
}

// said is everything of an answer that could tell something.
func said(resp *http.Response, body string) string {
	h := resp.Header.Clone()
	h.Del("Date")
	return fmt.Sprintf("%d %v %s", resp.StatusCode, h, body)
}

// TestAccountsCannotTellForeignFromUnknown goes through all routes, as account 2, with the ids of others and with ids that never
// were: the answers are the same, byte for byte, and so is what is asked of the store. A new route needs its case.
func TestAccountsCannotTellForeignFromUnknown(t *testing.T) {
	t.Parallel()
	served := start(t, whole).server.Routes()
	cases := foreignCases()
	for _, route := range served {
		if _, ok := cases[route]; !ok {
			t.Errorf("nothing says what an account can learn of others by %s: add it to foreignCases", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(cases)) {
		if !slices.Contains(served, route) {
			t.Errorf("there is no %s any more", route)
		}
		c := cases[route]
		method, path, _ := strings.Cut(route, " ")
		if c.nothing != "" {
			continue
		}
		if strings.Contains(path, "{") != (c.ids != nil) {
			t.Errorf("%s: an id in the path needs ids, and else lists", route)
		}
		t.Run(strings.ReplaceAll(route, "/", "|"), func(t *testing.T) {
			t.Parallel()
			var calls *counted
			b := start(t, whole, func(config *api.Config) {
				calls = &counted{Repository: config.Repository}
				config.Repository = calls
			})
			o := populate(t, b)
			if c.ids != nil {
				sameForIDs(t, b, calls, o, method, path, c)
				return
			}
			empty := start(t, whole)
			for _, query := range c.lists {
				for _, body := range append(slices.Clip(c.bodies), "") {
					got, gotBody := b.send(t, method, "/api/v1"+path+strings.ReplaceAll(query, "{foreign}", o.account.ID), tokenTwo, "application/json", strings.ReplaceAll(body, "{foreign}", o.account.ID), nil)
					want, wantBody := empty.send(t, method, "/api/v1"+path+strings.ReplaceAll(query, "{foreign}", subscriptions.NewID()), tokenTwo, "application/json", body, nil)
					if said(got, gotBody) != said(want, wantBody) {
						t.Errorf("%s %s%s %q: %s\nand where the others have nothing %s", method, path, query, body, said(got, gotBody), said(want, wantBody))
					}
				}
			}
		})
	}
}

func sameForIDs(t *testing.T, b *bench, calls *counted, o others, method, path string, c foreignCase) {
	t.Helper()
	for _, body := range c.bodies {
		for _, headers := range []map[string]string{nil, {"If-Match": `"1"`}, {"If-Match": `"99"`}, {"If-None-Match": `"1"`}, {"If-None-Match": "*"}} {
			for _, contentType := range []string{"application/json", "text/plain"} {
				calls.taken()
				ask := func(id string) (string, string) {
					resp, got := b.send(t, method, "/api/v1"+strings.NewReplacer("{id}", id, "{name}", id).Replace(path), tokenTwo, contentType, body, headers)
					return said(resp, got), calls.taken()
				}
				want, wantCalls := ask(c.unknown())
				if strings.HasPrefix(want, "2") {
					t.Fatalf("%s %s of nothing: %s", method, path, want)
				}
				for _, id := range c.ids(o) {
					if got, gotCalls := ask(id); got != want || gotCalls != wantCalls {
						t.Errorf("%s %s %q %v: %s (%s)\nand of nothing %s (%s)", method, path, body, headers, got, gotCalls, want, wantCalls)
					}
				}
			}
		}
	}
}

// TestAnAccountsCreationTellsNothing: what others have made, with which keys, and how much they have asked, has no part in what
// a POST is answered.
func TestAnAccountsCreationTellsNothing(t *testing.T) {
	t.Parallel()
	b := start(t, whole, func(c *api.Config) { c.AccountSubscriptions, c.AccountRate = 2, 0.01 })
	for range 2 {
		s := &subscriptions.Subscription{ID: subscriptions.NewID(), Account: "1", Events: []string{"*"}, TargetURL: "https://example.com/", State: subscriptions.Active}
		if err := b.repository.Create(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
	}
	key := map[string]string{"Idempotency-Key": "k"}
	if resp, body := b.send(t, "POST", "/api/v1/subscription/", tokenAdmin, "application/json", strings.Replace(wanted, "{", `{"account":"1",`, 1), key); resp.StatusCode != 201 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	// Account 1 has used up its requests.
	for range 2 {
		b.do(t, "GET", "/api/v1/subscription/", tokenOne, "", "")
	}
	if resp, _ := b.do(t, "GET", "/api/v1/subscription/", tokenOne, "", ""); resp.StatusCode != 429 {
		t.Fatalf("account 1: %s", resp.Status)
	}
	resp, body := b.send(t, "POST", "/api/v1/subscription/", tokenTwo, "application/json", wanted, key)
	if resp.StatusCode != 201 || resp.Header.Get("Retry-After") != "" || resp.Header.Get("ETag") != `"1"` || !strings.Contains(body, `"account":"2"`) {
		t.Errorf("%s %v %s", resp.Status, resp.Header, body)
	}
}

// TestIDsTellNothing: they have 128 bits of chance, and no time or number in them.
func TestIDsTellNothing(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	admin := b.client(tokenAdmin)
	var subs, toks []string
	for range 60 {
		subs = append(subs, make1(t, b.client(tokenOne)).ID)
		tok, err := admin.CreateToken(t.Context(), client.NewToken{Account: "1"})
		if err != nil {
			t.Fatal(err)
		}
		toks = append(toks, tok.ID)
	}
	for prefix, ids := range map[string][]string{"sub_": subs, "tok_": toks} {
		rises := 0
		places := make([]map[byte]bool, 26)
		for i, id := range ids {
			random, ok := strings.CutPrefix(id, prefix)
			if !ok || len(random) != 26 || strings.Trim(random, "abcdefghijklmnopqrstuvwxyz234567") != "" || url.PathEscape(id) != id {
				t.Fatalf("the id %q", id)
			}
			for at := range random {
				if places[at] == nil {
					places[at] = map[byte]bool{}
				}
				places[at][random[at]] = true
			}
			if i > 0 && id > ids[i-1] {
				rises++
			}
		}
		// By chance about 30 of 59 rise; 10 and 49 are more than five deviations away.
		if rises < 10 || rises > 49 {
			t.Errorf("%s: %d of 59 are greater than the one before", prefix, rises)
		}
		for at, seen := range places {
			// A place of a clock or a counter would hardly change; 60 draws of 32 (the last place of 8) hold 27 (8) by chance.
			if len(seen) < 5 {
				t.Errorf("%s: place %d has only %d letters", prefix, at, len(seen))
			}
		}
	}
}
