package app_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

func (r *rig) subscribeFiltered(path, filter string, events ...string) *client.Subscription {
	r.t.Helper()
	s, err := r.admin().Create(r.t.Context(), &client.Subscription{Events: events, TargetURL: r.recv.URL(path), Filter: filter})
	if err != nil {
		r.t.Fatal(err)
	}
	if s.Filter != filter || s.FilterError != nil {
		r.t.Errorf("made with %q, %+v", s.Filter, s.FilterError)
	}
	return s
}

// delivered waits until nothing that was matched is on its way.
func (r *rig) delivered() {
	r.t.Helper()
	eventually(r.t, "nothing is on its way", func() bool { return r.metric("rowhook_deliveries_in_memory") == 0 })
	r.becomes("nothing is due", `select not exists (select from rowhook.due)`)
}

// wantPaths waits until as much has come at each path since Forget as is wanted there, and compares it.
func (r *rig) wantPaths(want map[string]string) {
	r.t.Helper()
	r.recv.WaitFor(r.t, func(q []hooktest.Request) bool {
		got := hooktest.ByPath(q)
		for path, want := range want {
			if want != "" && len(got[path]) <= strings.Count(want, ", ") {
				return false
			}
		}
		return true
	})
	r.delivered()
	got := hooktest.ByPath(r.recv.Requests())
	for path, want := range want {
		var have []string
		for _, q := range got[path] {
			have = append(have, strings.TrimPrefix(q.Type, "person.")+" "+strings.TrimPrefix(q.Instance(), "person/"))
		}
		slices.Sort(have)
		if have := strings.Join(have, ", "); have != want {
			r.t.Errorf("%s got %q, want %q", path, have, want)
		}
	}
	r.recv.Forget()
}

