package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// faultyRig is a rowhook that can be ended and started again at one address, with its store in a server of its own.
type faultyRig struct {
	*rig
	whole             testing.TB
	config, url, slot string
	// where is the address of the API, once it was started.
	where string
	// stop ends it; ended has how it ended by itself.
	stop  func()
	ended chan error
	// store is the server of the store, to which admin is a connection.
	store *pgtest.Server
	at    string
}

func newFaultyRig(t *testing.T) *faultyRig {
	t.Helper()
	r := &faultyRig{whole: t, rig: &rig{t: t, recv: hooktest.New(t)}, url: pgtest.Database(t), slot: pgtest.Name("slot"), store: pgtest.Cluster(t, nil), where: "127.0.0.1:0"}
	r.at = r.store.Database(t)
	var err error
	if r.conn, err = pgx.Connect(t.Context(), r.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close(context.Background()) })
	r.exec(tables)
	r.config = strings.Replace(configText, "timeout: 60s", "timeout: 2s", 1) + "store: {url: '" + r.at + "', encryption_key: '${env:KEY}'}\n"
	return r
}

// stored does something in the store, as its superuser.
func (r *faultyRig) stored(sql ...string) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.at)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, s := range sql {
		if _, err := conn.Exec(r.t.Context(), s); err != nil {
			r.t.Fatalf("%s: %v", s, err)
		}
	}
}

const (
	keyOne = "b25lb25lb25lb25lb25lb25lb25lb25lb25lb25lb24="
	keyTwo = "dHdvdHdvdHdvdHdvdHdvdHdvdHdvdHdvdHdvdHdvdHc="
)

// begin starts it, and waits for nothing.
func (r *faultyRig) begin(key string) (ready chan struct{}) {
	r.t.Helper()
	env := map[string]string{"DATABASE_URL": r.url, "SLOT": r.slot, "KEY": key}
	text := strings.Replace(r.config, "listen: 127.0.0.1:0", "listen: "+r.where, 1)
	cfg, err := config.LoadBytes("config.yaml", []byte(text), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		r.t.Fatal(err)
	}
	ready = make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(logged{r.whole}, nil)), Version: "1.2.3", OnReady: func(string) { close(ready) }})
	if err != nil {
		r.t.Fatal(err)
	}
	addr, err := a.Listen()
	if err != nil {
		r.t.Fatal(err)
	}
	r.where = addr.String()
	r.rig.at = "http://" + r.where
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.whole.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	r.ended = ended
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(60 * time.Second):
			r.t.Error("rowhook does not stop")
		}
	})
	r.whole.Cleanup(r.stop)
	return ready
}

// start starts it, and waits until it is ready.
func (r *faultyRig) start() {
	r.t.Helper()
	select {
	case <-r.begin(keyOne):
	case err := <-r.ended:
		r.ended <- err
		r.t.Fatalf("rowhook ended: %v", err)
	case <-time.After(60 * time.Second):
		r.t.Fatal("rowhook is not ready")
	}
}

// faultTold is what a page says of a fault.
type faultTold struct {
	// what, so and mend are parts of the finding's three texts; copied are commands that are to be copied, each in a box of its own.
	severity, what, so, mend string
	copied                   []string
}

// finds waits for a finding on the page, which tells all four parts in one place.
func (p *page) finds(want faultTold) {
	p.t.Helper()
	p.until(fmt.Sprintf(`[...document.querySelectorAll(".finding")].some((f) => {
		const has = (e, t) => e && e.innerText.includes(t);
		const boxes = [...f.querySelectorAll(".code")];
		return has(f.querySelector(".state"), %s) && has(f.querySelector("strong"), %s) && has(f.querySelector(".so"), %s) && has(f, %s) &&
			%s.every((c) => boxes.some((b) => b.querySelector("pre").innerText.includes(c) && b.querySelector("button.copy")));
	})`, quote(want.severity), quote(want.what), quote(want.so), quote(want.mend), list(want.copied)))
}

func list(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, quote(t))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// forgets waits until no finding says it any more.
func (p *page) forgets(what string) {
	p.t.Helper()
	p.until(`!document.querySelector(".away") && document.querySelector("#findings") && ![...document.querySelectorAll(".finding strong")].some((f) => f.innerText.includes(` + quote(what) + `))`)
}

