package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
)

const shownText = `# the password is secret-0
database: {url: "postgres://u:secret-1@127.0.0.1:5432/app"}
store:
  encryption_key: ` + "c2VjcmV0LTIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=" + `
  previous_encryption_keys: ["c2VjcmV0LTMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="]
app:
  url: http://127.0.0.1:3000
  headers:
    authorization: Bearer secret-4 # secret-5
    x-api-key: ${env:APP_KEY}
    x-mixed: a-secret-6 ${env:APP_KEY}
api:
  tokens:
    - {name: ops, token: secret-7-of-some-length, account: "*"}
    - name: acme
      token: >-
        secret-8-of-some-length
      account: "42"
delivery:
  egress_proxy: http://u:secret-9@proxy:3128
resources:
  contact:
    # what customers see
    table: contacts
    representation: # of /contacts
      note: |
        # no comment
        two lines

      id: ${id}
  # the next one
  deal: {table: deals, columns: [id]}
limits: {memory: 16MiB}
`

func TestSource(t *testing.T) {
	t.Parallel()
	env := func(name string) (string, bool) { return "secret-of-" + name, true }
	cfg, err := config.LoadBytes("config.yaml", []byte(shownText), env, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := cfg.Source.Text()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "c2VjcmV0") {
		t.Errorf("it shows\n%s", text)
	}
	for _, want := range []string{`url: "***"`, `authorization: "***"`, "x-api-key: ${env:APP_KEY}", `x-mixed: "***"`, "url: http://127.0.0.1:3000", "memory: 16MiB", "id: ${id}", "name: acme"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s:\n%s", want, text)
		}
	}
	// It can be read again, but for what is secret.
	if cfg.Source.Path != "config.yaml" || cfg.Source.LoadedAt.IsZero() {
		t.Errorf("%+v", cfg.Source)
	}
	for name, want := range map[string]struct {
		text string
		line int
	}{
		"contact": {"# what customers see\ntable: contacts\nrepresentation: # of /contacts\n  note: |\n    # no comment\n    two lines\n\n  id: ${id}\n", 23},
		"deal":    {"{table: deals, columns: [id]}\n", 32},
		"none":    {"", 0},
	} {
		if got, line := cfg.Source.Resource(name); got != want.text || line != want.line {
			t.Errorf("%s: line %d\n%s", name, line, got)
		}
	}
	if cfg, err = config.LoadBytes("c.yaml", []byte("resources: {contact: {table: contacts, columns: all}}\ndatabase: {url: 'postgres://h/d'}\n"), env, os.ReadFile); err != nil {
		t.Fatal(err)
	}
	if got, line := cfg.Source.Resource("contact"); got != "{table: contacts, columns: all}\n" || line != 1 {
		t.Errorf("in flow: line %d\n%s", line, got)
	}
}
