package config_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

var update = flag.Bool("update", false, "write the golden files anew")

// password is in every secret of the tests' environment: no message may hold it.
const password = "hunter2"

var environment = map[string]string{
	"DATABASE_URL":      "postgres://rowhook:hunter2@db.internal:5433/crm?sslmode=disable",
	"ROWHOOK_STORE_URL": "postgres://rowhook:hunter2@store.internal/hooks",
	"ROWHOOK_TOKEN":     "hunter2-hunter2-hunter2",
	"APP_TOKEN":         "hunter2-of-the-app",
	"TWO_LINES":         "hunter2\nx: y",
	"BROKEN_URL":        "postgres://rowhook:hunter2/%zz@db.internal:5433/crm",
	"REPLICATION_URL":   "postgres://rowhook:hunter2@db.internal/crm?replication=database",
	"ROWHOOK_KEY":       "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMi0=",
	"SHORT_TOKEN":       "hunter2",
	"NOT_A_SIZE":        "hunter2",
	"MEM":               "32MiB",
	"YES":               "true",
	"FIVE":              "5",
	"EMPTY":             "",
	"EVIL":              `${password} " + password + "`,
	"DOLLAR":            "$",
	"BRACES":            `a}b{c`,
	"BINARY":            "hunter2\xff",
	"NETWORK":           "10.1.0.0/16",
}

func lookup(name string) (string, bool) {
	v, ok := environment[name]
	return v, ok
}

var files = map[string]string{
	"/run/secrets/acme":      "hunter2-of-acme-000\n",
	"testdata/token":         "hunter2-from-a-file\r\n",
	"testdata/good/token":    "hunter2-from-a-file\r\n",
	"testdata/good/two":      "two\n\n",
	"/run/secrets/short":     "hunter2\n",
	"/run/secrets/forbidden": "",
}

func readFile(path string) ([]byte, error) {
	if path == "/run/secrets/forbidden" {
		return []byte(password), &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	if path == "/run/secrets/odd" {
		return nil, errors.New("odd: " + password)
	}
	if s, ok := files[path]; ok {
		return []byte(s), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
}

// TestMistakes has a file per case: the config, and the whole message.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/*.yaml", 40) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, path)
			if err == nil {
				t.Fatal("loaded without complaint")
			}
			if cfg != nil {
				t.Error("a config was returned beside the error")
			}
			var list problem.List
			if !errors.As(err, &list) {
				t.Fatalf("the error is a %T", err)
			}
			for _, p := range list {
				if p.File != path || p.Line == 0 {
					t.Errorf("no place: %v", p)
				}
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("a secret is shown:\n%v", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// TestGood has a file per case: the config, and all that was read from it.
func TestGood(t *testing.T) {
	t.Parallel()
	for _, path := range glob(t, "testdata/good/*.yaml", 3) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, path)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", dump(cfg))
		})
	}
}

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good/example.txt", dump(cfg))
}

func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprintf("%v", cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%+v", *cfg), fmt.Sprintf("%#v", *cfg)} {
		if strings.Contains(shown, password) {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
	if got := cfg.Database.URL.Reveal(); got != environment["DATABASE_URL"] {
		t.Errorf("the database's URL was not read")
	}
}

func TestLoadReadsTheFileAndItsSurroundings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("ROWHOOK_TEST_URL", "postgres://u:hunter2@h/d")
	write("token", "0123456789abcdef\n")
	path := write("config.yaml", "database: {url: \"${env:ROWHOOK_TEST_URL}\"}\n"+
		"api: {tokens: [{name: a, token: \"${file:token}\", account: '*'}]}\n"+
		"resources: {contact: {table: contacts}}\n")
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.API.Tokens[0].Token.Reveal(); got != "0123456789abcdef" {
		t.Errorf("token %q", got)
	}
	if got, want := cfg.Database.Environment, "h:5432/d"; got != want {
		t.Errorf("environment %q, want %q", got, want)
	}
	missing := filepath.Join(dir, "none.yaml")
	if _, err := config.Load(missing); err == nil || !strings.Contains(err.Error(), missing+": the config file does not exist") {
		t.Errorf("missing file: %v", err)
	}
}

func load(t *testing.T, path string) (*config.Config, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return config.LoadBytes(path, data, lookup, readFile)
}

