package scaffold

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/openapi"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// TestGolden writes the config of each schema in testdata. A new case is a new file NAME.sql, or a schema's name with an
// API's: NAME.API.openapi.yaml or .json beside NAME.sql; -update writes what comes of it. Each config is loaded and compiled
// against the database that it was written for, as it is and with all its proposals taken.
func TestGolden(t *testing.T) {
	t.Parallel()
	schemas, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(schemas) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	schemas = append(schemas, "../../examples/crm/schema.sql")
	for _, file := range schemas {
		name := strings.TrimSuffix(filepath.Base(file), ".sql")
		if name == "schema" {
			name = "crm"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := databaseOf(t, file)
			golden(t, url, "testdata/"+name+".yaml", Options{})
			apis, _ := filepath.Glob("testdata/" + name + ".*.openapi.*")
			for _, api := range apis {
				data, err := os.ReadFile(api)
				if err != nil {
					t.Fatal(err)
				}
				doc, err := openapi.Parse(data)
				if err != nil {
					t.Fatalf("%s: %v", api, err)
				}
				short, _, _ := strings.Cut(filepath.Base(api), ".openapi.")
				golden(t, url, "testdata/"+short+".yaml", Options{API: doc, File: "openapi" + filepath.Ext(api)})
			}
		})
	}
}

// databaseOf is a database with the schema in it.
func databaseOf(t *testing.T, file string) string {
	t.Helper()
	schema, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), string(schema)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return url
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func golden(t *testing.T, url, file string, o Options) {
	t.Helper()
	o.URL = secret.String(url)
	got, err := Write(t.Context(), o)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	want, err := os.ReadFile(file)
	switch {
	case *update:
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	case errors.Is(err, fs.ErrNotExist):
		t.Errorf("%s is not there: go test -run TestGolden -update", file)
	case err != nil:
		t.Fatal(err)
	case string(got) != string(want):
		t.Errorf("%s is not what is written now: go test -run TestGolden -update, and look at the difference", file)
	}
	if err := works(t.Context(), url, got); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	taken := uncommented(string(got))
	if err := works(t.Context(), url, []byte(taken)); err != nil {
		t.Errorf("%s with its proposals: %v\n%s", file, err, numbered(taken))
	}
}

var (
	proposal = regexp.MustCompile(`^( *)#([^ #].*)$`)
	deeper   = regexp.MustCompile(`^( *)#(  +\S.*)$`)
)

// uncommented is the config with all that it proposes.
func uncommented(text string) string {
	block := -1
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if m := proposal.FindStringSubmatch(l); m != nil {
			block, lines[i] = len(m[1]), m[1]+m[2]
		} else if m := deeper.FindStringSubmatch(l); m != nil && len(m[1]) == block {
			lines[i] = m[1] + m[2]
		} else {
			block = -1
		}
	}
	return strings.Join(lines, "\n")
}

func numbered(text string) string {
	var b strings.Builder
	for i, l := range strings.Split(text, "\n") {
		fmt.Fprintf(&b, "%4d  %s\n", i+1, l)
	}
	return b.String()
}

// works loads a config and compiles it against the database, as a start does.
func works(ctx context.Context, url string, text []byte) error {
	env := map[string]string{"DATABASE_URL": url, "ROWHOOK_TOKEN": "a-token-of-some-length", "ACME_TOKEN": "another-token-of-length", "APP_TOKEN": "the-application-s"}
	cfg, err := config.LoadBytes("config.yaml", text, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if err != nil {
		return err
	}
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		return err
	}
	conn, err := cdc.Connect(ctx, secret.String(url), nil)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tables, err := cdc.LoadTables(ctx, conn, append(def.Tables(), def.RelatedTables()...))
	if err != nil {
		return err
	}
	_, problems = def.Compile(tables, "")
	return problems.Err()
}
