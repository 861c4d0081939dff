package app

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v3"
)

// described are the names of the registry's metrics, whether they have values yet or not.
func described(t *testing.T) []string {
	t.Helper()
	m := newMetrics(&App{})
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		m.registry.Describe(descs)
	}()
	var names []string
	for d := range descs {
		found := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s has no name", d)
		}
		names = append(names, found[1])
	}
	return names
}

var metricName = regexp.MustCompile(`\b(rowhook|process)_[a-z0-9_]+`)

// unknownMetrics are the metrics in an expression that nothing has. Those of a histogram, which are of seconds, have its endings.
func unknownMetrics(names []string, expr string) (unknown []string) {
	// What stands in quotes is a label's value.
	for _, name := range metricName.FindAllString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expr, `""`), -1) {
		base := name
		for _, ending := range []string{"_bucket", "_sum", "_count"} {
			base = strings.TrimSuffix(base, ending)
		}
		if !slices.Contains(names, name) && (base == name || !slices.Contains(names, base) || !strings.HasSuffix(base, "_seconds")) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// TestMonitoringNamesRealMetrics: each metric of the dashboard and of the alerts exists, and each alert says for how long, how bad, what
// and what to do.
func TestMonitoringNamesRealMetrics(t *testing.T) {
	t.Parallel()
	names := described(t)
	if unknown := unknownMetrics(names, `rate(rowhook_nonsense_total{result="rowhook_x"}[5m]) / rowhook_ready_bucket + rowhook_delivery_latency_seconds_bucket`); len(unknown) != 2 {
		t.Fatalf("of two that do not exist it finds %v", unknown)
	}
	text, err := os.ReadFile("../../deploy/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			alerts++
			if unknown := unknownMetrics(names, r.Expr); len(unknown) > 0 {
				t.Errorf("the alert %s asks for %v", r.Alert, unknown)
			}
			if strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") || strings.Count(r.Expr, "{") != strings.Count(r.Expr, "}") {
				t.Errorf("%s: the brackets of %s", r.Alert, r.Expr)
			}
			if r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
				t.Errorf("the alert %s lacks for, severity, summary or runbook", r.Alert)
			}
			if !regexp.MustCompile(`for: ` + r.For + ` # \S`).Match(text) {
				t.Errorf("nothing says why %s waits %s", r.Alert, r.For)
			}
		}
	}
	if alerts < 10 {
		t.Errorf("%d alerts were read", alerts)
	}
	if text, err = os.ReadFile("../../deploy/grafana/rowhook.json"); err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("the panel %s shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			if unknown := unknownMetrics(names, q.Expr); len(unknown) > 0 || !metricName.MatchString(q.Expr) {
				t.Errorf("the panel %s asks for %v: %s", p.Title, unknown, q.Expr)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("the panels %s and %s overlap, or are too wide", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(board.Panels) < 10 {
		t.Errorf("%d panels were read", len(board.Panels))
	}
}
