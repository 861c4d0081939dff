package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/apidoc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// whole is the config of a server that has all routes.
func whole(c *api.Config) {
	known := c.Catalogue
	c.Catalogue = func() subscriptions.Catalogue {
		if of := known(); of != nil {
			// The examples ask for these.
			return append(slices.Clone(of), subscriptions.Offer{Name: "deal.create", Resource: "deal"})
		}
		return nil
	}
	c.Confirm = func(context.Context, string, secret.String) error { return nil }
	c.Made = &madeTokens{}
	c.EventTypes = eventTypes{}
	c.DeadLetters = &letters{n: 3, open: true}
	c.Feed = newFeed()
	c.Deliveries = &deliveryLog{n: 3}
	c.Jobs = &keptJobs{}
	c.SessionKeys = sessionKeys
	c.Status = func(context.Context) *client.Status { return wholeStatus() }
	c.System = &fakeSystem{}
	c.Pauses = &keptPause{}
	c.LogLevels = &keptLevel{level: "info"}
	c.Drain = func(_ context.Context, want client.Drain) (*client.Drained, error) {
		if want.UntilLSN == "0/0" {
			return nil, api.Conflict("another process reads the slot")
		}
		return &client.Drained{Drained: true, UntilLSN: "0/16B3748"}, nil
	}
	c.Resume = func(_ context.Context, said client.Resume) (*client.Resumed, error) {
		if !said.AcceptGap {
			return nil, api.Conflict("there is nothing to accept")
		}
		return &client.Resumed{Incident: "slot_missing", Gap: true}, nil
	}
}

// eventTypes tell little of events.
type eventTypes struct{}

func (eventTypes) Schema(string) (json.RawMessage, error) {
	return json.RawMessage(`{"type":"object"}`), nil
}
func (eventTypes) Formats() []string { return []string{"standard"} }
func (eventTypes) Samples(context.Context, api.SampleQuery) ([]json.RawMessage, error) {
	return []json.RawMessage{json.RawMessage(`{"type":"contact.create"}`)}, nil
}

// TestEveryRouteIsDescribed: a new route, or a new field, needs its words beside the others.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	if missing := b.server.Missing(); len(missing) > 0 {
		t.Errorf("these are served, and nothing tells of them: add them to operations (operations.go) or fields (fields.go):\n%s", strings.Join(missing, "\n"))
	}
	routes, operations := slices.Sorted(slices.Values(b.server.Routes())), slices.Sorted(slices.Values(api.Operations()))
	if !slices.Equal(routes, operations) {
		t.Errorf("the routes are\n%s\nand the operations that are told of\n%s", strings.Join(routes, "\n"), strings.Join(operations, "\n"))
	}
	var described []string
	for _, p := range b.server.Document().Paths {
		for _, m := range p.Value.Methods {
			described = append(described, strings.ToUpper(m.Name)+" "+p.Name)
		}
	}
	if slices.Sort(described); !slices.Equal(described, operations) {
		t.Errorf("the document has\n%s", strings.Join(described, "\n"))
	}
	// The routes that a server does not have are not in its document.
	if p, ok := start(t).server.Document().Paths.Get("/token/"); ok {
		t.Errorf("a server without tokens describes %+v", p)
	}
	told := map[string]bool{}
	for _, s := range b.server.Document().Components.Schemas {
		told[s.Name] = true
		for _, p := range s.Value.Properties {
			told[s.Name+"."+p.Name] = true
		}
	}
	for key := range api.Fields() {
		schema, _, _ := strings.Cut(key, ".")
		if !told[key] || !told[schema] {
			t.Errorf("fields tells of %s, which nothing has any more", key)
		}
	}
}

// TestInputsAreThoseThatAreRead: the schema of a body has the members that the rules take.
func TestInputsAreThoseThatAreRead(t *testing.T) {
	t.Parallel()
	b := start(t)
	writable, fixed := subscriptions.Members()
	for name, want := range map[string][]string{
		"NewSubscription": writable, "SubscriptionReplacement": slices.Concat(writable, fixed), "SubscriptionPatch": slices.Concat(writable, fixed),
	} {
		s, _ := b.server.Document().Components.Schemas.Get(name)
		var got []string
		for _, p := range s.Properties {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, and the rules take %v", name, got, want)
		}
	}
	for _, id := range []string{`"42"`, `42`, `null`} {
		if resp, body := b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", `{"event":"*","target_url":"https://example.com/","resource_id":`+id+`}`); resp.StatusCode != 201 {
			t.Errorf("resource_id %s: %s", id, body)
		}
	}
	for _, p := range b.server.Document().Paths {
		if p.Name != "/subscription/" {
			continue
		}
		get, _ := p.Value.Methods.Get("get")
		var got []string
		for _, q := range get.Parameters {
			got = append(got, q.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, api.ListParameters) {
			t.Errorf("the list takes %v, and %v are described", api.ListParameters, got)
		}
	}
}

