package doccheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// behind is the example application with rowhook's proxy before it, started by the commands of its README.
type behind struct {
	*site
	app, front string // addresses of the application and of the proxy
	running    map[string]*process
}

const (
	examplePage = "examples/django/README.md"
	exampleApp  = "/usr/bin/python3 examples/django/app.py"
	exampleRun  = "go run ./cmd/rowhook run --config examples/django/config.yaml"
	opsToken    = "a-token-of-some-length"
)

// newBehind does the steps of the page, each block in a terminal of its own, and returns what the last one printed.
func newBehind(t *testing.T) (b *behind, printed string) {
	t.Helper()
	needs(t, "bash", "psql", "openssl", "curl")
	python := pythonWith(t, "rest_framework, psycopg2", "python3-djangorestframework python3-psycopg2")
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	b = &behind{site: &site{t: t, dir: dir, server: pgtest.Cluster(t, nil), api: hooktest.FreeAddress(t), recv: hooktest.FreeAddress(t)},
		app: hooktest.FreeAddress(t), front: hooktest.FreeAddress(t), running: map[string]*process{}}
	addresses := []string{"127.0.0.1:3000", b.app, "127.0.0.1:8000", b.front, "127.0.0.1:8477", b.api, "127.0.0.1:8080", b.recv}
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, strings.NewReplacer(addresses...).Replace(read(t, "examples/django/config.yaml")))
	b.replace = strings.NewReplacer(append(addresses,
		"postgres://postgres:secret@localhost:5432/django_crm", b.server.URL("django_crm"),
		exampleApp, python+" examples/django/app.py --listen "+b.app,
		"examples/django/config.yaml", config,
		"go run ./cmd/rowhook", build(t).rowhook,
		"go run ./examples/receiver", build(t).receiver,
		"$(openssl rand -hex 24)", opsToken,
	)...)
	b.env = append(environ(), "PORT="+portOf(b.recv), "PYTHONDONTWRITEBYTECODE=1")
	for _, step := range filter(blocks(t, examplePage), "sh") {
		if _, ok := notRun[examplePage+": "+step.first()]; ok {
			continue
		}
		if ready, runs := readyWhen(step); runs {
			p := b.start(step)
			p.prints(ready)
			b.running[step.last()] = p
			continue
		}
		printed = b.run(step)
		if strings.Contains(step.last(), " compare ") && !strings.Contains(printed, "company: 12 rows, 0 differences\n") {
			t.Errorf("%s printed\n%s", step, printed)
		}
	}
	return b, printed
}

// stopped ends what a line of the page has started.
func (b *behind) stopped(line string) {
	b.t.Helper()
	p := b.running[line]
	if p == nil {
		b.t.Fatalf("%s does not start %q", examplePage, line)
	}
	p.stop()
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// id is the member of the body, whatever it is.
func (a answer) id() string {
	var got struct{ ID any }
	d := json.NewDecoder(strings.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		return ""
	}
	return fmt.Sprint(got.ID)
}

// ask sends a request to an address as somebody, with more headers by name and value.
func (b *behind) ask(address, token, method, path, body string, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}

// caller is a customer at the proxy, with a login of the application's.
type caller struct {
	*behind
	token string
}

// login is what the application gives for a password, through the proxy.
func (b *behind) login(name string) caller {
	b.t.Helper()
	a := b.ask(b.front, "", "POST", "/api/login", fmt.Sprintf(`{"email": %q, "password": %q}`, name, strings.SplitN(name, "@", 2)[0]+"-password"))
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Token == "" {
		b.t.Fatalf("login of %s: %v", name, a)
	}
	return caller{b, got.Token}
}

// does is a request that has to be answered with the status.
func (c caller) does(status int, method, path, body string, header ...string) answer {
	c.t.Helper()
	a := c.ask(c.front, c.token, method, path, body, header...)
	if a.status != status {
		c.t.Fatalf("%s %s %s: %v, want %d", method, path, body, a, status)
	}
	return a
}

// subscribes makes a subscription and returns its path.
func (c caller) subscribes(body string) string {
	c.t.Helper()
	a := c.does(201, "POST", "/api/subscription/", body)
	path := "/api/subscription/" + a.id() + "/"
	if location := a.header.Get("Location"); !strings.HasSuffix(location, strings.TrimSuffix(path, "/")) && !strings.HasSuffix(location, path) {
		c.t.Errorf("Location is %q, of %s", location, path)
	}
	return path
}

// same compares what was sent with what the application answers through the proxy.
func (c caller) same(hook hooktest.Request, path string) {
	c.t.Helper()
	var sent, got any
	for v, text := range map[*any]string{&sent: string(hook.Data()), &got: c.does(200, "GET", path, "").body} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(v); err != nil {
			c.t.Fatalf("%s: %v", text, err)
		}
	}
	if !reflect.DeepEqual(sent, got) {
		c.t.Errorf("the data of the hook is\n%v\nand %s is\n%v", sent, path, got)
	}
}

