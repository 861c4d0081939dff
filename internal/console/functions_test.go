package console_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/profiler"
	"github.com/chromedp/chromedp"
)

// functions are those of the site's scripts, by file and place, and whether they ran. What a button, a field or a key does is a function: one
// that no step of a test uses has not run.
type functions struct {
	mu  sync.Mutex
	ran map[function]bool
}

// function is where one is: in UTF-16 units, as the browser counts.
type function struct {
	file     string
	from, to int64
}

// allFunctions is the key of a context for functions: pages of one browser share them.
type allFunctions struct{}

func functionsOf(in context.Context) *functions {
	f, _ := in.Value(allFunctions{}).(*functions)
	return f
}

// count lets the browser count, of a tab, which functions run.
func count(ctx context.Context, target *chromedp.Target) error {
	if _, err := cdp.Call(ctx, target, profiler.Enable, cdp.Empty{}); err != nil {
		return err
	}
	exact, parts := true, false
	_, err := cdp.Call(ctx, target, profiler.StartPreciseCoverage, profiler.StartPreciseCoverageParams{CallCount: &exact, Detailed: &parts})
	return err
}

// gather adds what ran in the page since it was last called.
func (p *page) gather() {
	if p.ran == nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		counted, err := cdp.Call(ctx, target, profiler.TakePreciseCoverage, cdp.Empty{})
		if err != nil {
			return err
		}
		p.ran.mu.Lock()
		defer p.ran.mu.Unlock()
		for _, s := range counted.Result {
			_, file, ours := strings.Cut(s.URL, "/console/-")
			if _, file, _ = strings.Cut(file, "/"); !ours || strings.HasPrefix(file, "vendor/") {
				continue
			}
			for _, f := range s.Functions {
				at := function{file, f.Ranges[0].StartOffset, f.Ranges[0].EndOffset}
				p.ran.ran[at] = p.ran.ran[at] || f.Ranges[0].Count > 0
			}
		}
		return nil
	}))
	if err != nil {
		p.t.Errorf("what ran in the page is not known: %v", err)
	}
}

// unused are functions that no step has to use, by a part of their text, each with its reason. Without a text it is the whole file.
var unused = []struct{ file, text, why string }{
	{"api.js", "setTimeout(done, ms)", "the API asks who reads very much to wait"},
	{"app.js", "console.error(e)", "TestNewcomerWithTrouble: a page that breaks"},
	{"app.js", "removeEventListener('rowhook-out', out)", "what is around all pages is never taken away"},
	{"chart.js", "could not be loaded", "a script of the program itself is not answered"},
	{"chart.js", "() => { }", "the same"},
	{"first.js", "who takes it up hears of it", "rowhook goes away between the page and its first request"},
	{"near.js", "", "TestNewcomerWithTrouble: names that are mistyped"},
	{"pages/compare.js", "", "TestCompare"},
	{"pages/events.js", "refine({ before: '' })", "the retention has to be over between two pages"},
	{"pages/events.js", "async function one(", "TestNewcomerWithTrouble: an event by its id"},
	{"pages/events.js", "No such event", "the same"},
	{"pages/events.js", "(t) => t.name", "TestNewcomerWithTrouble: names that are mistyped"},
	{"pages/events.js", "choose(instead)", "the same"},
	{"pages/events.js", "<code>${n}</code>", "the same"},
	{"pages/resources.js", "() => { }", "the body of a resource that is not there is refused after the page was left"},
	{"pages/resources.js", "runs without a config file", "TestNewcomer: rowhook dev"},
	{"pages/resources.js", "`${r.name}.${n}`", "a resource without events"},
	{"pages/subscription.js", "kept to be read", "TestNewcomerWithTrouble: a feed"},
	{"pages/subscription.js", "b[1] - a[1]", "one target that fails in two ways"},
	{"pages/subscriptionform.js", "() => { }", "the event types cannot be read, and are only proposed"},
	{"ui.js", "!awaySince() && missed.current", "rowhook is away and comes back: TestFaults"},
	{"ui.js", "() => set(null)", "a notice that has stood for 6 seconds: few tests wait for it"},
}

// module is where, in the script that is built, the module of a place begins: with its name in a comment.
var module = regexp.MustCompile(`(?m)^// (script/\S+|site/\S+|vendor/\S+)$`)

// modules are the texts of a file's modules, by their names, and in their order where each begins. A file that is not built is one itself.
type modules struct {
	names []string
	from  []int
	text  map[string]string
}

func modulesOf(file, text string) modules {
	m := modules{text: map[string]string{}}
	found := module.FindAllStringSubmatchIndex(text, -1)
	if len(found) == 0 {
		return modules{[]string{file}, []int{0}, map[string]string{file: text}}
	}
	for i, at := range found {
		name, end := strings.TrimPrefix(text[at[2]:at[3]], "script/"), len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		m.names, m.from = append(m.names, name), append(m.from, at[0])
		m.text[name] = text[at[0]:end]
	}
	return m
}

// at is the module of a place.
func (m modules) at(place int) string {
	i, exact := slices.BinarySearch(m.from, place)
	if !exact {
		i = max(i-1, 0)
	}
	return m.names[i]
}

// renamed are names that building has made others of, as they are taken.
var renamed = regexp.MustCompile(`\b([a-z]+)\d\b`)

// written is a text of a built script nearly as its module has it.
func written(text string) string {
	return renamed.ReplaceAllString(strings.Join(strings.Fields(strings.ReplaceAll(text, `"`, "'")), " "), "$1")
}

// checkFunctions fails for each function of the site that did not run: an action without a step.
func checkFunctions(t *testing.T, all *functions) {
	texts, of := map[string][]uint16{}, map[string]modules{}
	for _, file := range []string{"console.js", "first.js"} {
		b, err := os.ReadFile(filepath.Join("site", file))
		if err != nil {
			t.Fatal(err)
		}
		texts[file], of[file] = utf16.Encode([]rune(string(b))), modulesOf(file, string(b))
	}
	ran := map[string]bool{}
	var idle []function
	for f, yes := range all.ran {
		if texts[f.file] == nil {
			t.Fatalf("%s is a script of the site that this test does not know", f.file)
		}
		ran[f.file] = true
		if !yes {
			idle = append(idle, f)
		}
	}
	slices.SortFunc(idle, func(a, b function) int { return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.from, b.from)) })
	for _, f := range idle {
		units := texts[f.file]
		before, text := string(utf16.Decode(units[:f.from])), string(utf16.Decode(units[f.from:f.to]))
		in := of[f.file].at(len(before))
		if strings.HasPrefix(in, "site/vendor/") || slices.ContainsFunc(unused, func(u struct{ file, text, why string }) bool {
			return u.file == in && strings.Contains(written(text), u.text)
		}) {
			continue
		}
		if len(text) > 160 {
			text = text[:160] + "…"
		}
		t.Errorf("site/%s:%d (%s) never runs: which step of this test uses it?\n\t%s", f.file, 1+strings.Count(before, "\n"), in, text)
	}
	for _, u := range unused {
		if !slices.ContainsFunc([]modules{of["console.js"], of["first.js"]}, func(m modules) bool { return m.text[u.file] != "" && strings.Contains(written(m.text[u.file]), u.text) }) {
			t.Errorf("%s has no %q any more: take it out of unused", u.file, u.text)
		}
	}
	for file := range texts {
		if !ran[file] {
			t.Errorf("%s is loaded by no page", file)
		}
	}
}
