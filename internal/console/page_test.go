package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	browserpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take for what has to happen.
const patience = 90 * time.Second

// keepNotices writes down what is said at the foot of a page: it goes away by itself, perhaps before a slow machine has looked.
const keepNotices = `window.heard = []; new MutationObserver(() => {
	const said = document.querySelector(".notices p span")?.textContent;
	if (said && heard.at(-1) !== said) heard.push(said);
}).observe(document, {subtree: true, childList: true, characterData: true});`

// newBrowser starts a browser for a test, and ends it with the test.
func newBrowser(t testing.TB) context.Context {
	t.Helper()
	// The first needs half of the others' time: it has no window, and the pages are the same.
	var program string
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no browser: CI needs one for the console: install chromium")
		}
		t.Skip("there is no browser: install chromium")
	}
	profile, err := os.MkdirTemp("", "rowhook-console-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("no-proxy-server", true), chromedp.WSURLReadTimeout(patience))
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(func() {
		cancel()
		for deadline := time.Now().Add(10 * time.Second); os.RemoveAll(profile) != nil && time.Now().Before(deadline); {
			// A process that is being killed may still write.
		}
	})
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return ctx
}

// page is a tab with cookies of its own. What the browser complains of, and what it asks of others, fails the test.
type page struct {
	t    testing.TB
	ctx  context.Context
	base string
	look look
	// ran has the functions of the site that ran in this page, and others.
	ran *functions

	mu       sync.Mutex
	refused  int
	asked    int
	answers  []answered
	complain []string
}

func newPage(t testing.TB, in context.Context, base string) *page {
	t.Helper()
	p := &page{t: t, base: base, ran: functionsOf(in)}
	ctx, cancel := chromedp.NewContext(in, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		p.gather()
		cancel()
		for _, c := range p.complaints() {
			t.Errorf("the browser complains: %s", c)
		}
	})
	// The tab lives as long as the context of the first step.
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		if err := count(ctx, target); err != nil {
			return err
		}
		// There are other tabs, and only one can be in front.
		if _, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, browserpage.AddScriptToEvaluateOnNewDocument, browserpage.AddScriptToEvaluateOnNewDocumentParams{Source: keepNotices})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	p.as(look{"light", 1280, 900})
	return p
}

func (p *page) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.complain...)
}

// listen hears of everything that is no good: errors of scripts, violations of the policy, files that are not there, other origins.
func (p *page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		said := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			said += " " + e.ExceptionDetails.Exception.Description
		}
		p.complain = append(p.complain, "exception: "+said)
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, a := range e.Args {
			said = append(said, string(a.Value))
		}
		p.complain = append(p.complain, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(said, " ")))
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceNetwork && strings.HasPrefix(e.Entry.URL, p.base+"/api/v1/") {
			p.refused++ // an answer of the API that the page is made to deal with
			return
		}
		p.complain = append(p.complain, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *network.EventResponseReceived:
		p.answers = append(p.answers, answered{id: e.RequestID, url: e.Response.URL, status: int(e.Response.Status)})
	case *network.EventLoadingFinished:
		for i := range p.answers {
			p.answers[i].whole = p.answers[i].whole || p.answers[i].id == e.RequestID
		}
	case *network.EventRequestWillBeSent:
		p.asked++
		if u := e.Request.URL; !strings.HasPrefix(u, p.base+"/") && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			p.complain = append(p.complain, "a request to another origin: "+u)
		}
	}
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v; the page is\n%s", err, p.text())
	}
}

func (p *page) size(width, height int64) { p.do(chromedp.EmulateViewport(width, height)) }

// look is a theme, as the system has it, and a window.
type look struct {
	theme         string
	width, height int64
}

// phone says that the menu is behind a button.
func (l look) phone() bool { return l.width < 800 }

// as shows the page so from now on.
func (p *page) as(l look) {
	p.t.Helper()
	p.look = l
	p.theme(l.theme)
	p.size(l.width, l.height)
}

// settled waits until what was changed is painted: two frames.
func (p *page) settled() {
	p.t.Helper()
	value[bool](p, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// theme is light or dark, as the system has it.
func (p *page) theme(name string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	}))
}

// open goes to a page of the console.
func (p *page) open(path string) {
	p.t.Helper()
	p.gather()
	p.do(chromedp.Navigate(p.base + "/console" + path))
}

