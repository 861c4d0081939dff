package doccheck

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

func defaultRetries() []time.Duration { return config.Default().Delivery.Retries }

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// crm makes the database of the CRM with the role of deploy/sql/role.sql, and returns the URLs of its owner and of the
// role. The role has no more than that file gives it.
func crm(t *testing.T) (owner, role string) {
	t.Helper()
	server := pgtest.Cluster(t, nil)
	owner = server.Database(t)
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	sql := read(t, "examples/crm/schema.sql") + strings.ReplaceAll(read(t, "deploy/sql/role.sql"), ":'password'", "'not-a-secret'")
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	return owner, regexp.MustCompile(`//[^@]*@`).ReplaceAllString(owner, "//rowhook:not-a-secret@")
}

// readmeConfig is the README's config.
func readmeConfig(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, "README.md") {
		if b.lang == "yaml" && b.first() == "# config.yaml" {
			return b.text
		}
	}
	t.Fatal("README.md has no config.yaml")
	return ""
}

// serve runs rowhook in this process until the test ends.
func serve(t *testing.T, text string, env map[string]string) *client.Client {
	t.Helper()
	text = strings.Replace(text, "listen: 127.0.0.1:8477", "listen: 127.0.0.1:0", 1)
	cfg, err := config.LoadBytes("config.yaml", []byte(text), func(k string) (string, bool) { v, ok := env[k]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "1.0.0", OnReady: func(string) { close(ready) }})
	if err != nil {
		t.Fatal(err)
	}
	address, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("rowhook ended: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("rowhook ended: %v", err)
	case <-time.After(patience):
		t.Fatal("rowhook is not ready")
	}
	return &client.Client{URL: "http://" + address.String() + "/api/v1", Token: env["ROWHOOK_TOKEN"]}
}

