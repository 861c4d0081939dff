package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
)

// wants records what became of the answers that it wants.
type wants struct {
	paths []string
	got   map[string]string
}

func want(paths ...string) *wants { return &wants{paths: paths, got: map[string]string{}} }

func (w *wants) Documents() (all []mapping.Document) {
	for _, p := range w.paths {
		all = append(all, mapping.Document{Path: p, Resource: "contact", Template: "/contacts/${id}"})
	}
	return all
}

func (w *wants) Answer(path string, answer []byte) { w.got[path] += string(answer) }
func (w *wants) Missing(path string)               { w.got[path] += "missing" }
func (w *wants) FailDocument(path, reason string)  { w.got[path] += "failed: " + reason }
func (w *wants) is(t *testing.T, path, have string) {
	t.Helper()
	if got := w.got[path]; got != have && (have == "" || !strings.Contains(got, have)) {
		t.Errorf("%s is %q, want %q", path, got, have)
	}
}

// newAsker asks a receiver, and gives up soon.
func newAsker(t *testing.T, app *hooktest.Receiver) (*asker, *lines) {
	t.Helper()
	client := application.New(application.Config{URL: app.URL("")})
	t.Cleanup(client.Close)
	log := &lines{}
	return &asker{client: func() *application.Client { return client }, visible: func(context.Context, ...*cdc.Tx) error { return nil },
		log: slog.New(slog.NewTextHandler(log, nil)), observe: func(string) {},
		limits: askLimits{tries: 4, within: 20 * time.Millisecond, unproven: time.Hour, pauseMin: time.Millisecond, pauseMax: 5 * time.Millisecond, bytes: 1 << 20}}, log
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func body(s string) hooktest.Script { return hooktest.Always(hooktest.Answer{Body: s}) }

func numbered(n int) (paths []string) {
	for i := range n {
		paths = append(paths, fmt.Sprintf("/%d", i))
	}
	return paths
}

// TestAskTogether asks for each once, a bounded number at a time.
func TestAskTogether(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, hooktest.Always(hooktest.Answer{Body: "{}"}.After(2*time.Millisecond)))
	a, _ := newAsker(t, app)
	w := want(numbered(100)...)
	if err := a.ask(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	most := 0
	for _, q := range app.Requests() {
		most = max(most, q.InFlight)
	}
	if n := len(app.Requests()); n != 100 || len(w.got) != 100 || most > application.AtOnce || most < 2 {
		t.Errorf("%d requests for %d answers, %d at once", n, len(w.got), most)
	}
}

// TestAskBoundsBytes takes the first of what is large, and one at least.
func TestAskBoundsBytes(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, body(`"`+strings.Repeat("x", 300<<10)+`"`))
	a, _ := newAsker(t, app)
	for _, bytes := range []int{1 << 20, 1} {
		a.limits.bytes = bytes
		w := want(numbered(100)...)
		if err := a.ask(t.Context(), w, nil); err != nil {
			t.Fatal(err)
		}
		if n := len(w.got); n < 1 || n > 4+application.AtOnce {
			t.Errorf("%d answers of 300 KiB within %d bytes", n, bytes)
		}
		for i := range len(w.got) {
			if w.got[fmt.Sprintf("/%d", i)] == "" {
				t.Errorf("answer %d of the first %d is not there", i, len(w.got))
			}
		}
	}
}

// TestOneInstanceIsGivenUp while the application answers for others; 404 is an answer.
func TestOneInstanceIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{500, 503, 403, 404, 200} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			t.Parallel()
			app := hooktest.New(t, body(`{}`))
			script := hooktest.Always(hooktest.Answer{Status: bad, Body: "<html>"})
			// As many as are asked at once, and first: what is behind them has to be asked too.
			var paths []string
			for i := range 2 * application.AtOnce {
				paths = append(paths, fmt.Sprintf("/bad/%d", i))
				app.Handle(paths[i], script)
			}
			a, log := newAsker(t, app)
			w := want(append(paths, "/good")...)
			if err := a.ask(t.Context(), w, nil); err != nil {
				t.Fatal(err)
			}
			w.is(t, "/good", "{}")
			reason := fmt.Sprintf("failed: ${api.…} of contact: GET %s/contacts/${id}: the application answers %d", app.URL(""), bad)
			switch bad {
			case 404:
				reason = "missing"
				if s := log.String(); strings.Count(s, "does not know an instance") != 1 || strings.Contains(s, "/bad/") {
					t.Errorf("told as %s", s)
				}
			case 200:
				reason = "the answer is text/html, not JSON"
			}
			for _, p := range paths {
				w.is(t, p, reason)
			}
			if strings.Contains(w.got[paths[0]], paths[0]) {
				t.Errorf("the reason has the key: %s", w.got[paths[0]])
			}
		})
	}
}