// value is that of an expression of JavaScript.
func value[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text is what the page says.
func (p *page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.location + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return v
}

func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// until waits for an expression to be true.
func (p *page) until(expression string) {
	p.t.Helper()
	p.untilAfter(nil, expression)
}

// untilAfter does something that may have to be done again, until an expression is true.
func (p *page) untilAfter(do func(), expression string) {
	p.t.Helper()
	var again <-chan time.Time
	if do != nil {
		do()
		ticker := time.NewTicker(3 * time.Second)
		defer ticker.Stop()
		again = ticker.C
	}
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!(`+expression+`)`))
		cancel()
		if err == nil && ok {
			return
		}
		select {
		case <-deadline:
			p.t.Fatalf("never: %s (%v); the page is\n%s\ncomplaints: %v", expression, err, p.text(), p.complaints())
		case <-again:
			do()
		case <-tick.C:
		}
	}
}

// hears waits for a notice at the foot of the page, which may be gone again.
func (p *page) hears(text string) {
	p.t.Helper()
	p.until(`heard.some((s) => s.includes(` + quote(text) + `)) && (heard.length = 0, true)`)
}

// says waits for a text on the page.
func (p *page) says(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.until(`document.body.innerText.includes(` + quote(text) + `)`)
	}
}

// find is an expression for the first visible element of a selector whose text, label or name is the given one.
func find(selector, name string) string {
	return fmt.Sprintf(`[...(document.querySelector("dialog[open]") || document).querySelectorAll(%s)].find((e) => e.checkVisibility() && `+
		`[e.innerText, e.firstChild?.textContent, e.getAttribute("aria-label"), e.labels?.[0]?.innerText, e.placeholder].some((t) => t && t.trim() === %s))`, quote(selector), quote(name))
}

// reached says whether a finger on the middle of an element, once that is in the window, touches it.
const reached = `(e) => {
	let box = e.getClientRects()[0];
	if (!box) return false;
	if (box.top < 0 || box.bottom > innerHeight) {
		e.scrollIntoView({block: "center"});
		box = e.getClientRects()[0];
	}
	const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
	return hit && (e.contains(hit) || hit.contains(e));
}`

// press presses the button, or follows the link, of that name, once it can be pressed: nothing is over its middle, and on a phone it is not in
// a menu that is closed. It is found and pressed in one step: a page that shows what is new may have drawn another one by the next.
func (p *page) press(name string) {
	p.t.Helper()
	p.until(`((e) => e && !e.disabled && e.getAttribute("aria-disabled") !== "true" && (` + reached + `)(e) && (e.click(), true))(` + find("button, a, summary, [type=checkbox]", name) + `)`)
}

// fill writes into the field of that label.
func (p *page) fill(label, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`((e, text) => { if (!e || e.disabled) return false;
		e.focus();
		Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), "value").set.call(e, text);
		e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true}));  return true; })(%s, %s)`, find("input, textarea, select", label), quote(text)))
}

// write puts a mapping into the playground.
func (p *page) write(mapping string) {
	p.t.Helper()
	p.until(`((e) => e && (e.value = ` + quote(mapping) + `, e.dispatchEvent(new Event("input", {bubbles: true})), true))(document.querySelector("#yaml"))`)
}

// keys are pressed, as on a keyboard.
func (p *page) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// login signs in with a token.
func (p *page) login(token string) {
	p.t.Helper()
	p.open("/")
	p.fill("Token", token)
	p.press("Sign in")
	p.until(`document.querySelector("nav[aria-label=Pages]")`)
}

// menu opens the menu where it is closed: on a phone.
func (p *page) menu() {
	p.t.Helper()
	if p.look.phone() && !value[bool](p, `!!document.querySelector(".drawer.open")`) {
		p.press("Menu")
	}
}

// signOut ends the session.
func (p *page) signOut() {
	p.t.Helper()
	p.menu()
	p.press("Sign out")
	p.until(`document.querySelector("#token") && document.activeElement.id === "token"`)
}

// calm waits until the page shows what it has: nothing is being read, a headline stands.
func (p *page) calm() {
	p.t.Helper()
	p.until(`document.querySelector("main h1") && !document.querySelector("[aria-busy]")`)
}

// fits fails where the page is wider than the window.
func (p *page) fits(what string) {
	p.t.Helper()
	wide := value[string](p, `(() => { const w = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= w) return "";
		return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > w + 1 && e.checkVisibility()).slice(0, 4).map((e) => e.tagName + "." + e.className + " " + (e.innerText || "").slice(0, 40)).join("; ") || "the document"; })()`)
	if wide != "" {
		p.t.Errorf("%s is wider than the window: %s", what, wide)
	}
}

// shot keeps what the window shows, where somebody has asked for it by ROWHOOK_SCREENSHOTS, a directory.
func (p *page) shot(name string) {
	p.t.Helper()
	dir := os.Getenv("ROWHOOK_SCREENSHOTS")
	if dir == "" {
		return
	}
	// As much of it as three windows.
	if high := value[int64](p, `document.documentElement.scrollHeight`); high > p.look.height {
		p.size(p.look.width, min(high, 3*p.look.height))
		p.settled()
		defer p.size(p.look.width, p.look.height)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// forgive takes complaints of a kind away, of which there have to be some: the test has provoked them.
func (p *page) forgive(kind string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := len(p.complain)
	p.complain = slices.DeleteFunc(p.complain, func(c string) bool { return strings.HasPrefix(c, kind) })
	if len(p.complain) == all {
		p.t.Errorf("the browser has nothing to say of %s", kind)
	}
}
