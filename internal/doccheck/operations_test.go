package doccheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestOperations runs the statements of docs/operations.md on the site that the README's steps make, in their order: a
// running rowhook first, then one that is stopped, then none.
func TestOperations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rowhook := s.steps(runStep)[runStep]
	conn := s.connect()
	recv := hooktest.New(t)
	c := s.client()
	if _, err := c.Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: recv.URL("/hooks")}); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string) {
		t.Helper()
		for _, statement := range strings.SplitAfter(sql, ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}
	exec("create table invoices (id bigint primary key);\n")
	exec("update contacts set city = 'Kiel' where id = 1;\n")
	recv.Wait(t, 1, patience)
	checkMetrics(t, "http://"+s.api+"/metrics")

	upgrade := &upgrade{site: s}
	for _, b := range blocks(t, "docs/operations.md") {
		switch {
		case b.lang == "sh" && b.under == "Check":
			if out := s.run(b); !strings.Contains(out, "\nno errors,") || !strings.Contains(out, "a rowhook reads it now") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang == "sh" && b.under == "Gaps":
			rowhook.stop()
			exec("select pg_drop_replication_slot('rowhook');\n")
			for _, again := range blocks(t, "README.md") {
				if again.lang == "sh" && again.under == "Run it for real" && again.last() == runStep {
					rowhook = s.start(again)
				}
			}
			rowhook.prints("resume --accept-gap")
			if out := s.run(b); !strings.Contains(out, "rowhook.gap is sent to 1 subscriptions") {
				t.Errorf("%s printed %q", b, out)
			}
			rowhook.prints(`msg=ready`)
			exec("update contacts set city = 'Husum' where id = 1;\n")
			recv.WaitFor(t, func(got []hooktest.Request) bool {
				// In either order: one of them is read from the store.
				return slices.ContainsFunc(got, func(q hooktest.Request) bool { return strings.Contains(string(q.Body), "Husum") }) &&
					slices.ContainsFunc(got, func(q hooktest.Request) bool { return q.Type == "rowhook.gap" })
			})
		case b.lang == "sh" && b.under == "Dead letters":
			exec("alter table contacts rename column city to town;\nupdate contacts set first_name = 'Replayed' where id = 1;\n")
			exec(`do $$ begin for i in 1..2000 loop exit when exists (select from rowhook.dead_letter); perform pg_sleep(0.01); end loop; end $$`)
			exec("alter table contacts rename column town to city;\n")
			if out := s.run(b); !strings.Contains(out, "contact.update") || !strings.Contains(out, "1 dead letter to be replayed") {
				t.Errorf("%s printed %q", b, out)
			}
			recv.WaitFor(t, func(got []hooktest.Request) bool {
				return strings.Contains(string(got[len(got)-1].Body), "Replayed")
			})
		case b.lang == "sh" && b.under == "Failed deliveries":
			if out := s.run(b); !strings.Contains(out, "  contact.update  1  ") || !strings.Contains(out, ": delivered, status 200\n") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang == "sh" && b.under == "Status":
			if out := s.run(b); !strings.HasPrefix(out, "replicating") || !strings.Contains(out, "\nslot          rowhook: reserved") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang == "sh" && b.under == "Pause":
			// What failed before may still wait.
			if out := s.run(b); !regexp.MustCompile(`nothing is sent; \d+ deliver(y|ies) waits? in the store\n`).MatchString(out) || !strings.Contains(out, "is over: what waits is sent") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang == "sh" && b.under == "Drain":
			if out := s.run(b); !strings.Contains(out, "drained up to ") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang == "sh" && b.under == "Upgrading Postgres":
			upgrade.step(b, &rowhook)
		case b.lang == "sh" && b.under == "Uninstall":
			rowhook.stop()
			if out := s.run(b); !strings.Contains(out, "there is nothing to remove") {
				t.Errorf("%s printed %q", b, out)
			}
		case b.lang != "sql":
		case b.under == "Uninstall":
			exec(b.text)
			var left int
			err := conn.QueryRow(t.Context(), `select (select count(*) from pg_roles where rolname = 'rowhook') + (select count(*) from pg_publication)
				+ (select count(*) from pg_replication_slots) + (select count(*) from pg_namespace where nspname = 'rowhook')`).Scan(&left)
			if err != nil || left != 0 {
				t.Errorf("%s leaves %d things: %v", b, left, err)
			}
		default:
			exec(b.text)
		}
	}
	rowhook.stop()
	if upgrade.steps != 3 {
		t.Errorf("docs/operations.md has %d blocks of commands for an upgrade of Postgres, the test knows 3", upgrade.steps)
	}
}