// TestAloneButForTheWitness: the only instance that is asked for fails, and what was answered before tells that the
// application is there.
func TestAloneButForTheWitness(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, body(`{}`))
	app.Handle("/bad", hooktest.Always(hooktest.Status(500)))
	a, _ := newAsker(t, app)
	if err := a.ask(t.Context(), want("/good"), nil); err != nil {
		t.Fatal(err)
	}
	w := want("/bad")
	if err := a.ask(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	w.is(t, "/bad", "500 Internal Server Error; it answers for others")
}

// TestTheApplicationIsAway, or fails for all: it is waited for, however long, told, and nothing is given up.
func TestTheApplicationIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*hooktest.Receiver) (back func() error){
		"Down": func(app *hooktest.Receiver) func() error { app.Down(); return app.Up },
		"Broken": func(app *hooktest.Receiver) func() error {
			app.HandleAll(hooktest.Always(hooktest.Status(500)))
			return func() error { app.HandleAll(body("{}")); return nil }
		},
		"Login": func(app *hooktest.Receiver) func() error {
			app.HandleAll(hooktest.Always(hooktest.Status(401)))
			return func() error { app.HandleAll(body("{}")); return nil }
		},
	} {
		for _, answered := range []bool{true, false} {
			t.Run(fmt.Sprint(name, answered), func(t *testing.T) {
				t.Parallel()
				app := hooktest.New(t, body(`{}`))
				a, log := newAsker(t, app)
				if answered {
					if err := a.ask(t.Context(), want("/before"), nil); err != nil {
						t.Fatal(err)
					}
				}
				app.Forget()
				back := away(app)
				w, done := want(numbered(20)...), make(chan error, 1)
				began := time.Now()
				go func() { done <- a.ask(t.Context(), w, nil) }()
				await(t, "it has waited for long enough to give up", func() bool {
					return a.Waiting() != "" && time.Since(began) > 10*a.limits.within && (name == "Down" || len(app.Requests()) > 10*a.limits.tries)
				})
				if s := a.Waiting(); !strings.Contains(s, "${api.…} of contact: GET "+app.URL("")+"/contacts/${id}: ") || name == "Login" && !strings.Contains(s, "app: {headers:") {
					t.Errorf("waits for %s", s)
				}
				if n := strings.Count(log.String(), "reading waits"); n != 1 {
					t.Errorf("told %d times", n)
				}
				if err := back(); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				for _, p := range w.paths {
					w.is(t, p, "{}")
				}
				if a.Waiting() != "" {
					t.Error("still waits")
				}
			})
		}
	}
}

// TestUnproven: what has failed by itself from the start is given up too, but much later.
func TestUnproven(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	a, _ := newAsker(t, app)
	a.limits.unproven = 50 * time.Millisecond
	w := want("/1", "/2")
	if err := a.ask(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	w.is(t, "/2", "failed: ")
}

// TestAskEnds when rowhook stops, and waits until the commit is visible.
func TestAskEnds(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, hooktest.Always(hooktest.Status(503)))
	a, _ := newAsker(t, app)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.ask(ctx, want("/1"), nil) }()
	app.Wait(t, 2, 10*time.Second)
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
	app.Forget()
	a.visible = func(context.Context, ...*cdc.Tx) error { return context.Canceled }
	if err := a.ask(t.Context(), want("/1"), nil); err != context.Canceled || len(app.Requests()) > 0 {
		t.Errorf("%v, after %d requests", err, len(app.Requests()))
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(60*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// TestAWholeBatchIsGivenUp, since the witness is answered: in passes over all of them, not over a few at a time.
func TestAWholeBatchIsGivenUp(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, hooktest.Always(hooktest.Status(500)))
	app.Handle("/good", body("{}"))
	a, _ := newAsker(t, app)
	if err := a.ask(t.Context(), want("/good"), nil); err != nil {
		t.Fatal(err)
	}
	app.Forget()
	a.limits.within = 0
	w := want(numbered(200)...)
	if err := a.ask(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.paths {
		w.is(t, p, "it answers for others")
	}
	// The first few are tried once more: until they had failed nobody knew that somebody is there.
	if n, most := len(app.Requests()), a.limits.tries*200+2*application.AtOnce+2*a.limits.tries; n > most {
		t.Errorf("%d requests, at most %d", n, most)
	}
}
