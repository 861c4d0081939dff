//go:build unix

package identity_test

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/identity"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

//go:embed testdata/*.html
var pages embed.FS

const browserTakes = 60 * time.Second

// browse opens an address in a browser of its own, until the test is over.
func browse(t *testing.T, address string) {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no browser: CI needs one for the page of another origin: install chromium")
		}
		t.Skip("there is no browser: install chromium")
	}
	profile, err := os.MkdirTemp("", "rowhook-browser-")
	if err != nil {
		t.Fatal(err)
	}
	// Some browsers come with cookies of other sites blocked, which not all have.
	if err := os.MkdirAll(filepath.Join(profile, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	const preferences = `{"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": false}}`
	if err := os.WriteFile(filepath.Join(profile, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--no-proxy-server", "--remote-debugging-port=0", "--user-data-dir="+profile, address)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has many processes
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		deadline := time.Now().Add(10 * time.Second)
		for os.RemoveAll(profile) != nil && time.Now().Before(deadline) {
			// A process that is being killed may still write.
		}
		if t.Failed() {
			for line := range strings.Lines(said.String()) {
				if !strings.Contains(line, "dbus") {
					t.Log(strings.TrimSpace(line))
				}
			}
		}
	})
}

// seen is a request for the API, as the proxy listener saw it.
type seen struct {
	method, path, site string
	cookie             bool
	status             int
}

// site is an application with its API behind a proxy, and a customer who is logged in to it by cookie.
type site struct {
	store *store.Store
	// front is where the application is, by the name localhost.
	front string
	// report is what a page of the application itself tells.
	report chan []byte
	// left is the form that leaves the page.
	left chan seen

	mu    sync.Mutex
	seen  []seen
	notes []bool // of each note, whether it came with the cookie
}

func (s *site) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen{}, s.seen...)
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func page(w http.ResponseWriter, name string) {
	text, err := pages.ReadFile("testdata/" + name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text)
}

func takeReport(reports chan<- []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		select {
		case reports <- b:
		default:
		}
	}
}