// TestExampleBehindTheProxy drives the example application through the proxy, as its customers do.
func TestExampleBehindTheProxy(t *testing.T) {
	t.Parallel()
	b, changed := newBehind(t)
	conn, err := pgx.Connect(t.Context(), b.server.URL("django_crm"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}

	// What the page's last step does.
	contact := changed[strings.LastIndex(changed, "\n")+1:]
	receiver := b.running["go run ./examples/receiver"]
	receiver.prints(`contact\.update  evt_\w+  signature ok\n\{`)
	var printed struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(regexp.MustCompile(`(?m)^\{.*\}$`).FindString(receiver.output())), &printed); err != nil {
		t.Fatal(err)
	}
	compare(t, block{page: examplePage, text: contact}, string(printed.Data))
	receiver.stop()

	acme, member, globex := b.login("ada@acme.example"), b.login("bo@acme.example"), b.login("cy@globex.example")
	admin := client.Client{URL: "http://" + b.api + "/api", Token: opsToken}
	recv := hooktest.New(t)

	t.Run("hooks of what customers change", func(t *testing.T) {
		// The one that the page made is not for this receiver.
		for s, err := range admin.List(t.Context()) {
			if err != nil || s.Account == nil || *s.Account != "1" {
				t.Fatalf("the page's subscription is %+v, %v", s, err)
			}
			acme.does(204, "DELETE", "/api/subscription/"+s.ID+"/", "")
		}
		if types := acme.does(200, "GET", "/api/event-type/", ""); !strings.Contains(types.body, `"contact.create"`) || !strings.Contains(types.body, `"deal.update"`) {
			t.Errorf("the events are %v", types)
		}
		if sample := acme.does(200, "GET", "/api/event-type/contact.create/sample?format=representation", ""); sample.header.Get("Rowhook-Sample") != "row" {
			t.Errorf("the sample is %v", sample)
		} else if theirs := acme.does(200, "GET", "/api/contacts/"+sample.id()+"/", ""); len(theirs.body) == 0 {
			t.Error("the sample is not of a row of the customer's")
		}
		own := acme.subscribes(`{"events": ["contact.*"], "target_url": "` + recv.URL("/acme") + `"}`)
		globex.subscribes(`{"events": ["*"], "target_url": "` + recv.URL("/globex") + `"}`)

		// Nobody else sees it, in any way.
		for _, c := range []struct{ method, body string }{{"GET", ""}, {"PATCH", `{"name": "mine"}`}, {"PUT", `{"events": ["*"], "target_url": null}`}, {"DELETE", ""}} {
			globex.does(404, c.method, own, c.body)
		}
		globex.does(404, "POST", own+"ping", `{}`)
		if list := globex.does(200, "GET", "/api/subscription/", ""); strings.Contains(list.body, "/acme") || strings.Count(list.body, `"sub_`) != 1 {
			t.Errorf("the other customer's list is %v", list)
		}

		made := acme.does(201, "POST", "/api/contacts/", `{"first_name": "Grace", "last_name": "Hopper", "email": "grace@acme.example", "company_id": 2}`)
		path := "/api/contacts/" + made.id() + "/"
		hook := recv.Next(t)
		if hook.Path != "/acme" || hook.Message().Type != "contact.create" {
			t.Errorf("the hook is %s %s", hook.Path, hook.Body)
		}
		acme.same(hook, path)
		globex.does(404, "GET", path, "")

		// A filter, changed through the proxy.
		patched := acme.does(200, "PATCH", own, `{"filter": "data.last_name == \"Wanted\" || type == \"contact.delete\"", "name": "filtered"}`)
		if !strings.Contains(patched.body, `"name":"filtered"`) {
			t.Errorf("patched %v", patched)
		}
		acme.does(200, "PATCH", path, `{"last_name": "Unwanted"}`)
		acme.does(200, "PATCH", path, `{"last_name": "Wanted"}`)
		if hook = recv.Next(t); hook.Message().Type != "contact.update" {
			t.Errorf("the hook is %s", hook.Body)
		}
		acme.same(hook, path)
		// GET, edit, PUT.
		whole := acme.does(200, "GET", own, "")
		acme.does(200, "PUT", own, strings.Replace(whole.body, `"name":"filtered"`, `"name":"again"`, 1), "If-Match", whole.header.Get("ETag"))
		acme.does(412, "PUT", own, whole.body, "If-Match", whole.header.Get("ETag"))
		acme.does(204, "DELETE", path, "")
		if hook = recv.Next(t); hook.Message().Type != "contact.delete" || hook.Message().Instance() != "contact/"+made.id() {
			t.Errorf("the hook is %s", hook.Body)
		}
		acme.does(404, "GET", path, "")

		// The other customer has got nothing of all this, and gets his own.
		globex.does(201, "POST", "/api/tags/", `{"name": "urgent"}`)
		if hook = recv.Next(t); hook.Path != "/globex" || hook.Message().Type != "tag.create" {
			t.Errorf("the hook is %s %s", hook.Path, hook.Body)
		}

		// The target is gone.
		recv.Handle("/acme", hooktest.Always(hooktest.Status(http.StatusGone)))
		again := acme.does(201, "POST", "/api/contacts/", `{"first_name": "Gone", "last_name": "Wanted"}`)
		if hook = recv.Next(t); hook.Path != "/acme" {
			t.Errorf("the hook is %s %s", hook.Path, hook.Body)
		}
		await(t, "the subscription is gone", func() bool {
			_, err := admin.Get(t.Context(), strings.Split(own, "/")[3])
			var refused *client.Error
			return errors.As(err, &refused) && refused.Status == http.StatusNotFound
		})
		acme.does(404, "GET", own, "")
		acme.does(204, "DELETE", "/api/contacts/"+again.id()+"/", "")
		globex.does(201, "POST", "/api/tags/", `{"name": "last"}`)
		if hook = recv.Next(t); hook.Path != "/globex" {
			t.Errorf("after a 410 there is %s %s", hook.Path, hook.Body)
		}
	})

	t.Run("who may", func(t *testing.T) {
		const subscription = `{"events": ["contact.*"], "target_url": "https://example.com/hooks"}`
		own := acme.subscribes(subscription)
		// A member reads what is his customer's.
		member.does(200, "GET", own, "")
		for _, c := range []struct{ method, path, body string }{{"POST", "/api/subscription/", subscription}, {"PATCH", own, `{"name": "mine"}`}, {"DELETE", own, ""}} {
			if a := member.does(403, c.method, c.path, c.body); !strings.Contains(a.body, `"status":403`) {
				t.Errorf("%s: %v", c.method, a)
			}
		}
		// A service has no customer.
		caller{b, "rowhook-service-token"}.does(403, "GET", "/api/subscription/", "")

		// Whoever the application does not know gets its own answer; the token of rowhook's config is one of them.
		for _, token := range []string{"wrong", opsToken} {
			theirs := b.ask(b.app, token, "GET", "/api/me", "")
			ours := b.ask(b.front, token, "GET", "/api/subscription/", "")
			if ours.status != 401 || ours.body != theirs.body || ours.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%q is answered %v %v, and by the application %v", token, ours, ours.header, theirs)
			}
			if a := b.ask(b.front, token, "POST", "/api/subscription/", subscription); a.status != 401 {
				t.Errorf("%q subscribes: %v", token, a)
			}
		}
		caller{b, ""}.does(401, "GET", "/api/subscription/", "")
		caller{b, ""}.does(401, "POST", "/api/subscription/", subscription)

		// What anybody may write into a request makes nobody somebody else.
		forged := []string{"X-Account-Id", "2", "X-Account", "2", "X-Rowhook-Account", "2", "X-Forwarded-User", "cy@globex.example", "X-Forwarded-For", "127.0.0.1",
			"X-Original-URL", "/api/me", "X-HTTP-Method-Override", "DELETE", "Remote-User", "cy@globex.example", "X-Api-Key", opsToken}
		if list := acme.does(200, "GET", "/api/subscription/", "", forged...); strings.Contains(list.body, "/globex") || !strings.Contains(list.body, `"account":"1"`) {
			t.Errorf("with forged headers the list is %v", list)
		}
		caller{b, ""}.does(401, "GET", "/api/subscription/", "", forged...)
		acme.does(422, "POST", "/api/subscription/", strings.Replace(subscription, "{", `{"account": "2", `, 1))
		acme.does(204, "DELETE", own, "")

		// The application's own routes and mistakes are as they are without rowhook.
		for _, path := range []string{"/api/me", "/api/contacts/?page=2", "/api/contacts/none/", "/api/nothing", "/api/token/", "/readyz", "/"} {
			direct, through := b.ask(b.app, acme.token, "GET", path, ""), b.ask(b.front, acme.token, "GET", path, "")
			// Links of pages begin with the host that was asked.
			if direct.body = strings.ReplaceAll(direct.body, b.app, b.front); direct.String() != through.String() {
				t.Errorf("%s: through the proxy\n%v\nwithout it\n%v", path, through, direct)
			}
		}
	})

	t.Run("README", func(t *testing.T) { b.readme(t) })

	// The proxy in a process of its own, with a role of its own in the store; the one that has the slot is without it.
	b.stopped(exampleRun)
	exec("create role front superuser login password 'front'")
	const environment = "export APP_TOKEN=rowhook-service-token ROWHOOK_TOKEN=" + opsToken + " DATABASE_URL="
	run := b.start(block{page: "rowhook run --proxy=false", text: environment + b.server.URL("django_crm") + "\n" + exampleRun + " --proxy=false"})
	run.prints(`msg=ready`)
	asFront := strings.Replace(b.server.URL("django_crm"), "postgres:"+password(b.server.URL("django_crm"))+"@", "front:front@", 1)
	alone := b.start(block{page: "rowhook proxy", text: environment + asFront + "\n" + "go run ./cmd/rowhook proxy --config examples/django/config.yaml --api-listen 127.0.0.1:0"})
	alone.prints(`msg=ready .*role=proxy`)

	t.Run("alone", func(t *testing.T) {
		recv.HandleAll(hooktest.Always(hooktest.OK()))
		// Until it has seen the database it answers 503.
		var own string
		await(t, "a subscription is made", func() bool {
			a := b.ask(b.front, acme.token, "POST", "/api/subscription/", `{"event": "contact.update", "target_url": "`+recv.URL("/alone")+`"}`)
			own = "/api/subscription/" + a.id() + "/"
			return a.status == http.StatusCreated
		})
		acme.does(200, "PATCH", "/api/contacts/2/", `{"last_name": "Alone"}`)
		hook := recv.Next(t)
		if hook.Path != "/alone" {
			t.Errorf("the hook is %s %s", hook.Path, hook.Body)
		}
		acme.same(hook, "/api/contacts/2/")
		globex.does(404, "GET", own, "")

		// The store is away.
		exec("alter role front nologin")
		exec("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'front'")
		if a := acme.does(503, "GET", "/api/subscription/", ""); !strings.Contains(a.body, `"status":503`) {
			t.Errorf("without the store: %v", a)
		}
		acme.does(200, "PATCH", "/api/contacts/2/", `{"last_name": "Flowing"}`)
		acme.same(recv.Next(t), "/api/contacts/2/")
		exec("alter role front login")
		await(t, "the store is back", func() bool { return b.ask(b.front, acme.token, "GET", own, "").status == 200 })

		// The application is away.
		b.stopped(exampleApp)
		for _, c := range []struct{ token, path string }{{acme.token, "/api/contacts/2/"}, {"not-asked-about-yet", "/api/subscription/"}} {
			a := b.ask(b.front, c.token, "GET", c.path, "")
			if a.status != 502 || a.header.Get("Content-Type") != "application/problem+json" || !json.Valid([]byte(a.body)) {
				t.Errorf("%s without the application: %v", c.path, a)
			}
		}
	})
	alone.stop()
	run.stop()
}

