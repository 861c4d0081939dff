package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/subscriptions"
)

const eventTypeConfig = `
  deal:
    table: deals
    account: string(account_id)
    path: /deals/${id}
    where: kind == "deal"
    json: {preset: rails}
    representation:
      id: ${id}
      kind: ${env:DATABASE_URL}
      stage: ${stage}
      amount: ${amount}
      twice: ${amount * 2}
      notes: ${notes}
      contact: ${contact}
      lines: ${lines}
      avatar: ${api.avatar}
    relations:
      contact: {table: contacts, foreign_key: contact_id, columns: [id, last_name, created_at]}
      lines: {table: lines, foreign_key: deal_id, many: true, columns: [id, price]}
    events: {deal.won: 'stage == "won" && old.stage != "won"', deal.big: amount > 100}
  line:
    table: lines
    events: {line.risen: price > old.price}
`

const eventTypeSchema = `
create type stage as enum ('lead', 'won');
create table deals (id bigint primary key, account_id int, kind text not null default 'deal', stage stage not null default 'lead', amount numeric,
	notes text, contact_id bigint, secret_note text);
alter table deals replica identity full;
create table lines (id bigint primary key, deal_id bigint not null, price numeric(10,2) not null);
create index on lines (deal_id);
`

// schemaOf is the schema of an event as a validator has it, and its text.
func (r *rig) schemaOf(token, event string) (*jsonschema.Schema, string) {
	r.t.Helper()
	resp := r.get("/event-type/"+event+"/schema", token)
	if resp.status != http.StatusOK || resp.header.Get("Content-Type") != "application/schema+json" {
		r.t.Fatalf("schema of %s: %d %s", event, resp.status, resp.body)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(resp.body))
	if err != nil {
		r.t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		r.t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		r.t.Fatal(err)
	}
	return s, string(resp.body)
}

func validate(t *testing.T, s *jsonschema.Schema, body []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return s.Validate(v)
}

type answered struct {
	status int
	header http.Header
	body   []byte
}

func (r *rig) get(path, token string) answered {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.api+"/api/v1"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, body}
}

const (
	adminToken = "admin-token-0123456789"
	acmeToken  = "acme-token-0123456789"
	otherToken = "other-token-012345678"
)