func glob(t *testing.T, pattern string, least int) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < least {
		t.Fatalf("%s: %d files, want at least %d", pattern, len(paths), least)
	}
	return paths
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// dump is all of a config, its secrets as stars.
func dump(c *config.Config) string {
	var b strings.Builder
	rest := *c
	rest.Mapping = mapping.Config{}
	for _, part := range []any{rest.Database, rest.Store, rest.App, rest.API, rest.Delivery, rest.Retention, rest.Limits} {
		fmt.Fprintf(&b, "%T %+v\n", part, part)
	}
	dumpProxy(&b, c.Proxy)
	if c.Mapping.JSON != (mapping.Rules{}) {
		fmt.Fprintf(&b, "json %+v\n", c.Mapping.JSON)
	}
	for _, r := range c.Mapping.Resources {
		fmt.Fprintf(&b, "%v resource %s\n  %v table %v\n", r.At, r.Name, r.TableAt, r.Table)
		for _, c := range r.Key {
			dumpSource(&b, "key", &c)
		}
		dumpSource(&b, "account", r.Account)
		dumpSource(&b, "path", r.Path)
		for _, c := range r.Columns {
			dumpSource(&b, "column", &c)
		}
		if r.AllColumns {
			b.WriteString("  all columns\n")
		}
		for _, c := range r.Except {
			dumpSource(&b, "except", &c)
		}
		dumpSource(&b, "where", r.Where)
		dumpSource(&b, "delete_when", r.DeleteWhen)
		for _, c := range r.IgnoreChanges {
			dumpSource(&b, "ignores", &c)
		}
		if r.EachChange {
			b.WriteString("  each change\n")
		}
		for _, e := range r.Events {
			fmt.Fprintf(&b, "  %v event %s\n", e.At, e.Name)
			dumpSource(&b, "when", e.When)
		}
		if r.JSON != (mapping.Rules{}) {
			fmt.Fprintf(&b, "  json %+v\n", r.JSON)
		}
		if r.Representation != nil {
			dumpNode(&b, r.File, r.Representation, "  ")
		}
		dumpRelations(&b, r.Relations, "  ")
	}
	return b.String()
}

func dumpRelations(b *strings.Builder, relations []mapping.Relation, indent string) {
	for _, r := range relations {
		fmt.Fprintf(b, "%s%v relation %s\n%s  %v table %v many %v all %v\n", indent, r.At, r.Name, indent, r.TableAt, r.Table, r.Many, r.AllColumns)
		dumpSource(b, "foreign_key", r.ForeignKey)
		for _, j := range r.Join {
			dumpSource(b, "theirs", &j.Theirs)
			dumpSource(b, "ours", &j.Ours)
		}
		for _, c := range r.OrderBy {
			dumpSource(b, "order", &c)
		}
		for _, c := range r.Columns {
			dumpSource(b, "column", &c)
		}
		for _, c := range r.Except {
			dumpSource(b, "except", &c)
		}
		if r.Representation != nil {
			dumpNode(b, r.File, r.Representation, indent+"  ")
		}
		dumpRelations(b, r.Relations, indent+"  ")
	}
}

func dumpProxy(b *strings.Builder, p config.Proxy) {
	if p.Listen == "" {
		return
	}
	id := p.Identity
	fmt.Fprintf(b, "proxy %s %v path %q headers %v cache %v\n", p.Listen, p.TrustedNetworks, id.Path, id.Headers, id.Cache)
	dumpSource(b, "account", id.Account)
	dumpSource(b, "allow", id.Allow)
	if j := id.JWT; j != nil {
		fmt.Fprintf(b, "  jwt %q %v %q %q %v %q\n", j.JWKSURL, j.Key, j.Issuer, j.Audience, j.Algorithms, j.Header)
		dumpSource(b, "account", j.Account)
		dumpSource(b, "allow", j.Allow)
	}
	if h := id.Header; h != nil {
		fmt.Fprintf(b, "  header %q %v %q\n", h.Name, h.From, h.AllowHeader)
	}
}

func dumpSource(b *strings.Builder, name string, s *mapping.Source) {
	if s != nil {
		fmt.Fprintf(b, "  %v %s %s\n", s.At, name, s.Text)
	}
}

func dumpNode(b *strings.Builder, file string, n *yaml.Node, indent string) {
	fmt.Fprintf(b, "%s%s:%d:%d %s %s\n", indent, file, n.Line, n.Column, n.Tag, n.Value)
	for _, c := range n.Content {
		dumpNode(b, file, c, indent+"  ")
	}
}
