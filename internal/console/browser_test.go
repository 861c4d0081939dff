package console_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// part is one of the walk.
type part struct {
	name string
	do   func(*page, *rig)
}

// TestConsole goes through the pages and their actions, in a real browser, on a real rowhook with traffic: light on a desk, and dark on a phone.
// A function of the site that no step makes run fails it, so that a new action comes with its step.
func TestConsole(t *testing.T) {
	t.Parallel()
	all := &functions{ran: map[function]bool{}}
	in := context.WithValue(newBrowser(t), allFunctions{}, all)
	walk := []part{
		{"Overview", overview}, {"MakeAndChangeASubscription", makeSubscription}, {"WatchDeliveries", watchDeliveries}, {"LookAtADelivery", lookAtDelivery}, {"SendAgain", sendAgain},
		{"FindEvents", findEvents}, {"DeadLetters", deadLetters}, {"Resources", resources}, {"System", system}, {"KeyboardOnly", keyboardOnly}, {"MistakesInTheForm", mistakes},
		{"Dialogs", dialogs}, {"LongLists", longLists}, {"Links", links}, {"AskedEarly", askedEarly},
	}
	accounts := []part{{"AnAccountSeesItsOwn", account(in)}, {"WhoMayOnlyRead", readOnly(in)}, {"NothingThere", nothingThere(in)}}
	t.Run("Looks", func(t *testing.T) {
		for _, way := range []struct {
			name  string
			look  look
			parts []part
		}{
			{"LightOnADesk", looks[0], append([]part{{"EveryPageInEveryLook", sweep}}, walk...)}, {"DarkOnAPhone", looks[3], append(accounts, walk...)},
		} {
			t.Run(way.name, func(t *testing.T) {
				t.Parallel()
				r := newFullRig(t)
				r.populate()
				p := newPage(t, in, r.at)
				p.as(way.look)
				logIn(p)
				for _, part := range way.parts {
					t.Run(part.name, func(t *testing.T) {
						p.t, r.t = t, t
						part.do(p, r)
					})
				}
				p.t, r.t = t, t
			})
		}
	})
	checkFunctions(t, all)
}

// overview is what the admin sees first.
func overview(p *page, r *rig) {
	p.open("/")
	p.says("Lag", "Deliveries", "Latency, p50", "Dead letters", "WAL kept")
	p.until(`document.querySelectorAll(".chart").length === 3`)
	p.until(`document.querySelector("main h1").innerText.length > 10`)
	for _, theme := range []string{"Dark", "Light", "Auto"} {
		p.menu()
		p.press(theme)
		p.until(find("button[aria-pressed=true]", theme) + ` && (document.documentElement.dataset.theme || "auto") === ` + quote(strings.ToLower(theme)))
	}
}

func logIn(p *page) {
	p.open("/subscriptions?state=disabled")
	p.fill("Token", "no-such-token-0123456789")
	p.press("Sign in")
	p.says("This token is not known, or has ended.")
	p.fill("Token", adminToken)
	p.press("Sign in")
	p.says("Subscriptions", "None fits") // the page that was asked for
	p.signOut()
	p.login(adminToken)
}