// TestReceivers runs every receiver of the docs against a rowhook that has the role of deploy/sql/role.sql and the
// README's config: a real hook is taken, one that was tampered with is not.
func TestReceivers(t *testing.T) {
	t.Parallel()
	owner, role := crm(t)
	c := serve(t, readmeConfig(t), map[string]string{"DATABASE_URL": role, "ROWHOOK_TOKEN": "a-token-for-this-test"})
	recv := hooktest.New(t)
	secret := subscriptions.NewSecret().Reveal()
	subscribe := func(t *testing.T, url string) {
		t.Helper()
		if _, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.update"}, TargetURL: url, Secret: secret}); err != nil {
			t.Fatal(err)
		}
	}
	subscribe(t, recv.URL("/hooks"))
	type target struct {
		name, url string
		p         *process
	}
	var targets []target
	add := func(name string, cmd *exec.Cmd) {
		address := hooktest.FreeAddress(t)
		cmd.Env = append(environ(), "WEBHOOK_SECRET="+secret, "PORT="+portOf(address))
		tg := target{name, "http://" + address + "/hooks", start(t, name, cmd)}
		await(t, name+" listens", func() bool {
			resp, err := http.Get(tg.url)
			if err == nil {
				resp.Body.Close()
			}
			if err != nil && ended(tg.p) {
				t.Fatalf("%s ended:\n%s", name, tg.p.output())
			}
			return err == nil
		})
		subscribe(t, tg.url)
		targets = append(targets, tg)
	}
	dir := t.TempDir()
	add("examples/receiver", exec.Command(build(t).receiver))
	for _, b := range blocks(t, "docs/receiving.md") {
		switch b.lang {
		case "go":
			// Inside the module, whose go.mod has the library.
			inside := copyTree(t, func(path string) bool { return path == "go.mod" || path == "go.sum" })
			write(t, filepath.Join(inside, "verify", "main.go"), b.text)
			cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "verify"), "./verify")
			cmd.Dir, cmd.Env = inside, environ()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", b, err, out)
			}
			add(b.String(), exec.Command(filepath.Join(dir, "verify")))
		case "python", "javascript", "ruby", "php":
			program := map[string]string{"python": "python3", "javascript": "node", "ruby": "ruby", "php": "php"}[b.lang]
			if _, err := exec.LookPath(program); err != nil {
				t.Logf("NOT CHECKED: %s is missing, so %s was not run", program, b)
				continue
			}
			write(t, filepath.Join(dir, "verify."+b.lang), b.text)
			if b.lang == "php" {
				// Its development server; what the program logs goes to stderr, behind a time.
				add(b.String(), exec.Command("sh", "-c", `exec php -S 127.0.0.1:"$PORT" "$0"`, filepath.Join(dir, "verify."+b.lang)))
				continue
			}
			add(b.String(), exec.Command(program, filepath.Join(dir, "verify."+b.lang)))
		}
	}
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `update contacts set city = 'Kyōto "3"' where id = 1`); err != nil {
		t.Fatal(err)
	}
	got := recv.Wait(t, 1, patience)[0]
	if err := got.Verify(secret); err != nil {
		t.Error(err)
	}
	checkRequest(t, got)
	for _, tg := range targets {
		tg.p.prints(`(?m)^(?:\[.*\] )?contact\.update +` + got.ID + `\b`)
		for what, change := range map[string]func(*http.Request){
			"a changed body":    func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 },
			"another id":        func(r *http.Request) { r.Header.Set("webhook-id", "evt_x") },
			"an old timestamp":  func(r *http.Request) { r.Header.Set("webhook-timestamp", "1700000000") },
			"no signature":      func(r *http.Request) { r.Header.Del("webhook-signature") },
			"another signature": func(r *http.Request) { r.Header.Set("webhook-signature", "v1,AAAA v1a,AAAA") },
		} {
			if status := replay(t, tg.url, got, change); status != http.StatusUnauthorized {
				t.Errorf("%s: %s is answered with %d", tg.name, what, status)
			}
		}
		for what, at := range map[string]time.Duration{"ten minutes ago": -10 * time.Minute, "in ten minutes": 10 * time.Minute} {
			if status := replay(t, tg.url, got, signed(t, secret, got.ID, time.Now().Add(at), got.Body)); status != http.StatusUnauthorized {
				t.Errorf("%s: what was signed %s is answered with %d", tg.name, what, status)
			}
		}
		several := func(r *http.Request) {
			r.Header.Set("webhook-signature", "v1,AAAA "+r.Header.Get("webhook-signature"))
		}
		if status := replay(t, tg.url, got, several); status/100 != 2 {
			t.Errorf("%s: the second of two signatures is good, and the answer %d", tg.name, status)
		}
	}
	// All of them take batches, each message by its own id and position.
	batch := []byte(`[{"id":"evt_one","type":"contact.update","data":{"id":7},"position":"0001"},` +
		`{"id":"evt_two","type":"contact.delete","data":{"id":7},"position":"0003"},` +
		`{"id":"evt_late","type":"contact.update","data":{"id":7},"position":"0002"}]`)
	array := got
	array.Body = batch
	for _, tg := range targets {
		if status := replay(t, tg.url, array, signed(t, secret, "bat_a", time.Now(), batch)); status/100 != 2 {
			t.Errorf("%s: a batch is answered with %d", tg.name, status)
		}
		tg.p.prints(`(?m)^(?:\[.*\] )?contact\.update +evt_one\b`)
		tg.p.prints(`(?m)^(?:\[.*\] )?contact\.delete +evt_two\b`)
	}
	targets[0].p.prints(`evt_late  is older than what is known of contact/7`)
	if status := replay(t, targets[0].url, array, signed(t, secret, "bat_b", time.Now(), batch)); status/100 != 2 {
		t.Errorf("a batch that comes again is answered with %d", status)
	}
	targets[0].p.prints(`evt_two  came again`)
	// The example also leaves out what it knows.
	example := targets[0]
	example.p.prints(got.ID + `  came again`)
	older := []byte(`{"type":"contact.update","data":{"id":1},"position":"0000"}`)
	stale := got
	stale.Body = older
	if status := replay(t, example.url, stale, signed(t, secret, "evt_older", time.Now(), older)); status/100 != 2 {
		t.Errorf("an older event is answered with %d", status)
	}
	example.p.prints(`evt_older  is older than what is known of contact/1`)
	// It agrees in both ways, and hears of the end.
	for _, way := range []string{"secret", "challenge"} {
		s, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.update"}, TargetURL: example.url, Secret: secret, Verification: way, NotifyEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the example agrees by "+way, func() bool {
			s, err := c.Get(t.Context(), s.ID)
			return err == nil && s.State == "active"
		})
		if err := c.Delete(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	example.p.prints(`rowhook.verification  we agree`)
	example.p.prints(`rowhook.unsubscribed  the subscription is over`)
	for _, tg := range targets {
		_ = syscall.Kill(-tg.p.cmd.Process.Pid, syscall.SIGTERM)
	}
}