// TestFaults induces the twelve faults of docs/troubleshooting.md on a rowhook, and understands each from the console alone: what is wrong,
// what comes of it, and what mends it.
func TestFaults(t *testing.T) {
	t.Parallel()
	in := newBrowser(t)
	r := newFaultyRig(t)
	r.start()
	p := newPage(t, in, r.rig.at)
	p.login(adminToken)
	for _, part := range []struct {
		name string
		do   func(*page, *faultyRig)
	}{
		{"Targets", faultsOfTargets}, {"SlowTarget", slowTarget}, {"Tables", faultsOfTables}, {"Store", faultsOfStore}, {"Away", rowhookAway}, {"LostSlot", lostSlot},
		{"Clone", clone}, {"EveryFinding", everyFinding(in)},
	} {
		if !t.Run(part.name, func(t *testing.T) {
			p.t, r.t = t, t
			part.do(p, r)
		}) {
			return
		}
	}
	p.t, r.t = t, t
}

// faultsOfTargets: down, slow, gone, one that nobody listens at, one with a certificate that nobody knows.
func faultsOfTargets(p *page, r *faultyRig) {
	var well atomic.Bool
	r.recv.Handle("/down", func(hooktest.Request) hooktest.Answer {
		if well.Load() {
			return hooktest.OK()
		}
		return hooktest.Answer{Status: http.StatusServiceUnavailable, Body: "we are moving house"}
	})
	r.recv.Handle("/gone", hooktest.Always(hooktest.Status(http.StatusGone)))
	r.recv.Handle("/hang", hooktest.Always(hooktest.Hang()))
	subs := map[string]*client.Subscription{}
	for _, path := range []string{"/well", "/down", "/gone", "/hang"} {
		subs[path] = r.create(adminToken, &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL(path), Name: strings.TrimPrefix(path, "/")})
	}
	r.exec(`insert into contacts (id, account_id, first_name) values (1, 1, 'Ada')`)
	down, gone, hang := subs["/down"].ID, subs["/gone"].ID, subs["/hang"].ID
	p.open("/")
	p.finds(faultTold{"warning", "takes nothing from " + down + " (down): it answers 503", "delays nobody else; after 5 days it is disabled", "tell its owner", []string{"rowhook delivery list " + down}})
	p.finds(faultTold{"warning", hang + " (hang): it does not answer in time", "it is tried again for days", "delivery.timeout", []string{"rowhook delivery list " + hang}})
	p.finds(faultTold{"info", "has answered 410: the subscription was deleted", "nothing is sent to it any more", "subscribe again", nil})
	p.shots("targets")
	p.open("/subscriptions/" + down)
	p.says("Its target has taken nothing", "It answers HTTP 503", "Tell its owner", "it is tried again by itself, next in", "the subscription is disabled")
	p.shots("target-down")
	p.press("contact.create")
	p.says("next attempt: in", "It answers HTTP 503", "we are moving house")
	p.shots("delivery-down")
	p.open("/subscriptions/" + hang)
	p.says("It does not answer in time", "raise the timeout")
	p.open("/subscriptions/" + gone)
	p.says("No such subscription", "HTTP 410")
	well.Store(true)
	for _, id := range []string{hang} {
		if err := r.client(adminToken).Delete(r.t.Context(), id); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := r.client(adminToken).Ping(r.t.Context(), down); err != nil {
		r.t.Fatal(err)
	}
}

