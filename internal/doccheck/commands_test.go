package doccheck

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// notRun are the command blocks that no test runs as they are, by page and first line, with the reason.
var notRun = map[string]string{
	"docs/benchmarks.md: make bench":                                                  "it takes tens of minutes: the test of bench runs a part of it, -quick",
	"docs/proxy.md: ./rowhook run --config config.yaml --proxy=false":                 "it runs beside the next one: the script proxy of cmd/rowhook runs both",
	"docs/proxy.md: ./rowhook proxy --config config.yaml --api-listen 127.0.0.1:8478": "the script proxy of cmd/rowhook runs it",
	"README.md: go test ./...":                                                        "it is this: CI runs it as a step of its own",
	"docs/operations.md: docker build -t rowhook .":                                   "it needs a Docker daemon: TestDockerfile and TestCompose check what can be checked without one",

	"examples/django/README.md: sudo apt-get install python3-djangorestframework python3-psycopg2 postgresql-client": "it installs what the other blocks need",
}

// long are the commands that run until Ctrl-C, by the beginning of their block's last line, with what they print when
// they work.
var long = []struct{ command, ready string }{
	{"go run ./cmd/rowhook demo", `signature ok`},
	{"go run ./cmd/rowhook dev", `(?m)^Ready: Ctrl-C`},
	{"./rowhook run", `msg=ready`},
	{"go run ./cmd/rowhook run", `msg=ready`},
	{"go run ./examples/receiver", `waiting for hooks`},
	{"/usr/bin/python3 examples/django/app.py", `listening on`},
}

func readyWhen(b block) (pattern string, runs bool) {
	for _, l := range long {
		if strings.HasPrefix(b.last(), l.command) {
			return l.ready, true
		}
	}
	return "", false
}

// TestEveryCommandIsRun says which test runs each page's commands. A new page with commands needs one.
func TestEveryCommandIsRun(t *testing.T) {
	t.Parallel()
	run := map[string]string{
		"README.md": "TestREADME, TestOwnApplication, TestDemoExcerpt, TestExampleBehindTheProxy", "docs/api.md": "TestAPI", "docs/history.md": "TestAPI", "docs/config.md": "TestSchemaCommand",
		"docs/operations.md": "TestOperations", "docs/receiving.md": "TestVerifyCommand", "docs/mapping.md": "TestMappingCommands, TestMappingCases",
		"docs/migrating.md": "TestMigrating", "docs/listen.md": "TestListenCommands", "docs/zapier.md": "TestZapier", "examples/django/README.md": "TestExampleBehindTheProxy",
	}
	left := map[string]bool{}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.lang != "sh" {
				continue
			}
			key := page + ": " + b.first()
			if _, ok := notRun[key]; ok {
				left[key] = true
				continue
			}
			if run[page] == "" {
				t.Errorf("%s: no test runs the commands of this page", b)
			}
			if strings.Contains(b.text, "jq ") {
				t.Errorf("%s: readers may not have jq", b)
			}
		}
	}
	for key := range notRun {
		if !left[key] {
			t.Errorf("there is no block %q any more: take it out of notRun", key)
		}
	}
}

