package doccheck

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestMappingCommands runs the commands of docs/mapping.md on the CRM, and finds the excerpt below init in what it writes.
func TestMappingCommands(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), read(t, "examples/crm/schema.sql")); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), replace: strings.NewReplacer(), env: append(environ(), "DATABASE_URL="+url,
		"ROWHOOK_TOKEN=a-token-of-some-length", "PATH="+filepath.Dir(build(t).rowhook)+string(filepath.ListSeparator)+os.Getenv("PATH"))}
	all := blocks(t, "docs/mapping.md")
	compared := false
	for i, b := range all {
		if b.lang != "sh" || b.under == "Test your mapping" {
			continue // TestMappingCases has those
		}
		s.run(b)
		if b.under != "Start with init" {
			continue
		}
		written, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		excerpt := strings.TrimPrefix(all[i+1].text, "resources:\n")
		if compared = true; !strings.Contains(string(written), excerpt) {
			t.Errorf("%s: init writes something else:\n%s", all[i+1], written)
		}
	}
	if !compared {
		t.Error("docs/mapping.md does not show init")
	}
}