// TestDocumentIsOpenAPI holds what is served against the meta-schema of OpenAPI 3.1, and against what a linter would ask for.
func TestDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	resp, body := b.do(t, "GET", "/api/v1/openapi.json", "", "", "")
	if resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	f, err := os.Open("../apidoc/testdata/oas31.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	meta, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("oas31.json", meta); err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.MustCompile("oas31.json").Validate(v); err != nil {
		t.Error(err)
	}
	for _, mistake := range lint(contractOf(t, b.server.Document())) {
		t.Error(mistake)
	}
}

// lint says what a reader of the document would miss.
func lint(c *contract) (mistakes []string) {
	d := c.document
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	ids, tags := map[string]bool{}, map[string]bool{}
	for _, t := range d.Tags {
		if tags[t.Name] = true; t.Description == "" {
			wrong("the tag %s has no description", t.Name)
		}
	}
	example := func(at, pointer string, m *apidoc.MediaType) {
		if err := c.check(pointer+"/schema", m.Example); err != nil {
			wrong("%s: the example is not of its schema: %v\n%s", at, err, m.Example)
		}
	}
	for _, p := range d.Paths {
		for _, m := range p.Value.Methods {
			op := m.Value
			at := m.Name + " " + p.Name
			if op.Summary == "" || strings.HasSuffix(op.Summary, ".") || !regexp.MustCompile(`^[a-z][A-Za-z]+$`).MatchString(op.OperationID) || ids[op.OperationID] {
				wrong("%s: summary %q, operationId %q", at, op.Summary, op.OperationID)
			}
			ids[op.OperationID] = true
			for _, tag := range op.Tags {
				if !tags[tag] {
					wrong("%s: the tag %q is not told of", at, tag)
				}
			}
			named := map[string]bool{}
			for _, q := range slices.Concat(p.Value.Parameters, op.Parameters) {
				if q.Description == "" || q.Example == nil || q.Schema == nil {
					wrong("%s: the parameter %s has no description, schema or example", at, q.Name)
				}
				named[q.Name] = q.In == "path"
			}
			for _, part := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(p.Name, -1) {
				if !named[part[1]] {
					wrong("%s: %s is no parameter", at, part[1])
				}
			}
			pointer := (&found{op, p.Name, m.Name}).pointer()
			if op.RequestBody != nil {
				for _, body := range op.RequestBody.Content {
					example(at, pointer+"/requestBody/content/"+escaped(body.Name), body.Value)
				}
			}
			ok := false
			for _, r := range op.Responses {
				ok = ok || r.Name[0] == '2'
				if r.Value.Ref == "" && r.Value.Description == "" {
					wrong("%s: nothing is told of %s", at, r.Name)
				}
				for _, body := range r.Value.Content {
					example(at+" = "+r.Name, pointer+"/responses/"+r.Name+"/content/"+escaped(body.Name), body.Value)
				}
			}
			if !ok {
				wrong("%s: it never succeeds", at)
			}
		}
	}
	used := map[string]bool{}
	text, err := d.JSON()
	if err != nil {
		wrong("%v", err)
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/(\w+/\w+)"`).FindAllSubmatch(text, -1) {
		used[string(ref[1])] = true
	}
	for _, r := range d.Components.Responses {
		if !used["responses/"+r.Name] {
			wrong("nothing refers to the response %s", r.Name)
		}
		for _, body := range r.Value.(*apidoc.Response).Content {
			example(r.Name, "/components/responses/"+r.Name+"/content/"+escaped(body.Name), body.Value)
		}
	}
	for _, s := range d.Components.Schemas {
		if s.Value.Description == "" || !used["schemas/"+s.Name] {
			wrong("the schema %s has no description, or nothing refers to it", s.Name)
		}
		for _, p := range s.Value.Properties {
			if p.Value.Description == "" {
				wrong("%s.%s has no description", s.Name, p.Name)
			}
			for _, e := range p.Value.Examples {
				text, _ := json.Marshal(e)
				if err := c.check("/components/schemas/"+s.Name+"/properties/"+p.Name, text); err != nil {
					wrong("%s.%s: the example %s is not of its schema: %v", s.Name, p.Name, text, err)
				}
			}
			if len(p.Value.Examples) == 0 && !hasExample(d, p.Value) {
				wrong("%s.%s has no example", s.Name, p.Name)
			}
		}
	}
	return mistakes
}

