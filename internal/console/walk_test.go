package console_test

import (
	"fmt"

	"github.com/chromedp/chromedp/kb"

	"github.com/rowhook/rowhook/client"
)

// mistakes makes each mistake that the form can be told of, one at a time: it stands at its field, which has the focus.
func mistakes(p *page, r *rig) {
	p.open("/subscriptions/" + r.moody.ID + "/edit")
	p.until(`document.querySelector(".chip")`)
	for _, group := range []string{"Which events", "Delivery", "Request", "Description and metadata"} {
		p.until(`((s) => { if (!s) return false; s.parentElement.open = true; return true; })(` + find("summary", group) + `)`)
	}
	p.press("Several events in one request")
	p.sound("the whole form")
	p.shot("form-" + p.look.theme)
	for _, m := range []struct{ label, text, back string }{
		{"Target URL", "ftp://example.com", r.moody.TargetURL}, {"Filter", "data.", ""}, {"Ends at", "2001-01-01T00:00", ""},
		{"Timeout", "a while", ""}, {"Retries", "soon", "0"}, {"Requests at once", "1000000", ""}, {"Rate limit", "fast", ""}, {"Debounce", "a bit", ""}, {"Largest body", "much", ""},
		{"Fallback URL", "ftp://example.com", ""}, {"Events of a request", "0", ""}, {"Bytes of a request", "many", ""}, {"Wait for others", "a bit", ""},
		{"Headers, log-in and custom data", "{", ""}, {"Headers, log-in and custom data", `{"headers": {"a b": "c"}}`, ""}, {"Secret", "short", ""}, {"Metadata", "[1]", ""},
	} {
		p.fill(m.label, m.text)
		p.press("Save")
		p.until(fmt.Sprintf(`((e) => e && document.activeElement === e && e.getAttribute("aria-invalid") === "true" && e.getAttribute("aria-describedby").split(" ").some((id) => document.getElementById(id).className === "mistake" && document.getElementById(id).innerText.length > 5) && document.querySelectorAll("[aria-invalid=true]").length === 1)(%s)`,
			find("input, textarea, select", m.label)))
		p.fill(m.label, m.back)
	}
	p.press("Save")
	p.hears("The subscription is changed.")
	p.press("Edit")
	p.until(`document.querySelector(".chip")`)
	p.press("Several events in one request")
	p.press("No target: a feed")
	p.until(`!` + find("input", "Target URL"))
	p.press("No target: a feed")
	p.press("Save")
	p.hears("The subscription is changed.")
	// Somebody else was faster.
	p.press("Edit")
	p.until(`document.querySelector(".chip")`)
	if _, err := r.client(adminToken).Update(r.t.Context(), r.moody.ID, client.Patch{"description": "changed by somebody else " + p.look.theme}); err != nil {
		p.t.Fatal(err)
	}
	p.fill("Name", "moody, too late")
	p.press("Save")
	p.says("Somebody has changed it since this page read it")
	p.press("Read it again")
	p.until(find("input", "Name") + `.value === "moody"`)
	p.press("Cancel")
	p.says("moody")
}

// dialogs opens each window: the focus goes into it, stays there, and goes back to what opened it.
func dialogs(p *page, r *rig) {
	for _, d := range []struct{ path, button string }{
		{"/subscriptions/" + r.good.ID, "Disable…"}, {"/subscriptions/" + r.good.ID, "Rotate secret…"}, {"/subscriptions/" + r.good.ID, "Delete…"},
		{"/subscriptions/" + r.good.ID + "/again", "Replay events…"}, {"/subscriptions/" + r.good.ID + "/again", "Backfill rows…"},
	} {
		p.open(d.path)
		p.calm()
		p.until(`((e) => e && (e.focus(), document.activeElement === e))(` + find("button", d.button) + `)`)
		p.keys("\r")
		p.until(`document.querySelector("dialog[open]") && document.activeElement.closest("dialog")`)
		p.named(d.button)
		p.sound(d.button)
		if name := value[string](p, `document.getElementById(document.querySelector("dialog").getAttribute("aria-labelledby")).innerText`); name == "" {
			p.t.Errorf("%s opens a window without a name", d.button)
		}
		for range 12 {
			p.keys("\t")
			// Between the last and the first the focus is at the browser's own controls.
			if at := value[string](p, `document.activeElement === document.body || document.activeElement.closest("dialog") ? "" : document.activeElement.outerHTML`); at != "" {
				p.t.Fatalf("%s: Tab leaves the window, to %s", d.button, at)
			}
		}
		p.shot("dialog-" + d.button[:4] + "-" + p.look.theme)
		p.until(`((e) => e && (e.focus(), true))(` + find("button", "Cancel") + `)`)
		p.keys(kb.Escape)
		p.until(`!document.querySelector("dialog") && document.activeElement === ` + find("button", d.button))
	}
}

// longLists goes through lists that have more than one page.
func longLists(p *page, r *rig) {
	for i := range 55 {
		r.create(adminToken, &client.Subscription{Name: fmt.Sprint("many ", i), Events: []string{"file.delete"}, TargetURL: r.recv.URL("/many")})
	}
	r.exec(`insert into contacts select n, 1, 'Ada', 'Many', 'many@example.com', 'Hamburg', 1, null from generate_series(5001, 5060) n`)
	r.exec(`insert into leads select n, 1, 'much' from generate_series(5001, 5060) n`)
	for _, list := range []struct{ path, next, newest string }{
		{"/subscriptions", "Next page", "First page"}, {"/subscriptions/" + r.good.ID, "Older", "Newest"}, {"/subscriptions/" + r.bad.ID + "/waiting", "More", "First"},
		{"/events", "Older", "Newest"}, {"/dead-letters", "Older", "Newest"},
	} {
		p.open(list.path)
		// What is written some moments later is waited for.
		p.until(find("nav button", list.next))
		p.press(list.next)
		p.until(`/[?&](after|before)=/.test(location.search) && ` + find("nav button", list.newest) + ` && document.querySelector("tbody tr")`)
		p.sound("the second page of " + list.path)
		p.press(list.newest)
		p.until(`!location.search`)
	}
}
