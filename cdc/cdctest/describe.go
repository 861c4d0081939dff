package cdctest

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
)

// Describe writes tables as Tables.Add reads them, under the key tables.
func Describe(tables map[cdc.TableName]*cdc.Table) ([]byte, error) {
	var names []cdc.TableName
	for n := range tables {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b cdc.TableName) int { return strings.Compare(a.String(), b.String()) })
	all := &yaml.Node{Kind: yaml.MappingNode}
	for _, n := range names {
		t := tables[n]
		body := &yaml.Node{Kind: yaml.MappingNode}
		if key := namesOf(t, func(i int) bool { return slices.Contains(t.Key, i) }); !slices.Equal(key, []string{"id"}) {
			for i, k := range t.Key {
				key[i] = t.Columns[k].Name
			}
			add(body, "key", sequence(key))
		}
		unique := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, index := range t.Unique {
			if slices.Equal(index, t.Key) {
				continue
			}
			names := make([]string, len(index))
			for i, k := range index {
				names[i] = t.Columns[k].Name
			}
			unique.Content = append(unique.Content, sequence(names))
		}
		if len(unique.Content) > 0 {
			add(body, "unique", unique)
		}
		switch t.Identity {
		case cdc.IdentityFull:
			add(body, "identity", text("full"))
		case cdc.IdentityNothing:
			add(body, "identity", text("nothing"))
		case cdc.IdentityIndex:
			add(body, "identity", sequence(namesOf(t, func(i int) bool { return t.Columns[i].Identity })))
		}
		columns := &yaml.Node{Kind: yaml.MappingNode}
		for _, c := range t.Columns {
			word := typeText(c.Type)
			if c.NotNull {
				word += " not null"
			}
			if c.Generated {
				word += " generated"
			}
			add(columns, c.Name, text(word))
		}
		add(body, "columns", columns)
		name := n.String()
		if n.Schema == "public" && !strings.Contains(n.Name, ".") {
			name = n.Name
		}
		add(all, name, body)
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	add(root, "tables", all)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(root)
	return b.Bytes(), err
}

func add(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, text(key), value)
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func sequence(items []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range items {
		n.Content = append(n.Content, text(s))
	}
	return n
}

func namesOf(t *cdc.Table, is func(int) bool) []string {
	var names []string
	for i, c := range t.Columns {
		if is(i) {
			names = append(names, c.Name)
		}
	}
	return names
}

// typeText is what Type reads as the type, as far as its values' texts depend on it.
func typeText(t *cdc.Type) string {
	switch {
	case t == nil:
		return "text"
	case t.Base != nil:
		return t.Name + " domain " + typeText(t.Base)
	case t.Elem != nil:
		return typeText(t.Elem) + "[]"
	case t.Kind == 'e' && len(t.Labels) > 0:
		return t.Name + " enum(" + labelsText(t.Labels) + ")"
	case t.Kind == 'e':
		return t.Name + " enum"
	}
	return t.Name
}
