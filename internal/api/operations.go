package api

import (
	"net/http"
	"reflect"
	"strconv"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/apidoc"
	"github.com/rowhook/rowhook/subscriptions"
)

// operations tell what each method of each route does. The errors follow from that: see apidoc.Operation. What there is of a
// field of a body stands in fields.
func operations(t *apidoc.Types) []apidoc.Operation {
	const merge, plain = "application/merge-patch+json", "application/json"
	var (
		subscription    = t.Named(subscriptions.View{})
		list            = t.Named([]subscriptions.View{})
		newSubscription = subscriptionInput(t, "NewSubscription")
		replacement     = subscriptionInput(t, "SubscriptionReplacement")
		patch           = subscriptionInput(t, "SubscriptionPatch")
		aLetter         = t.Named(client.DeadLetter{})
		aDelivery       = t.Named(client.LoggedDelivery{})
		text            = &apidoc.Schema{Type: "string"}
		formats         []any
	)
	for _, f := range subscriptions.Formats {
		formats = append(formats, f)
	}
	ifMatch := []*apidoc.Parameter{{Name: "If-Match", Description: "An ETag: the change is made only if the subscription is still as it was then.",
		Schema: text, Example: `"1"`}}
	of := func(status int, said string, s *apidoc.Schema, headers ...string) []apidoc.Answer {
		return []apidoc.Answer{{Status: status, Text: said, Schema: s, Headers: headers}}
	}
	conflict := func(text string) apidoc.Answer {
		return apidoc.Answer{Status: http.StatusConflict, Text: text, Schema: t.Named(client.Problem{}), Type: problemType}
	}
	schema := &apidoc.Schema{Type: "object", Examples: []any{map[string]any{"type": "object"}}}
	feedSchema := &apidoc.Schema{Type: "array", Items: &apidoc.Schema{Type: "object"}, Examples: []any{[]any{map[string]any{"id": "evt_4hdvrlrqkz6uphbnkrk5sd4rtu", "type": "contact.create"}}}}
	gone := apidoc.Answer{Status: http.StatusGone, Text: "What comes behind the cursor is not there whole: `oldest` is where to go on from.", Schema: t.Named(client.Problem{}), Type: problemType}
	closed := apidoc.Answer{Status: http.StatusConflict, Text: "The dead letter is closed.", Schema: t.Named(client.Problem{}), Type: problemType}
	return []apidoc.Operation{
		{ID: "listEventTypes", Method: http.MethodGet, Path: "/event-type/", Tag: "event-type", Summary: "List the events that can be subscribed to",
			Text:    "Events that nobody can have are not listed. Where `admin_only` is true, customers cannot have it, and `reason` says why.",
			Also:    []int{http.StatusInternalServerError, http.StatusServiceUnavailable},
			Answers: of(http.StatusOK, "The events.", t.Named([]client.EventType{}))},
		{ID: "getEventType", Method: http.MethodGet, Path: "/event-type/{name}/", Tag: "event-type", Summary: "Show an event with the JSON Schema of its body",
			Text:    "Of an event that is `admin_only` the admin alone gets the schema.",
			Also:    []int{http.StatusInternalServerError, http.StatusServiceUnavailable},
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The event.", Schema: t.Named(client.EventType{}), Rare: []string{"schema"}}}},
		{ID: "getEventTypeSchema", Method: http.MethodGet, Path: "/event-type/{name}/schema", Tag: "event-type", Summary: "The JSON Schema of an event's body",
			Text:    "Of an event that is `admin_only` for the admin alone.",
			Also:    []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable},
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The schema, draft 2020-12.", Schema: schema, Type: "application/schema+json"}}},
		{ID: "sampleEventType", Method: http.MethodGet, Path: "/event-type/{name}/sample", Tag: "event-type", Summary: "A body of an event, as it would be sent",
			Text: "Of the newest row that is the caller's, else of none.",
			Query: []*apidoc.Parameter{
				{Name: "account", Description: "Of rows of this customer. The admin alone may give it.", Schema: text, Example: "42"},
				{Name: "format", Description: "The form of the body.", Schema: &apidoc.Schema{Type: "string", Enum: formats}, Example: "standard"},
				{Name: "list", Description: "A list of up to three, newest first.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true},
				{Name: "synthetic", Description: "Of no row, the same each time.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true},
			},
			Also: []int{http.StatusForbidden},
			Answers: of(http.StatusOK, "The body, or the list.", &apidoc.Schema{Type: []string{"object", "array"},
				Examples: []any{map[string]any{"type": "contact.create", "data": map[string]any{"id": 42}}}}, "Rowhook-Sample")},

		{ID: "listSubscriptions", Method: http.MethodGet, Path: "/subscription/", Tag: "subscription", Summary: "List the caller's subscriptions",
			Text:    "Oldest first. If there is more, the header `Link` leads to the next page.",
			Query:   append(listParametersTold(), limitTold()),
			Answers: of(http.StatusOK, "A page of the list.", list, "Link?")},
		{ID: "createSubscription", Method: http.MethodPost, Path: "/subscription/", Tag: "subscription", Summary: "Make a subscription",
			Text: "It gets the changes that commit after the answer. Its secret is shown in this answer only, once. With an `Idempotency-Key`, a " +
				"request whose answer was lost can be repeated within 24 hours without making a second one.",
			Headers: []*apidoc.Parameter{{Name: "Idempotency-Key", Description: "A text of the caller's own, such as a UUID: 1 to 255 printable ASCII characters.",
				Schema: text, Example: "7d0a4f5e-2c4b-4f0e-9a53-0b9cf4b1a5d0"}},
			Body: &apidoc.Body{Schema: newSubscription, Example: `{"events":["contact.create","deal.*"],"target_url":"https://example.com/hooks","name":"CRM sync","delivery":{"timeout":"5s","retries":3}}`},
			Answers: []apidoc.Answer{{Status: http.StatusCreated, Text: "The subscription, with its secret.", Schema: subscription,
				Headers: []string{"Location", "ETag"}, Rare: []string{"secret"}},
				{Status: http.StatusOK, Text: "The live lease for the same, renewed; its secret stays.", Schema: subscription, Headers: []string{"Location", "ETag"}}}},
		{ID: "importSubscription", Method: http.MethodPost, Path: "/subscription/import", Tag: "subscription", Summary: "Take over a subscription from elsewhere",
			Text:  "With the id that it has there. The same again changes nothing.",
			Query: []*apidoc.Parameter{{Name: "dry_run", Description: "Only tell what would come of it.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true}},
			Body:  &apidoc.Body{Schema: subscriptionInput(t, "SubscriptionImport"), Example: `{"id":"hook-7","account":"42","events":["contact.create"],"target_url":"https://example.com/hooks"}`},
			Answers: []apidoc.Answer{
				{Status: http.StatusCreated, Text: "It is there now.", Schema: t.Named(client.Imported{}), Headers: []string{"Location", "ETag"}, Rare: []string{"secret"}},
				{Status: http.StatusOK, Text: "It was there already, or it was a dry run.", Schema: t.Named(client.Imported{})},
				conflict("Another subscription has the id: `errors` names what differs; or one had it that was deleted.")}},
		{ID: "enableFailedSubscriptions", Method: http.MethodPost, Path: "/subscription/enable", Tag: "subscription", Summary: "Enable the subscriptions that rowhook has disabled",
			Text: "Those of the caller that are disabled because their targets took nothing, by a filter, or `all`. Each is enabled on its own. While `more` is true, " +
				"the same body with `after` goes on.",
			Body:    &apidoc.Body{Schema: t.Named(client.EnableFailed{}), Example: `{"target_host":"hooks.example.com","dry_run":true}`},
			Answers: of(http.StatusOK, "How many were enabled, or would be.", t.Named(client.Enabled{}))},
		{ID: "getSubscription", Method: http.MethodGet, Path: "/subscription/{id}/", Tag: "subscription", Summary: "Show a subscription",
			Headers: []*apidoc.Parameter{{Name: "If-None-Match", Description: "An ETag: the answer is 304 if the subscription is still as it was then.",
				Schema: text, Example: `"1"`}},
			Answers: append(of(http.StatusOK, "The subscription.", subscription, "ETag"),
				apidoc.Answer{Status: http.StatusNotModified, Text: "It is as the caller knows it.", Headers: []string{"ETag"}})},
		{ID: "replaceSubscription", Method: http.MethodPut, Path: "/subscription/{id}/", Tag: "subscription", Summary: "Replace a subscription",
			Text: "What is left out goes back to its default, but for the secret and the credentials of the target, which stay. Read-only fields are " +
				"ignored, so that what GET gave can be edited and sent back.",
			Headers: ifMatch,
			Body:    &apidoc.Body{Schema: replacement, Example: `{"events":["deal.*"],"target_url":"https://example.com/hooks"}`},
			Answers: of(http.StatusOK, "The subscription as it is now.", subscription, "ETag")},
		{ID: "updateSubscription", Method: http.MethodPatch, Path: "/subscription/{id}/", Tag: "subscription", Summary: "Change a subscription",
			Text:    "A JSON merge patch (RFC 7396): what is given is changed, null goes back to the default.",
			Headers: ifMatch,
			Body:    &apidoc.Body{Types: []string{merge, plain}, Schema: patch, Example: `{"events":["deal.*"],"name":"deals only"}`},
			Answers: of(http.StatusOK, "The subscription as it is now.", subscription, "ETag")},
		{ID: "deleteSubscription", Method: http.MethodDelete, Path: "/subscription/{id}/", Tag: "subscription", Summary: "Delete a subscription",
			Text:    "What was still to be sent to it is dropped. Nothing is sent after the answer, apart from a request that is under way.",
			Headers: ifMatch,
			Answers: of(http.StatusNoContent, "It is deleted.", nil)},
		{ID: "disableSubscription", Method: http.MethodPost, Path: "/subscription/{id}/disable", Tag: "subscription", Summary: "Stop a subscription",
			Text:    "Events that commit until it is enabled again are not for it.",
			Headers: ifMatch,
			Body:    &apidoc.Body{Schema: t.Named(disabling{}), Optional: true},
			Answers: of(http.StatusOK, "The subscription, disabled.", subscription, "ETag")},
		{ID: "enableSubscription", Method: http.MethodPost, Path: "/subscription/{id}/enable", Tag: "subscription", Summary: "Let a disabled subscription go on",
			Text: "It gets what commits from then on; where rowhook had disabled it, before that all that it did not get since its target began to take nothing. " +
				"Where its target has not agreed, it is asked again.",
			Headers: ifMatch,
			Answers: append(of(http.StatusOK, "The subscription, active, a shadow or pending.", subscription, "ETag"), conflict("Its lease is over."))},
		{ID: "pingSubscription", Method: http.MethodPost, Path: "/subscription/{id}/ping", Tag: "subscription", Summary: "Send a ping to the target",
			Text: "A signed `rowhook.ping` is sent at once, in whatever state the subscription is. Nothing is stored of it or tried again. That it is not " +
				"delivered is no error of this request.",
			Answers: append(of(http.StatusOK, "What came of it.", t.Named(client.Pinged{})), conflict("It has no target, or one that has not agreed."))},
		{ID: "confirmSubscription", Method: http.MethodPost, Path: "/subscription/{id}/confirm", Tag: "subscription", Summary: "Agree to a subscription, as its target",
			Text: "Who knows what the target was given, agrees: no login. Whatever is not right is a 404.", Public: true, Also: []int{http.StatusNotFound, http.StatusTooManyRequests}, Not: []int{http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge},
			Headers: []*apidoc.Parameter{{Name: "X-Hook-Secret", Description: "What the target was given.", Required: true,
				Schema: &apidoc.Schema{Type: "string"}, Example: "rhv_4HDVRLRQKZ6UPHBNKRK5SD4RTU"}},
			Answers: []apidoc.Answer{{Status: http.StatusNoContent, Text: "The target has agreed."}}},
		{ID: "rotateSecret", Method: http.MethodPost, Path: "/subscription/{id}/rotate-secret", Tag: "subscription", Summary: "Give a subscription a new secret",
			Text:    "The old one signs beside it for `keep_old`. At most two old ones sign. The new secret is shown in this answer only, once.",
			Headers: ifMatch,
			Body:    &apidoc.Body{Schema: t.Named(client.Rotation{}), Optional: true},
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The subscription, with its new secret.", Schema: subscription, Headers: []string{"ETag"}, Rare: []string{"secret"}}}},

		{ID: "readFeed", Method: http.MethodGet, Path: "/subscription/{id}/event/", Tag: "subscription", Summary: "Read what a subscription has matched",
			Text: "A JSON array of the bodies that its target gets. Newest first; with `after` in the order of the commits, and then the header `" + cursorHeader + "` " +
				"is where to go on. With `Accept: text/event-stream` the answer is server-sent events, from `Last-Event-ID`, `after` or now on; 409 where the subscription is disabled or expired.",
			Query: append([]*apidoc.Parameter{
				{Name: "after", Description: "What was committed behind this position; `oldest` is all that is kept, `latest` what is to come.", Schema: text, Example: letterExample},
				{Name: "before", Description: "Newest first, what was committed before this position.", Schema: text, Example: letterExample},
				{Name: "missed", Description: "Only what was not delivered: failed, waiting, or of a shadow or a feed.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true},
				{Name: "wait", Description: "With `after`: how long to wait when there is nothing, at most 60s.", Schema: text, Example: "30s"},
			}, eventParametersTold()...),
			Headers: []*apidoc.Parameter{{Name: "Last-Event-ID", Description: "Of a stream: goes on behind this position.", Schema: text, Example: letterExample}},
			Answers: append(of(http.StatusOK, "A part of the feed.", feedSchema, cursorHeader, "Link?"), gone, conflict("A stream of a subscription that is disabled or expired."))},
		{ID: "listEvents", Method: http.MethodGet, Path: "/event/", Tag: "event", Summary: "List what has happened",
			Text: "Events that are stored: those that a subscription has matched, of anybody's, or all, with `retention.events`. A customer sees its own. Newest first, " +
				"or, with `after`, in the order of the commits.",
			Query: append([]*apidoc.Parameter{
				{Name: "after", Description: "What was committed behind this position; `oldest` is all that is kept, `latest` what is to come.", Schema: text, Example: letterExample},
				{Name: "before", Description: "Newest first, what was committed before this position.", Schema: text, Example: letterExample},
				{Name: "format", Description: "The form of the events.", Schema: &apidoc.Schema{Type: "string"}, Example: "standard"},
				{Name: "resource", Description: "Only those of this resource: the same as `type=contact.*`.", Schema: text, Example: "contact"},
				{Name: "since", Description: "Committed at this time or later.", Schema: &apidoc.Schema{Type: "string", Format: "date-time"}, Example: "2026-11-22T04:54:02Z"},
				{Name: "until", Description: "Committed at this time or earlier.", Schema: &apidoc.Schema{Type: "string", Format: "date-time"}, Example: "2030-11-22T04:54:02Z"},
			}, eventParametersTold()...),
			Answers: append(of(http.StatusOK, "A part of the list.", feedSchema, cursorHeader, "Link?", lookedHeader+"?"), gone)},
		{ID: "replaySubscription", Method: http.MethodPost, Path: "/subscription/{id}/replay", Tag: "job", Summary: "Send events again, or count them",
			Text: "Events that were for the subscription and of which something has become are sent to it again, marked with `webhook-replay: 1`, each in its place " +
				"among what waits of its instance. There is one replay of a subscription at a time.",
			Body: &apidoc.Body{Schema: t.Named(client.Replay{}), Example: `{"from":"2026-11-22T08:00:00Z","to":"2026-11-22T09:00:00Z","state":"failed"}`},
			Answers: []apidoc.Answer{{Status: http.StatusAccepted, Text: "The job that sends them.", Schema: t.Named(client.Job{}), Headers: []string{"Location"}},
				{Status: http.StatusOK, Text: "How many there are: it was a `dry_run`.", Schema: t.Named(client.ReplayCount{})},
				conflict("Nothing is sent to the subscription now, or a replay of it is under way.")}},
		{ID: "backfillSubscription", Method: http.MethodPost, Path: "/subscription/{id}/backfill", Tag: "job", Summary: "Send the rows that are there, or count them",
			Text: "Each instance as it is now is sent as `<resource>.create`, with `backfill: true`, in its place among the changes. Body and fields may be left out. " +
				"There is one backfill of a subscription at a time.",
			Body: &apidoc.Body{Schema: t.Named(client.Backfill{}), Example: `{"resources":["contact"]}`},
			Answers: []apidoc.Answer{{Status: http.StatusAccepted, Text: "The job that sends them.", Schema: t.Named(client.Job{}), Headers: []string{"Location"}},
				{Status: http.StatusOK, Text: "How many there are: it was a `dry_run`.", Schema: t.Named(client.BackfillCount{})},
				conflict("Nothing is sent to the subscription now, or a backfill of it is under way.")}},
		{ID: "listJobs", Method: http.MethodGet, Path: "/subscription/{id}/job/", Tag: "job", Summary: "List the jobs of a subscription",
			Text:    "Newest first. Those that have ended are listed until the retention is over.",
			Query:   []*apidoc.Parameter{afterTold("job"), limitTold()},
			Answers: of(http.StatusOK, "A page of the list.", t.Named([]client.Job{}), "Link?")},
		{ID: "getJob", Method: http.MethodGet, Path: "/job/{id}/", Tag: "job", Summary: "Show a job",
			Answers: of(http.StatusOK, "The job.", t.Named(client.Job{}))},
		{ID: "cancelJob", Method: http.MethodDelete, Path: "/job/{id}/", Tag: "job", Summary: "Cancel a job",
			Text:    "What it has queued to be sent is sent.",
			Answers: append(of(http.StatusNoContent, "It is cancelled.", nil), conflict("It has ended already."))},

		{ID: "listDeliveries", Method: http.MethodGet, Path: "/subscription/{id}/delivery/", Tag: "delivery", Summary: "List what was sent to a subscription, and what is to be",
			Text: "Newest event first. What is read for a page is bounded: with filters that match little it may be short, and even empty, before the end. " +
				"If there is more, the header `Link` leads to the next page.",
			Query:   append(deliveryParametersTold(), afterTold("delivery"), limitTold()),
			Answers: of(http.StatusOK, "A page of the list.", t.Named([]client.LoggedDelivery{}), "Link?")},
		{ID: "getDelivery", Method: http.MethodGet, Path: "/delivery/{id}/", Tag: "delivery", Summary: "Show a delivery with its attempts",
			Text:    "The request is made again as the subscription is now. What targets answered is for the admin, and for accounts where the config has `api.show_answers`.",
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "The delivery.", Schema: aDelivery, Rare: []string{"request", "attempts"}}}},
		{ID: "redeliver", Method: http.MethodPost, Path: "/delivery/{id}/redeliver", Tag: "delivery", Summary: "Send a delivery again",
			Text: "With the same `webhook-id`, and `webhook-replay: 1`, in the order of its instance. Its attempts are numbered on, and have the whole schedule.",
			Answers: append(of(http.StatusAccepted, "The delivery: it is pending again.", aDelivery),
				conflict("It is pending, or nothing is sent to its subscription."))},

		{ID: "listTokens", Method: http.MethodGet, Path: "/token/", Tag: "token", Summary: "List the tokens that were made and have not ended",
			Query:   []*apidoc.Parameter{afterTold("token"), limitTold()},
			Answers: of(http.StatusOK, "A page of the list, in the order they were made.", t.Named([]client.Token{}), "Link?")},
		{ID: "createToken", Method: http.MethodPost, Path: "/token/", Tag: "token", Summary: "Make a token of a customer",
			Text: "The token is shown in this answer only, once.",
			Body: &apidoc.Body{Schema: t.Named(client.NewToken{})},
			Answers: []apidoc.Answer{{Status: http.StatusCreated, Text: "The token.", Schema: t.Named(client.Token{}), Headers: []string{"Location"},
				Rare: []string{"token"}}}},
		{ID: "deleteToken", Method: http.MethodDelete, Path: "/token/{id}/", Tag: "token", Summary: "End a token at once",
			Answers: of(http.StatusNoContent, "It lets nobody in any more.", nil)},

		{ID: "getStats", Method: http.MethodGet, Path: "/subscription/{id}/stats", Tag: "subscription", Summary: "How a subscription fares",
			Text:    "What has ended, and what waits. What is counted is bounded: `complete` and `at_least` say where there is more.",
			Answers: of(http.StatusOK, "The figures.", t.Named(client.SubscriptionStats{}))},
		{ID: "listStats", Method: http.MethodGet, Path: "/subscription/stats", Tag: "subscription", Summary: "How several subscriptions fare",
			Text: "In the order they are asked for. Those that the caller does not have are left out.",
			Query: []*apidoc.Parameter{{Name: "id", Description: "The ids of up to " + strconv.Itoa(maxStats) + " subscriptions, with commas.", Required: true, Schema: text,
				Example: "sub_s4gfrbe74abr2t6lqk6uias3i7"}},
			Answers: of(http.StatusOK, "The figures of each.", t.Named([]client.SubscriptionStats{}))},
		{ID: "listHeld", Method: http.MethodGet, Path: "/subscription/{id}/held/", Tag: "delivery", Summary: "List the instances whose deliveries wait",
			Text:    "Soonest attempt first. The deliveries of an instance wait for its oldest one.",
			Query:   []*apidoc.Parameter{{Name: "after", Description: "Where the page before has ended. The header `Link` has it.", Schema: text, Example: "1795323242000000:7"}, limitTold()},
			Answers: of(http.StatusOK, "A page of the list.", t.Named([]client.HeldKey{}), "Link?")},
		{ID: "listEventDeliveries", Method: http.MethodGet, Path: "/event/{id}/delivery/", Tag: "delivery", Summary: "List what became of an event",
			Text: "By subscription, in the order they were made: those of the caller's. An event is found by its position; by its id only among the newest 100,000. " +
				"A page may be short, and even empty, before the end: `Link` leads on.",
			Query:   []*apidoc.Parameter{afterTold("subscription"), limitTold()},
			Answers: of(http.StatusOK, "A page of the list.", t.Named([]client.LoggedDelivery{}), "Link?")},
		{ID: "check", Method: http.MethodGet, Path: "/check", Tag: "system", Summary: "What is wrong with the config and the database",
			Text:    "What `rowhook check` says, of the config that runs. What was found a few seconds ago is told again.",
			Query:   []*apidoc.Parameter{{Name: "fresh", Description: "`true`: look anew.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true}},
			Answers: of(http.StatusOK, "What was found.", t.Named(client.CheckReport{}))},
		{ID: "getConfig", Method: http.MethodGet, Path: "/config", Tag: "system", Summary: "The config that runs",
			Text: "Without what is secret in it, and without comments.", Also: []int{http.StatusNotFound},
			Answers: of(http.StatusOK, "The config.", t.Named(client.LoadedConfig{}))},
		{ID: "listResources", Method: http.MethodGet, Path: "/resource/", Tag: "system", Summary: "List the resources of the config",
			Answers: of(http.StatusOK, "All of them.", t.Named([]client.Resource{}))},
		{ID: "getResource", Method: http.MethodGet, Path: "/resource/{name}/", Tag: "system", Summary: "Show a resource of the config",
			Answers: of(http.StatusOK, "The resource, with its entry in the file.", t.Named(client.Resource{}))},
		{ID: "previewResource", Method: http.MethodPost, Path: "/resource/{name}/preview", Tag: "system", Summary: "Show what a mapping makes of a row",
			Text: "The mapping that runs, and `mapping`, a changed entry of the resource. Nothing is stored or sent. Table, key, path and relations stay as they are, and " +
				"`${env:…}` and `${file:…}` are refused. What is wrong with the mapping is in `problems`, with line and column. A login that may only read may do it.",
			Body: &apidoc.Body{Schema: t.Named(client.PreviewRequest{}), Example: `{"id":"42"}`}, Also: []int{http.StatusConflict, http.StatusUnprocessableEntity},
			Answers: of(http.StatusOK, "What they make of it.", t.Named(client.ResourcePreview{}))},
		{ID: "compareResource", Method: http.MethodPost, Path: "/resource/{name}/compare", Tag: "system", Summary: "Compare what would be sent with what the application's API answers",
			Text: "The rows of `ids`, or a sample. The application gets a GET for each, and one more for each that differs. A comparison of many rows is shown as it goes with a short `within`: `rest` of an answer is `ids` of the next request. A login that may only read may do it.",
			Body: &apidoc.Body{Schema: t.Named(client.CompareRequest{}), Example: `{"limit":20}`}, Also: []int{http.StatusConflict, http.StatusUnprocessableEntity},
			Answers: of(http.StatusOK, "What was found.", t.Named(client.Comparison{}))},

		{ID: "createSession", Method: http.MethodPost, Path: sessionPath, Tag: "session", Summary: "Log a browser in", Public: true,
			Text: "The answer gives a cookie that no script can read. With it every route works as with the token, as long as that lets in: 12 hours after it was used last the " +
				"session ends, and 7 days after it began. Requests with the cookie that change something need a JSON content type, and come from the same origin.",
			Body:    &apidoc.Body{Schema: t.Named(newSession{})},
			Also:    []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
			Answers: of(http.StatusOK, "Whom the cookie lets in.", t.Named(client.Session{}), "Set-Cookie")},
		{ID: "getSession", Method: http.MethodGet, Path: sessionPath, Tag: "session", Summary: "Whom the caller is taken for", Public: true,
			Text:    "By the cookie, or by the token.",
			Also:    []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
			Answers: of(http.StatusOK, "The login.", t.Named(client.Session{}), "Set-Cookie?")},
		{ID: "deleteSession", Method: http.MethodDelete, Path: sessionPath, Tag: "session", Summary: "Log a browser out", Public: true,
			Text: "The cookie is taken back, and the session is over at every process that shares the store, also for copies of the cookie. Where there is none, " +
				"that is no error. With 503 the cookie is taken back all the same, but the store could not be told.",
			Also:    []int{http.StatusForbidden, http.StatusServiceUnavailable},
			Answers: of(http.StatusNoContent, "There is no cookie any more.", nil, "Set-Cookie")},

		{ID: "pause", Method: http.MethodPost, Path: "/pause", Tag: "operation", Summary: "Send nothing until it is resumed",
			Text: "What is committed meanwhile is read, and waits in the store. Requests under way end. It holds for all processes that share the store, also " +
				"after a restart. Asked again it changes nothing but the reason.",
			Body:    &apidoc.Body{Schema: t.Named(client.Pausing{}), Optional: true},
			Answers: of(http.StatusOK, "The pause.", t.Named(client.Pause{}))},
		{ID: "getPause", Method: http.MethodGet, Path: "/pause", Tag: "operation", Summary: "Show whether sending is paused",
			Answers: of(http.StatusOK, "The pause, or that there is none.", t.Named(client.Pause{}))},
		{ID: "getLogLevel", Method: http.MethodGet, Path: "/log-level", Tag: "operation", Summary: "Show from which level on this process logs",
			Answers: of(http.StatusOK, "The level.", t.Named(client.LogLevel{}))},
		{ID: "setLogLevel", Method: http.MethodPut, Path: "/log-level", Tag: "operation", Summary: "Set from which level on this process logs",
			Text: "Until it ends, or another level is set. Other processes keep theirs. The levels are `debug`, `info`, `warn` and `error`; `debug` tells every " +
				"attempt and request.",
			Body:    &apidoc.Body{Schema: t.Named(client.LogLevel{})},
			Answers: of(http.StatusOK, "The level that was set.", t.Named(client.LogLevel{}))},
		{ID: "drain", Method: http.MethodPost, Path: "/drain", Tag: "operation", Summary: "Wait until everything up to now is delivered or stored",
			Text: "And until the replication slot has confirmed it. The answer comes as soon as that is so, or after `wait`: see `drained`. Nothing is held up " +
				"by it: what is committed later is read and sent.",
			Body: &apidoc.Body{Schema: t.Named(client.Drain{}), Optional: true},
			Answers: append(of(http.StatusOK, "How far it has come.", t.Named(client.Drained{})),
				apidoc.Answer{Status: http.StatusConflict, Text: "Another process reads the slot.", Schema: t.Named(client.Problem{}), Type: problemType})},
		{ID: "resume", Method: http.MethodPost, Path: "/resume", Tag: "operation", Summary: "End a pause, and go on where replication is held up until somebody decides",
			Text: "Where changes are lost by going on, `accept_gap` is needed; subscribers that may miss some get a `rowhook.gap`. " +
				"`drained` instead says that nothing is missing, after a drain and a move or upgrade of the database.",
			Body: &apidoc.Body{Schema: t.Named(client.Resume{}), Optional: true},
			Answers: append(of(http.StatusOK, "What was accepted.", t.Named(client.Resumed{})),
				apidoc.Answer{Status: http.StatusConflict, Text: "There is nothing to resume, or `accept_gap` or `drained` is needed.", Schema: t.Named(client.Problem{}), Type: problemType})},

		{ID: "listDeadLetters", Method: http.MethodGet, Path: "/dead-letter/", Tag: "dead-letter", Summary: "List changes that could not be made into events",
			Text: "Newest first.",
			Query: []*apidoc.Parameter{
				{Name: "resource", Description: "Those of this resource.", Schema: text, Example: "contact"},
				{Name: "state", Description: "Those in this state.", Schema: &apidoc.Schema{Type: "string", Enum: []any{client.DeadLetterOpen, client.DeadLetterClosed}}, Example: client.DeadLetterOpen},
				{Name: "reason", Description: "Those with this text in their reason.", Schema: text, Example: "division by zero"},
				afterTold("dead letter"), limitTold(),
			},
			Answers: of(http.StatusOK, "A page of the list.", t.Named([]client.DeadLetter{}), "Link?")},
		{ID: "getDeadLetter", Method: http.MethodGet, Path: "/dead-letter/{id}/", Tag: "dead-letter", Summary: "Show a dead letter",
			Answers: of(http.StatusOK, "The dead letter.", aLetter)},
		{ID: "discardDeadLetter", Method: http.MethodDelete, Path: "/dead-letter/{id}/", Tag: "dead-letter", Summary: "Discard an open dead letter",
			Text:    "It is closed, and its event is never sent.",
			Answers: append(of(http.StatusNoContent, "It is closed.", nil), closed)},
		{ID: "replayDeadLetter", Method: http.MethodPost, Path: "/dead-letter/{id}/replay", Tag: "dead-letter", Summary: "Ask for the replay of an open dead letter",
			Text:    "It has ended when `requested_at` is null again.",
			Answers: append(of(http.StatusAccepted, "The dead letter; its replay is asked for.", aLetter), closed)},
		{ID: "replayDeadLetters", Method: http.MethodPost, Path: "/dead-letter/replay", Tag: "dead-letter", Summary: "Ask for the replay of several dead letters, or count them",
			Text: "They are selected by `resource` and `reason`, by `ids`, or by `all`.",
			Body: &apidoc.Body{Schema: t.Named(client.DeadLetterReplay{}), Example: `{"resource":"contact","dry_run":true}`},
			Answers: append(of(http.StatusAccepted, "How many are going to be replayed.", t.Named(client.DeadLettersReplayed{})),
				apidoc.Answer{Status: http.StatusOK, Text: "How many would be: it was a `dry_run`.", Schema: t.Named(client.DeadLettersReplayed{})})},

		{ID: "getStatus", Method: http.MethodGet, Path: "/status", Tag: "operation", Summary: "How this rowhook is, and what to do",
			Text:    "Whether it replicates, how far behind, what fails, what waits. Numbers of the store are a second old at least, sizes up to a minute.",
			Answers: of(http.StatusOK, "The status. What is null is not known, or not to this process.", t.Named(client.Status{}))},
		{ID: "getOpenAPI", Method: http.MethodGet, Path: "/openapi.json", Tag: "description", Summary: "This document",
			Answers: of(http.StatusOK, "An OpenAPI 3.1 document.", &apidoc.Schema{Type: "object", Description: "An OpenAPI 3.1 document.", Examples: []any{map[string]string{"openapi": "3.1.0"}}})},
		{ID: "getDocs", Method: http.MethodGet, Path: "/docs", Tag: "description", Summary: "This document as a page for people",
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "A page.", Schema: &apidoc.Schema{Type: "string", Examples: []any{"<!doctype html>…"}}, Type: "text/html"}}},
		{ID: "getHealth", Method: http.MethodGet, Path: "/healthz", Tag: "operation", Summary: "Whether the process lives",
			Answers: of(http.StatusOK, "It does.", t.Named(health{}))},
		{ID: "getReadiness", Method: http.MethodGet, Path: "/readyz", Tag: "operation", Summary: "Whether hooks flow, or it is standing by",
			Answers: append(of(http.StatusOK, "They do, or it is.", t.Named(client.Readiness{})),
				apidoc.Answer{Status: http.StatusServiceUnavailable, Text: "Not now: `reason` says why.", Schema: t.Named(client.Readiness{})})},
		{ID: "getMetrics", Method: http.MethodGet, Path: "/metrics", Tag: "operation", Summary: "Metrics for Prometheus",
			Answers: []apidoc.Answer{{Status: http.StatusOK, Text: "In the text format.", Schema: &apidoc.Schema{Type: "string", Examples: []any{"rowhook_ready 1\n"}}, Type: "text/plain"}}},
	}
}

const problemType = "application/problem+json"

// disabling is the body of a request to disable a subscription.
type disabling struct {
	Reason string `json:"reason,omitempty"`
}

// listParametersTold are the filters of the list of subscriptions.
func listParametersTold() []*apidoc.Parameter {
	text := &apidoc.Schema{Type: "string"}
	state := &apidoc.Schema{Type: "string"}
	for _, s := range subscriptions.States {
		state.Enum = append(state.Enum, s)
	}
	return []*apidoc.Parameter{
		{Name: "event", Description: "Those that get this event: also by `contact.*` and `*`. `contact.*` is those that hold just that.", Schema: text, Example: "contact.create"},
		{Name: "state", Description: "Those in this state.", Schema: state, Example: string(subscriptions.Active)},
		{Name: "target_host", Description: "Those with a target at this host.", Schema: text, Example: "hooks.example.com"},
		{Name: "name", Description: "Those with this in their name, in upper or lower case.", Schema: text, Example: "crm"},
		{Name: "search", Description: "Those with this in their name, id, customer or target's host, in upper or lower case. A URL is looked for by its host.", Schema: text, Example: "example.com"},
		{Name: "account", Description: "Those of this customer. The admin alone may give it.", Schema: text, Example: "42"},
		{Name: "failing", Description: "`true`: those whose targets take nothing now.", Schema: &apidoc.Schema{Type: "boolean"}, Example: true},
		afterTold("subscription"),
	}
}

// deliveryParametersTold are the filters of the list of deliveries.
func deliveryParametersTold() []*apidoc.Parameter {
	text, at, status := &apidoc.Schema{Type: "string"}, &apidoc.Schema{Type: "string", Format: "date-time"}, &apidoc.Schema{Type: "string"}
	for _, s := range deliveryStatuses {
		status.Enum = append(status.Enum, s)
	}
	return []*apidoc.Parameter{
		{Name: "status", Description: "Those in this state.", Schema: status, Example: client.DeliveryFailed},
		{Name: "event", Description: "Those of events of this type.", Schema: text, Example: "contact.create"},
		{Name: "resource_id", Description: "Those of events of this instance.", Schema: text, Example: "42"},
		{Name: "event_id", Description: "That of this event: its `webhook-id`.", Schema: text, Example: "evt_4hdvrlrqkz6uphbnkrk5sd4rtu"},
		{Name: "from", Description: "Those whose event was committed then or later.", Schema: at, Example: "2026-11-22T04:00:00Z"},
		{Name: "to", Description: "Those whose event was committed then or earlier.", Schema: at, Example: "2026-11-22T05:00:00Z"},
	}
}

func afterTold(of string) *apidoc.Parameter {
	examples := map[string]string{"subscription": "sub_s4gfrbe74abr2t6lqk6uias3i7", "token": "tok_4hdvrlrqkz6uphbnkrk5sd4rtu", "dead letter": letterExample, "delivery": deliveryExample,
		"job": "job_7zq2rnk4hdvrlrqkz6uphbnkrk"}
	return &apidoc.Parameter{Name: "after", Description: "The id of the last " + of + " of the page before. The header `Link` has it.",
		Schema: &apidoc.Schema{Type: "string"}, Example: examples[of]}
}

func limitTold() *apidoc.Parameter {
	least, most := 1, maxLimit
	return &apidoc.Parameter{Name: "limit", Description: "How many at most; 100 if it is not given.",
		Schema: &apidoc.Schema{Type: "integer", Minimum: &least, Maximum: &most}, Example: defaultLimit}
}

// subscriptionInput makes the schema of a body that says what a subscription is to be, out of the client's type, and adds it
// under the name.
func subscriptionInput(t *apidoc.Types, name string) *apidoc.Schema {
	writable, fixed := subscriptions.Members()
	s := t.Object(reflect.TypeFor[client.Subscription](), name, writable...)
	if p, ok := s.Properties.Get("resource_id"); ok {
		p.Type = []string{"string", "integer"} // most keys are numbers
	}
	for i, p := range s.Properties {
		if p.Name == "target_url" {
			s.Properties[i].Value = apidoc.Nullable(p.Value) // feed only
		}
	}
	event := &apidoc.Schema{Type: "string"}
	t.Describe(event, name, "event")
	s.Properties = append(s.Properties, apidoc.Member[*apidoc.Schema]{Name: "event", Value: event})
	s.Required = nil
	switch name {
	case "NewSubscription":
		// What a POST makes has none of these yet: it refuses them.
		fixed = nil
		fallthrough
	case "SubscriptionReplacement", "SubscriptionImport":
		s.Required = []string{"target_url"}
		s.AnyOf = []*apidoc.Schema{{Required: []string{"events"}}, {Required: []string{"event"}}}
	}
	if name == "SubscriptionPatch" {
		// A member of a map is taken out by null.
		for _, p := range s.Properties {
			if of, ok := p.Value.AdditionalProperties.(*apidoc.Schema); ok {
				p.Value.AdditionalProperties = apidoc.Nullable(of)
			}
		}
	}
	if name == "SubscriptionImport" {
		s.Required = append(s.Required, "id")
	}
	apidoc.Input(s)
	if len(fixed) > 0 {
		for _, p := range t.Object(reflect.TypeFor[subscriptions.View](), "Subscription", fixed...).Properties {
			p.Value.ReadOnly = true
			s.Properties = append(s.Properties, p)
		}
	}
	return t.Add(name, s)
}

// eventParametersTold are those that lists of events have in common.
func eventParametersTold() []*apidoc.Parameter {
	text := &apidoc.Schema{Type: "string"}
	return []*apidoc.Parameter{
		{Name: "resource_id", Description: "Only those of this instance.", Schema: text, Example: "42"},
		{Name: "type", Description: "Only those of this type; `contact.*` is all of a resource. Several are given several times.", Schema: text, Example: "contact.create"},
		limitTold(),
	}
}
