package doccheck

import (
	"context"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/apidoc"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/subscriptions"
)

// document is that of a server that has all routes.
func document() *apidoc.Document {
	return api.New(api.Config{
		BasePath: "/api/v1", Made: struct{ subscriptions.Tokens }{}, DeadLetters: struct{ api.DeadLetters }{}, Metrics: http.NotFoundHandler(),
		EventTypes: struct{ api.EventTypes }{}, Jobs: struct{ api.Jobs }{}, Feed: struct{ api.Feed }{}, Deliveries: struct{ api.Deliveries }{},
		SessionKeys: new(seal.Keys), System: struct{ api.System }{},
		Resume:    func(context.Context, client.Resume) (*client.Resumed, error) { return nil, nil },
		Status:    func(context.Context) *client.Status { return nil },
		Pauses:    struct{ api.Pauses }{},
		LogLevels: struct{ api.LogLevels }{},
		Drain:     func(context.Context, client.Drain) (*client.Drained, error) { return nil, nil },
	}).Document()
}

// TestAPIRoutes: docs/api.md has the routes that there are, with the statuses of their success.
func TestAPIRoutes(t *testing.T) {
	t.Parallel()
	told := map[string]string{}
	for _, row := range rows(t, "docs/api.md", "Routes") {
		path := ""
		for _, code := range inCode.FindAllStringSubmatch(row[0], -1) {
			method, at, ok := strings.Cut(code[1], " ")
			if ok {
				path = at
			}
			told[method+" "+path] = row[2]
		}
	}
	for _, p := range document().Paths {
		path := "/api/v1" + p.Name
		if len(p.Value.Servers) > 0 {
			path = p.Name
		}
		path = regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(path, ":$1")
		for _, m := range p.Value.Methods {
			route := strings.ToUpper(m.Name) + " " + path
			statuses, ok := told[route]
			if !ok {
				t.Errorf("docs/api.md tells nothing of %s", route)
			}
			delete(told, route)
			for _, r := range m.Value.Responses {
				if r.Name[0] == '2' && !strings.Contains(statuses, r.Name) {
					t.Errorf("docs/api.md does not tell that %s may be %s, but %s", route, r.Name, statuses)
				}
			}
		}
	}
	for route := range told {
		t.Errorf("docs/api.md tells of %s, which is not there", route)
	}
}

// TestAPIFields: docs/api.md has each field of a subscription and of its request block, and no other.
func TestAPIFields(t *testing.T) {
	t.Parallel()
	writable, fixed := subscriptions.Members()
	want := append(slices.DeleteFunc(writable, func(name string) bool { return name == "event" }), fixed...)
	var request []string
	for f := range reflect.TypeFor[client.Request]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		request = append(request, name)
	}
	for under, want := range map[string][]string{"Fields of a subscription": want, "Request": request} {
		var got []string
		for _, row := range rows(t, "docs/api.md", under) {
			for _, code := range inCode.FindAllStringSubmatch(row[0], -1) {
				got = append(got, code[1])
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("docs/api.md has under %q\n%v\nand there are\n%v", under, got, want)
		}
	}
}

// TestAPIStatuses: docs/api.md tells what each status of an error means.
func TestAPIStatuses(t *testing.T) {
	t.Parallel()
	told := map[string]bool{}
	for _, row := range rows(t, "docs/api.md", "Errors") {
		told[row[0]] = true
	}
	for _, p := range document().Paths {
		for _, m := range p.Value.Methods {
			for _, r := range m.Value.Responses {
				if r.Name[0] != '2' && !told[r.Name] {
					t.Errorf("docs/api.md does not tell what %s means, which %s may be answered with", r.Name, m.Value.OperationID)
				}
			}
		}
	}
}

var inCode = regexp.MustCompile("`([^`]+)`")

// rows are the cells of the tables under a heading, without the tables' heads.
func rows(t *testing.T, page, under string) (all [][]string) {
	t.Helper()
	heading, head := "", true
	for _, line := range strings.Split(read(t, page), "\n") {
		switch {
		case strings.HasPrefix(line, "## "), strings.HasPrefix(line, "### "):
			heading = strings.TrimLeft(line, "# ")
		case !strings.HasPrefix(line, "|"):
			head = true
		case strings.HasPrefix(line, "|---"):
			head = false
		case !head && heading == under:
			cells := strings.Split(strings.Trim(line, "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no table under %q", page, under)
	}
	return all
}