// TestEventType asks for schemas and samples, and validates all bodies that arrive by the schemas of their types.
func TestEventType(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pool, err := pgxpool.New(t.Context(), r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/deals/7":
			// It goes to another customer while its sample is made.
			if _, err := pool.Exec(q.Context(), `update deals set account_id = 5 where id = 7`); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, `{"avatar": "of the other"}`)
		case "/deals/3":
			w.WriteHeader(http.StatusNotFound)
		case "/deals/6":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, `{"avatar": {"size": 1}}`)
		}
	}))
	t.Cleanup(application.Close)
	r.exec(eventTypeSchema)
	r.text += eventTypeConfig + "app: {url: " + application.URL + ", public_url: 'https://api.example.com'}\n"
	r.start()

	t.Run("synthetic", func(t *testing.T) {
		types, err := r.admin().EventTypes(t.Context())
		if err != nil || len(types) != 21 {
			t.Fatalf("%v %v", types, err)
		}
		for _, e := range types {
			s, _ := r.schemaOf(adminToken, e.Name)
			a := r.get("/event-type/"+e.Name+"/sample?synthetic=true", adminToken)
			if a.status != http.StatusOK || a.header.Get("Rowhook-Sample") != "synthetic" {
				t.Fatalf("%s: %d %s", e.Name, a.status, a.body)
			}
			if err := validate(t, s, a.body); err != nil {
				t.Errorf("%s: %v\n%s", e.Name, err, a.body)
			}
			again := r.get("/event-type/"+e.Name+"/sample", adminToken)
			if again.header.Get("Rowhook-Sample") != "synthetic" || !bytes.Equal(again.body, a.body) {
				t.Errorf("%s: without rows the sample is %s %s", e.Name, again.header.Get("Rowhook-Sample"), again.body)
			}
		}
	})

	t.Run("leaks", func(t *testing.T) {
		for _, path := range []string{"/event-type/", "/event-type/deal.update/", "/event-type/deal.update/schema", "/event-type/deal.delete", "/event-type/contact.create"} {
			a := r.get(path, "")
			for _, private := range []string{"secret_note", "deals", "postgres://", r.url, "account_id", "public"} {
				if a.status != http.StatusOK || strings.Contains(string(a.body), private) {
					t.Errorf("%s: %d, tells of %q: %s", path, a.status, private, a.body)
				}
			}
		}
		for token, status := range map[string]int{"": 401, acmeToken: 403, "nonsense": 401, adminToken: 200} {
			if a := r.get("/event-type/note.create/schema", token); a.status != status {
				t.Errorf("the schema of the admin's event, to %q: %d %s", token, a.status, a.body)
			}
			if a := r.get("/event-type/note.create/", token); a.status != 200 || strings.Contains(string(a.body), "schema") != (status == 200) {
				t.Errorf("the admin's event, to %q: %d %s", token, a.status, a.body)
			}
		}
		for path, status := range map[string]int{
			"/event-type/deal.update/sample": 401, "/event-type/deal.udpate/": 404, "/event-type/deal.udpate/schema": 404, "/event-type/deal.update/other": 404,
			"/event-type//schema": 404, "/event-type/deal.update/schema/x": 404,
		} {
			if a := r.get(path, ""); a.status != status {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		if a := r.get("/event-type/line.risen/", adminToken); a.status != http.StatusNotFound || !strings.Contains(string(a.body), "offered to nobody: the replication stream") {
			t.Errorf("%d %s", a.status, a.body)
		}
		for path, status := range map[string]int{
			"/event-type/note.create/sample": 403, "/event-type/contact.truncate/sample": 403, "/event-type/deal.update/sample?account=2": 400,
			"/event-type/deal.update/sample?format=nonsense": 400, "/event-type/deal.update/sample?list=yes": 400, "/event-type/deal.update/sample?limit=2": 400,
			"/event-type/deal.update/sample?list=true&list=false": 400, "/event-type/deal.nothing/sample": 404,
		} {
			if a := r.get(path, acmeToken); a.status != status {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	})

	r.subscribe("/all")
	formats := map[string]string{}
	for _, format := range subscriptions.Formats {
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.create", "deal.create"},
			TargetURL: r.recv.URL("/as/" + format), Request: client.Request{Format: format}})
		if err != nil {
			t.Fatal(err)
		}
		formats[format] = s.ID
	}
	for _, sql := range []string{
		`insert into contacts (id, account_id, first_name, last_name, score, tags, prefs, created_at) values
			(1, 1, 'Ada', 'One', 12.30, '{a,NULL}', '{"x": [1]}', now()), (2, 1, null, 'Two', 'NaN', '{{a},{b}}', null, 'infinity'),
			(3, 2, 'Bo', 'Three', null, null, '[]', '2026-01-01'), (4, 1, 'Cy', 'Four', 1, '{}', 'null', now()), (5, 1, 'Di', 'Five', 2, '{}', '1', now()),
			(6, 2, 'Ed', 'Six', 2, '{}', '1', now())`,
		`insert into deals (id, account_id, stage, amount, notes, contact_id, secret_note) values (1, 1, 'lead', 10.50, 'n', 1, 'hidden'),
			(2, 2, 'won', 200, null, 3, 'hidden'), (3, 1, 'won', null, '', null, 'hidden'), (4, null, 'lead', 1, '', 6, 'hidden')`,
		`insert into deals (id, account_id, kind) values (5, 1, 'template')`,
		`insert into lines values (1, 1, 1.5), (2, 1, 2.50)`,
		`update contacts set first_name = 'Eve', score = 'NaN' where id = 1`,
		`update deals set stage = 'won', notes = 'changed', amount = 1000 where id = 1`,
		`update deals set account_id = 2 where id = 3`,
		`update deals set account_id = 1 where id = 3`,
		`delete from contacts where id = 4`,
		`insert into notes values (1, 'x')`,
		`update notes set body = 'y'`,
		`delete from notes`,
		`truncate notes`,
	} {
		r.exec(sql)
	}
	r.exec(`insert into notes values (2, 'the last')`)

	t.Run("delivered", func(t *testing.T) {
		want := []string{"contact.create", "contact.update", "contact.delete", "deal.create", "deal.update", "deal.won", "deal.big", "note.create",
			"note.update", "note.delete", "note.truncate"}
		requests := r.recv.WaitFor(t, func(all []hooktest.Request) bool {
			all = hooktest.ByPath(all)["/all"]
			// Only those of one instance come in their order.
			return strings.Count(types(all), "deal.update") >= 3 && !slices.ContainsFunc(want, func(event string) bool {
				return !slices.ContainsFunc(all, func(q hooktest.Request) bool { return q.Type == event })
			})
		})
		seen := map[string]bool{}
		schemas := map[string]*jsonschema.Schema{}
		for _, q := range requests {
			if q.Path != "/all" { // in another format
				continue
			}
			if schemas[q.Type] == nil {
				schemas[q.Type], _ = r.schemaOf(adminToken, q.Type)
			}
			if err := validate(t, schemas[q.Type], q.Body); err != nil {
				t.Errorf("%v\n%s", err, q.Body)
			}
			seen[q.Type] = true
			if bytes.Contains(q.Body, []byte(`"partial"`)) {
				seen["partial"] = true
			}
			if bytes.Contains(q.Body, []byte(`"previous"`)) {
				seen["previous"] = true
			}
		}
		for _, what := range append(want, "partial", "previous") {
			if !seen[what] {
				t.Errorf("no body was %s", what)
			}
		}
	})

	sample := func(t *testing.T, event, query, token string) (of string, bodies []sampleBody) {
		t.Helper()
		a := r.get("/event-type/"+event+"/sample"+query, token)
		if a.status != http.StatusOK {
			t.Fatalf("%s%s: %d %s", event, query, a.status, a.body)
		}
		var raw []json.RawMessage
		if err := json.Unmarshal(a.body, &raw); err != nil {
			raw = []json.RawMessage{a.body}
		}
		s, _ := r.schemaOf(adminToken, event)
		for _, body := range raw {
			if err := validate(t, s, body); err != nil {
				t.Errorf("%v\n%s", err, body)
			}
			var b sampleBody
			if err := json.Unmarshal(body, &b); err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, b)
		}
		return a.header.Get("Rowhook-Sample"), bodies
	}
	ids := func(bodies []sampleBody) (ids []int) {
		for _, b := range bodies {
			ids = append(ids, b.Data.ID)
		}
		return ids
	}
	t.Run("rows", func(t *testing.T) {
		for _, c := range []struct {
			event, query, token string
			ids                 []int
			of                  string
		}{
			{"contact.create", "?list=true", acmeToken, []int{5, 2, 1}, "row"},
			{"contact.create", "?list=true", otherToken, []int{6, 3}, "row"},
			{"contact.create", "", acmeToken, []int{5}, "row"},
			{"contact.create", "?list=true", adminToken, []int{6, 5, 3}, "row"},
			{"contact.create", "?account=2", adminToken, []int{6}, "row"},
			{"contact.create", "?account=3", adminToken, []int{1}, "synthetic"},
			{"contact.create", "?account=not%20a%20number", adminToken, []int{1}, "synthetic"},
			{"deal.update", "?list=true", acmeToken, []int{3, 1}, "row"},
			{"deal.update", "?list=true", otherToken, []int{2}, "row"},
			{"deal.big", "?list=true", acmeToken, []int{1}, "row"},
			{"deal.delete", "?list=true", acmeToken, []int{3, 1}, "row"},
			{"note.create", "?list=true", adminToken, []int{2}, "row"},
		} {
			of, bodies := sample(t, c.event, c.query, c.token)
			if of != c.of || !slices.Equal(ids(bodies), c.ids) {
				t.Errorf("%s%s: %s %v, want %s %v", c.event, c.query, of, ids(bodies), c.of, c.ids)
			}
			for i, b := range bodies {
				if b.Type != c.event || b.Timestamp == "" || len(b.Position) != 40 || i > 0 && b.Position >= bodies[i-1].Position {
					t.Errorf("%s: %+v", c.event, b)
				}
				if (b.Previous != nil) != (strings.HasPrefix(c.event, "deal.") && c.event != "deal.delete") {
					t.Errorf("%s: previous is %s", c.event, b.Previous)
				}
			}
		}
		// The application knows no such instance: what it would have said is left out, and named.
		if a := r.get("/event-type/deal.update/sample?account=1", adminToken); !strings.Contains(string(a.body), `"contact":null,"lines":[]},"partial":["avatar"],"previous":{`) {
			t.Errorf("%s", a.body)
		}
		if a := r.get("/event-type/deal.won/sample?list=true", acmeToken); !strings.Contains(string(a.body), `"lines":[{"id":1,"price":"1.5"},{"id":2,"price":"2.5"}]`) ||
			!strings.Contains(string(a.body), `"avatar":{"size":1}`) || strings.Contains(string(a.body), "hidden") {
			t.Errorf("%s", a.body)
		}
	})

	t.Run("formats", func(t *testing.T) {
		// What is different in any two bodies.
		own := regexp.MustCompile(`"(timestamp|time|position)":"[^"]*"|"id":"evt_\w+"`)
		for format, id := range formats {
			for event, instance := range map[string]string{"contact.create": "6", "deal.create": "4"} {
				of := regexp.MustCompile(`"(id|subject)":"?` + instance + `"?[,}]`)
				var sent string
				r.recv.WaitFor(t, func(all []hooktest.Request) bool {
					return slices.ContainsFunc(all, func(q hooktest.Request) bool {
						sent = string(q.Body)
						return q.Path == "/as/"+format && q.Type == event && of.Match(q.Body)
					})
				})
				a := r.get("/event-type/"+event+"/sample?format="+format, adminToken)
				// A sample is of no subscription.
				got := strings.NewReplacer("sub_example", id, "https://example.com/hooks", r.recv.URL("/as/"+format)).Replace(string(a.body))
				if got, want := own.ReplaceAllString(got, "$1"), own.ReplaceAllString(sent, "$1"); a.status != http.StatusOK || got != want {
					t.Errorf("a sample of %s as %s is\n%d %s\nand what is sent\n%s", event, format, a.status, got, want)
				}
			}
			one, list := r.get("/event-type/deal.update/sample?synthetic=true&format="+format, adminToken), r.get("/event-type/deal.update/sample?list=true&synthetic=true&format="+format, adminToken)
			if !json.Valid(one.body) || string(list.body) != "["+string(one.body)+"]" {
				t.Errorf("%s of no row: %s, and a list %s", format, one.body, list.body)
			}
		}
	})

	t.Run("trouble", func(t *testing.T) {
		r.exec(`insert into deals (id, account_id, amount) values (6, 3, 1)`)
		// The application fails for it.
		if a := r.get("/event-type/deal.update/sample?account=3", adminToken); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := r.get("/event-type/deal.delete/sample?account=3", adminToken); a.status != http.StatusOK {
			t.Errorf("of a deleted row nobody is asked: %d %s", a.status, a.body)
		}
		r.exec(`insert into deals (id, account_id, amount) values (7, 4, 1)`)
		if a := r.get("/event-type/deal.update/sample?account=4", adminToken); a.status != http.StatusOK || a.header.Get("Rowhook-Sample") != "synthetic" ||
			strings.Contains(string(a.body), "of the other") {
			t.Errorf("a row that is given away meanwhile: %d %s", a.status, a.body)
		}
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `lock table notes in access exclusive mode`); err != nil {
			t.Fatal(err)
		}
		if a := r.get("/event-type/note.create/sample", adminToken); a.status != http.StatusServiceUnavailable {
			t.Errorf("a table that is locked: %d %s", a.status, a.body)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.exec(`alter table notes rename column body to text`)
		if a := r.get("/event-type/note.create/sample", adminToken); a.status != http.StatusServiceUnavailable || strings.Contains(string(a.body), "body") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if got := r.log.String(); !strings.Contains(got, "SQLSTATE 42703") || strings.Contains(got, "hidden") {
			t.Error("the log does not say why")
		}
	})

	t.Run("client", func(t *testing.T) {
		c := r.client(acmeToken)
		e, err := c.EventType(t.Context(), "contact.create")
		if err != nil || e.Resource != "contact" || !strings.Contains(string(e.Schema), "2020-12") {
			t.Errorf("%v %v", e, err)
		}
		s, err := c.Sample(t.Context(), "contact.create", client.SampleOptions{List: true})
		if err != nil || s.Synthetic || len(s.Bodies) != 3 {
			t.Errorf("%v %v", s, err)
		}
		if s, err = c.Sample(t.Context(), "contact.create", client.SampleOptions{Synthetic: true, Format: "standard"}); err != nil || !s.Synthetic || len(s.Bodies) != 1 {
			t.Errorf("%v %v", s, err)
		}
		if _, err = c.EventType(t.Context(), "contact.craete"); err == nil || !strings.Contains(err.Error(), "contact.create") {
			t.Errorf("%v", err)
		}
	})
}

type sampleBody struct {
	Type, Timestamp, Position string
	Data                      struct{ ID int }
	Previous                  json.RawMessage
}