func (s *site) client() *client.Client {
	s.t.Helper()
	m := regexp.MustCompile(`(?m)^ROWHOOK_TOKEN=(.*)$`).FindStringSubmatch(readFile(s.t, filepath.Join(s.dir, "rowhook.env")))
	if m == nil {
		s.t.Fatal("rowhook.env has no token")
	}
	return &client.Client{URL: "http://" + s.api + "/api/v1", Token: m[1]}
}

// checkMetrics compares the list in the docs with what is served, once something was delivered.
func checkMetrics(t *testing.T, url string) {
	t.Helper()
	var served []string
	await(t, "an attempt in the metrics", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		served = served[:0]
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (rowhook_\w+) (\w+)$`).FindAllStringSubmatch(string(b), -1) {
			served = append(served, m[1]+" "+m[2])
		}
		return strings.Contains(string(b), `rowhook_attempts_total{result="delivered"}`)
	})
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(rowhook_\\w+)` \\| (\\w+)").FindAllStringSubmatch(read(t, "docs/operations.md"), -1) {
		told = append(told, m[1]+" "+m[2])
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("docs/operations.md lists\n%s\nserved are\n%s", strings.Join(told, "\n"), strings.Join(served, "\n"))
	}
	for _, page := range pages(t) {
		for _, name := range regexp.MustCompile(`rowhook_[a-z_]+_(?:total|lsn|seconds|bytes|due|behind|memory|flight|batches|connections|streaming)\b`).FindAllString(read(t, page), -1) {
			if !slices.ContainsFunc(served, func(s string) bool { return strings.HasPrefix(s, name+" ") }) {
				t.Errorf("%s: there is no metric %s", page, name)
			}
		}
	}
}

// TestRefusalsAreReal finds each message that docs/operations.md explains in the sources, so that a reader who searches
// for it finds it.
func TestRefusalsAreReal(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, dir := range []string{"cdc", "mapping", "internal/store", "internal/app"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
					if text, err := strconv.Unquote(l.Value); err == nil {
						texts = append(texts, plainMessage(text))
					}
				}
				return true
			})
		}
	}
	checked, incident := 0, regexp.MustCompile("^\\| `[a-z]+(_[a-z]+)+`$")
	section := regexp.MustCompile(`(?s)## What a refusal means\n(.*?)\n## Dead letters`).FindStringSubmatch(read(t, "docs/operations.md"))
	if section == nil {
		t.Fatal("the section on refusals is gone")
	}
	for l := range strings.Lines(section[1]) {
		cells := strings.Split(l, " | ")
		if !strings.HasPrefix(l, "| `") || len(cells) < 2 {
			continue
		}
		said := cells[0]
		if incident.MatchString(cells[0]) {
			said += cells[1] // what is said of it
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(said, -1) {
			checked++
			want := plainMessage(m[1])
			if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("docs/operations.md explains %q, which nothing says", m[1])
			}
		}
	}
	if checked < 25 {
		t.Errorf("%d messages: some were missed", checked)
	}
}

// plainMessage puts … in the place of what differs.
func plainMessage(s string) string {
	s = regexp.MustCompile(`%[sqdw]`).ReplaceAllString(s, "…")
	return strings.NewReplacer(`"…"`, "…", "slot rowhook", "slot …", "publication rowhook", "publication …").Replace(s)
}

// TestRetriesTable compares the schedule in docs/receiving.md with the default.
func TestRetriesTable(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`(?m)^\| after \| (.*) \|$`).FindStringSubmatch(read(t, "docs/receiving.md"))
	if m == nil {
		t.Fatal("the table is gone")
	}
	var told []time.Duration
	for _, d := range strings.Split(m[1], " | ") {
		x, err := time.ParseDuration(d)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, x)
	}
	if want := defaultRetries(); !slices.Equal(told, want) {
		t.Errorf("the docs have %v, the default is %v", told, want)
	}
}