func makeSubscription(p *page, r *rig) {
	p.open("/subscriptions")
	p.says("warehouse", "acme books", hurtsRight)
	for _, text := range []string{"WAREHOUSE", r.good.ID} {
		p.fill("Search by name, id or host", text)
		p.until(`document.querySelectorAll("tbody tr").length === 1 && location.search.includes(` + quote(text) + `)`)
		p.says("warehouse")
	}
	p.fill("Search by name, id or host", r.recv.URL("/whatever"))
	p.until(`document.querySelectorAll("tbody tr").length === 5`)
	p.fill("Search by name, id or host", "")
	p.until(`!location.search`)
	p.fill("Event", "deal.delete")
	p.until(`document.querySelectorAll("tbody tr").length === 3`)
	p.fill("Account", "1")
	p.until(`document.querySelectorAll("tbody tr").length === 1`)
	p.says("acme books")
	p.open("/subscriptions")
	p.fill("State", "shadow")
	p.says("None fits")
	p.press("Show all")
	p.says("warehouse")

	p.press("New subscription")
	p.fill("Events", "contact.craete")
	p.keys("\r")
	p.fill("Target URL", "ftp://example.com")
	p.press("Create")
	p.says(`no event is called "contact.craete": did you mean "contact.create"?`)
	p.until(`document.activeElement.getAttribute("aria-invalid") === "true" && document.getElementById(document.activeElement.getAttribute("aria-describedby").split(" ")[0]).className === "mistake"`)
	p.press("Remove contact.craete")
	p.fill("Events", "deal.*")
	p.keys("\r")
	p.fill("Target URL", r.recv.URL("/made"))
	p.fill("Name", "made here")
	p.press("Delivery")
	p.fill("Timeout", "a while")
	p.press("Create")
	p.until(`document.activeElement.labels?.[0].innerText === "Timeout"`)
	p.fill("Timeout", "45s")
	p.fill("Retries", "5s, 5m")
	p.press("Create")
	p.says("The secret, shown this once", "whsec_")
	p.until(`document.querySelectorAll("dialog[open] .actions button").length === 1`) // nothing is left to cancel
	p.press("I have stored it")
	p.says("made here", "Nothing was sent yet")
	r.exec(`insert into deals values (100, 1, 'Prisms', 'lead', 5)`)
	p.says("deal.create", "HTTP 200") // by itself
	changeSubscription(p)
}

func changeSubscription(p *page) {
	p.press("Ping")
	p.hears("The target took the ping: HTTP 200")
	p.press("Edit")
	p.until(`document.querySelector(".chip")`)
	p.fill("Name", "changed here")
	p.press("Which events")
	p.fill("Filter", `data.stagee == "won"`)
	p.press("Save")
	p.says(`did you mean "stage"?`)
	p.fill("Filter", `data.stage == "won"`)
	p.press("Save")
	p.says("changed here")
	p.press("Settings")
	p.says(`data.stage == "won"`, `"5m0s"`)
	p.press("Rotate secret…")
	p.press("Rotate")
	p.says("whsec_")
	p.press("I have stored it")
	p.press("Disable…")
	p.fill("Reason, for people", "on holiday")
	p.press("Disable")
	p.says("Nothing is sent", "on holiday", "disabled")
	here := value[string](p, `location.pathname.replace("/console", "")`)
	p.open("/subscriptions?state=disabled")
	p.press("Enable those that failed…")
	p.says("0 subscriptions")
	p.press("Enable 0") // it was not rowhook that disabled it
	p.hears("0 subscriptions are enabled")
	p.press("Dismiss")
	p.until(`!document.querySelector(".notices p")`)
	p.press("Enable those that failed…")
	p.press("Cancel")
	p.open(here)
	p.press("Enable")
	p.until(find("button", "Disable…"))
	p.press("Delete…")
	p.until(`document.querySelector("dialog .danger").disabled`)
	host := value[string](p, `document.querySelector("dialog label code").innerText`)
	p.fill("Type "+host+" to confirm", host)
	p.press("Delete")
	p.hears("The subscription is deleted.")
	p.says("warehouse")
	p.until(`!document.body.innerText.includes("changed here")`)
}