// slowTarget: one that takes what is sent, and not as fast as there is more.
func slowTarget(p *page, r *faultyRig) {
	r.recv.Handle("/slow", hooktest.Always(hooktest.OK().After(1500*time.Millisecond)))
	slow := r.create(adminToken, &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/slow"), Name: "slow"}).ID
	r.exec(`insert into contacts (id, account_id, first_name) select i, 1, 'Ada' from generate_series(1001, 2500) i`)
	told := faultTold{"warning", "the target of " + slow + " is slower than its events come: an attempt takes 1.5s", "its hooks come late, and those of nobody else", "ask its owner to answer first", []string{"rowhook subscription update " + slow + " --max-in-flight N"}}
	p.open("/")
	p.finds(told)
	p.shots("slow")
	p.open("/subscriptions/" + slow)
	p.finds(told)
	if err := r.client(adminToken).Delete(r.t.Context(), slow); err != nil {
		r.t.Fatal(err)
	}
}

func faultsOfTables(p *page, r *faultyRig) {
	p.open("/")
	r.exec(`insert into leads values (7, 1, 'a lot')`)
	// What is counted in the store may be ten seconds old, and on a busy machine older: as long as a page waits.
	r.wait("the dead letter is counted", func() bool {
		s, err := r.client(adminToken).Status(r.t.Context())
		return err == nil && s.DeadLetters.Open > 0
	})
	p.finds(faultTold{"warning", "1 dead letter is open; the newest is of lead", "these changes were not sent to anybody", "mend the mapping", []string{"rowhook dead-letter list", "rowhook dead-letter replay --resource lead"}})
	p.shots("expression")
	r.exec(`alter publication rowhook drop table deals`)
	p.finds(faultTold{"error", "does not have public.deals any more", "changes of these tables are not sent", "ALTER PUBLICATION", []string{"ALTER PUBLICATION"}})
	p.shots("unpublished")
	r.exec(value[string](p, `[...document.querySelectorAll(".finding .code pre")].map((e) => e.innerText).find((t) => t.startsWith("ALTER PUBLICATION"))`))
	p.finds(faultTold{"error", "changes there were not sent", "", "", []string{"rowhook resume --accept-gap"}})
	if _, err := r.client(adminToken).Resume(r.t.Context(), true); err != nil {
		r.t.Fatal(err)
	}
	p.forgets("changes there were not sent")
	r.exec(`alter table contacts drop column city`)
	r.exec(`insert into contacts (id, account_id, first_name) values (2, 1, 'Ada')`)
	p.finds(faultTold{"error", "the mapping of contact does not fit the table public.contacts any more: config.yaml:", "its changes are kept as dead letters", "SIGHUP", []string{"rowhook dead-letter replay --resource contact"}})
	p.shots("column")
	p.open("/system")
	p.calm()
	p.shots("column-system")
	r.exec(`alter table contacts add column city text`)
	r.exec(`insert into contacts (id, account_id, first_name) values (3, 1, 'Ada')`)
	p.open("/")
	p.forgets("the mapping of contact does not fit")
}

func faultsOfStore(p *page, r *faultyRig) {
	r.stored(`create function rowhook.full_disk() returns trigger language plpgsql as $$
		begin raise exception 'could not extend file "base/5/16384": No space left on device' using errcode = '53100'; end $$`,
		`create trigger full_disk before insert on rowhook.event for each row execute function rowhook.full_disk()`)
	r.exec(`insert into contacts (id, account_id, first_name) values (4, 1, 'Ada')`)
	p.finds(faultTold{"error", "No space left on device", "nothing is lost, and it goes on by itself", "make room on the disk", nil})
	p.shots("disk")
	r.stored(`drop trigger full_disk on rowhook.event`)
	p.forgets("No space left")

	if err := r.store.Shutdown(pgtest.Fast, 30*time.Second); err != nil {
		r.t.Fatal(err)
	}
	r.exec(`insert into contacts (id, account_id, first_name) values (5, 1, 'Ada')`)
	p.finds(faultTold{"error", "the store", "", "see that the server of store.url", nil})
	p.until(`document.querySelector("h1 .bad")?.innerText.startsWith("The store") && document.querySelector(".head .state.bad") && !document.querySelector(".head .state.good")`)
	p.shots("store")
	p.press("Subscriptions")
	p.says("The store or the source cannot be reached", "The overview of the admin says what is away")
	p.shots("store-subscriptions")
	p.open("/system")
	p.shots("store-system")
	p.press("Sign out")
	p.says("the store could not be told that the session is over", "unless its token is deleted")
	p.login(adminToken)
	p.press("Dead letters")
	p.says("cannot be reached")
	if err := r.store.StartAgain(); err != nil {
		r.t.Fatal(err)
	}
	p.until(`!document.querySelector(".failure") && document.querySelector("tbody tr")`) // by itself
	p.open("/")
	p.forgets("the store")
}

func rowhookAway(p *page, r *faultyRig) {
	p.open("/")
	p.says("Dead letters")
	p.calm()
	p.shots("before")
	r.stop()
	p.says("rowhook does not answer", "a wrong store.encryption_key", "since 20", "Lag", "goes on by itself then", "rowhook status --config config.yaml")
	p.until(`document.querySelectorAll("[role=alert]").length === 1 && document.querySelectorAll(".chart").length === 3`)
	p.shots("away")
	r.start()
	p.until(`!document.querySelector(".away")`)
	// A page that nothing reads again by itself, and one that was opened meanwhile.
	p.press("Resources")
	p.says("contacts")
	r.stop()
	p.says("rowhook does not answer", "contacts")
	p.press("System")
	p.shots("away-system")
	r.start()
	p.says("Config, as it runs", "0 errors")
	p.forgive("network: Failed to load resource: net::ERR_")
}

func lostSlot(p *page, r *faultyRig) {
	p.do(chromedp.Navigate("about:blank")) // nobody asks while it is away
	r.stop()
	r.exec("select pg_drop_replication_slot($1)", r.slot)
	r.begin(keyOne)
	p.open("/")
	p.finds(faultTold{"error", "is gone, though everything up to", "nothing is sent until you decide", "that would hide the loss", []string{"rowhook resume --accept-gap"}})
	p.shots("slot")
	if _, err := r.client(adminToken).Resume(r.t.Context(), true); err != nil {
		r.t.Fatal(err)
	}
	p.forgets("is gone, though")
}

func clone(p *page, r *faultyRig) {
	p.do(chromedp.Navigate("about:blank"))
	r.stop()
	r.stored("update rowhook.checkpoint set system_id = '7000000000000000001'")
	r.begin(keyOne)
	p.open("/")
	p.finds(faultTold{"error", "belongs to another source", "no hook of the original is sent twice", "give it a store and an environment of its own", nil})
	p.shots("clone")
}

// everyFinding shows what cannot be induced cheaply: each code that the status has, as the answer of GET /status. The clock is the only
// one of the twelve faults here: TestClockFinding in internal/app shows when it is told.
func everyFinding(in context.Context) func(*page, *faultyRig) {
	return func(p *page, r *faultyRig) {
		told := []client.StatusFinding{{Severity: "error", Code: "clock_off", What: "this machine's clock is 6m0s behind that of the database",
			So:   "if it is this clock that is wrong, receivers refuse every hook",
			Mend: "compare both with a third (date -u; SELECT now();), and let both be set by NTP: timedatectl set-ntp true, or chronyc tracking"}}
		for _, source := range []struct{ path, names string }{{"../app/findings.go", `\bcode[A-Z]\w*\s*= "(\w+)"`}, {"../../cdc/incident.go", `IncidentKind = "(\w+)"`}} {
			text, err := os.ReadFile(source.path)
			if err != nil {
				r.t.Fatal(err)
			}
			for i, m := range regexp.MustCompile(source.names).FindAllStringSubmatch(string(text), -1) {
				told = append(told, client.StatusFinding{Severity: []string{"error", "warning", "info"}[i%3], Code: m[1], What: "what is wrong: " + m[1], So: "what comes of " + m[1],
					Mend: "what mends it: rowhook dead-letter replay --resource " + m[1] + ", and SELECT '" + m[1] + "'; then look"})
			}
		}
		if len(told) < 30 {
			r.t.Fatalf("%d codes: some were missed", len(told))
		}
		target, _ := url.Parse(r.rig.at)
		between := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(q *httputil.ProxyRequest) {
				q.SetURL(target)
				q.Out.Host = q.In.Host
				q.Out.Header.Del("Accept-Encoding")
			},
			ModifyResponse: func(a *http.Response) error {
				if !strings.HasSuffix(a.Request.URL.Path, "/status") || a.StatusCode != http.StatusOK {
					return nil
				}
				var s client.Status
				if err := json.NewDecoder(a.Body).Decode(&s); err != nil {
					return err
				}
				_ = a.Body.Close()
				s.Findings = told
				b, err := json.Marshal(s)
				a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
				a.Header.Set("Content-Length", fmt.Sprint(len(b)))
				return err
			},
		})
		defer between.Close()
		q := newPage(r.t, in, between.URL)
		q.login(adminToken)
		for i, f := range told {
			copied := []string{"rowhook dead-letter replay --resource " + f.Code, "SELECT '" + f.Code + "';"}
			if i == 0 {
				copied = []string{"timedatectl set-ntp true", "chronyc tracking", "date -u", "SELECT now();"}
			}
			q.finds(faultTold{f.Severity, f.What, f.So, f.Mend, copied})
			q.says(f.Code)
		}
		q.shots("every")
		q.fits("every finding")
		q.size(360, 780)
		q.fits("every finding on a phone")
	}
}

// shots keeps pictures in both themes, where somebody has asked for them.
func (p *page) shots(name string) {
	if os.Getenv("ROWHOOK_SCREENSHOTS") == "" {
		return
	}
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		p.shot("fault-" + name + "-" + theme)
	}
}