// hasExample says whether what a schema refers to has one.
func hasExample(d *apidoc.Document, s *apidoc.Schema) bool {
	ref := s.Ref
	if s.Items != nil {
		ref = s.Items.Ref
	}
	for _, a := range s.AnyOf {
		ref += a.Ref
	}
	_, ok := d.Components.Schemas.Get(strings.TrimPrefix(ref, "#/components/schemas/"))
	return ok
}

// TestLintFinds: the linter is not blind.
func TestLintFinds(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(d *apidoc.Document){
		"operationId": func(d *apidoc.Document) { d.Paths[0].Value.Methods[0].Value.OperationID = "getSubscription" },
		"not of its schema": func(d *apidoc.Document) {
			r, _ := d.Paths[0].Value.Methods[0].Value.Responses.Get("200")
			r.Content[0].Value.Example = json.RawMessage(`[{}]`)
		},
		"no description": func(d *apidoc.Document) { d.Components.Schemas[0].Value.Properties[0].Value.Description = "" },
		"never succeeds": func(d *apidoc.Document) { d.Paths[0].Value.Methods[0].Value.Responses = nil },
	} {
		d := api.New(api.Config{BasePath: "/" + name[:3]}).Document()
		if found := lint(contractOf(t, d)); len(found) > 0 {
			t.Fatalf("it finds %v already", found)
		}
		spoil(d)
		if found := strings.Join(lint(contractOf(t, d)), "\n"); !strings.Contains(found, name) {
			t.Errorf("%s: it finds %q", name, found)
		}
	}
}

// TestEveryStatusHappens provokes each answer that the document has: one that never comes is none.
func TestEveryStatusHappens(t *testing.T) {
	t.Parallel()
	document := start(t, whole).server.Document()
	for _, p := range document.Paths {
		for _, m := range p.Value.Methods {
			for _, r := range m.Value.Responses {
				t.Run(m.Value.OperationID+" "+r.Name, func(t *testing.T) {
					t.Parallel()
					provoke(t, p.Name, p.Value, m.Name, m.Value, r.Name)
				})
			}
		}
	}
}

// provocation is a request, and what is different about the server.
type provocation struct {
	config                          func(*api.Config)
	before                          func(*bench)
	path, token, query, contentType string
	body                            string
	headers                         map[string]string
	exactBody, inexistent           bool
}