func watchDeliveries(p *page, r *rig) {
	p.open("/subscriptions/" + r.bad.ID)
	p.says("http_status", "retrying", "Did not arrive", "none has ended")
	p.fill("Instance", "42")
	p.until(`document.querySelectorAll("tbody tr").length === 2`)
	p.says("waits for an earlier event of its instance")
	p.fill("Instance", "")
	p.fill("Status", "pending")
	p.fill("Event", "contact.update")
	p.until(`document.querySelectorAll("tbody tr").length === 1 && location.search.includes("status=pending")`)
	p.fill("Instance", "no such")
	p.says("None fits")
	p.press("Show all")
	p.press("Waiting (22)")
	p.until(`document.querySelectorAll("tbody tr").length === 21`)
	p.says("contact 42", "http_status")
	p.open("/subscriptions/" + r.good.ID)
	p.says("Arrived, last hour", "100 %")
	p.press("Hold still")
	p.until(find("button", "Go on"))
	p.press("Go on")
	p.open("/subscriptions/sub_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	p.says("No such subscription")
}

func lookAtDelivery(p *page, r *rig) {
	p.open("/subscriptions/" + r.moody.ID + "?status=failed")
	p.press("contact.create")
	p.until(`document.querySelector(".crumbs").innerText === "Subscriptions / moody" && document.querySelector(".crumbs a:last-child").getAttribute("href").endsWith(` + quote(r.moody.ID) + `)`)
	p.says("HTTP 422", "email is not known", "Waiting", "The answers of the target, below, say more.", "rowhook verify")
	// Whether an attempt finds a connection that is kept is a matter of when the ones before it ended.
	p.until(`[...document.querySelectorAll(".waterfall span")].some((e) => e.innerText === "Connect") || document.body.innerText.includes("The connection was kept from an earlier attempt.")`)
	p.until(`document.querySelectorAll(".waterfall rect").length >= 2`)
	// The command is whole, and has nothing that is secret.
	value[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.press("Copy as curl")
	p.hears("The command is copied, without what is secret.")
	copied := value[string](p, `window.copied`)
	if !strings.Contains(copied, "curl -sS -X POST '"+r.recv.URL("/moody")+"'") || !strings.Contains(copied, "--data-binary '{") || strings.Contains(strings.SplitN(copied, "\n", 2)[1], "***") {
		p.t.Errorf("the copied command is %s", copied)
	}
	r.recv.Handle("/moody", nil)
	p.press("Redeliver")
	p.hears("It is sent again, with the same webhook-id.")
	p.says("Attempt 2")
}

func sendAgain(p *page, r *rig) {
	p.open("/subscriptions/" + r.good.ID + "/again")
	p.says("Nothing was sent again yet")
	p.press("Replay events…")
	p.fill("At most so many in a second", "fast")
	p.press("Count first")
	p.says("That did not work", "rate")
	p.fill("At most so many in a second", "")
	p.fill("Committed", "choose")
	p.fill("From", "2026-01-01T00:00")
	p.fill("What became of them", "delivered")
	p.fill("Only this instance", "7")
	p.press("Count first")
	p.says("1 event would be sent again.")
	p.press("Replay")
	p.until(`document.querySelector("table.rows")?.innerText.includes("replay") && document.querySelector("table.rows").innerText.includes("done")`)
	// So many that the job is still at it when somebody cancels it, however slow the machine is.
	r.exec(`select pg_logical_emit_message(true, 'rowhook', '{"mute": true}'); insert into deals select n, 1, 'Many', 'lead', 1 from generate_series(1001, 1600) n`)
	p.press("Backfill rows…")
	p.press("deal")
	p.fill("At most so many in a second", "1")
	p.press("Count first")
	p.says("rows would be looked at: deal 603.")
	p.press("Backfill")
	p.until(`!document.querySelector("dialog[open]")`)
	p.press("Cancel") // the job, not the window
	p.says("cancelled")
	p.press("Backfill rows…")
	p.press("deal")
	p.press("lead")
	p.press("deal")
	p.press("Count first")
	p.says("lead 3")
	p.press("Backfill")
	p.says("lead: 2 left out")
}

func findEvents(p *page, r *rig) {
	p.open("/events")
	p.says("contact.update 42", "lead.create 3")
	p.fill("Instance or event", "contact 42")
	p.until(`document.querySelectorAll("tbody tr").length === 2 && location.search.includes("resource_id=42")`)
	p.press("▸ contact.update 42")
	p.says("What it says", `"Kiel"`, r.good.ID, r.bad.ID)
	p.fill("Instance or event", "deal 4711")
	p.says("Nothing is known of it", "retention: {events: all}")
	p.press("All events")
	p.says("lead.create 3")
	if broken := value[bool](p, `"broken" in window`); broken {
		p.t.Error("a script in a name was run")
	}
}

func deadLetters(p *page, r *rig) {
	p.open("/dead-letters")
	p.says("lead.create 1", "lead.create 2", "budget")
	p.fill("A text in the reason", "nobody has this reason")
	p.says("None fits")
	p.fill("A text in the reason", "int failed")
	p.fill("Resource", "lead")
	p.until(`document.querySelectorAll("tbody tr").length === 2 && location.search.includes("resource=lead")`)
	p.press("Replay these…")
	p.says("2 dead letters are open and like that.")
	p.press("Replay") // what is not mended fails again
	p.hears("The replay of 2 dead letters is asked for.")
	p.press("Replay these…")
	p.press("Cancel")
	p.until(`!document.querySelector("dialog") && [...document.querySelectorAll("td[data-label=Tries]")].filter((e) => e.innerText.trim() === "1").length === 2`)
	p.press("lead.create 1")
	p.says("Why", "rowhook dead-letter replay")
	r.exec(`update leads set budget = '5' where id = 1`)
	p.press("Replay")
	p.says("superseded")
	p.open("/dead-letters")
	p.press("lead.create 2")
	p.press("Discard…")
	p.press("Discard")
	p.says("discarded")
	p.until(`!document.querySelector("dialog")`)
	p.open("/dead-letters")
	p.says("No dead letters")
	p.fill("State", "closed")
	p.says("lead.create 1", "discarded")
}

func resources(p *page, _ *rig) {
	p.open("/resources")
	p.says("contact", "public.contacts", "fits")
	p.fill("Name or table", "leads")
	p.until(`document.querySelectorAll("tbody tr").length === 1`)
	p.fill("Name or table", "nobody")
	p.says("None is called so.")
	p.fill("Name or table", "")
	p.press("contact")
	p.says("Playground", "The body as it is sent now", `"Kiel"`, "Shown:")
	p.fill("Event", "contact.delete")
	p.says(`"contact.delete"`)
	p.fill("Event", "contact.update")
	const mapping = "table: contacts\naccount: account_id\npath: /contacts/${id}\nrepresentation:\n  id: ${id}\n  "
	p.write(mapping + "label: ${first_name}\n  note: ${secret_note}\n")
	p.says("What changes", "data.label", "data.note", "The body it would make", "sends nothing of secret_note", `"***"`)
	p.shot("playground-" + p.look.theme)
	p.sound("the playground")
	p.write(mapping + "label: ${first_nam}\n")
	p.says("Line 6, column", "first_nam")
	p.sound("a mistake in the playground")
	value[bool](p, `(() => { document.querySelector("#problems").scrollIntoView({ block: "center" }); return true; })()`)
	p.shot("mistake-" + p.look.theme)
	p.until(`((e) => e && (e.click(), true))(document.querySelector("#problems button"))`)
	p.until(`document.activeElement.id === "yaml" && document.activeElement.value.slice(document.activeElement.selectionStart).split("\\n")[0].includes("first_nam")`)
	p.press("Back to the config")
	p.says("The body as it is sent now")
	p.fill("Row", "no key")
	p.says("is not a key of contact")
	p.fill("Row", "")
	p.fill("Rows", "42")
	p.press("Compare")
	p.says("1 row compared, 1 different.", "rank", "silver")
	p.sound("a comparison")
	p.shot("comparison-" + p.look.theme)
	p.open("/resources/deal")
	p.says("Compare with the API", "name it in the config")
}

func system(p *page, r *rig) {
	p.open("/system")
	p.says("rowhook 1.2.3", "Checks", "Config, as it runs", "environment: test", "Database and slot", "Store")
	p.press("Check again")
	p.press("Show what is right (5)")
	p.press("Hide what is right (5)")
	for _, secret := range []string{adminToken, acmeToken, "postgres://"} {
		if strings.Contains(p.text(), secret) {
			p.t.Errorf("the page shows the secret %q", secret)
		}
	}
}

// keyboardOnly makes a subscription, finds it, opens it and deletes it by keys alone, as whoever has no mouse does.
func keyboardOnly(p *page, r *rig) {
	const tab, enter, escape = "\t", "\r", kb.Escape
	focused := func(name string) {
		p.t.Helper()
		for range 40 {
			if value[bool](p, `(() => { const e = document.activeElement; return [e.innerText, e.getAttribute("aria-label"), e.labels?.[0]?.innerText].some((t) => t && t.trim() === `+quote(name)+`); })()`) {
				return
			}
			p.keys(tab)
		}
		p.t.Fatalf("the key Tab does not lead to %q; the page is\n%s", name, p.text())
	}
	p.open("/")
	p.calm()
	p.keys(tab)
	focused("Skip to the page")
	p.keys(enter)
	p.until(`document.activeElement.id === "main"`)
	p.keys("?")
	p.says("next and previous row")
	p.keys(escape)
	p.until(`!document.querySelector("dialog")`)
	p.keys("?")
	p.press("Close")
	p.until(`!document.querySelector("dialog")`)
	p.keys("k") // there are no rows
	p.keys("/")
	p.until(`document.activeElement.matches("[data-search]")`)
	p.keys(escape)
	p.until(`document.activeElement === document.body`)
	p.open("/")
	p.calm()
	// The second key counts for a while only: on a machine that stalls it may come too late.
	p.untilAfter(func() { p.keys("gs") }, `location.pathname.endsWith("/subscriptions") && document.activeElement.tagName === "H1"`)
	p.says("warehouse")
	p.keys("j")
	p.until(`document.activeElement.innerText.includes("warehouse")`)
	p.keys(enter)
	p.says("Arrived, last hour")
	p.keys("n")
	p.says("New subscription")
	focused("Events")
	p.keys("deal.create" + enter)
	focused("Target URL")
	p.keys(r.recv.URL("/keys"))
	focused("Name")
	p.keys("by keys")
	focused("Create")
	p.keys(enter)
	p.says("whsec_")
	focused("I have stored it")
	p.keys(enter)
	p.says("by keys", "Nothing was sent yet")
	p.until(`!document.querySelector("dialog")`)
	focused("Ping")
	p.keys(" ")
	p.hears("The target took the ping")
	focused("Delete…")
	p.keys(enter)
	p.until(`document.querySelector("dialog[open]")`)
	p.until(`document.activeElement.closest("dialog")`)
	host := value[string](p, `document.querySelector("dialog label code").innerText`)
	focused("Type " + host + " to confirm")
	p.keys(host + enter)
	p.hears("The subscription is deleted.")
	p.until(`!document.body.innerText.includes("by keys")`)
}

// nothingThere shows what somebody sees who has just begun.
func nothingThere(in context.Context) func(*page, *rig) {
	return func(admin *page, r *rig) {
		empty := newRig(admin.t)
		p := newPage(admin.t, in, empty.at)
		p.login(adminToken)
		for path, text := range map[string]string{
			"/": "Deliveries", "/subscriptions": "rowhook subscription create", "/events": "No events yet", "/dead-letters": "No dead letters", "/resources": "contact", "/system": "Checks",
		} {
			p.open(path)
			p.says(text)
			p.calm()
			p.fits(path)
			p.shot("empty" + strings.ReplaceAll(path, "/", "-"))
		}
	}
}
