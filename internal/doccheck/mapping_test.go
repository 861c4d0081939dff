package doccheck

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// preview runs rowhook preview for a row and returns the body's data.
func preview(t *testing.T, url, config string, args ...string) json.RawMessage {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, config+"database: {url: \"${env:DATABASE_URL}\"}\n")
	cmd := exec.Command(build(t).rowhook, append([]string{"preview", "--config", file}, args...)...)
	cmd.Env = append(environ(), "DATABASE_URL="+url, "APP_TOKEN=a-token-of-the-application")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	var body struct{ Data json.RawMessage }
	if err := json.Unmarshal(out, &body); err != nil {
		t.Fatal(err)
	}
	return body.Data
}

// TestMapping compares the example of docs/mapping.md with what is sent, and runs its statements.
func TestMapping(t *testing.T) {
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
	// The application of the page's examples.
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/contacts/1" || r.Header.Get("Authorization") != "Bearer a-token-of-the-application" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `{"id": 1, "avatar_url": "https://cdn.example/1.png?signature=8c1f", "owner": {"name": "Ren Itō"}, "badge": {"label": "gold"}}`)
	}))
	defer app.Close()
	var config string
	compared := false
	for _, b := range blocks(t, "docs/mapping.md") {
		switch b.lang {
		case "yaml":
			if isCase(b) {
				continue
			}
			config = strings.Replace(b.text, "http://127.0.0.1:3000", app.URL, 1)
			// Each is compiled against the real tables, and written for a row of each resource.
			var parts struct{ Resources map[string]any }
			// preview is given a database of its own.
			config = strings.Replace(config, "database: {url: \"${env:DATABASE_URL}\"}\n", "", 1)
			if err := yaml.Unmarshal([]byte(b.text), &parts); err != nil || len(parts.Resources) == 0 {
				t.Errorf("%s has no resources: %v", b, err)
			}
			for name, r := range parts.Resources {
				row := "1"
				if fields, ok := r.(map[string]any); ok && fields["key"] == "domain" {
					row = "lumen-optics.example"
				}
				if data := preview(t, url, config, name, row); len(data) < 10 || strings.Contains(b.text, "${api.") && !bytes.Contains(data, []byte("cdn.example")) {
					t.Errorf("%s: %s %s is %s", b, name, row, data)
				}
			}
		case "json":
			data := preview(t, url, config, "contact", "1")
			compare(t, b, string(data))
			order := func(s string) (keys []string) {
				d := json.NewDecoder(strings.NewReader(s))
				for {
					tok, err := d.Token()
					if err != nil {
						return keys
					}
					if k, ok := tok.(string); ok {
						keys = append(keys, k)
					}
				}
			}
			if got, want := order(string(data)), order(b.text); len(got) != len(want) || got[0] != want[0] || got[2] != want[2] {
				t.Errorf("%s: the order is %v", b, got)
			}
			compared = true
		case "sql":
			for _, statement := range strings.SplitAfter(b.text, ";\n") {
				if strings.TrimSpace(statement) == "" {
					continue
				}
				if _, err := conn.Exec(t.Context(), statement); err != nil {
					t.Errorf("%s: %s: %v", b, statement, err)
				}
			}
		}
	}
	if !compared {
		t.Error("docs/mapping.md shows no data")
	}
}

// isCase says that a block is a file of rowhook test, not a config.
func isCase(b block) bool { return strings.HasPrefix(b.first(), "# tests/") }

// TestMappingCases writes down the cases of docs/mapping.md and runs its command, and those of the example CRM.
func TestMappingCases(t *testing.T) {
	t.Parallel()
	needs(t, "bash")
	s := &site{t: t, dir: t.TempDir(), env: environ(), replace: strings.NewReplacer()}
	if err := os.Symlink(build(t).rowhook, filepath.Join(s.dir, "rowhook")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "tests"), 0o755); err != nil {
		t.Fatal(err)
	}
	all := blocks(t, "docs/mapping.md")
	ran := false
	for i, b := range all {
		switch {
		case b.lang == "yaml":
			s.write(b)
		case b.lang == "sh" && b.under == "Test your mapping":
			ran = true
			if out := s.run(b); strings.TrimSpace(out) != strings.TrimSpace(all[i+1].text) {
				t.Errorf("%s printed\n%s", b, out)
			}
		}
	}
	if !ran {
		t.Error("docs/mapping.md tests nothing")
	}
	crm := exec.Command(build(t).rowhook, "test", filepath.Join(root, "examples/crm/tests"))
	crm.Env = environ()
	if out, err := crm.CombinedOutput(); err != nil || !strings.Contains(string(out), "all as expected") {
		t.Errorf("examples/crm/tests: %v\n%s", err, out)
	}
}

// TestTypesTable sends the values of the table of types in docs/mapping.md.
func TestTypesTable(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `create table t (id bigint primary key, num numeric, fl float8, iv interval, ch char(5), d date, bc date, late date, ts timestamp,
		tz timestamptz, by bytea, js jsonb, ar text[], nan numeric, inf timestamptz);
		insert into t values (9223372036854775807, 12345678901234567890.10, 1e22, 'P1Y2M3DT4H', 'ab', '2024-02-29', '0044-03-15 BC', '10000-01-01',
			'2024-02-29 13:14:15.123456', '2024-02-29 13:14:15.12+00', '\xdeadbeef00', '{"a": 1.10}', '{a,NULL}', 'NaN', 'infinity')`)
	if err != nil {
		t.Fatal(err)
	}
	got := string(preview(t, url, "resources: {t: {table: t, columns: all}}\n", "t", "9223372036854775807"))
	page := read(t, "docs/mapping.md")
	for column, want := range map[string]string{
		"id": `9223372036854775807`, "num": `"12345678901234567890.10"`, "fl": `1e+22`, "iv": `"P1Y2M3DT4H"`, "ch": `"ab   "`, "d": `"2024-02-29"`,
		"bc": `"-0043-03-15"`, "late": `"+10000-01-01"`, "ts": `"2024-02-29T13:14:15.123456"`, "tz": `"2024-02-29T13:14:15.120000Z"`,
		"by": `"3q2+7wA="`, "js": `{"a":1.10}`, "ar": `["a",null]`, "nan": "null", "inf": "null",
	} {
		if !strings.Contains(got, `"`+column+`":`+want) {
			t.Errorf("%s is not %s: %s", column, want, got)
		}
		if !strings.Contains(page, "`"+want+"`") {
			t.Errorf("docs/mapping.md does not show %s", want)
		}
	}
}
