package config_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/config"
)

// TestExampleMentionsEveryKey walks the example and the schema: neither has a key that the other lacks.
func TestExampleMentionsEveryKey(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example any
	if err := yaml.Unmarshal(data, &example); err != nil {
		t.Fatal(err)
	}
	inSchema, inExample := map[string]bool{}, map[string]bool{}
	walkSchema(t, schema(t), "", inSchema)
	walkExample(example, "", inExample)
	commented := alternatives(t, string(data))
	for _, key := range slices.Sorted(maps.Keys(inSchema)) {
		if !inExample[key] && !commented[key] {
			t.Errorf("config.example.yaml lacks %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(inExample)) {
		if !inSchema[key] {
			t.Errorf("the schema lacks %s", key)
		}
	}
	if len(inSchema) < 40 {
		t.Errorf("only %d keys: the walk misses some", len(inSchema))
	}
}

// alternatives are the keys that the example has in comments, since they exclude others, or need what few have. What stands there is YAML too.
func alternatives(t *testing.T, example string) map[string]bool {
	t.Helper()
	_, rest, ok := strings.Cut(example, "\n    # jwt:\n")
	if !ok {
		t.Fatal("the example has lost proxy.identity.jwt")
	}
	var b strings.Builder
	b.WriteString("proxy:\n  identity:\n    jwt:\n")
	for line := range strings.Lines(rest) {
		text, comment := strings.CutPrefix(line, "    # ")
		if !comment {
			break
		}
		if !strings.HasPrefix(text, "Or ") {
			b.WriteString("    " + text)
		}
	}
	_, rest, ok = strings.Cut(example, "\n  # egress_proxy: ")
	if !ok {
		t.Fatal("the example has lost delivery.egress_proxy")
	}
	b.WriteString("delivery:\n")
	for line := range strings.Lines("  # egress_proxy: " + rest) {
		text, comment := strings.CutPrefix(line, "  # ")
		if !comment {
			break
		}
		if key := strings.TrimSpace(text); text[0] == ' ' || strings.HasPrefix(key, "egress_proxy: ") || strings.HasSuffix(key, ":") {
			b.WriteString("  " + text)
		}
	}
	var tree any
	if err := yaml.Unmarshal([]byte(b.String()), &tree); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	keys := map[string]bool{}
	walkExample(tree, "", keys)
	return keys
}

// TestExampleShowsDefaults keeps the values of the example, where it calls them the default, from growing stale.
func TestExampleShowsDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	def := config.Default()
	cfg.Delivery.Targets.AllowNetworks, cfg.Delivery.Accounts.AllowNetworks = nil, nil // empty, where the default is nil
	for name, pair := range map[string][2]any{
		"delivery":  {cfg.Delivery, def.Delivery},
		"retention": {cfg.Retention, def.Retention},
		"limits":    {cfg.Limits, def.Limits},
		"listen":    {cfg.API.Listen, def.API.Listen},
		"base_path": {cfg.API.BasePath, def.API.BasePath},
		"headers":   {cfg.Proxy.Identity.Headers, def.Proxy.Identity.Headers},
		"cache":     {cfg.Proxy.Identity.Cache, def.Proxy.Identity.Cache},
		"slot":      {cfg.Database.Slot, def.Database.Slot},
		"schema":    {cfg.Store.Schema, def.Store.Schema},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: the example has %+v, the default is %+v", name, pair[0], pair[1])
		}
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(config.Schema(), config.Schema()) {
		t.Error("the schema differs from one call to the next")
	}
	golden(t, "testdata/schema.json", string(config.Schema()))
	objects := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(path, item)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				objects++
				if v["additionalProperties"] != false {
					t.Errorf("%s takes unknown keys", path)
				}
				for name, p := range properties {
					if d, _ := p.(map[string]any)["description"].(string); len(d) < 10 {
						t.Errorf("%s.%s has no description", path, name)
					}
				}
				required, _ := v["required"].([]any)
				for _, name := range required {
					if _, ok := properties[name.(string)]; !ok {
						t.Errorf("%s requires %s, which it lacks", path, name)
					}
				}
			}
			for name, inner := range v {
				if name != "examples" && name != "default" {
					walk(path+"."+name, inner)
				}
			}
		}
	}
	walk("", schema(t))
	if objects < 11 {
		t.Errorf("%d objects", objects)
	}
}

func schema(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(config.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// walkSchema gathers the paths of the keys; * stands for the name of a resource.
func walkSchema(t *testing.T, s map[string]any, path string, into map[string]bool) {
	t.Helper()
	if s["$ref"] == "#/$defs/relation" && !strings.Contains(path, ".relations.*.relations.") {
		s = schema(t)["$defs"].(map[string]any)["relation"].(map[string]any)
	}
	for _, of := range []string{"properties", "patternProperties"} {
		properties, _ := s[of].(map[string]any)
		for name, p := range properties {
			if of == "patternProperties" {
				name = "*"
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			into[at] = true
			walkSchema(t, p.(map[string]any), at, into)
		}
	}
	if items, ok := s["items"].(map[string]any); ok {
		walkSchema(t, items, path, into)
	}
}

func walkExample(v any, path string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if strings.HasSuffix(path, ".representation") || path == "resources.*.json" || path == "resources.*.events" || path == "app.headers" || strings.HasSuffix(path, ".join") ||
			strings.HasSuffix(path, ".relations.*.relations.*") {
			return // any tree; the keys of another block; names of one's own
		}
		for name, inner := range v {
			if path == "resources" || strings.HasSuffix(path, ".relations") {
				name = "*"
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			into[at] = true
			walkExample(inner, at, into)
		}
	case []any:
		for _, inner := range v {
			walkExample(inner, path, into)
		}
	}
}