// TestFilters sees what is sent of each event, whoever completes it, and nothing else.
func TestFilters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(personSchema)
	r.exec(`alter table people replica identity full`)
	r.exec(`create table numbers (id int primary key, n text)`)
	r.text += strings.Replace(personConfig, "order_by: position desc\n", "order_by: position desc\n        touch: true\n", 1) +
		"  number: {table: numbers, representation: {id: \"${id}\", n: \"${int(n)}\"}}\n"
	stop := r.start()

	// Before anybody else is there: what nobody wants is neither read for nor stored.
	ada := r.subscribeFiltered("/ada", `data.name == "Ada"`, "person.*")
	r.subscribe("/notes", "note.*")
	r.exec(`insert into people values (100, 1, 'Bo', 7, null)`)
	r.exec(`insert into notes values (1, 'x')`)
	r.recv.WaitFor(t, arrived("/notes", "note/1", 1))
	if n := r.metric("rowhook_reads_total"); n != 0 {
		t.Errorf("%v reads for an event that nobody wants", n)
	}
	r.becomes("it is not stored", `select count(*) = 1 from rowhook.event`)

	r.subscribe("/all", "person.*")
	r.subscribeFiltered("/german", `data.country == "Germany"`, "person.*")
	r.subscribeFiltered("/vip", `any(data.tags, .tag?.name == "vip")`, "person.*")
	r.subscribeFiltered("/rich", `float(data.firm.revenue) > 1e19`, "person.*")
	r.subscribeFiltered("/moved", `"name" in previous && previous.name != data.name`, "person.*")
	r.subscribeFiltered("/deleted", `type == "person.delete" && data.name == null`, "person.*")
	r.subscribeFiltered("/zapier", `context.source == "zapier"`, "person.*")
	mine := r.subscribeFiltered("/mine", `data.id == 9007199254740993`, "person.*")
	if _, err := r.client("acme-token-0123456789").Create(t.Context(), &client.Subscription{
		Events: []string{"*"}, TargetURL: r.recv.URL("/acme"), Filter: `data.name in ["Ada", "Cy"]`}); err != nil {
		t.Fatal(err)
	}
	r.transaction(say(`{"source": "zapier"}`), `insert into people values (1, 1, 'Ada', 7, null)`)
	r.exec(`insert into people values (2, 1, 'Bo', 8, null), (3, 2, 'Cy', null, null), (9007199254740993, 1, 'Di', null, null), (9007199254740992, 1, 'Di', null, null)`)
	r.exec(`update people set name = 'Ado' where id = 2`)
	r.recv.WaitFor(t, arrived("/all", "person/2", 2)) // tags are read as they are then
	r.exec(`insert into person_tags values (2, 1, 1)`)
	r.exec(`delete from people where id = 3`)
	r.wantPaths(map[string]string{
		"/all":    "create 1, create 2, create 3, create 9007199254740992, create 9007199254740993, delete 3, update 2, update 2",
		"/ada":    "create 1",
		"/german": "create 1",
		"/vip":    "update 2",
		"/rich":   "create 1",
		"/moved":  "update 2",
		"/zapier": "create 1",
		"/mine":   "create 9007199254740993",
		"/acme":   "create 1",
	})

	r.settled() // also what was refused when it was complete

	// After a start, and from a change of the filter on.
	stop()
	stop = r.start()
	defer stop()
	r.exec(`update people set name = 'Eve' where id = 1`)
	if _, err := r.admin().Update(t.Context(), ada.ID, client.Patch{"filter": `data.name == "Eve"`}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.admin().Update(t.Context(), mine.ID, client.Patch{"filter": nil}); err != nil {
		t.Fatal(err)
	}
	r.exec(`update people set code = 'x' where id = 1`)
	r.exec(`update people set name = 'Eva' where id = 1`)
	r.exec(`delete from people where id = 1`)
	r.recv.WaitFor(t, arrived("/mine", "person/1", 2))
	r.wantPaths(map[string]string{
		"/all": "delete 1, update 1, update 1, update 1", "/ada": "update 1", "/mine": "delete 1, update 1, update 1", "/moved": "update 1, update 1", "/acme": "",
	})

	// What it fails on is not sent, told, and nobody else's trouble.
	fails := r.subscribeFiltered("/fails", `data.n > 1 && int(string(data.id) + "x") == 2`, "number.*")
	even := r.subscribeFiltered("/even", `data.n % 2 == 0`, "number.*")
	r.exec(`insert into numbers values (1, '1'), (2, '2'), (3, 'none'), (4, '4')`)
	r.recv.WaitFor(t, arrived("/even", "number/4", 1))
	var told *client.FilterError
	eventually(t, "the subscription tells what its filter failed on", func() bool {
		s, err := r.admin().Get(t.Context(), fails.ID)
		if err != nil {
			t.Fatal(err)
		}
		told = s.FilterError
		return told != nil
	})
	if told.Count != 2 || told.EventType != "number.create" || !strings.HasPrefix(told.EventID, "evt_") || told.Message != "int failed on text" {
		t.Errorf("told %+v", told)
	}
	if n := r.metric("rowhook_filter_errors_total"); n != 2 {
		t.Errorf("rowhook_filter_errors_total %v", n)
	}
	if s, err := r.admin().Update(t.Context(), fails.ID, client.Patch{"filter": `data.n == 6`}); err != nil || s.FilterError != nil {
		t.Errorf("a new filter: %+v, %v", s, err)
	}
	// A dead letter is asked about when it has become an event.
	r.buried(1)
	r.exec(`update numbers set n = '6' where id = 3`)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool {
		return arrived("/even", "number/3", 1)(q) && arrived("/fails", "number/3", 1)(q)
	})
	r.recv.Forget()
	r.exec(`insert into numbers values (5, 'none'), (6, 'none')`)
	r.buried(3)
	r.transaction(`alter table numbers disable trigger all`, `update numbers set n = id + 2 where id > 4`)
	r.replayed(client.DeadLetterReplay{All: true})
	r.recv.WaitFor(t, arrived("/even", "number/6", 1))
	r.delivered()
	for _, q := range hooktest.ByPath(r.recv.Requests())["/even"] {
		if q.Instance() == "number/5" {
			t.Errorf("%s came: %s", q, q.Body)
		}
	}
	if got, err := r.admin().Get(t.Context(), even.ID); err != nil || got.FilterError != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if s := r.log.String(); strings.Contains(s, "filters of subscriptions fail") && strings.Contains(s, "9007199254740993") {
		t.Error("the log holds values of rows")
	}

	for _, c := range []struct{ filter, want string }{
		{`data.nam == "x"`, `did you mean "name"?`}, {`data.name > 3`, "> does not work on text and integer"},
		{`data.firm.nam == "x"`, `no member "nam"`}, {`data.n == 1`, `no member "n"`},
	} {
		_, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"person.*"}, TargetURL: r.recv.URL("/x"), Filter: c.filter})
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Status != 422 || len(refused.Fields) != 1 || refused.Fields[0].Field != "filter" ||
			!strings.Contains(fmt.Sprint(refused.Fields), c.want) {
			t.Errorf("%s: %v", c.filter, err)
		}
	}
}