// readme tries what README.md says of the proxy: its config is that of the example, and its command subscribes.
func (b *behind) readme(t *testing.T) {
	var example map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "examples/django/config.yaml")), &example); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, step := range blocks(t, "README.md") {
		if step.under != "Behind your application's own login" {
			continue
		}
		ran++
		switch step.lang {
		case "yaml":
			var shown map[string]any
			if err := yaml.Unmarshal([]byte(step.text), &shown); err != nil || shown["proxy"] == nil {
				t.Errorf("%s: %v", step, err)
			}
			for key, want := range shown {
				if err := within(key, want, example[key]); err != nil {
					t.Errorf("%s is not what the example has: %v", step, err)
				}
			}
		case "sh":
			var got client.Subscription
			if err := json.NewDecoder(bytes.NewReader([]byte(b.run(step)))).Decode(&got); err != nil || got.Account == nil || *got.Account != "1" {
				t.Errorf("%s made %+v, %v", step, got, err)
			}
		}
	}
	if ran != 2 {
		t.Errorf("README.md has %d blocks of the proxy, want 2", ran)
	}
}

// within says where a has what b has not.
func within(path string, a, b any) error {
	block, ok := a.(map[string]any)
	if !ok {
		if !reflect.DeepEqual(a, b) {
			return fmt.Errorf("%s is %v there, and %v here", path, b, a)
		}
		return nil
	}
	other, _ := b.(map[string]any)
	for key, v := range block {
		if err := within(path+"."+key, v, other[key]); err != nil {
			return err
		}
	}
	return nil
}
