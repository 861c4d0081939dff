package doccheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// pythonWith finds a Python that has the modules, and skips where there is none. In CI there has to be one.
func pythonWith(t testing.TB, modules, packages string) string {
	t.Helper()
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(program, "-c", "import "+modules).Run() == nil {
			return program
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("there is no python3 with %s: CI needs it for the example application: apt-get install %s", modules, packages)
	}
	t.Skipf("there is no python3 with %s, so the example application is not tried: apt-get install %s", modules, packages)
	return ""
}

// sample is the example application at work, on a database of its own.
type sample struct {
	t    *testing.T
	conn *pgx.Conn
	// url is where its API is; env is what rowhook and it are given.
	url string
	env []string
}

func newSample(t *testing.T) *sample {
	t.Helper()
	python := pythonWith(t, "rest_framework, psycopg2", "python3-djangorestframework python3-psycopg2")
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), read(t, "examples/django/schema.sql")); err != nil {
		t.Fatal(err)
	}
	s := &sample{t: t, conn: conn, env: append(environ(), "DATABASE_URL="+url, "APP_TOKEN=rowhook-service-token", "ROWHOOK_TOKEN=a-token-of-some-length")}
	cmd := exec.Command(python, filepath.Join(root, "examples/django/app.py"), "--listen", "127.0.0.1:0")
	// So that no __pycache__ is left in the repository.
	cmd.Env = append(s.env, "PYTHONDONTWRITEBYTECODE=1")
	p := &process{t: t, name: "the example application", cmd: cmd, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		await(t, "the example application has ended", func() bool { return ended(p) })
	})
	listening := regexp.MustCompile(`(?m)^listening on (http://.*/api)/$`)
	await(t, "the example application listens", func() bool { return listening.MatchString(p.output()) || ended(p) })
	m := listening.FindStringSubmatch(p.output())
	if m == nil {
		t.Fatalf("the example application has ended:\n%s", p.output())
	}
	s.url = m[1]
	return s
}

// compare runs rowhook compare with the example's config, changed, and returns what it prints and its exit code.
func (s *sample) compare(change *strings.Replacer, env []string, args ...string) (out string, code int) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "config.yaml")
	write(s.t, file, change.Replace(strings.Replace(read(s.t, "examples/django/config.yaml"), "http://127.0.0.1:3000", strings.TrimSuffix(s.url, "/api"), 1)))
	cmd := exec.Command(build(s.t).rowhook, append([]string{"compare", "--config", file}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(s.env, env...), &stdout, &stderr
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		s.t.Fatal(err)
	}
	if stderr.Len() > 0 {
		s.t.Errorf("compare %v: %s", args, &stderr)
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// do sends a request as somebody.
func (s *sample) do(method, path, token, body string) (status int, answer string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

// TestExampleApplication: what rowhook would send for each row is what the API of another stack returns for it; where a
// mapping is wrong, the difference is found, with its mend.
func TestExampleApplication(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	same := strings.NewReplacer()
	const equal = `contact: 57 rows, 0 differences
  from the API itself, so equal: avatar_url
  3 rows (20; 40; 60): no instances: where does not hold, or delete_when does
company: 12 rows, 0 differences
tag: 8 rows, 0 differences
deal: 30 rows, 0 differences
`
	if out, code := s.compare(same, nil, "--all", "--sample", "100"); out != equal || code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}

	// A mapping that is wrong, and what docs/mapping.md shows of it.
	wrong := strings.NewReplacer("json: {preset: django}", "json: {preset: rails}", "order_by: position", "order_by: position desc", "domain, employees", "domain")
	out, code := s.compare(wrong, nil, "--all", "--sample", "6")
	if code != 1 {
		t.Errorf("exit code %d with differences:\n%s", code, out)
	}
	for _, want := range []string{
		`(?m)^  created_at: differs in \d+ of \d+ rows$`, `(?m)^    hint: json: \{timestamp: microseconds\}$`,
		`(?m)^  tags: differs in \d+ of \d+ rows$`, `(?m)^    hint: the same items in another order: order_by of the relation$`,
		`(?m)^  employees: differs in 6 of 6 rows\n    1: ours has no such field, API 7$`, `(?m)^  amount: differs in`, `(?m)^    hint: json: \{numeric: string\}`,
		`(?m)^tag: 6 rows, 0 differences$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	out, _ = s.compare(wrong, nil, "contact", "1", "2")
	shown := false
	for _, b := range blocks(t, "docs/mapping.md") {
		if b.lang == "text" && strings.HasPrefix(b.text, "contact: ") {
			shown = true
			if b.text != out {
				t.Errorf("%s is not what compare prints:\n%s", b, out)
			}
		}
	}
	if !shown {
		t.Errorf("docs/mapping.md does not show\n%s", out)
	}

	// A customer's login sees his own.
	if out, code := s.compare(same, []string{"APP_TOKEN=acme-owner-token"}, "tag"); code != 0 || !strings.HasPrefix(out, "tag: 4 rows, 0 differences\n  4 rows (1; 3; 5, …): the API answers 404") {
		t.Errorf("as a customer: exit code %d:\n%s", code, out)
	}

	// The API, as proxies and subscribers meet it.
	if _, me := s.do("GET", "/me", "acme-member-token", ""); me != `{"id":2,"email":"bo@acme.example","role":"member","account":{"id":1}}` {
		t.Errorf("me is %s", me)
	}
	if _, me := s.do("GET", "/me", "rowhook-service-token", ""); !strings.Contains(me, `"role":"service","account":null`) {
		t.Errorf("the service is %s", me)
	}
	for _, c := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "/me", "", "", 401}, {"GET", "/me", "wrong", "", 401},
		{"GET", "/contacts/2/", "acme-owner-token", "", 200}, {"GET", "/contacts/2/", "globex-owner-token", "", 404},
		{"POST", "/contacts/", "rowhook-service-token", `{"first_name":"Eve"}`, 403},
		{"POST", "/contacts/", "acme-owner-token", `{"last_name":"Eve"}`, 400},
		{"PATCH", "/contacts/2/", "acme-owner-token", `{"city":"Oslo"}`, 200}, {"PATCH", "/contacts/2/", "globex-owner-token", `{"city":"Oslo"}`, 404},
		{"DELETE", "/contacts/4/", "acme-owner-token", "", 204}, {"GET", "/contacts/4/", "acme-owner-token", "", 404},
	} {
		if status, answer := s.do(c.method, c.path, c.token, c.body); status != c.status {
			t.Errorf("%s %s as %s: %d %s, want %d", c.method, c.path, c.token, status, answer, c.status)
		}
	}
	status, answer := s.do("POST", "/contacts/", "acme-owner-token", `{"first_name":"Eve","email":"eve@acme.example","company_id":2}`)
	var made struct {
		ID      int
		Company struct{ Name string }
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || status != 201 || made.Company.Name != "Company 2" {
		t.Errorf("made %d %s", status, answer)
	}
	if status, answer := s.do("POST", "/contacts/", "acme-owner-token", `{"first_name":"Eve","company_id":1}`); status != 400 {
		t.Errorf("another customer's company: %d %s", status, answer)
	}
	if _, answer := s.do("GET", "/deals/?page=2", "rowhook-service-token", ""); !strings.HasPrefix(answer, `{"count":30,"next":null,"previous":"`) {
		t.Errorf("the second page is %s", answer)
	}
	if out, code := s.compare(same, nil, "contact", "2", fmt.Sprint(made.ID)); code != 0 || !strings.HasPrefix(out, "contact: 2 rows, 0 differences") {
		t.Errorf("after it was written to: exit code %d:\n%s", code, out)
	}
}
