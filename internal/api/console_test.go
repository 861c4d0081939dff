package api_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/rowhook/rowhook/internal/api"
)

func TestConsoleIsBesideTheAPI(t *testing.T) {
	t.Parallel()
	console := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "console "+r.URL.Path) })
	for _, c := range []struct {
		base, path string
		console    bool
	}{
		{"/api/v1", "/", true}, {"/api/v1", "/console", true}, {"/api/v1", "/console/", true}, {"/api/v1", "/console/app.js", true},
		{"/api/v1", "/consoles", false}, {"/api/v1", "/healthz", false}, {"/api/v1", "/api/v1/console/", false}, {"/api/v1", "/x", false},
		{"/console/api", "/console/api/token/", false}, {"/console/api", "/console/app.js", true},
		{"", "/console/", true}, {"", "/event-type/", false},
	} {
		b := start(t, func(config *api.Config) { config.BasePath, config.Console = c.base, console })
		resp, err := http.Get(b.url + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(body) == "console "+c.path; got != c.console {
			t.Errorf("base %q: GET %s = %d %s", c.base, c.path, resp.StatusCode, body)
		}
	}
	b := start(t)
	if resp, err := http.Get(b.url + "/console/"); err != nil || resp.StatusCode != 404 {
		t.Errorf("without a console: %v %v", resp.StatusCode, err)
	}
}
