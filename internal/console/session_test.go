package console_test

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rowhook/rowhook/client"
)

// cookies are those that the page sends to the API.
func (p *page) cookies() []*http.Cookie {
	p.t.Helper()
	var all []*http.Cookie
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		got, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{p.base + "/api/v1/session"}})
		for _, c := range got.Cookies {
			if !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict && c.SameSite != network.CookieSameSiteLax {
				p.t.Errorf("the cookie %s is there for scripts or for other sites: %+v", c.Name, c)
			}
			all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
		}
		return err
	}))
	return all
}

// session is what the API answers to cookies.
func (r *rig) session(cookies []*http.Cookie) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.at+"/api/v1/session", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// links are followed that have a token in them, as rowhook demo and rowhook dev print one. Then the session ends, in each way.
func links(p *page, r *rig) {
	clean := func() {
		p.t.Helper()
		p.until(`!location.href.includes("token") && !location.hash`)
	}
	p.menu()
	p.press("Dark")
	p.open("/events#token=" + acmeToken)
	clean()
	p.hears("You are signed in already.")
	p.until(`document.documentElement.dataset.theme === "dark"`) // as it was before the page was read again
	p.menu()
	p.says("ops")
	held := p.cookies()
	if got := r.session(held); len(held) != 1 || got != 200 {
		p.t.Errorf("the session %v gets %d", held, got)
	}
	p.signOut()
	p.until(`document.documentElement.dataset.theme === "dark"`)
	if left := p.cookies(); len(left) != 0 {
		p.t.Errorf("signing out leaves %v", left)
	}

	before := value[int](p, `history.length`)
	p.open("/subscriptions?state=active#token=no-such-token-0123456789")
	p.until(`document.querySelector("#token")?.value === "no-such-token-0123456789"`)
	clean()
	p.named("the log-in")
	p.sound("the log-in")
	p.shot("login-" + p.look.theme)
	p.press("Sign in")
	p.says("This token is not known, or has ended.")
	p.until(`document.activeElement.id === "token" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	p.sound("a wrong token")
	// Another link in the same tab.
	value[bool](p, `(location.hash = "token=`+acmeToken+`", true)`)
	p.until(`document.querySelector("#token")?.value === ` + quote(acmeToken))
	clean()
	p.press("Sign in")
	p.says("What account 1 is sent.")
	p.until(`location.pathname === "/console/subscriptions" && location.search === "?state=active"`)
	if after := value[int](p, `history.length`); after > before+2 {
		p.t.Errorf("the history has %d entries, and had %d", after, before)
	}
	p.until(`document.documentElement.dataset.theme === "dark"`)
	p.menu()
	p.press("Auto")

	// What ends elsewhere ends here with the next request.
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
	p.fill("State", "shadow")
	p.until(`document.querySelector("#token")`)
	p.login(adminToken)
}

// readOnly looks at every page with a token that may only read: what it would be refused is not offered, and what is offered works.
func readOnly(in context.Context) func(*page, *rig) {
	return func(admin *page, r *rig) {
		made, err := r.client(adminToken).CreateToken(r.t.Context(), client.NewToken{Account: "*", ReadOnly: true, Name: "auditor", ExpiresIn: "1h"})
		if err != nil {
			r.t.Fatal(err)
		}
		p := newPage(admin.t, in, r.at)
		p.login(made.Token)
		p.says("auditor", "reads only")
		offered := []string{"Menu", "Auto", "Light", "Dark", "Sign out", "Copy", "Copy as curl", "Hold still", "Check again", "Older", "Next page", "More", "Compare", "Show all", "Try again"}
		for _, at := range pages(admin, r) {
			p.open(at.path)
			p.calm()
			for _, name := range value[[]string](p, `[...document.querySelectorAll("main button, main a.button")].filter((e) => e.checkVisibility()).map((e) => (e.innerText || e.tagName).trim())`) {
				if !slices.Contains(offered, name) && !strings.HasPrefix(name, "▸") && !strings.HasPrefix(name, "Show what is right") {
					p.t.Errorf("%s offers %q to who may only read", at.name, name)
				}
			}
		}
		p.open("/resources/contact")
		p.says("The body as it is sent now")
		p.fill("Rows", "42")
		p.press("Compare")
		p.says("1 row compared")
		p.open("/")
		p.calm()
		p.keys("n")
		p.keys("?")
		p.says("next and previous row")
		if path := value[string](p, `location.pathname`); path != "/console/" || strings.Contains(p.text(), "new subscription") {
			p.t.Errorf("the key n leads to %s", path)
		}
		for _, status := range p.statuses() {
			if status == http.StatusForbidden {
				p.t.Error("a page asked for what this token may not")
			}
		}
	}
}
