package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/dev"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// TestNewcomer goes the way of somebody who tries rowhook for the first time: without a config file, then with one, and with mistakes.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	in := newBrowser(t)
	link := startDev(t)
	p := newPage(t, in, link[:strings.Index(link, "/console/")])
	for _, part := range []struct {
		name string
		do   func(*page, string)
	}{
		{"SignsInByALink", signInByLink}, {"ResourceWithoutAFile", resourceWithoutFile}, {"SystemWithoutAFile", systemWithoutFile}, {"APageThatBreaks", brokenPage},
	} {
		t.Run(part.name, func(t *testing.T) {
			p.t = t
			part.do(p, link)
		})
	}
	p.t = t
}

// TestNewcomerWithTrouble is the same with a config: searching, and what is shown while things fail.
func TestNewcomerWithTrouble(t *testing.T) {
	t.Parallel()
	in := newBrowser(t)
	r := newRig(t)
	p := newPage(t, in, r.at)
	p.login(adminToken)
	for _, part := range []struct {
		name string
		do   func(*page, *rig)
	}{
		{"FindsOneEvent", findOneEvent}, {"MistypedSearch", mistypedSearch}, {"HeldBack", heldBack}, {"AFeedIsNoLoss", feedIsNoLoss}, {"PlaygroundAfterAMistake", playgroundAfterMistake}, {"FormInItsOwnWords", formInItsOwnWords},
	} {
		t.Run(part.name, func(t *testing.T) {
			p.t, r.t = t, t
			part.do(p, r)
		})
	}
	p.t, r.t = t, t
}

