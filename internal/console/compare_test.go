package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shop is an application that answers for contacts, as a test wants it.
type shop struct {
	*httptest.Server
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request, id string)]
	asked  atomic.Int64
}

func newShop(t *testing.T) *shop {
	s := &shop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r, path.Base(r.URL.Path))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) answers(f func(w http.ResponseWriter, r *http.Request, id string)) { s.answer.Store(&f) }

// says answers with a body, in which %s is the id.
func (s *shop) says(body string) {
	s.answers(func(w http.ResponseWriter, _ *http.Request, id string) {
		fmt.Fprint(w, strings.ReplaceAll(body, "%s", id))
	})
}

// TestCompare compares with an application that is equal, differs, fails, and takes its time.
func TestCompare(t *testing.T) {
	t.Parallel()
	app := newShop(t)
	r := newRigOf(t, strings.Replace(configText, "resources:\n", "app: {url: "+app.URL+"}\nresources:\n", 1)+`
  person:
    table: contacts
    account: account_id
    path: /people/${id}
    representation: {id: '${id}', name: '${first_name}', rank: '${string(score)}', number: '${9007199254740993 + id}'}
`)
	for i := 1; i <= 24; i++ {
		r.exec(`insert into contacts (id, account_id, first_name, score) values ($1, 1, 'Ada', 7)`, i)
	}
	const same = `"id": %s, "name": "Ada", "rank": "7"`
	equal := func(w http.ResponseWriter, _ *http.Request, id string) {
		var n int64
		fmt.Sscan(id, &n)
		fmt.Fprintf(w, `{`+strings.ReplaceAll(same, "%s", id)+`, "number": %d}`, 9007199254740993+n)
	}
	in := newBrowser(t)
	p := newPage(t, in, r.at)
	p.login(adminToken)
	p.open("/resources/person")
	compare := func(rows string) {
		p.t.Helper()
		p.fill("Rows", rows)
		p.press("Compare")
	}
	step := func(name string, do func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			p.t = t
			do(t)
		})
		p.t = t
	}

	step("Equal", func(*testing.T) {
		app.answers(equal)
		compare("")
		p.says("20 rows compared, 0 different.", "equal")
	})
	step("Differs", func(*testing.T) {
		app.says(`{"id": %s, "name": "ADA", "rank": 7, "number": 9007199254740993, "badge": "gold"}`)
		compare("1, 2")
		p.says("2 rows compared, 2 different.", "differs in 2 of 2 rows", `"Ada"`, `"ADA"`, "Hint: json: {bigint: number} for a bigint", "${api.badge}", "no such field", "9007199254740994")
		// What is a text here and a number there is told apart.
		p.until(`(() => { const cells = [...document.querySelectorAll(".differs")].find((d) => d.innerText.startsWith("rank")).querySelectorAll("tbody tr:first-child code"); return cells[0].innerText === '"7"' && cells[1].innerText === "7"; })()`)
		p.size(390, 844)
		p.fits("a comparison on a phone")
		p.shot("compare-phone")
		p.size(1280, 900)
		value[bool](p, `(() => { document.querySelector(".differs").scrollIntoView(); return true; })()`)
		p.shot("compare")
	})
	step("Envelope", func(*testing.T) {
		app.answers(func(w http.ResponseWriter, r *http.Request, id string) {
			fmt.Fprint(w, `{"item": `)
			equal(w, r, id)
			fmt.Fprint(w, `}`)
		})
		compare("1")
		p.says("compare with what is at item")
		p.fill("Instance is at", "item")
		p.press("Compare")
		p.says("1 row compared, 0 different.")
		p.fill("Instance is at", "data")
		p.press("Compare")
		p.says("the API's answer has nothing at data")
		p.fill("Instance is at", "")
	})
	step("NoSuchRow", func(*testing.T) {
		app.answers(equal)
		compare("1 4711")
		p.says("1 row could not be compared", "there is no person 4711")
		compare("x")
		p.says(`"x" is not a key of person`)
		app.answers(func(w http.ResponseWriter, r *http.Request, id string) {
			if id == "2" {
				http.NotFound(w, r)
				return
			}
			equal(w, r, id)
		})
		compare("1, 2")
		p.says("1 row compared, 0 different.", "Your API does not know 2")
	})
	step("Fails", func(*testing.T) {
		app.answers(func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(401) })
		compare("")
		p.says("That did not work", "401 Unauthorized", "give a login that may read it")
		app.answers(func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>Sign in</h1>")
		})
		compare("1")
		p.says("1 row could not be compared", "the answer is text/html, not JSON", "app.url and path lead to the API", "not compared")
		app.answers(func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) })
		compare("1")
		p.says("That did not work", "see that the application runs")
	})

	slow := func(w http.ResponseWriter, r *http.Request, id string) {
		select {
		case <-time.After(300 * time.Millisecond):
			equal(w, r, id)
		case <-r.Context().Done():
		}
	}
	step("StopAndGoOn", func(*testing.T) {
		app.answers(slow)
		compare("")
		p.says(" of 20 rows")
		p.press("Stop")
		p.says("not reached.", "Go on with ")
		app.answers(equal)
		p.until(`((e) => e && (e.click(), true))([...document.querySelectorAll("button")].find((e) => e.innerText.startsWith("Go on with ")))`)
		p.says("20 rows compared, 0 different.")
	})
	step("LeavingStopsIt", func(t *testing.T) {
		app.answers(slow)
		compare("")
		p.says(" of 20 rows")
		held, gone := make(chan struct{}, 1), make(chan struct{}, 1)
		app.answers(func(_ http.ResponseWriter, r *http.Request, _ string) {
			held <- struct{}{}
			<-r.Context().Done()
			gone <- struct{}{}
		})
		receive := func(what string, from <-chan struct{}) {
			t.Helper()
			select {
			case <-from:
			case <-time.After(patience):
				t.Fatal("never: " + what)
			}
		}
		receive("a row is asked for", held)
		p.press("System")
		receive("it is let go of", gone)
		asked := app.asked.Load()
		p.says("Config, as it runs")
		if now := app.asked.Load(); now != asked {
			t.Errorf("%d rows were asked for after the page was left", now-asked)
		}
	})
}
