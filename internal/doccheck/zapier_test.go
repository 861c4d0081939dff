package doccheck

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

const zapierConfig = `
database: {url: '${env:DATABASE_URL}', slot: '${env:SLOT}', environment: test}
api:
  listen: 127.0.0.1:8477
  tokens: [{name: ops, token: '${env:ROWHOOK_TOKEN}', account: '*'}]
delivery:
  allow_http: true
  allow_networks: [127.0.0.0/8]
  accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}
  retries: [100ms, 200ms]
resources:
  contact:
    table: contacts
    account: account_id
    representation: {id: '${id}', name: '${first_name + " " + last_name}', tags: '${tags}', created_at: '${created_at}'}
`

// zap runs functions of the page's integration in node.
type zap struct {
	t          *testing.T
	dir, token string
}

func (z zap) call(function string, bundle map[string]any, result any) error {
	z.t.Helper()
	bundle["authData"] = map[string]string{"token": z.token}
	text, err := json.Marshal(bundle)
	if err != nil {
		z.t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/zapier.js")
	if err != nil {
		z.t.Fatal(err)
	}
	cmd := exec.CommandContext(z.t.Context(), "node", script, z.dir, function, string(text))
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, result); err != nil {
		z.t.Fatalf("%s returns %s", function, out)
	}
	return nil
}

func (z zap) calls(function string, bundle map[string]any, result any) {
	z.t.Helper()
	if err := z.call(function, bundle, result); err != nil {
		told := ""
		if failed, ok := err.(*exec.ExitError); ok {
			told = string(failed.Stderr)
		}
		z.t.Fatalf("%s: %v\n%s", function, err, told)
	}
}

// TestZapier plays the life of a Zap with the integration of docs/zapier.md.
func TestZapier(t *testing.T) {
	t.Parallel()
	needs(t, "node", "bash", "curl")
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(read(t, "examples/crm/schema.sql"))
	c := serve(t, zapierConfig, map[string]string{"DATABASE_URL": url, "SLOT": pgtest.Name("slot"), "ROWHOOK_TOKEN": "a-token-for-this-test"})
	z := zap{t: t, dir: t.TempDir()}
	address := strings.TrimSuffix(c.URL, "/api/v1")
	for _, b := range blocks(t, "docs/zapier.md") {
		switch b.lang {
		case "javascript":
			name := strings.TrimPrefix(b.first(), "// ")
			if err := os.MkdirAll(filepath.Dir(filepath.Join(z.dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(z.dir, name), strings.ReplaceAll(b.text, "https://api.example.com", address))
		case "sh":
			z.token = runCurl(t, b, strings.NewReplacer("http://127.0.0.1:8477", address), c.Token)
		}
	}
	write(t, filepath.Join(z.dir, "package.json"), `{"version": "1.0.0"}`)

	// The account is connected.
	var status int
	if z.calls("test", map[string]any{}, &status); status != http.StatusOK {
		t.Errorf("the test of the login is answered with %d", status)
	}
	if err := (zap{t, z.dir, "rht_NOBODY"}).call("test", map[string]any{}, &status); err == nil {
		t.Error("a wrong token is let in")
	}

	// A Zap is made: the editor shows the customer's own contacts.
	exec(`insert into contacts (account_id, first_name, last_name) values (1, 'Bo', 'New'), (2, 'Not', 'Mine'), (1, 'Cy', 'Newer')`)
	type contact struct {
		ID   int
		Name string
	}
	listed := func() (list []contact, members []string) {
		t.Helper()
		var raw []map[string]any
		z.calls("performList", map[string]any{}, &raw)
		text, err := json.Marshal(raw)
		if err != nil || json.Unmarshal(text, &list) != nil || len(raw) == 0 {
			t.Fatalf("performList: %s", text)
		}
		return list, slices.Sorted(maps.Keys(raw[0]))
	}
	list, members := listed()
	if want := []contact{{5, "Cy Newer"}, {3, "Bo New"}, {1, "Ada Lindqvist"}}; !slices.Equal(list, want) {
		t.Errorf("the list is %v, want %v", list, want)
	}

	// It is switched on, and gets what happens.
	recv := hooktest.New(t)
	subscribe := func(path string) (data struct{ ID string }) {
		t.Helper()
		z.calls("performSubscribe", map[string]any{"targetUrl": recv.URL(path), "inputData": map[string]any{}}, &data)
		if !strings.HasPrefix(data.ID, "sub_") {
			t.Fatalf("subscribeData is %v", data)
		}
		return data
	}
	subscribed := func() int {
		t.Helper()
		n := 0
		for _, err := range c.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	first := subscribe("/standard/1/aaa/")
	exec(`insert into contacts (account_id, first_name, last_name) values (2, 'Not', 'Mine'), (1, 'Di', 'Newest')`)
	got := recv.Wait(t, 1, patience)[0]
	var items []map[string]any
	z.calls("perform", map[string]any{"cleanedRequest": json.RawMessage(got.Body)}, &items)
	if len(items) != 1 || items[0]["name"] != "Di Newest" || items[0]["id"] == nil || !slices.Equal(slices.Sorted(maps.Keys(items[0])), members) {
		t.Errorf("perform returns %v; the list has %v", items, members)
	}

	// It is edited: a new subscription, then the old one ends. Once more is no mistake.
	second := subscribe("/standard/1/bbb/")
	for range 2 {
		var nothing struct{}
		z.calls("performUnsubscribe", map[string]any{"subscribeData": map[string]string{"id": first.ID}}, &nothing)
	}
	exec(`insert into contacts (account_id, first_name, last_name) values (1, 'Ed', 'Latest')`)
	if got := recv.Wait(t, 2, patience)[1]; got.Path != "/standard/1/bbb/" || subscribed() != 1 {
		t.Errorf("%s got a hook, and there are %d subscriptions", got.Path, subscribed())
	}

	// It is gone without a word.
	recv.Handle("/standard/1/bbb/", hooktest.Always(hooktest.Status(http.StatusGone)))
	exec(`insert into contacts (account_id, first_name, last_name) values (1, 'Flo', 'Last')`)
	await(t, "the subscription is gone", func() bool { return subscribed() == 0 })
	var nothing struct{}
	z.calls("performUnsubscribe", map[string]any{"subscribeData": map[string]string{"id": second.ID}}, &nothing)
	exec(`insert into contacts (account_id, first_name, last_name) values (1, 'Gus', 'Unheard')`)

	// Where there are no rows there is a sample all the same.
	exec(`delete from contacts`)
	if list, empty := listed(); len(list) != 1 || !slices.Equal(empty, members) {
		t.Errorf("without rows the list is %v", list)
	}
	if all := recv.Requests(); len(all) != 3 {
		t.Errorf("there were %d hooks, want 3", len(all))
	}
}

// runCurl runs a block that makes a token, and returns it.
func runCurl(t *testing.T, b block, replace *strings.Replacer, admin string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", replace.Replace(b.text))
	cmd.Env = append(environ(), "ROWHOOK_TOKEN="+admin)
	out, err := cmd.Output()
	var token struct{ Token string }
	if err != nil || json.Unmarshal(out, &token) != nil || token.Token == "" {
		t.Fatalf("%s: %v\n%s", b, err, out)
	}
	return token.Token
}