// signed signs the request anew, as the library of Standard Webhooks does.
func signed(t *testing.T, secret, id string, at time.Time, body []byte) func(*http.Request) {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := wh.Sign(id, at, body)
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) {
		r.Header.Set("webhook-id", id)
		r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		r.Header.Set("webhook-signature", signature)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replay sends a request once more, changed.
func replay(t *testing.T, url string, q hooktest.Request, change func(*http.Request)) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(q.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = q.Header.Clone()
	change(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// checkRequest compares the request in docs/receiving.md with a real one.
func checkRequest(t *testing.T, got hooktest.Request) {
	t.Helper()
	all := blocks(t, "docs/receiving.md")
	for i, b := range all {
		if b.lang != "http" {
			continue
		}
		var told, real []string
		for l := range strings.Lines(b.text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(l), ": "); ok {
				told = append(told, name)
				if have := got.Header.Get(name); len(have) != len(value) {
					t.Errorf("%s: %s is %q, of another length", b, name, have)
				}
			}
		}
		for name := range got.Header {
			if name != "Content-Length" && name != "Accept-Encoding" {
				real = append(real, name)
			}
		}
		slices.Sort(told)
		slices.Sort(real)
		if !slices.Equal(told, real) {
			t.Errorf("%s: the headers are %v", b, real)
		}
		var doc, body map[string]any
		if err := json.Unmarshal([]byte(all[i+1].text), &doc); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got.Body, &body); err != nil {
			t.Fatal(err)
		}
		delete(doc, "data") // an excerpt
		delete(body, "data")
		if err := shown("", any(doc), any(body)); err != nil {
			t.Errorf("%s: %v", all[i+1], err)
		}
		return
	}
	t.Error("docs/receiving.md shows no request")
}

// TestReasonsAreAll compares the reasons of docs/receiving.md, which has a row for each, with those that there are.
func TestReasonsAreAll(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(read(t, "docs/receiving.md"), "\n## Reasons\n")
	text, _, _ = strings.Cut(text, "\n## ")
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .+ \\| .+ \\|$").FindAllStringSubmatch(text, -1) {
		told[row[1]] = true
	}
	declared := regexp.MustCompile(`(?m)^(?:\t|const )Reason\w+ += "(\w+)"`).FindAllStringSubmatch(sources(t, "sender"), -1)
	if len(declared) < 14 {
		t.Errorf("%d reasons: some were missed", len(declared))
	}
	for _, d := range declared {
		if !told[d[1]] {
			t.Errorf("docs/receiving.md has no row for %s", d[1])
		}
		delete(told, d[1])
	}
	for reason := range told {
		t.Errorf("docs/receiving.md tells of %s, which there is not", reason)
	}
}

func sources(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			all += readFile(t, f)
		}
	}
	return all
}