// write saves a yaml block that begins with its file's name.
func (s *site) write(b block) {
	s.t.Helper()
	name, ok := strings.CutPrefix(b.first(), "# ")
	if !ok || !strings.HasSuffix(name, ".yaml") {
		return
	}
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(s.replace.Replace(b.text)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// steps do the README's "Run it for real" up to the block whose last line begins with until, and return what still runs.
// Each answer is compared with the block below it.
func (s *site) steps(until string) map[string]*process {
	s.t.Helper()
	running := map[string]*process{}
	all := blocks(s.t, "README.md")
	for i, b := range all {
		if b.under != "Run it for real" {
			continue
		}
		var next block
		if i+1 < len(all) {
			next = all[i+1]
		}
		switch ready, runs := readyWhen(b); {
		case b.lang == "yaml":
			s.write(b)
		case b.lang == "sh" && runs:
			p := s.start(b)
			p.prints(ready)
			running[b.last()] = p
		case b.lang == "sh":
			out := s.run(b)
			if next.lang == "json" {
				next.text = s.replace.Replace(next.text)
				compare(s.t, next, out)
			}
		}
		if b.lang == "sh" && until != "" && strings.HasPrefix(b.last(), until) {
			return running
		}
	}
	if until != "" {
		s.t.Fatalf("README.md has no step %q", until)
	}
	return running
}

const (
	runStep      = "./rowhook run --config config.yaml"
	receiverStep = "go run ./examples/receiver"
)

// TestREADME follows the README, each block in a terminal of its own.
func TestREADME(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	running := s.steps("")
	rowhook, receiver := running[runStep], running[receiverStep]
	if rowhook == nil || receiver == nil {
		t.Fatalf("the steps do not run %q and %q", runStep, receiverStep)
	}
	for _, b := range blocks(t, "README.md") {
		if b.under != "Run it for real" || b.lang != "text" {
			continue
		}
		receiver.prints(`(?m)^\{.*\}$`)
		head, body, _ := strings.Cut(b.text, "\n")
		pattern := `(?m)^` + regexp.MustCompile(`evt_\w+`).ReplaceAllString(head, `evt_\w+`) + `$`
		if !regexp.MustCompile(pattern).MatchString(receiver.output()) {
			t.Errorf("%s: the receiver prints no line like %q:\n%s", b, head, receiver.output())
		}
		b.text = body
		compare(t, b, regexp.MustCompile(`(?m)^\{.*\}$`).FindString(receiver.output()))
	}
	conn := s.connect()
	var super, owns bool
	err := conn.QueryRow(t.Context(), `select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls, exists (select from pg_class
		where relowner = r.oid and relnamespace <> 'rowhook'::regnamespace and relkind in ('r', 'p')) from pg_roles r where rolname = 'rowhook'`).Scan(&super, &owns)
	if err != nil || super || owns {
		t.Errorf("the role of the steps has more than it needs: %v %v %v", super, owns, err)
	}
	receiver.stop()
	rowhook.stop()

	for _, b := range blocks(t, "README.md") {
		if b.lang != "sh" || b.under != "Try it on your own database" {
			continue
		}
		ready, _ := readyWhen(b)
		dev := s.start(b)
		dev.prints(ready)
		if _, err := conn.Exec(t.Context(), `update contacts set city = 'Kiel' where id = 1`); err != nil {
			t.Fatal(err)
		}
		dev.prints(`contact\.update .* signature ok`)
		dev.stop()
		// The server removes a temporary slot when it notices that its connection has gone.
		await(t, "dev has left nothing behind", func() bool {
			var left int
			err := conn.QueryRow(t.Context(), `select (select count(*) from pg_namespace where nspname like 'rowhook\_%') +
			(select count(*) from pg_publication where pubname <> 'rowhook') + (select count(*) from pg_replication_slots where slot_name <> 'rowhook')`).Scan(&left)
			return err == nil && left == 0
		})
	}
}

func (s *site) connect() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.server.URL("crm"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestDemoExcerpt runs the README's first command until it has printed all that the excerpt shows.
func TestDemoExcerpt(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	s := &site{t: t, dir: root, env: environ(), replace: strings.NewReplacer()}
	var demo *process
	for _, b := range blocks(t, "README.md") {
		switch {
		case b.lang == "sh" && strings.HasPrefix(b.last(), "go run ./cmd/rowhook demo"):
			demo = s.start(b)
			ready, _ := readyWhen(b)
			demo.prints(ready)
		case b.lang == "text" && demo != nil:
			var err error
			await(t, "the excerpt's lines", func() bool { err = sameLines(b, demo.output()); return err == nil || ended(demo) })
			if err != nil {
				t.Errorf("%v\n%s", err, demo.output())
			}
			demo.stop()
			return
		}
	}
	t.Error("README.md has no demo with an excerpt")
}

func ended(p *process) bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
		return false
	}
}

// TestAPI goes on from the README's steps in one more terminal.
func TestAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rowhook := s.steps(runStep)[runStep]
	s.vars = filepath.Join(t.TempDir(), "vars")
	all := slices.Concat(blocks(t, "docs/api.md"), blocks(t, "docs/history.md"))
	compared := 0
	for i, b := range all {
		if b.lang != "sh" {
			continue
		}
		out := s.run(b)
		if i+1 < len(all) && all[i+1].lang == "json" {
			all[i+1].text = s.replace.Replace(all[i+1].text)
			compare(t, all[i+1], out)
			compared++
		}
		if strings.Contains(b.text, "?limit=") && !json.Valid([]byte(out)) {
			t.Errorf("%s: not JSON: %s", b, out)
		}
	}
	if n := len(filter(all, "json")); compared != n {
		t.Errorf("%d of %d answers were compared: each has to follow its command", compared, n)
	}
	rowhook.stop()
}

func filter(all []block, lang string) []block {
	var out []block
	for _, b := range all {
		if b.lang == lang {
			out = append(out, b)
		}
	}
	return out
}

// TestSchemaCommand runs the command of docs/config.md.
func TestSchemaCommand(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	s := &site{t: t, dir: copyTree(t, func(path string) bool { return filepath.Base(path) != "testdata" }), env: environ(), replace: strings.NewReplacer()}
	for _, b := range filter(blocks(t, "docs/config.md"), "sh") {
		s.run(b)
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "rowhook.schema.json"))
	if err != nil || !json.Valid(b) {
		t.Errorf("the schema is not JSON: %v", err)
	}
}
