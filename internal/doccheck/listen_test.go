package doccheck

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestListenCommands runs the commands of docs/listen.md, and compares what the first one prints.
func TestListenCommands(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), read(t, "examples/crm/schema.sql")+`update contacts set city = 'Bremen' where id = 1; alter table contacts replica identity full`); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(readmeConfig(t), "database:\n", "database:\n  slot: ${env:SLOT}\n", 1)
	c := serve(t, config, map[string]string{"DATABASE_URL": url, "SLOT": pgtest.Name("slot"), "ROWHOOK_TOKEN": "a-token-for-this-test"})
	sub, err := c.Create(t.Context(), &client.Subscription{Events: []string{"*"}, FeedOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	recv := hooktest.New(t, hooktest.Always(hooktest.Status(204)))
	real := strings.NewReplacer("http://127.0.0.1:8477/api/v1", c.URL, "./rowhook", "exec "+build(t).rowhook, "http://localhost:3000/hooks", recv.URL("/hooks"),
		"127.0.0.1:9000", "127.0.0.1:0")
	var all []*process
	output := ""
	for _, b := range blocks(t, "docs/listen.md") {
		switch b.lang {
		case "text":
			output = real.Replace(b.text)
		case "sh":
			cmd := exec.Command("sh", "-ec", real.Replace(b.text))
			cmd.Env = append(environ(), "ROWHOOK_URL="+c.URL, "ROWHOOK_TOKEN="+c.Token, "ID="+sub.ID)
			p := start(t, b.String(), cmd)
			p.prints(`following sub_|receiving at http://`)
			all = append(all, p)
		}
	}
	if len(all) != 3 || output == "" {
		t.Fatalf("docs/listen.md has %d commands, and the output %q", len(all), output)
	}
	if _, err := conn.Exec(t.Context(), `update contacts set city = 'Hamburg' where id = 1`); err != nil {
		t.Fatal(err)
	}
	differing := regexp.MustCompile(`\d\d:\d\d:\d\d\\\.\d+|sub_[a-z0-9]+|evt_[a-z0-9]+|whsec_.*|\b\d+ms`)
	for line := range strings.Lines(output) {
		pattern := regexp.QuoteMeta(strings.TrimSuffix(line, "\n"))
		pattern = differing.ReplaceAllLiteralString(pattern, `\S+`)
		all[0].prints(`(?m)^` + pattern)
	}
	all[1].prints(`"type":"contact.update"`)
	for _, p := range all {
		p.stop()
		p.prints(`\d events?, 0 failed`)
	}
}
