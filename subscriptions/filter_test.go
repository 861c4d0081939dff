package subscriptions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// compiled are the shapes of resources of these columns, all of them text.
func compiled(t testing.TB, resources map[string][]string) map[string]*mapping.FilterShape {
	t.Helper()
	var cfg mapping.Config
	tables := map[cdc.TableName]*cdc.Table{}
	for name, columns := range resources {
		table := &cdc.Table{TableName: cdc.TableName{Schema: "public", Name: name}, Kind: 'r', Identity: cdc.IdentityFull, Key: []int{0}}
		for _, column := range columns {
			table.Columns = append(table.Columns, cdc.Column{Name: column, Type: &cdc.Type{OID: 25, Name: "text", Kind: 'b'}, Identity: true})
		}
		tables[table.TableName] = table
		cfg.Resources = append(cfg.Resources, mapping.Resource{Name: name, Table: table.TableName, AllColumns: true})
	}
	def, problems := mapping.Parse(cfg)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	m, problems := def.Compile(tables, "test")
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	shapes := map[string]*mapping.FilterShape{}
	for name := range resources {
		shapes[name] = m.FilterShape(name)
	}
	return shapes
}

func filterRules(t testing.TB, scope subscriptions.Scope) subscriptions.Rules {
	r := rules(scope)
	shapes := compiled(t, map[string][]string{"contact": {"id", "email"}, "deal": {"id", "status"}, "plan": {"id", "price"}})
	r.Catalogue = nil
	for _, o := range catalogue {
		o.Shape = shapes[o.Resource]
		if o.Resource != "note" {
			r.Catalogue = append(r.Catalogue, o)
		}
	}
	return r
}

// TestFilterIsCheckedAgainstTheEvents: what the events have that the caller can get.
func TestFilterIsCheckedAgainstTheEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope                subscriptions.Scope
		events, filter, want string
	}{
		{account42, `"deal.*"`, `data.status == \"won\"`, ""},
		{account42, `"deal.won"`, `data.stats == \"won\"`, `[filter: line 1, column 6: the event's data has no member "stats": did you mean "status"?]`},
		{account42, `"contact.create"`, `data.status == null`, `[filter: line 1, column 6: the event's data has no member "status": it is none of the members that the mapping gives these events]`},
		{account42, `"contact.create","deal.create"`, `data.status == null`, ""},
		{account42, `"*"`, `data.status == \"won\" || data.email == null`, ""},
		{account42, `"*"`, `data.price == \"1\"`, `[filter: line 1, column 6: the event's data has no member "price": it is none of the members that the mapping gives these events]`},
		{admin, `"*"`, `data.price == \"1\"`, ""},
		{account42, `"deal.*"`, `type == \"deal.won\" &&\n\tdata.status > 3`, `[filter: line 2, column 14: > does not work on text and integer: make a number of the text: int(…) or float(…)]`},
		{account42, `"dael.*"`, `data.x == 1`, `[events[0]: no event is called "dael.*": did you mean "deal.*"?]`},
		{account42, `"deal.*"`, `  `, ""},
	} {
		s, err := filterRules(t, c.scope).New([]byte(`{"events":[` + c.events + `],"target_url":"https://example.com/h","filter":"` + c.filter + `"}`))
		got := ""
		if err != nil {
			got = fmt.Sprint(mistakesOf(t, err))
		} else if (s.Filter == "") != (strings.TrimSpace(c.filter) == "") {
			t.Errorf("%s became %q", c.filter, s.Filter)
		}
		if got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.events, c.filter, got, c.want)
		}
	}
}