// findOneEvent searches by what receivers and logs have of an event: its webhook-id and its position.
func findOneEvent(p *page, r *rig) {
	r.good = r.create(adminToken, &client.Subscription{Events: []string{"contact.*"}, TargetURL: r.recv.URL("/good"), Name: "warehouse"})
	r.exec(`insert into contacts (id, account_id, first_name) values (1, 1, 'Ada'), (2, 1, 'Grace')`)
	r.exec(`insert into deals (id, account_id, title) values (7, 1, 'Lenses')`)
	var id, at string
	r.wait("the delivery is written down", func() bool {
		for d, err := range r.client(adminToken).Deliveries(r.t.Context(), r.good.ID, client.DeliveryFilter{ResourceID: "2", Status: client.DeliveryDelivered}) {
			if err != nil {
				r.t.Fatal(err)
			}
			id, at = d.Event.ID, d.Event.Position
		}
		return at != ""
	})
	p.open("/events")
	p.says("deal.create 7")
	for _, text := range []string{id, at} {
		p.fill("Instance or event", "contact")
		p.until(`document.querySelectorAll("tbody > tr").length === 2 && !location.search.includes("event=")`)
		p.fill("Instance or event", text)
		p.until(`location.search === "?event=` + text + `"`)
		p.says("The event "+text, "What it says", "Grace", "Where it went", r.good.ID)
		p.until(`!document.body.innerText.includes("Ada")`)
	}
	// One that is kept and went nowhere has a position too.
	var deal struct{ ID, Position string }
	page, err := r.client(adminToken).Events(r.t.Context(), client.EventQuery{Types: []string{"deal.create"}})
	if err == nil {
		err = json.Unmarshal(page.Events[0], &deal)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.fill("Instance or event", deal.Position)
	p.says("Lenses", "Nowhere: no subscription got it.")
	p.fill("Instance or event", deal.ID)
	p.says("Nobody got it")
	p.fill("Instance or event", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	p.says("No such event", "the newest 100,000")
}

// mistypedSearch is told what was probably meant.
func mistypedSearch(p *page, _ *rig) {
	p.open("/events")
	p.says("deal.create 7")
	p.fill("Instance or event", "contact.craete 2")
	p.says("No event is called contact.craete")
	p.press("contact.create 2")
	p.until(`document.querySelectorAll("tbody > tr").length > 0 && location.search.includes("type=contact.create")`)
	p.fill("Instance or event", "contcat 2")
	p.says("No resource is called contcat")
	p.press("contact 2")
	p.until(`location.search.includes("resource=contact")`)
	p.fill("Instance or event", "invoice 2")
	p.says("No resource is called invoice", "There are contact, deal, lead.")
	p.fill("Instance or event", "contact 4711")
	p.says("Nothing is known of it")
}

// heldBack looks at what waits: because of its target, of the subscription, and of a pause. What is due never says that its next attempt was.
func heldBack(p *page, r *rig) {
	r.recv.Handle("/busy", hooktest.Always(hooktest.RetryAfter(429, "600")))
	r.recv.Handle("/away", hooktest.Always(hooktest.Answer{Status: 503}))
	busy := r.create(adminToken, &client.Subscription{Events: []string{"lead.*"}, TargetURL: r.recv.URL("/busy"), Name: "busy"})
	away := r.create(adminToken, &client.Subscription{Events: []string{"lead.*"}, TargetURL: r.recv.URL("/away"), Name: "away"})
	r.exec(`insert into leads values (3, 1, '12')`)
	next := func(begins string) string {
		return `document.querySelector("td[data-label='Next attempt']")?.innerText.startsWith(` + quote(begins) + `)`
	}
	p.open("/subscriptions/" + busy.ID + "/waiting")
	p.until(next("held back: its target has asked for time, until in "))
	p.press("lead 3")
	p.says("next attempt: held back: its target has asked for time, until in ")

	p.open("/subscriptions/" + away.ID)
	p.says("http_status")
	value[bool](p, `((real) => { window.fetch = async (url, options) => { const answer = await real(url, options);
		return String(url).includes("/held/") ? new Response((await answer.text()).replace(/"next_attempt":"[^"]*"/g, '"next_attempt":"2026-01-01T00:00:00Z"'), {status: answer.status}) : answer; }; return true; })(window.fetch)`)
	p.press("Waiting (1)")
	p.until(next("due: "))
	if _, err := r.client(adminToken).Disable(r.t.Context(), away.ID, ""); err != nil {
		p.t.Fatal(err)
	}
	p.until(next("held back: the subscription is disabled"))

	if _, err := r.client(adminToken).Pause(r.t.Context(), "a wrong mapping"); err != nil {
		p.t.Fatal(err)
	}
	p.open("/subscriptions/" + busy.ID + "/waiting")
	p.says("Nothing is sent: it was paused by ops", "a wrong mapping")
	p.until(next("when sending is resumed"))
	p.press("lead 3")
	p.says("Nothing is sent: it was paused by ops", "next attempt: when sending is resumed")
	p.open("/")
	p.says("nothing is sent: it was paused by ops: a wrong mapping")
	p.until(`[...document.querySelectorAll(".finding pre")].some((e) => e.innerText === "rowhook resume")`)
	p.open("/subscriptions/" + busy.ID)
	p.says("Nothing is sent: it was paused by ops")
	if _, err := r.client(adminToken).Resume(r.t.Context(), false); err != nil {
		p.t.Fatal(err)
	}
	p.until(`!document.body.innerText.includes("it was paused by")`)
}

// feedIsNoLoss looks at a subscription without a target: its events are there to be read, and no button offers what is refused.
func feedIsNoLoss(p *page, r *rig) {
	feed := r.create(adminToken, &client.Subscription{Events: []string{"deal.*"}, FeedOnly: true, Name: "to be read"})
	r.exec(`update deals set title = 'Prisms'`)
	p.open("/subscriptions/" + feed.ID)
	p.says("deal.update", "in the feed", "to be read", "Events, last hour", "It is read over the API")
	for _, word := range []string{"dropped", "Send again", "Waiting", "Attempts", "Arrived"} {
		if strings.Contains(p.text(), word) {
			p.t.Errorf("a feed says %q:\n%s", word, p.text())
		}
	}
	if read := value[string](p, `fetch([...document.querySelectorAll("pre")].at(-1).innerText.match(/'(http[^']+)'/)[1]).then((a) => a.text())`); !strings.Contains(read, "Prisms") {
		p.t.Errorf("the request that is shown reads %s", read)
	}
	p.open("/subscriptions/" + feed.ID + "/again")
	p.says("It is a feed")
	p.open("/subscriptions/" + feed.ID)
	p.press("deal.update")
	p.says("None: it is kept in the feed, to be read.", "in the feed")
	p.until(`!document.body.innerText.includes("dropped") && !(` + find("button", "Redeliver") + `)`)
}

// playgroundAfterMistake: nothing of an answer before stands under an error, and no mistake at a mapping that has none.
func playgroundAfterMistake(p *page, _ *rig) {
	p.open("/resources/contact")
	p.says("The body as it is sent now", "Grace")
	p.fill("Row", "4711")
	p.says("there is no contact 4711")
	p.until(`!document.body.innerText.includes("The body as it is sent now") && document.body.innerText.split("no such row").length === 2`)
	p.fill("Row", "1")
	p.says("The body as it is sent now", "Ada")
	value[bool](p, `(() => { const e = document.querySelector("#yaml"); e.value = e.value.replace("first_name", "frist_name"); e.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`)
	p.says("frist_name", "Line ")
	p.until(`document.querySelector("#yaml[aria-invalid]")`)
	p.fill("Row", "4711")
	p.says("there is no contact 4711")
	p.press("Back to the config")
	p.until(`!document.querySelector("#yaml[aria-invalid]") && !document.querySelector("#problems li")`)
}

// formInItsOwnWords: what is wrong is said for who looks at the form, not at the API, and no field takes what is refused.
func formInItsOwnWords(p *page, r *rig) {
	p.open("/subscriptions/new")
	p.fill("Events", "invoice.paid")
	p.keys("\r")
	p.fill("Target URL", r.recv.URL("/form"))
	p.press("Description and metadata")
	p.fill("Description", "of two\nlines")
	p.press("Create")
	p.says(`no event is called "invoice.paid": choose one of those that the field offers`)
	p.until(`!document.body.innerText.includes("event-type/") && !document.body.innerText.includes("control character")`)
	p.press("Remove invoice.paid")
	p.fill("Events", "contact.*") // a name that is offered is taken at once
	p.press("Create")
	p.says("whsec_")
	p.press("I have stored it")
	p.press("Settings")
	p.says("of twolines")
}

// startDev is rowhook dev on a database with a table and a row. It gives the link that it prints.
func startDev(t *testing.T) string {
	t.Helper()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), tables+`insert into contacts (id, account_id, first_name) values (1, 1, 'Ada')`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	out, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := dev.Run(ctx, dev.Options{URL: secret.String(url), Listen: "127.0.0.1:0", Out: printed, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(logged{t}, nil))})
		printed.Close()
		ended <- err
	}()
	var reading sync.WaitGroup
	found := make(chan string, 1)
	reading.Go(func() {
		console := regexp.MustCompile(`http://\S+/console/#token=\S+`)
		var text bytes.Buffer
		some := make([]byte, 4<<10)
		for {
			n, err := out.Read(some)
			text.Write(some[:n])
			if at := console.FindIndex(text.Bytes()); at != nil && at[1] < text.Len() {
				select {
				case found <- string(text.Bytes()[at[0]:at[1]]):
				default: // it was told before
				}
			}
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("rowhook dev: %v", err)
		}
		reading.Wait()
	})
	select {
	case link := <-found:
		return link
	case err := <-ended:
		ended <- err
		t.Fatalf("rowhook dev ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("rowhook dev prints no link")
	}
	return ""
}

