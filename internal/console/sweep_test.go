package console_test

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// audit finds what is wrong with a page as it is drawn: contrast, texts that are cut, room for fingers, the ring of the focus, the outline.
//
//go:embed testdata/audit.js
var audit string

// looks are the themes and windows in which every page is looked at.
var looks = []look{{"light", 1280, 900}, {"dark", 1280, 900}, {"light", 390, 844}, {"dark", 390, 844}}

// sound fails where the audit of the page as it stands finds something.
func (p *page) sound(what string) {
	p.t.Helper()
	p.fits(what)
	for _, wrong := range value[[]string](p, `(`+audit+`)(innerWidth < 800)`) {
		p.t.Errorf("%s: %s", what, wrong)
	}
}

// named fails where the browser tells a screen reader of a control without a name.
func (p *page) named(what string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		tree, err := cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return err
		}
		text := func(v *accessibility.Value) string {
			if v == nil {
				return ""
			}
			return strings.Trim(string(v.Value), `"`)
		}
		controls := 0
		for _, n := range tree.Nodes {
			switch role := text(n.Role); role {
			case "button", "link", "textbox", "searchbox", "combobox", "checkbox", "listbox", "spinbutton", "DisclosureTriangle", "progressbar", "dialog", "heading", "navigation", "img", "table", "Date", "DateTime", "InputTime":
				if n.Ignored {
					continue
				}
				controls++
				if strings.TrimSpace(text(n.Name)) == "" {
					p.t.Errorf("%s: a screen reader hears of a %s without a name (node %d)", what, role, n.BackendDOMNodeID)
				}
			}
		}
		if controls < 3 {
			p.t.Errorf("%s: the tree for screen readers has %d nodes that could have names", what, controls)
		}
		return nil
	}))
}

// pages are the addresses of all pages, in states that differ.
func pages(p *page, r *rig) []struct{ name, path string } {
	p.t.Helper()
	delivery := value[string](p, `fetch("/api/v1/subscription/`+r.moody.ID+`/delivery/").then((a) => a.json()).then((d) => d[0].id)`)
	letter := value[string](p, `fetch("/api/v1/dead-letter/").then((a) => a.json()).then((d) => d[0].id)`)
	return []struct{ name, path string }{
		{"overview", "/"}, {"subscriptions", "/subscriptions"}, {"none", "/subscriptions?search=nobody"}, {"new", "/subscriptions/new"}, {"edit", "/subscriptions/" + r.bad.ID + "/edit"},
		{"subscription", "/subscriptions/" + r.bad.ID}, {"well", "/subscriptions/" + r.good.ID}, {"waiting", "/subscriptions/" + r.bad.ID + "/waiting"},
		{"again", "/subscriptions/" + r.good.ID + "/again"}, {"settings", "/subscriptions/" + r.bad.ID + "/settings"}, {"no-subscription", "/subscriptions/sub_aaaaaaaaaaaaaaaaaaaaaaaaaa"},
		{"delivery", "/deliveries/" + delivery}, {"events", "/events"}, {"event", "/events?resource=contact&resource_id=42"}, {"dead-letters", "/dead-letters?state=all"}, {"dead-letter", "/dead-letters/" + letter},
		{"resources", "/resources"}, {"resource", "/resources/contact"}, {"system", "/system"}, {"nothing", "/no/such/page"},
	}
}

// sweep looks at every page in both themes, on a desk and on a phone.
func sweep(p *page, r *rig) {
	was := p.look
	defer p.as(was)
	for _, at := range pages(p, r) {
		p.open(at.path)
		p.calm()
		p.named(at.name)
		p.keys("\t") // from now on the focus is shown, as it is to whoever uses keys
		for _, l := range looks {
			p.as(l)
			what := fmt.Sprintf("%s-%s-%d", at.name, l.theme, l.width)
			p.settled()
			p.shot(what)
			p.sound(what)
			background := value[string](p, `getComputedStyle(document.body).backgroundColor`)
			if dark := !strings.Contains(background, "25"); dark != (l.theme == "dark") {
				p.t.Errorf("%s has the background %s", what, background)
			}
		}
	}
}
