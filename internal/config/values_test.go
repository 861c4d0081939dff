package config

import (
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"15s": 15 * time.Second, "7d": 7 * day, "1d12h": 36 * time.Hour, "0s": 0, "1.5h": 90 * time.Minute, "2d30m5s": 2*day + 30*time.Minute + 5*time.Second,
	} {
		if got, ok := parseDuration(s); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "d", "15", "-1s", "+1s", "1d-1h", "-1d", "+1d", "1h1d", "1dd", "1.5d", "1w", "1d ", "1d2d"} {
		if got, ok := parseDuration(s); ok {
			t.Errorf("parseDuration(%q) = %v", s, got)
		}
	}
	for want, d := range map[string]time.Duration{"15s": 15 * time.Second, "5m": 5 * time.Minute, "24h": day, "7d": 7 * day, "1h30m": 90 * time.Minute, "10m": 10 * time.Minute} {
		if got := showDuration(d); got != want {
			t.Errorf("showDuration(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{"0": 0, "5": 5, "5B": 5, "16MiB": 16 << 20, "8GB": 8e9, "1kB": 1000, "1KB": 1000, "2TiB": 2 << 40} {
		if got, ok := parseSize(s); !ok || got != want {
			t.Errorf("parseSize(%q) = %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "B", "MiB", "-1", "+1", "1.5MiB", "1 MiB", "1M", "1mib", "0x10", "1MiBB"} {
		if got, ok := parseSize(s); ok {
			t.Errorf("parseSize(%q) = %d", s, got)
		}
	}
	for _, n := range []int64{1, 1000, 1 << 10, 16 << 20, 3 << 40} {
		if got, ok := parseSize(showSize(n)); !ok || got != n {
			t.Errorf("showSize(%d) = %s", n, showSize(n))
		}
	}
}

func TestParseTable(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]cdc.TableName{
		"contacts":              {Schema: "public", Name: "contacts"},
		"app.contacts":          {Schema: "app", Name: "contacts"},
		`"My Schema"."T"`:       {Schema: "My Schema", Name: "T"},
		`app."Contact.Archive"`: {Schema: "app", Name: "Contact.Archive"},
		`"say ""hi"""`:          {Schema: "public", Name: `say "hi"`},
		"größe_1$":              {Schema: "public", Name: "größe_1$"},
	} {
		if got, wrong := parseTable(s); wrong != nil || got != want {
			t.Errorf("parseTable(%q) = %v, %v", s, got, wrong)
		}
	}
}

func TestEnvironmentOf(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:p@db:5433/crm":                 "db:5433/crm",
		"host=/var/run/postgresql dbname=crm user=u": "/var/run/postgresql:5432/crm",
		"postgres://u:p@[::1]/crm":                   "[::1]:5432/crm",
		"postgres://secret_user:p@db1,db2:5433/crm":  "db1:5432/crm",
	} {
		if _, wrong := postgresURL().parse(dsn); wrong != nil {
			t.Errorf("%s %s", dsn, wrong.is)
		}
		got := environmentOf(secret.String(dsn))
		if got != want {
			t.Errorf("environmentOf(%q) = %q, want %q", dsn, got, want)
		}
	}
}