// TestFilterIsChanged: GET, edit, PUT; and what was told of the filter before goes with it, and only with it.
func TestFilterIsChanged(t *testing.T) {
	t.Parallel()
	r := filterRules(t, account42)
	made := func() *sub {
		s, err := r.New([]byte(`{"events":["deal.*"],"target_url":"https://example.com/h","filter":"data.status == \"won\""}`))
		if err != nil {
			t.Fatal(err)
		}
		s.FilterError = &subscriptions.FilterError{Message: "no", Count: 2, At: time.Unix(0, 0)}
		return s
	}
	const whole = `"target_url":"https://example.com/h"`
	for _, c := range []struct {
		put, body, filter string
		failed            bool
	}{
		{"PATCH", `{"name":"x"}`, `data.status == "won"`, true},
		{"PATCH", `{"filter":null}`, ``, false},
		{"PATCH", `{"filter":"data.status != null"}`, `data.status != null`, false},
		{"PATCH", `{"events":["deal.won"]}`, `data.status == "won"`, true},
		{"PUT", `{"events":["deal.*"],` + whole + `}`, ``, false},
		{"PUT", `{"events":["deal.*"],` + whole + `,"filter":"data.status == \"won\"","filter_error":{"count":7}}`, `data.status == "won"`, true},
	} {
		s := made()
		change := r.Patch
		if c.put == "PUT" {
			change = r.Replace
		}
		if err := change(s, []byte(c.body)); err != nil || s.Filter != c.filter || (s.FilterError != nil) != c.failed {
			t.Errorf("%s %s: %v: %q, failed %v", c.put, c.body, err, s.Filter, s.FilterError)
		}
	}
	s := made()
	if err := r.Patch(s, []byte(`{"events":["contact.create"]}`)); err == nil || mistakesOf(t, err)[0][:7] != "filter:" {
		t.Errorf("events that the filter does not fit: %v", err)
	}
	// The config has changed since: what it was stays, and can be kept.
	r = filterRules(t, account42)
	for i := range r.Catalogue {
		r.Catalogue[i].Shape = compiled(t, map[string][]string{"x": {"id", "state"}})["x"]
	}
	if err := r.Patch(s, []byte(`{"name":"x"}`)); err != nil || s.Filter == "" {
		t.Errorf("a filter that does not fit any more: %v", err)
	}
}

// TestIndexKeepsFilters: they are there when a subscription is unpacked again, at its position in the stream, and gone
// with the last that has one.
func TestIndexKeepsFilters(t *testing.T) {
	t.Parallel()
	x := subscriptions.NewIndex()
	empty := x.Size()
	for i := range int64(6000) {
		s := &sub{Key: i + 1, ID: fmt.Sprint("sub_", i), Version: 1, Admin: true, Events: []string{"deal.*"}, State: subscriptions.Active}
		if i%3 > 0 {
			s.Filter = fmt.Sprint("data.n == ", i%7)
		}
		x.Put(s)
	}
	if !x.Filtered() {
		t.Error("nothing has a filter")
	}
	for range 2 {
		for i, s := range x.Match(nil, &mapping.Event{Type: "deal.won", Resource: "deal", Position: cdc.Position{Commit: 1}}) {
			want := ""
			if i%3 > 0 {
				want = fmt.Sprint("data.n == ", i%7)
			}
			if s.Filter != want {
				t.Fatalf("%d has %q, want %q", i, s.Filter, want)
			}
		}
	}
	row := &sub{Key: 1, ID: "sub_0", Version: 3, Admin: true, Events: []string{"deal.*"}, State: subscriptions.Active, Filter: "type == null"}
	x.Apply(subscriptions.Announcement{ID: "sub_0", Version: 2, Admin: true, Events: row.Events, State: subscriptions.Active, Filter: "true"}, row)
	if got := x.Get("sub_0"); got.Filter != "true" || got.Version != 2 {
		t.Errorf("at the announcement's place it is %+v", got)
	}
	if a := subscriptions.Announce(row, "s"); a.Filter != row.Filter {
		t.Errorf("announced as %+v", a)
	}
	for i := range 6000 {
		x.Remove(fmt.Sprint("sub_", i))
	}
	if x.Filtered() || x.Size() > empty+5<<20 {
		t.Errorf("of no subscriptions %d bytes are left, filtered %v", x.Size()-empty, x.Filtered())
	}
}
