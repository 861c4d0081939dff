package doccheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/seal"
)

const (
	referenceBegin = "<!-- begin: made from internal/config by go test ./internal/doccheck -run TestConfigReference -update -->\n"
	referenceEnd   = "<!-- end -->"
)

// TestConfigReference keeps the keys of docs/config.md what internal/config says.
func TestConfigReference(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/config.md")
	before, rest, ok1 := strings.Cut(text, referenceBegin)
	have, after, ok2 := strings.Cut(rest, referenceEnd)
	if !ok1 || !ok2 {
		t.Fatal("docs/config.md has lost its marks")
	}
	var schema node
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	resolve(&schema, schema.Defs)
	var b strings.Builder
	keys := reference(&b, schema, "")
	want := b.String() + "\n"
	if keys < 40 || !strings.Contains(want, "| `foreign_key` |") {
		t.Errorf("%d keys: the walk misses some", keys)
	}
	if have == want {
		return
	}
	if !*update {
		t.Fatal("docs/config.md is not what internal/config says: go test ./internal/doccheck -run TestConfigReference -update")
	}
	if err := os.WriteFile(filepath.Join(root, "docs/config.md"), []byte(before+referenceBegin+want+referenceEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// node is a JSON Schema, as far as ours use it, with its properties in their order.
type node struct {
	Description string
	Type        any
	Properties  properties
	Pattern     properties `json:"patternProperties"`
	Items       *node
	Required    []string
	Enum        []any
	Const       any
	AnyOf       []node
	Default     any
	Examples    []any
	Minimum     *int
	Maximum     *int
	Regexp      string     `json:"pattern"`
	Ref         string     `json:"$ref"`
	Defs        properties `json:"$defs"`
}

// resolve puts the relation's definition in the place of the first reference to it. Those within it go on without end.
func resolve(n *node, defs properties) {
	for i := range n.Properties {
		resolve(&n.Properties[i].node, defs)
	}
	for i := range n.Pattern {
		p := &n.Pattern[i].node
		if p.Ref != "#/$defs/relation" {
			resolve(p, defs)
			continue
		}
		for _, d := range defs {
			if d.name != "relation" {
				continue
			}
			*p = d.node
			p.Properties = slices.Clone(p.Properties)
			for k := range p.Properties {
				if len(p.Properties[k].Pattern) > 0 {
					p.Properties[k].Pattern, p.Properties[k].Ref = nil, "#/properties/resourcesnamerelations"
				}
			}
		}
	}
}

type property struct {
	name string
	node
}

type properties []property

func (p *properties) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var n node
		if err := d.Decode(&n); err != nil {
			return err
		}
		*p = append(*p, property{name.(string), n})
	}
	return nil
}

// reference writes a table for each object, the outer one first.
func reference(b *strings.Builder, n node, path string) (keys int) {
	if path != "" {
		fmt.Fprintf(b, "\n### %s\n\n%s\n\n", path, n.Description)
	}
	required := n.Required
	props := n.Properties
	title := path
	switch {
	case n.Items != nil:
		props, required, title = n.Items.Properties, n.Items.Required, path+"[]"
	case len(n.Pattern) == 1:
		props, required, title = n.Pattern[0].Properties, n.Pattern[0].Required, path+".<name>"
	}
	if path == "" {
		b.WriteString("\nA file has these blocks: ")
		for i, p := range props {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "[`%s`](#%s)", p.name, p.name)
		}
		b.WriteString(".\n")
	} else {
		b.WriteString("| key | takes | default | meaning |\n|---|---|---|---|\n")
	}
	var inner []property
	for _, p := range props {
		keys++
		if len(p.Properties) > 0 || len(p.Pattern) > 0 || p.Items != nil && len(p.Items.Properties) > 0 {
			inner = append(inner, p)
			if path != "" {
				fmt.Fprintf(b, "| `%s` | a block | | see [below](#%s) |\n", p.name, anchor(join(title, p.name)))
			}
			continue
		}
		if block, ok := strings.CutPrefix(p.Ref, "#/properties/"); ok {
			fmt.Fprintf(b, "| `%s` | a block | | %s The keys are [above](#%s). |\n", p.name, p.Description, block)
			continue
		}
		def := ""
		switch {
		case slices.Contains(required, p.name):
			def = "**required**"
		case p.Default != nil:
			def = "`" + plain(p.Default) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.name, takes(p.node), def, strings.ReplaceAll(p.Description, "|", `\|`))
	}
	for _, p := range inner {
		keys += reference(b, p.node, join(title, p.name))
	}
	return keys
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// anchor is the fragment of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(anchorDrop.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// plain is a value as it is written in YAML.
func plain(v any) string {
	if list, ok := v.([]any); ok {
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = plain(x)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if m, ok := v.(map[string]any); ok {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(m)) {
			parts = append(parts, k+": "+plain(m[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// takes says in a few words what a key takes.
func takes(n node) string {
	for _, of := range n.AnyOf {
		if of.Const != nil {
			return "`" + plain(of.Const) + "`, or a list of texts"
		}
		if of.Type != nil || of.Enum != nil {
			return takes(of)
		}
	}
	switch {
	case n.Enum != nil:
		parts := make([]string, len(n.Enum))
		for i, x := range n.Enum {
			parts[i] = "`" + plain(x) + "`"
		}
		return strings.Join(parts, " or ")
	case n.Items != nil && n.Type == "array":
		if word, example, ok := strings.Cut(takes(*n.Items), ","); ok {
			return "list of " + word + "s," + example
		}
		return "list of " + takes(*n.Items) + "s"
	case n.Type == "boolean":
		return "`true` or `false`"
	case n.Type == "integer":
		return fmt.Sprintf("%d to %d", *n.Minimum, *n.Maximum)
	case strings.Contains(n.Regexp, "ms|s|m|h"):
		return "duration"
	case strings.Contains(n.Regexp, "KMGT"):
		return "size"
	}
	if _, many := n.Type.([]any); many {
		return "any YAML tree"
	}
	if len(n.Examples) > 0 {
		word := "text"
		if n.Type == "object" {
			word = "map"
		}
		return word + ", such as `" + strings.ReplaceAll(plain(n.Examples[len(n.Examples)-1]), "|", `\|`) + "`"
	}
	return "text"
}

// fragments complete configs that show only a part. What they lack is of no interest there.
var fragments = map[string]string{
	"app":       "app: {url: \"http://127.0.0.1:3000\"}\n",
	"database":  "database: {url: \"postgres://127.0.0.1/crm\"}\n",
	"resources": "resources: {contact: {table: contacts, columns: all}}\n",
}

// loadBlock loads a yaml block, completed where it is a part of a file.
func loadBlock(b block) (*config.Config, error) {
	var has map[string]any
	if err := yaml.Unmarshal([]byte(b.text), &has); err != nil {
		return nil, err
	}
	text := b.text
	for _, key := range slices.Sorted(maps.Keys(fragments)) {
		if has[key] == nil {
			text += fragments[key]
		}
	}
	env := func(name string) (string, bool) {
		if strings.HasSuffix(name, "_URL") {
			return "postgres://127.0.0.1/crm", true
		}
		if strings.HasSuffix(name, "_KEY") {
			return seal.NewKey().Reveal(), true
		}
		return "a-value-of-some-length", true
	}
	name := strings.TrimPrefix(b.first(), "# ")
	return config.LoadBytes(name, []byte(text), env, func(string) ([]byte, error) { return []byte("a-value-of-some-length"), nil })
}

func TestConfigsLoad(t *testing.T) {
	t.Parallel()
	loaded := 0
	for _, page := range pages(t) {
		all := blocks(t, page)
		for i, b := range all {
			if b.lang != "yaml" || isCase(b) {
				continue
			}
			cfg, err := loadBlock(b)
			if b.first() == "# wrong.yaml" {
				// The mistakes of the example are the text below it.
				if err == nil || strings.TrimSpace(err.Error()) != strings.TrimSpace(all[i+1].text) {
					t.Errorf("%s: the mistakes are\n%v", b, err)
				}
				continue
			}
			if err == nil {
				_, err = app.New(cfg, app.Options{})
			}
			if err != nil {
				t.Errorf("%s: %v", b, err)
			}
			loaded++
		}
	}
	if loaded < 5 {
		t.Errorf("%d configs: some were missed", loaded)
	}
}

// TestExampleConfigsLoad loads those that are files.
func TestExampleConfigsLoad(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"examples/compose/config.yaml", "examples/crm/config.yaml", "examples/django/config.yaml"} {
		if _, err := loadBlock(block{text: read(t, file)}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
