package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadMapping reads json and resources, whatever the rest of the file needs, and tells mistakes by their own lines.
func TestLoadMapping(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	load := func(text string) (names string, mistakes string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadMapping(path, none)
		for _, r := range cfg.Resources {
			names += r.Name + " " + cfg.JSON.Preset
		}
		if err != nil {
			mistakes = strings.ReplaceAll(err.Error(), path, "config.yaml")
		}
		return names, mistakes
	}
	const head = "database:\n  url: ${env:NOT_THERE}\n\n# a comment\napi: {tokens: [{name: ops, token: \"${file:not-there}\", account: \"*\"}]}\njson: {preset: rails}\n"
	for promise, c := range map[string]struct{ text, names, mistake string }{
		"OtherBlocksAreNotRead":  {head + "resources:\n  a: {table: t, columns: all}\n", "a rails", ""},
		"BlocksBehindEither":     {"resources:\n  a: {table: t, columns: all}\n" + head, "a rails", ""},
		"NoneIsNeeded":           {"resources: {a: {table: t, columns: all}}\n", "a ", ""},
		"MistakesKeepTheirLines": {head + "resources:\n  a: {tabel: t, columns: all}\n", "", "config.yaml:8:7: "},
		"UnknownBlocksAreTold":   {head + "resorces: {}\nresources:\n  a: {table: t, columns: all}\n", "", `unknown key "resorces"`},
		"VariablesOfResources":   {head + "resources:\n  a: {table: t, representation: {u: \"${env:NOT_THERE}\"}}\n", "", "NOT_THERE"},
		"InBraces":               {"{resources: {a: {table: t, columns: all}}, database: {url: \"${env:NOT_THERE}\"}}\n", "", "NOT_THERE"},
	} {
		if names, mistakes := load(c.text); names != c.names || c.mistake == "" && mistakes != "" || !strings.Contains(mistakes, c.mistake) {
			t.Errorf("%s: got %q and %s", promise, names, mistakes)
		}
	}
	if _, err := LoadMapping("nowhere.yaml", none); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}
