package console_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rowhook/rowhook/client"
)

// answered is an answer that the browser has got.
type answered struct {
	id     network.RequestID
	url    string
	status int
	whole  bool
}

// statuses are those of all answers so far.
func (p *page) statuses() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int
	for _, a := range p.answers {
		all = append(all, a.status)
	}
	return all
}

// received are the bodies of all answers since it was last called, by address, as the network brought them.
func (p *page) received() map[string]string {
	p.t.Helper()
	p.mu.Lock()
	var whole []answered
	for i, a := range p.answers {
		if a.whole {
			whole = append(whole, a)
			p.answers[i].whole, p.answers[i].id = false, ""
		}
	}
	p.mu.Unlock()
	all := map[string]string{}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, a := range whole {
			got, err := cdp.Call(ctx, target, network.GetResponseBody, network.GetResponseBodyParams{RequestID: a.id})
			if err != nil {
				continue // one without a body
			}
			all[a.url] += string(got.Body) // decoded
		}
		return nil
	}))
	return all
}

// othersWords are texts of the other account, and of the admin, that cannot be in anything of the first account: names, targets, ids and values of
// rows.
func othersWords(admin *page, r *rig) []string {
	admin.t.Helper()
	words := []string{
		"Only of the other account", "other-account-only", hurtsRight, "warehouse", "moody", "longwithoutaplace", "a-very-long-query", "public.contacts", "public.deals", "secret_note", "classified",
		r.good.ID, r.bad.ID, r.moody.ID, r.other.ID, `"account":"2"`, `"account": "2"`,
	}
	for i := 1; i <= 20; i += 2 {
		words = append(words, fmt.Sprintf("ada%d@example.com", i))
	}
	for _, s := range []*client.Subscription{r.other, r.good} {
		for d, err := range r.client(adminToken).Deliveries(r.t.Context(), s.ID, client.DeliveryFilter{}) {
			if err != nil {
				r.t.Fatal(err)
			}
			words = append(words, d.ID)
			if s == r.other {
				words = append(words, d.Event.ID, d.Event.Position)
			}
		}
	}
	if len(words) < 50 {
		r.t.Fatalf("%d words of others: %q", len(words), words)
	}
	return words
}

// account looks at every page with a customer's token, also at addresses that are another's, and asks the API by hand: nothing of another customer,
// and nothing of the admin, is on any page, or in any answer that the browser gets.
func account(in context.Context) func(*page, *rig) {
	return func(admin *page, r *rig) {
		words := othersWords(admin, r)
		first := func(id string) string {
			return value[string](admin, `fetch("/api/v1/subscription/`+id+`/delivery/").then((a) => a.json()).then((d) => d[0].id)`)
		}
		own, foreign, operators := first(r.acme.ID), first(r.other.ID), first(r.good.ID)
		letter := value[string](admin, `fetch("/api/v1/dead-letter/").then((a) => a.json()).then((d) => d[0].id)`)
		event := value[string](admin, `fetch("/api/v1/delivery/`+foreign+`/").then((a) => a.json()).then((d) => d.event.id)`)
		p := newPage(admin.t, in, r.at)
		p.login(acmeToken)
		p.says("acme books", "What account 1 is sent.")
		if pages := value[string](p, `[...document.querySelectorAll("nav[aria-label=Pages] a")].map((a) => a.firstChild.textContent).join(" ")`); pages != "Subscriptions Events" {
			p.t.Errorf("the pages of an account are %s", pages)
		}
		read := 0
		clean := func(path, asked string) {
			p.t.Helper()
			given := map[string]string{"the page": value[string](p, `document.documentElement.outerHTML`), "its text": strings.SplitN(p.text(), "\n", 2)[1]}
			for url, body := range p.received() {
				if strings.Contains(url, "/api/v1/") {
					read++
					given["the answer of "+url] = body
				}
			}
			for where, text := range given {
				for _, word := range words {
					// What somebody has typed themselves is no news to them.
					if !strings.Contains(asked, word) && strings.Contains(text, word) {
						p.t.Errorf("%s: %s has %q of another account:\n%.2000s", path, where, word, text)
					}
				}
			}
		}
		clean("after the log-in", "")
		subscription := func(id string) []string {
			at := "/subscriptions/" + id
			return []string{at, at + "?status=failed", at + "/waiting", at + "/again", at + "/settings", at + "/edit"}
		}
		paths := []string{
			"/", "/subscriptions", "/subscriptions?account=2", "/subscriptions?search=other-account", "/subscriptions?search=" + r.other.ID, "/subscriptions/new", "/deliveries/" + own, "/deliveries/" + foreign, "/deliveries/" + operators,
			"/events", "/events?resource_id=2", "/events?resource=deal&resource_id=2", "/events?resource=contact&resource_id=1", "/events?type=lead.create", "/dead-letters", "/dead-letters/" + letter, "/resources", "/resources/contact", "/system",
		}
		for _, id := range []string{r.acme.ID, r.other.ID, r.good.ID} {
			paths = append(paths, subscription(id)...)
		}
		for _, path := range paths {
			p.open(path)
			p.calm()
			clean(path, path)
		}
		// By hand, with the session of the page.
		for _, s := range []string{r.other.ID, r.good.ID} {
			for _, c := range []string{
				"GET subscription/%s/", "GET subscription/%s/stats", "GET subscription/%s/delivery/", "GET subscription/%s/held/", "GET subscription/%s/job/", "PATCH subscription/%s/", "DELETE subscription/%s/",
				"POST subscription/%s/ping", "POST subscription/%s/disable", "POST subscription/%s/enable", "POST subscription/%s/rotate-secret", "POST subscription/%s/replay", "POST subscription/%s/backfill",
			} {
				method, path, _ := strings.Cut(fmt.Sprintf(c, s), " ")
				refused(p, method, path)
				clean(method+" "+path, path)
			}
		}
		for _, c := range [][2]string{
			{"GET", "delivery/" + foreign + "/"}, {"POST", "delivery/" + foreign + "/redeliver"}, {"GET", "event/" + event + "/delivery/"}, {"GET", "dead-letter/"}, {"GET", "dead-letter/" + letter + "/"}, {"POST", "dead-letter/replay"},
			{"GET", "status"}, {"GET", "config"}, {"GET", "check"}, {"GET", "resource/"}, {"POST", "resource/contact/preview"}, {"POST", "resource/contact/compare"}, {"GET", "token/"},
		} {
			refused(p, c[0], c[1])
			clean(c[0]+" "+c[1], c[1])
		}
		if read < 60 {
			p.t.Errorf("%d answers were read", read)
		}
		p.open("/subscriptions/" + r.acme.ID)
		p.says("contact.update", "contact 42", "delivered")
		p.signOut()
		if got, err := r.client(adminToken).Get(r.t.Context(), r.other.ID); err != nil || got.State != "active" || got.Name != r.other.Name {
			p.t.Errorf("the subscription of the other account is %+v, %v", got, err)
		}
	}
}

// refused asks the API from the page: it has no such thing for this account.
func refused(p *page, method, path string) {
	p.t.Helper()
	status := value[int](p, fmt.Sprintf(`fetch("/api/v1/%s", {method: %q, headers: {"Content-Type": "application/json"}, body: %q === "GET" ? undefined : "{}"}).then(async (a) => (await a.text(), a.status))`, path, method, method))
	if status != 404 && status != 403 {
		p.t.Errorf("%s %s of another account answers %d", method, path, status)
	}
}
