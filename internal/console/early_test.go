package console_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	browserpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// askedEarly: what is asked for before the modules are there is what the pages ask for, and nothing besides.
func askedEarly(p *page, r *rig) {
	var delivery string
	p.open("/subscriptions/" + r.good.ID)
	p.until(`document.querySelector("main a[href*='/deliveries/']")`)
	delivery = value[string](p, `document.querySelector("main a[href*='/deliveries/']").getAttribute("href").split("/").at(-1)`)
	for path, asks := range map[string]int{
		"/": 1, "/subscriptions": 1, "/subscriptions?search=%20warehouse&state=active&failing=true&event=contact.update&account=1": 1, "/subscriptions/new": 0,
		"/subscriptions?after=" + r.good.ID: 1, "/subscriptions/" + r.good.ID: 2, "/subscriptions/" + r.good.ID + "/waiting": 2, "/subscriptions/" + r.good.ID + "/edit": 1,
		"/deliveries/" + delivery: 1, "/events": 1, "/events?resource=contact&resource_id=42": 1, "/events?type=contact.update": 1, "/resources": 1, "/resources/contact": 1, "/system": 0,
	} {
		p.open(path)
		p.calm()
		p.until(`rowhookAsked.size === 0`)
		// The session, and what the page asks for: before the script of the pages has run. What is not taken up stays in the map.
		early := value[string](p, `(() => { const ran = performance.getEntriesByType("navigation")[0].domContentLoadedEventStart;
			return performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/v1/") && e.startTime < ran).map((e) => e.name).join(" "); })()`)
		if n := len(strings.Fields(early)); n < asks+1 {
			p.t.Errorf("%s asks early for %q, want %d and the session", path, early, asks)
		}
	}
	behind(p)
	keysAtOnce(p)
	// Nobody is signed in: the next page asks for nothing else.
	p.signOut()
	p.open("/subscriptions")
	p.until(`document.querySelector("#token") && rowhookAsked.size === 0 && localStorage.getItem("rowhook-role") === null`)
	if n := value[int](p, `performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/v1/")).length`); n != 1 {
		p.t.Errorf("without a session %d requests are made, want that for the session", n)
	}
	p.login(adminToken)
}

// behind: a page that is opened in a tab behind others is filled, asks for nothing more while nobody looks, and at once when somebody does.
func behind(p *page) {
	const asked = `performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/v1/subscription/?")).length`
	p.open("/system")
	p.calm()
	value[bool](p, `(() => { window.behind = true; Object.defineProperty(document, "hidden", {get: () => window.behind}); return true; })()`)
	p.menu()
	p.press("Resources")
	p.says("public.contacts")
	p.menu()
	p.press("Subscriptions")
	p.says("warehouse")
	before := value[int](p, asked)
	// The list is asked for again every 10 s: more than a second of those has passed when the clock has gone on.
	value[bool](p, `(() => { const real = setTimeout; window.setTimeout = (f, ms, ...more) => real(f, ms >= 5000 ? ms / 100 : ms, ...more); return true; })()`)
	p.menu()
	p.press("Events")
	p.says("contact.create")
	p.menu()
	p.press("Subscriptions")
	p.says("warehouse")
	p.until(asked + ` === ` + fmt.Sprint(before+1))
	value[bool](p, `new Promise((done) => setTimeout(() => done(true), 700))`)
	if n := value[int](p, asked); n != before+1 {
		p.t.Errorf("a page that nobody sees has asked %d times again", n-before-1)
	}
	value[bool](p, `(() => { window.behind = false; document.dispatchEvent(new Event("visibilitychange")); return true; })()`)
	p.until(asked + ` >= ` + fmt.Sprint(before+2))
}

// keysAtOnce: a key that is pressed as soon as there is a headline, before the browser has painted anything, is heard.
func keysAtOnce(p *page) {
	const press = `new MutationObserver((_, o) => {
		if (!document.querySelector("main h1")) return;
		o.disconnect();
		document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "?", bubbles: true}));
	}).observe(document, {subtree: true, childList: true})`
	var added browserpage.AddScriptToEvaluateOnNewDocumentResult
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		added, err = cdp.Call(ctx, target, browserpage.AddScriptToEvaluateOnNewDocument, browserpage.AddScriptToEvaluateOnNewDocumentParams{Source: press})
		return err
	}))
	p.open("/")
	p.says("next and previous row")
	p.press("Close")
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, browserpage.RemoveScriptToEvaluateOnNewDocument, browserpage.RemoveScriptToEvaluateOnNewDocumentParams(added))
		return err
	}))
}