// special are the answers that nothing general provokes, by operation and status.
func special(t *testing.T, operation, status string) (provocation, bool) {
	t.Helper()
	noCatalogue := func(b *bench) { b.catalogue.Store(new(subscriptions.Catalogue)) }
	panics := func(c *api.Config) { c.Catalogue = func() subscriptions.Catalogue { panic("no") } }
	leased := `{"events":["contact.create"],"target_url":"https://example.com/h","expires_at":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	cookie := map[string]string{}
	closed := provocation{config: func(c *api.Config) { c.DeadLetters = &letters{n: 3, closed: true} }}
	p, ok := map[string]provocation{
		"confirmSubscription 204": {headers: map[string]string{"X-Hook-Secret": subscriptions.ValuePrefix + rand.Text()}},
		"confirmSubscription 429": {path: "/api/v1/subscription/sub_1/confirm", before: func(b *bench) {
			b.do(t, "POST", "/api/v1/subscription/sub_1/confirm", "", "", "")
			b.do(t, "POST", "/api/v1/subscription/sub_1/confirm", "", "", "")
		}},
		"getConfig 404":       {config: func(c *api.Config) { c.System = &fakeSystem{fileless: true} }},
		"previewResource 422": {body: `{"id":"wrong"}`, exactBody: true},
		"compareResource 422": {body: `{"limit":1000}`, exactBody: true},
		"previewResource 409": {config: func(c *api.Config) { c.System = &fakeSystem{fileless: true} }},
		"compareResource 409": {config: func(c *api.Config) { c.System = &fakeSystem{fileless: true} }},
		"check 400":           {query: "?fresh=perhaps"},
		"createSession 200":   {body: `{"token":"` + tokenAdmin + `"}`},
		"createSession 401":   {body: `{"token":"nobody"}`},
		"createSession 403":   {headers: map[string]string{"Origin": "https://elsewhere.example"}},
		"createSession 429":   {before: func(b *bench) { b.logInOften(t) }},
		"createSession 500":   {body: `{"token":"rht_x"}`, config: func(c *api.Config) { c.Made = &madeTokens{fail: errors.New("broken")} }},
		"createSession 503":   {body: `{"token":"rht_x"}`, config: func(c *api.Config) { c.Made = &madeTokens{fail: subscriptions.ErrUnavailable} }},
		"deleteSession 503": {config: func(c *api.Config) { c.Sessions = &endedSessions{failEnd: subscriptions.ErrUnavailable} }, headers: cookie,
			before: func(b *bench) { maps.Copy(cookie, with(b.logIn(t, tokenAdmin))) }},
		"deleteSession 403":      {headers: map[string]string{"Origin": "https://elsewhere.example"}},
		"getSubscription 304":    {headers: map[string]string{"If-None-Match": "*"}},
		"listEventTypes 503":     {before: noCatalogue},
		"listEventTypes 500":     {config: panics},
		"getReadiness 503":       {before: func(b *bench) { b.ready.Store(false) }},
		"getEventType 503":       {before: noCatalogue},
		"getEventType 500":       {config: panics},
		"getEventTypeSchema 503": {before: noCatalogue},
		"getEventTypeSchema 500": {config: panics},
		"getEventTypeSchema 401": {path: "/api/v1/event-type/plan.create/schema", token: "none"},
		"getEventTypeSchema 403": {path: "/api/v1/event-type/plan.create/schema", token: tokenOne},
		"sampleEventType 403":    {path: "/api/v1/event-type/plan.create/sample", token: tokenOne},
		"sampleEventType 400":    {query: "?format=x"},
		"createSubscription 200": {before: func(b *bench) { b.do(t, "POST", "/api/v1/subscription/", tokenAdmin, "application/json", leased) }, body: leased},
		"enableSubscription 409": {before: func(b *bench) {
			b.change(t, func(s *subscriptions.Subscription) {
				s.State, s.ExpiresAt = subscriptions.Expired, time.Now().Add(-time.Hour)
			})
		}},
		"pingSubscription 409":   {before: func(b *bench) { b.change(t, func(s *subscriptions.Subscription) { s.TargetURL = "" }) }},
		"listStats 200":          {query: "?id=" + subscriptions.NewID()},
		"importSubscription 200": {query: "?dry_run=true"},
		"importSubscription 400": {query: "?dry_run=x"},
		"importSubscription 409": {before: func(b *bench) {
			b.do(t, "POST", "/api/v1/subscription/import", tokenAdmin, "application/json", `{"id":"hook-7","account":"42","events":["*"],"target_url":"https://example.com/"}`)
		}},
		"readFeed 410":   {query: "?after=" + feedAt(0).String()},
		"listEvents 410": {query: "?after=" + feedAt(0).String()},
		"readFeed 409": {headers: map[string]string{"Accept": "text/event-stream"}, before: func(b *bench) {
			b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Disabled })
		}},
		"replaySubscription 200":   {body: `{"from":"2026-11-22T08:00:00Z","dry_run":true}`, exactBody: true},
		"replaySubscription 409":   {before: func(b *bench) { b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Disabled }) }},
		"backfillSubscription 200": {body: `{"dry_run":true}`, exactBody: true},
		"backfillSubscription 409": {before: func(b *bench) { b.change(t, func(s *subscriptions.Subscription) { s.State = subscriptions.Disabled }) }},
		"cancelJob 409":            {config: func(c *api.Config) { c.Jobs = &keptJobs{ended: true} }},
		"resume 409":               {body: `{}`, exactBody: true},
		"drain 409":                {body: `{"until_lsn":"0/0"}`, exactBody: true},
		"discardDeadLetter 409":    closed, "replayDeadLetter 409": closed,
		"redeliver 409":         {config: func(c *api.Config) { c.Deliveries = &deliveryLog{n: 3, pending: true} }},
		"replayDeadLetters 202": {body: `{"all":true}`, exactBody: true},
	}[operation+" "+status]
	return p, ok
}

func provoke(t *testing.T, path string, item *apidoc.PathItem, method string, op *apidoc.Described, status string) {
	want, err := strconv.Atoi(status)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := special(t, op.OperationID, status)
	if !ok {
		p = general(t, op, want)
	}
	b := start(t, func(c *api.Config) {
		whole(c)
		if p.config != nil {
			p.config(c)
		}
	})
	path, token := b.concrete(t, path, item)
	if p.path != "" {
		path = p.path
	}
	if p.inexistent {
		path = regexp.MustCompile(`(sub_|dlv_|job_|tok_|00000001|contact.|resource/)\w+`).ReplaceAllString(path, "${1}00000000ffffffff0000000100000000")
	}
	if p.token != "" {
		token = strings.TrimPrefix(p.token, "none")
	}
	if p.before != nil {
		p.before(b)
	}
	body, contentType := p.body, p.contentType
	if op.RequestBody != nil && !p.exactBody {
		contentType = cmpOr(contentType, op.RequestBody.Content[0].Name)
		body = cmpOr(body, string(op.RequestBody.Content[0].Value.Example))
	} else if p.exactBody {
		contentType = "application/json"
	}
	resp, got := b.send(t, strings.ToUpper(method), path+p.query, token, contentType, body, p.headers)
	if resp.StatusCode != want {
		t.Errorf("%s %s = %d, want %d: %s", method, path, resp.StatusCode, want, got)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// general provokes what is the same for all operations.
func general(t *testing.T, op *apidoc.Described, status int) (p provocation) {
	t.Helper()
	broken := func(err error) func(*api.Config) {
		return func(c *api.Config) { c.Made = &madeTokens{fail: err} }
	}
	switch status {
	case 200, 201, 202, 204:
	case 400:
		if p.body = "{"; op.RequestBody == nil {
			p.body, p.query = "", "?limit=0"
		}
	case 401:
		p.token = "none"
	case 403:
		if slices.Contains(op.Tags, apidoc.AdminTag) {
			p.token = tokenOne
			break
		}
		p.token = "rht_reads"
		p.config = func(c *api.Config) {
			made := &madeTokens{}
			c.Made = made
			if err := made.CreateToken(t.Context(), &subscriptions.Token{ID: "tok_r", Scope: subscriptions.Scope{Account: "1"}, ReadOnly: true}, subscriptions.TokenHash("rht_reads")); err != nil {
				t.Error(err)
			}
		}
	case 404:
		p.inexistent = true
	case 412:
		p.headers = map[string]string{"If-Match": `"77"`}
	case 413:
		p.body = `{"name":"` + strings.Repeat("a", subscriptions.MaxBody) + `"}`
		p.contentType = "application/json"
	case 415:
		p.body, p.contentType = "x", "text/plain"
	case 422:
		p.body = `{"nonsense":1}`
	case 429:
		p.token = tokenOne
		p.config = func(c *api.Config) { c.AccountRate = 1e-9 }
		p.before = func(b *bench) {
			b.do(t, "GET", "/api/v1/subscription/", tokenOne, "", "")
		}
	case 500:
		p.token, p.config = "rht_x", broken(errors.New("broken"))
	case 503:
		p.token, p.config = "rht_x", broken(subscriptions.ErrUnavailable)
	default:
		t.Fatalf("nothing provokes the %d of %s: add it to special", status, op.OperationID)
	}
	return p
}

// concrete is the path with ids of things that are there, and a token that may do there what there is to do.
func (b *bench) concrete(t *testing.T, path string, item *apidoc.PathItem) (concrete, token string) {
	t.Helper()
	token = tokenAdmin
	if len(item.Servers) == 0 {
		concrete = "/api/v1"
	}
	concrete += path
	switch {
	case !strings.Contains(path, "{"):
	case strings.HasPrefix(path, "/subscription/"):
		// By the store, so that no limit of requests counts it.
		s := &subscriptions.Subscription{ID: subscriptions.NewID(), Account: "1", Events: []string{"*"}, TargetURL: "https://example.com/", State: subscriptions.Active,
			Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}}}
		if err := b.repository.Create(t.Context(), s, 0); err != nil {
			t.Fatal(err)
		}
		concrete = strings.ReplaceAll(concrete, "{id}", s.ID)
	case strings.HasPrefix(path, "/delivery/"):
		sub, _ := b.concrete(t, "/subscription/{id}", item)
		concrete = strings.ReplaceAll(concrete, "{id}", api.DeliveryID(sub[strings.LastIndexByte(sub, '/')+1:], letterAt(2)))
	case strings.HasPrefix(path, "/resource/"):
		concrete = strings.ReplaceAll(concrete, "{name}", "contact")
	case strings.HasPrefix(path, "/event-type/"):
		concrete = strings.ReplaceAll(concrete, "{name}", "contact.create")
	case strings.HasPrefix(path, "/token/"):
		concrete = strings.ReplaceAll(concrete, "{id}", "tok_there")
		if err := b.config.Made.CreateToken(t.Context(), &subscriptions.Token{ID: "tok_there", Scope: subscriptions.Scope{Account: "1"}}, sha256.Sum256([]byte("x"))); err != nil && b.config.Made.(*madeTokens).fail == nil {
			t.Fatal(err)
		}
	case strings.HasPrefix(path, "/job/"):
		concrete = strings.ReplaceAll(concrete, "{id}", jobOfOne)
	case strings.HasPrefix(path, "/event/"):
		concrete = strings.ReplaceAll(concrete, "{id}", letterAt(1).String())
	case strings.HasPrefix(path, "/dead-letter/"):
		concrete = strings.ReplaceAll(concrete, "{id}", letterAt(2).String())
	default:
		t.Fatalf("it is not known what the id in %s is of: add it to concrete", path)
	}
	return concrete, token
}

// change changes all subscriptions, as time or another version might.
func (b *bench) change(t *testing.T, change func(*subscriptions.Subscription)) {
	t.Helper()
	page, _, err := b.repository.List(t.Context(), subscriptions.Query{Scope: subscriptionsAdmin, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page {
		if _, err := b.repository.Update(t.Context(), subscriptionsAdmin, s.ID, func(s *subscriptions.Subscription) error { change(s); return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// send is do with headers.
func (b *bench) send(t *testing.T, method, path, token, contentType, body string, headers map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp, got.String()
}

// TestDocs: the page is whole in itself, its policy lets it load and run nothing else, and it has every operation and field.
func TestDocs(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	for path, source := range map[string]string{"/api/v1/docs": `href="openapi.json"`, "/api/v1/docs/": `href="../openapi.json"`} {
		resp, page := b.do(t, "GET", path, "", "", "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(page, source) {
			t.Fatalf("%s: %s %v\n%s", path, resp.Status, resp.Header, page)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || !strings.HasPrefix(policy, "default-src 'none';") {
			t.Errorf("the policy is %s", policy)
		}
		for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
			all := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
			if len(all) != 1 {
				t.Fatalf("%d times %s", len(all), tag)
			}
			sum := sha256.Sum256([]byte(all[0][1]))
			if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
				t.Errorf("the policy %s lacks %s", policy, want)
			}
		}
		for _, outside := range regexp.MustCompile(`(?i)(src=|@import|url\(|<link|<img|<iframe|\son[a-z]+=|style=)`).FindAllString(page, -1) {
			t.Errorf("the page has %q", outside)
		}
		ids := map[string]bool{}
		for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if ids[id[1]] {
				t.Errorf("the id %s is there twice", id[1])
			}
			ids[id[1]] = true
		}
		for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if !ids[link[1]] {
				t.Errorf("nothing has the id %s", link[1])
			}
		}
		for _, p := range b.server.Document().Paths {
			for _, m := range p.Value.Methods {
				if !ids[m.Value.OperationID] {
					t.Errorf("%s is not on the page", m.Value.OperationID)
				}
			}
		}
		for _, s := range b.server.Document().Components.Schemas {
			if !ids["schema-"+s.Name] {
				t.Errorf("%s is not on the page", s.Name)
			}
		}
		if n, operations := strings.Count(page, "curl -sS"), len(slices.Collect(maps.Keys(ids)))-len(b.server.Document().Components.Schemas); n != operations {
			t.Errorf("%d commands for %d operations", n, operations)
		}
	}
}
