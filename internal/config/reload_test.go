package config_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
)

const reloadText = `
database: {url: "postgres://u:secret-one@127.0.0.1:5432/app", slot: one, publication: one}
store: {schema: one}
app: {url: http://127.0.0.1:3000}
api:
  listen: 127.0.0.1:8477
  base_path: /api/v1
  tokens: [{name: ops, token: a-token-of-some-length, account: "*"}]
delivery: {timeout: 5s, retries: [1s], ordering: resource, max_in_flight: 10, allow_http: true, accounts: {allow_http: false}}
retention: {for: 7d}
limits: {memory: 16MiB, hold: 5s, max_row: 64MiB}
resources: {contact: {table: contacts, columns: all}}
`

func TestWhatAReloadTakes(t *testing.T) {
	t.Parallel()
	parse := func(text string) *config.Config {
		t.Helper()
		cfg, err := config.LoadBytes("config.yaml", []byte(text), func(string) (string, bool) { return "", false }, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, c := range []struct{ from, to, changed, restart string }{
		{"app}", "app}", "", ""},
		{"3000", "3001", "app.url", ""},
		{"a-token-of-some-length", "a-token-of-other-length", "api.tokens", ""},
		{"timeout: 5s", "timeout: 6s", "delivery.timeout", ""},
		{"retries: [1s]", "retries: [2s]", "delivery.retries", ""},
		{"timeout: 5s", "timeout: 5s, egress_proxy: 'http://proxy:3128'", "delivery.egress_proxy", ""},
		{"accounts: {allow_http: false}", "accounts: {allow_http: true}", "delivery.accounts.allow_http", ""},
		{"7d", "8d", "retention.for", ""},
		{"16MiB, hold: 5s", "17MiB, hold: 6s", "limits.memory limits.hold", ""},
		{"slot: one", "slot: one, max_wal_lag: 1GiB", "database.max_wal_lag", ""},
		{"columns: all", "columns: [id]", "resources", ""},
		{"max_row: 64MiB", "max_row: 65MiB", "limits.max_row", "limits.max_row"},
		{"8477", "8478", "api.listen", "api.listen"},
		{"/api/v1", "/api/v2", "api.base_path", "api.base_path"},
		{"schema: one", "schema: two", "store.schema", "store.schema"},
		{"schema: one", "schema: one, url: 'postgres://127.0.0.1/hooks'", "store.url", "store.url"},
		{"slot: one, publication: one", "slot: two, publication: two", "database.slot database.publication", "database.slot database.publication"},
		{"publication: one", "publication: one, environment: test", "database.environment", "database.environment"},
		// What follows from the URL is not told beside it.
		{"/app", "/other", "database.url database.read_url database.environment store.url", "database.url"},
		{"secret-one", "secret-two", "database.url database.read_url store.url", "database.url"},
	} {
		from, to := parse(reloadText), parse(strings.Replace(reloadText, c.from, c.to, 1))
		if got := strings.Join(from.Changed(to), " "); got != c.changed {
			t.Errorf("%s → %s: changed %s, want %s", c.from, c.to, got, c.changed)
		}
		if got := strings.Join(from.NeedRestart(to), " "); got != c.restart {
			t.Errorf("%s → %s: needs a restart for %s, want %s", c.from, c.to, got, c.restart)
		}
	}
	if keys := parse(reloadText).Changed(parse(reloadText)); !slices.Equal(keys, nil) {
		t.Errorf("the same file differs in %v", keys)
	}
}

// TestChangesOfIdentity are taken over by a reload. Where its expressions stand in the file is no change of them.
func TestChangesOfIdentity(t *testing.T) {
	t.Parallel()
	parse := func(text string) *config.Config {
		t.Helper()
		cfg, err := config.LoadBytes("config.yaml", []byte(text), func(string) (string, bool) { return "", false }, os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	const path = `proxy: {listen: ":8080", identity: {path: /api/me, account: account.id, allow: admin}}`
	const jwt = `proxy: {listen: ":8080", identity: {jwt: {key: 0123456789abcdef0123456789abcdef, account: org, allow: admin}}}`
	const header = `proxy: {listen: ":8080", identity: {header: {name: X-Account-Id, from: [10.0.0.0/8]}}}`
	for _, c := range []struct{ from, to, want string }{
		{path, "\n" + path, ""},
		{jwt, "\n" + jwt, ""},
		{header, "\n" + header, ""},
		{path, strings.Replace(path, "account.id", "account.uuid", 1), "proxy.identity.account"},
		{path, strings.Replace(path, ", allow: admin", "", 1), "proxy.identity.allow"},
		{jwt, strings.Replace(jwt, "org", "id", 1), "proxy.identity.jwt.account"},
		{jwt, strings.Replace(jwt, "cdef,", "cdeg,", 1), "proxy.identity.jwt.key"},
		{header, strings.Replace(header, "/8", "/16", 1), "proxy.identity.header.from"},
		{jwt, header, "proxy.identity.jwt proxy.identity.header"},
	} {
		from, to := parse(reloadText+c.from), parse(reloadText+c.to)
		if got := strings.Join(from.Changed(to), " "); got != c.want {
			t.Errorf("%s → %s: changed %s, want %s", c.from, c.to, got, c.want)
		}
		if got := from.NeedRestart(to); len(got) > 0 {
			t.Errorf("%s → %s: needs a restart for %v", c.from, c.to, got)
		}
	}
}
