package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTheApplicationsAnswers are in the events that somebody gets, as the application gives them once the commit is
// visible: asked for once an event, and never for a delete. While it is away, or refuses the login, nothing is sent and
// nothing is lost.
func TestTheApplicationsAnswers(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, func(q hooktest.Request) hooktest.Answer {
		switch {
		case q.Header.Get("X-Key") == "":
			return hooktest.Status(401)
		case strings.HasSuffix(q.Path, "/9"):
			return hooktest.Status(404)
		}
		return hooktest.Answer{Body: fmt.Sprintf(`{"avatar": {"url": "https://cdn%s?a=1&b=2", "size": 1.10}, "rank": 12345678901234567890}`, q.Path)}
	})
	l := newLonely(t)
	l.exec(`create table things (id int primary key, account_id int not null default 1, name text); alter table things replica identity full;
		create table makers (id int primary key, name text); insert into makers values (1, 'M')`)
	l.text = strings.Replace(l.text, "resources:", "app: {url: "+app.URL("/v1")+", headers: {x-key: hunter2-of-the-app}}\nresources:", 1) + `
  thing:
    table: things
    account: account_id
    path: /things/${id}
    representation: {id: '${id}', name: '${name}', avatar: '${api.avatar}', rank: '${api.rank + 1 > 5 ? "high" : "low"}', maker: '${maker.name}'}
    relations: {maker: {table: makers, foreign_key: account_id, columns: [name]}}
`
	l.start()
	data := func(id int, name string) string {
		return fmt.Sprintf(`{"id":%[1]d,"name":%[2]q,"avatar":{"url":"https://cdn/v1/things/%[1]d?a=1&b=2","size":1.10},"rank":"high","maker":"M"}`, id, name)
	}
	l.exec(`insert into things values (1, 1, 'nobody gets it')`)
	l.subscribe("/a", "thing.*")
	l.subscribe("/b", "thing.*")
	l.exec(`begin`)
	l.exec(`insert into things select n, 1, 'Ada' from generate_series(2, 9) n where n <> 8`)
	l.exec(`delete from things where id = 1`)
	l.exec(`commit`)
	got := hooktest.ByInstance(l.recv.Wait(t, 16, patience))
	for id := 2; id <= 7; id++ {
		for _, q := range got[fmt.Sprint("thing/", id)] {
			if have := string(q.Data()); have != data(id, "Ada") {
				t.Errorf("got %s", have)
			}
		}
	}
	// The old row has its relation's key, and nothing is asked for.
	if have := string(got["thing/1"][0].Data()); have != `{"id":1,"name":"nobody gets it"}` {
		t.Errorf("the delete has %s", have)
	}
	if have := string(got["thing/9"][0].Body); !strings.Contains(have, `"data":{"id":9,"name":"Ada","maker":"M"},"partial":["avatar","rank"],`) {
		t.Errorf("what the application does not know is %s", have)
	}
	asked := map[string]int{}
	for _, q := range app.Requests() {
		asked[q.Path]++
	}
	if len(asked) != 7 || len(app.Requests()) != 7 || asked["/v1/things/1"] > 0 {
		t.Errorf("asked %v", asked)
	}
	if n := l.metric(`rowhook_application_requests_total{result="missing"}`); n != 1 {
		t.Errorf("%g answers were missing", n)
	}

	// Away: waited for, and said.
	app.Down()
	l.recv.Forget()
	l.exec(`update things set name = 'Bo' where id = 2`)
	l.isRed("${api.…} of thing: GET " + app.URL("/v1/things/${id}: ") + "connection refused; see that the application runs")
	if n := len(l.recv.Requests()); n != 0 {
		t.Errorf("%d deliveries while the application was away", n)
	}
	if err := app.Up(); err != nil {
		t.Fatal(err)
	}
	l.recv.Wait(t, 2, patience) // both of them, before what came is forgotten
	l.wantData(map[string]string{"thing/2": data(2, "Bo")})
	l.isGreen()

	// A login that is refused is mended by a reload.
	l.recv.Forget()
	l.replace("x-key: hunter2-of-the-app", "x-other: hunter2-of-the-app")
	l.mustReload()
	l.exec(`update things set name = 'Cy' where id = 2`)
	l.isRed("the application answers 401 Unauthorized; give a login that may read it: app: {headers:")
	l.replace("x-other: hunter2-of-the-app", "x-key: hunter2-of-the-app")
	l.mustReload()
	l.recv.Wait(t, 2, patience)
	l.wantData(map[string]string{"thing/2": data(2, "Cy")})

	// A commit that waits for a standby is in the stream, and nobody can see it: what the application says is older.
	l.replace(`, maker: '${maker.name}'}`, `}`)
	l.mustReload()
	l.standby("nobody")
	app.Forget()
	l.recv.Forget()
	ended := l.hang(`update things set name = 'Di' where id = 2`)
	l.red()
	if n, m := len(app.Requests()), len(l.recv.Requests()); n != 0 || m != 0 {
		t.Errorf("asked %d times, delivered %d before the commit was visible", n, m)
	}
	l.standby("")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	l.recv.Wait(t, 2, patience)
	l.wantData(map[string]string{"thing/2": strings.Replace(data(2, "Di"), `,"maker":"M"`, "", 1)})
	if strings.Contains(l.log.String(), "hunter2") {
		t.Error("the log has the login")
	}
}
