package identity

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// TestMistakesOfTheConfigAreTold: an expression that gives nobody an account, and a path that redirects, look like the callers' faults
// to everybody; the operator is told, once, with names and without values.
func TestMistakesOfTheConfigAreTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status int
		want   []string
	}{
		"no account": {says(`{"acount": {"id": "hunter2"}, "role": "owner"}`), 403, []string{"a caller has no account", "account=account.id", `members="acount role"`}},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login?next=hunter2", http.StatusFound)
		}, 401,
			[]string{"the application redirects", "status=302", "proxy.identity.path"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines bytes.Buffer
			app := newApplication(t, c.answer)
			a := asking(t, app.url, func(c *Config) { c.Cache = 0 })
			a.teller.log = slog.New(slog.NewTextHandler(&lines, nil))
			for range 3 {
				_, err := a.Who(from("Authorization", "Bearer hunter2"))
				if e, ok := err.(*Error); !ok || e.Status != c.status {
					t.Errorf("got %v, want a %d", err, c.status)
				}
			}
			told := lines.String()
			if strings.Count(told, "\n") != 1 || strings.Contains(told, "hunter2") {
				t.Errorf("told:\n%s", told)
			}
			for _, want := range c.want {
				if !strings.Contains(told, want) {
					t.Errorf("told:\n%s want %s", told, want)
				}
			}
		})
	}
}
