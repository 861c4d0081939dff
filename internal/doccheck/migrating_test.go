package doccheck

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrating runs the commands and the SQL of docs/migrating.md, and imports what the SQL makes.
func TestMigrating(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rowhook := s.steps(runStep)[runStep]
	conn := s.connect()
	ran := 0
	for _, b := range blocks(t, "docs/migrating.md") {
		switch b.lang {
		case "sh":
			out := s.run(b)
			if !strings.Contains(out, "2 to be made, 0 already there, 0 refused, of 2\n") || !strings.Contains(out, "2 made, 0 already there, 0 refused, of 2\n") ||
				!strings.Contains(out, "line 2: hook-18 has the new secret whsec_") {
				t.Errorf("%s printed %q", b, out)
			}
		case "sql":
			var lines string
			for _, statement := range strings.SplitAfter(b.text, ";\n") {
				if !strings.HasPrefix(statement, "SELECT") {
					if _, err := conn.Exec(context.Background(), statement); err != nil {
						t.Errorf("%s: %s: %v", b, statement, err)
					}
					continue
				}
				if err := conn.QueryRow(context.Background(), `SELECT string_agg(l::text, E'\n') FROM (`+strings.TrimSuffix(statement, ";\n")+`) x(l)`).Scan(&lines); err != nil {
					t.Fatalf("%s: %v", b, err)
				}
			}
			if err := os.WriteFile(filepath.Join(s.dir, "sql.jsonl"), []byte(lines), 0o644); err != nil {
				t.Fatal(err)
			}
			out := s.run(block{page: b.page, line: b.line, text: "set -a; . ./rowhook.env; set +a\n./rowhook subscription import --url http://127.0.0.1:8477/api/v1 sql.jsonl"})
			if !strings.Contains(out, "1 made, 0 already there, 0 refused, of 1\n") {
				t.Errorf("%s: import of %s printed %q", b, lines, out)
			}
		default:
			t.Errorf("%s: nothing tries a block of %s", b, b.lang)
		}
		ran++
	}
	if ran != 2 {
		t.Errorf("%d blocks were tried, want 2", ran)
	}
	rowhook.stop()
}
