package doccheck

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestFeedConsumer runs the example that lives on a feed, kills it in the middle, again and again, and counts what it has seen.
func TestFeedConsumer(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), read(t, "examples/crm/schema.sql")); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(readmeConfig(t), "database:\n", "database:\n  slot: ${env:SLOT}\n", 1)
	c := serve(t, config, map[string]string{"DATABASE_URL": url, "SLOT": pgtest.Name("slot"), "ROWHOOK_TOKEN": "a-token-for-this-test"})
	sub, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, FeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, cursor := filepath.Join(dir, "feedconsumer"), filepath.Join(dir, "cursor.txt")
	compile := exec.Command("go", "build", "-o", program, "./examples/feedconsumer")
	compile.Dir, compile.Env = root, environ()
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	consumer := func(env ...string) *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(environ(), append([]string{"ROWHOOK_URL=" + c.URL, "ROWHOOK_TOKEN=" + c.Token, "SUBSCRIPTION=" + sub.ID, "CURSOR_FILE=" + cursor}, env...)...)
		return cmd
	}
	changed := 0
	change := func() {
		t.Helper()
		changed++
		if _, err := conn.Exec(t.Context(), `update contacts set city = $1 where id = 1`, fmt.Sprint("city ", changed)); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string // one entry for each event that was printed
	cities := regexp.MustCompile(`city \d+`)
	took := func(out string) {
		for line := range strings.Lines(out) {
			var e struct {
				ID   string          `json:"id"`
				Data json.RawMessage `json:"data"`
			}
			// What was cut by a kill comes again.
			if json.Unmarshal([]byte(line), &e) == nil && e.ID != "" {
				seen = append(seen, cities.FindString(string(e.Data)))
			}
		}
	}
	for round := range 3 {
		change()
		change()
		if round == 1 {
			// It dies while it handles its first event: nobody reads what it prints.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			unread := consumer()
			unread.Stdout = w
			err = unread.Run()
			_ = w.Close()
			if err == nil {
				t.Error("the consumer does not notice that it handles nothing")
			}
		}
		p := start(t, "feedconsumer", consumer())
		p.prints(fmt.Sprintf(`city %d"`, changed))
		change()
		if round == 2 {
			p.prints(fmt.Sprintf(`city %d"`, changed))
			p.stop()
		} else {
			p.once.Do(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); <-p.done })
		}
		took(p.output())
	}
	// Without those that came twice, they are all, in their order.
	known, next := map[string]bool{}, 1
	for _, city := range seen {
		if known[city] {
			continue
		}
		known[city] = true
		if want := fmt.Sprint("city ", next); city != want {
			t.Errorf("%s came where %s was next: %q", city, want, seen)
		}
		next++
	}
	if next-1 != changed {
		t.Errorf("the consumer has seen %d changes of %d: %q", next-1, changed, seen)
	}

	// What asking again cannot mend ends it, with the next step.
	write(t, cursor, "ffffffff000000000193bb78000000000000002a\n")
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, `read the rows again over the API, then write [0-9a-f]{40} into the cursor's file`},
		{[]string{"ROWHOOK_TOKEN=another-token-for-this"}, `rowhook answers 401`},
		{[]string{"ROWHOOK_URL=" + strings.TrimSuffix(c.URL, "/api/v1")}, `rowhook answers 404`},
		{[]string{"SUBSCRIPTION="}, `set SUBSCRIPTION`},
	} {
		out, err := consumer(c.env...).CombinedOutput()
		if err == nil || !regexp.MustCompile(c.want).Match(out) {
			t.Errorf("%v: %v: %s, want %s", c.env, err, out, c.want)
		}
	}
}
