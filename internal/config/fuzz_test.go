package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
)

// FuzzLoadBytes: no file makes the loader panic, and what comes from the environment or a file is in no message.
func FuzzLoadBytes(f *testing.F) {
	const hidden = "Kx7!pQz"
	for _, pattern := range []string{"testdata/*.yaml", "testdata/good/*.yaml", "../../config.example.yaml"} {
		for _, path := range globF(f, pattern) {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data), hidden)
			f.Add(string(data), "postgres://u:"+hidden+"@h/d")
		}
	}
	f.Add("database: {url: '${env:X}', slot: '${file:x}'}\n", hidden+"\n\x00")
	f.Fuzz(func(t *testing.T, data, value string) {
		if strings.Contains(data, hidden) || !strings.Contains(value, hidden) {
			return
		}
		cfg, err := config.LoadBytes("c.yaml", []byte(data),
			func(string) (string, bool) { return value, true },
			func(string) ([]byte, error) { return []byte(value), nil })
		if err == nil {
			if cfg == nil || cfg.Database.URL == "" || len(cfg.Mapping.Resources) == 0 {
				t.Errorf("loaded without what is required: %+v", cfg)
			}
			return
		}
		var list problem.List
		if !errors.As(err, &list) || len(list) == 0 {
			t.Fatalf("the error is a %T: %v", err, err)
		}
		for _, p := range list {
			if p.Line == 0 || p.Message == "" {
				t.Errorf("no place or message: %v", p)
			}
		}
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("a secret is shown: %v", err)
		}
	})
}

func globF(f *testing.F, pattern string) []string {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		f.Fatalf("%s: %d files, %v", pattern, len(paths), err)
	}
	return paths
}