// localhost is a server's address by the name that the browser takes for another site than 127.0.0.1.
func localhost(s *httptest.Server) string {
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

func newSite(t *testing.T, cookie http.Cookie) *site {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{URL: secret.String(pgtest.Database(t)), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	s := &site{store: st, report: make(chan []byte, 1), left: make(chan seen, 1)}

	mux := http.NewServeMux()
	loggedIn := func(r *http.Request) bool {
		c, err := r.Cookie(cookie.Name)
		return err == nil && c.Value == cookie.Value
	}
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &cookie)
		http.Redirect(w, r, r.URL.Query().Get("next"), http.StatusFound)
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		if !loggedIn(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"account":{"id":1},"role":"owner"}`)
	})
	mux.HandleFunc("POST /notes", func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, loggedIn(r))
	})
	mux.HandleFunc("GET /own", func(w http.ResponseWriter, _ *http.Request) { page(w, "own.html") })
	mux.HandleFunc("POST /report", takeReport(s.report))
	application := httptest.NewServer(mux)
	t.Cleanup(application.Close)
	at, err := url.Parse(application.URL)
	if err != nil {
		t.Fatal(err)
	}

	who, err := identity.New(identity.Config{
		Path: "/me", Account: &mapping.Source{Text: "account.id", At: problem.Place{}}, Cache: identity.DefaultCache,
	}, identity.Options{AppURL: application.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(who.Close)
	behind := api.New(api.Config{
		BasePath: "/api/v1", Repository: st,
		Catalogue: func() subscriptions.Catalogue {
			return subscriptions.Catalogue{{Name: "contact.create", Resource: "contact"}}
		},
	}).Behind(app.Callers(who))
	proxy := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who.Strip(r)
		if !strings.HasPrefix(r.URL.Path, "/api/v1/") {
			proxy.ServeHTTP(w, r)
			return
		}
		sw := &statusWriter{ResponseWriter: w}
		behind.ServeHTTP(sw, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		q := seen{r.Method, r.URL.RequestURI(), r.Header.Get("Sec-Fetch-Site"), loggedIn(r), sw.status}
		s.seen = append(s.seen, q)
		if strings.HasSuffix(q.path, "?top=1") {
			s.left <- q
		}
	}))
	t.Cleanup(front.Close)
	s.front = localhost(front)
	return s
}

// all is everything that the store has of subscriptions.
func (s *site) all(t *testing.T) string {
	t.Helper()
	subs, err := s.store.All(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, x := range subs {
		fmt.Fprintf(&b, "%s %s %v %v %s version %d, secrets", x.ID, x.Account, x.Admin, x.State, x.TargetURL.Reveal(), x.Version)
		for _, k := range x.Secrets {
			fmt.Fprintf(&b, " %s", k.Secret.Reveal())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func receive(t *testing.T, from <-chan []byte, into any) {
	t.Helper()
	select {
	case b := <-from:
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
	case <-time.After(browserTakes):
		t.Fatal("the page reports nothing")
	}
}

// TestForeignPage lets a page of another origin try all that it can, in a real browser, with a customer logged in to the
// application: nothing comes of it. The same customer's page of the application's own origin can do it all.
func TestForeignPage(t *testing.T) {
	t.Parallel()
	plain := http.Cookie{Name: "session", Value: "of-alice", Path: "/", HttpOnly: true}
	everywhere := plain
	everywhere.SameSite, everywhere.Secure = http.SameSiteNoneMode, true // localhost counts as secure
	for _, tt := range []struct {
		name    string
		cookie  http.Cookie
		address func(*httptest.Server) string
		// cookies says whether the browser sends the cookie with what the page asks for.
		cookies bool
		site    string
	}{
		// The hard one: to the browser another port is the same site, so every cookie comes along.
		{"OtherPortOfTheSameHost", plain, localhost, true, "same-site"},
		{"OtherSite", plain, func(s *httptest.Server) string { return s.URL }, false, "cross-site"},
		{"OtherSiteWithCookiesForAll", everywhere, func(s *httptest.Server) string { return s.URL }, true, "cross-site"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tt.cookie)
			mine := &subscriptions.Subscription{
				ID: subscriptions.NewID(), Account: "1", Events: []string{"contact.create"}, TargetURL: "https://example.com/mine", State: subscriptions.Active,
				Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}},
			}
			if err := s.store.Create(t.Context(), mine, 0); err != nil {
				t.Fatal(err)
			}
			before := s.all(t)
			reports := make(chan []byte, 1)
			evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					takeReport(reports)(w, r)
					return
				}
				page(w, "attack.html")
			}))
			t.Cleanup(evil.Close)
			attack := tt.address(evil) + "/?" + url.Values{"api": {s.front + "/api/v1"}, "id": {mine.ID}, "notes": {s.front + "/notes"}}.Encode()
			browse(t, s.front+"/login?"+url.Values{"next": {attack}}.Encode())

			var report struct{ Read, Failed map[string]string }
			receive(t, reports, &report)
			select {
			case q := <-s.left:
				if q.status != http.StatusForbidden || !q.cookie {
					t.Errorf("the form that leaves the page: %+v", q)
				}
			case <-time.After(browserTakes):
				t.Fatal("the form that leaves the page was not sent")
			}
			if after := s.all(t); after != before {
				t.Errorf("there was\n%sand is\n%s", before, after)
			}
			for name, text := range report.Read {
				if text != "opaque 0 " {
					t.Errorf("%s: the page reads %q", name, text)
				}
			}
			if n := len(report.Read) + len(report.Failed); n < 30 {
				t.Errorf("only %d things were tried: %v", n, report)
			}
			changes, withCookie := 0, 0
			for _, q := range s.requests() {
				switch {
				case q.site != tt.site:
					t.Errorf("%+v does not come from where it should", q)
				case q.method == http.MethodOptions && q.status == 204:
				case q.method == http.MethodGet && (q.status == 200 || q.status == 405 || !q.cookie && q.status == 401):
				case q.method == http.MethodPost && (q.status == 403 || q.status == 405 && strings.HasSuffix(q.path, "?_method=DELETE")):
					changes++
				default:
					t.Errorf("%+v is let through", q)
				}
				if q.cookie {
					withCookie++
				}
			}
			if changes < 12 || tt.cookies && withCookie < 20 {
				t.Errorf("%d changes were tried, %d requests came with the cookie", changes, withCookie)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.notes) != 1 || s.notes[0] != tt.cookies {
				t.Errorf("the application's own route, which looks at nothing, had requests with the cookie: %v", s.notes)
			}
		})
	}
	t.Run("OwnPage", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, plain)
		browse(t, s.front+"/login?"+url.Values{"next": {s.front + "/own?" + url.Values{"api": {s.front + "/api/v1"}}.Encode()}}.Encode())
		var report struct {
			Read struct {
				Made, Listed     string
				Rotated, Deleted int
			}
		}
		receive(t, s.report, &report)
		if r := report.Read; r.Made != "201 1" || !strings.Contains(r.Listed, "https://example.com/own") || r.Rotated != 200 || r.Deleted != 204 {
			t.Errorf("the application's own page got %+v, and sent %+v", report, s.requests())
		}
		if left := s.all(t); left != "" {
			t.Errorf("left is %s", left)
		}
	})
}