// signInByLink follows the link into a tab that shows the log-in already, and once more into one that is signed in.
func signInByLink(p *page, link string) {
	hash := link[strings.Index(link, "#"):]
	p.open("/subscriptions")
	p.until(`document.querySelector("#token")`)
	value[bool](p, `(location.hash = `+quote(hash)+`, true)`)
	p.until(`document.querySelector("#token").value === ` + quote(strings.TrimPrefix(hash, "#token=")) + ` && !location.href.includes("#")`)
	p.press("Sign in")
	p.says("No subscriptions")
	value[bool](p, `(location.hash = `+quote(hash)+`, true)`)
	p.until(`!location.href.includes("#")`)
	p.hears("You are signed in already.")
	p.open("/?again" + hash)
	p.until(`document.querySelector("nav[aria-label=Pages]") && !location.href.includes("token")`)
	p.hears("You are signed in already.")
}

// resourceWithoutFile looks at a resource of which no file says anything.
func resourceWithoutFile(p *page, _ string) {
	p.open("/resources")
	p.press("contact")
	p.says("runs without a config file", "rowhook init", "The body as it is sent now", `"Ada"`)
	p.until(`!document.querySelector("#yaml")`)
}

// systemWithoutFile has no false alarm of what dev itself has made, and says that there is no config.
func systemWithoutFile(p *page, _ string) {
	p.open("/system")
	p.says("0 errors", "There is none to show: this rowhook runs without a config file")
	p.press(value[string](p, `[...document.querySelectorAll("button")].find((b) => b.innerText.startsWith("Show what is right")).innerText`))
	p.says("it lasts as long as this run")
	for _, alarm := range []string{"another session", "read_url", "allow_http", "That did not work", "pg_drop_replication_slot"} {
		if strings.Contains(p.text(), alarm) {
			p.t.Errorf("the system page says %q:\n%s", alarm, p.text())
		}
	}
}

// brokenPage has a page given what it cannot show: the error stands in its place, and goes with the next page.
func brokenPage(p *page, _ string) {
	p.open("/resources")
	p.says("contact")
	value[bool](p, `((real) => { window.fetch = async (url, options) => { const answer = await real(url, options);
		return String(url).includes("/resource/contact/") ? new Response("{}", {status: 200}) : answer; }; return true; })(window.fetch)`)
	p.press("contact")
	p.says("This page has broken", "A mistake of the console", "Try again")
	p.until(`!document.querySelector("[aria-busy]")`)
	p.press("Resources")
	p.says("Which rows become which events")
	p.forgive("console.error")
}
