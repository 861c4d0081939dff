package config

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// resourcePattern keeps dots and stars out of the names of events: contact.update, contact.*. Package mapping takes the
// same names.
var resourcePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// resourceMap is a map from names to resources, kept in the file's order.
type resourceMap struct {
	item object[mapping.Resource]
}

func (r resourceMap) decode(d *decoder, v value, to *[]mapping.Resource) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, true)
	if !ok {
		return
	}
	if len(v.node.Content) == 0 {
		d.add(d.objectPlace(v), "add a resource: contact: {table: contacts, columns: all}", "resources is empty")
	}
	for _, e := range entries {
		switch {
		case !resourcePattern.MatchString(e.name):
			d.add(e.key, "use lower-case letters, digits and _, a letter first, at most 63: contact, line_item", "%q is not a resource name", e.name)
			continue
		case e.name == "rowhook":
			d.add(e.key, "choose another name", "the resource name %q is kept for rowhook's own events", e.name)
			continue
		}
		resource := mapping.Resource{Name: e.name, At: e.key, File: d.file}
		r.item.decode(d, e.value, &resource)
		*to = append(*to, resource)
	}
}

func (r resourceMap) schema(*[]mapping.Resource) jsonObject {
	return jsonObject{
		{"type", "object"},
		{"minProperties", 1},
		{"patternProperties", jsonObject{{resourcePattern.String(), r.item.schema(nil)}}},
		{"additionalProperties", false},
	}
}

// checkResource looks at how a resource's keys fit together.
func checkResource(d *decoder, v value, r *mapping.Resource) {
	has := func(name string) *value {
		entries, _ := d.entriesOf(v)
		for _, e := range entries {
			if e.name == name {
				return &e.value
			}
		}
		return nil
	}
	representation, columns, except := has("representation"), has("columns"), has("except")
	switch {
	case representation != nil && columns != nil:
		d.add(columns.key, "keep one of them", "%s has both representation and columns", v.path)
	case representation == nil && columns == nil && has("account") != nil:
		d.add(d.objectPlace(v), "add representation, columns: [id, …], or columns: all",
			"%s has an account, so it must say what its customers are sent", v.path)
	}
	if except != nil && columns != nil && !r.AllColumns && !d.bad[columns.path] {
		d.add(except.key, "leave the columns out of the list instead", "%s.except goes with columns: all", v.path)
	}
	if except != nil && columns == nil {
		d.add(except.key, "add columns: all, or leave except out", "%s.except goes with columns: all", v.path)
	}
}

// entriesOf is entries without complaints.
func (d *decoder) entriesOf(v value) ([]entry, bool) {
	if v.node.Kind != yaml.MappingNode {
		return nil, false
	}
	return d.entries(v, true)
}

// tableKind takes the table and its place.
type tableKind struct{ scalar[cdc.TableName] }

func (k tableKind) decode(d *decoder, v value, to *mapping.Resource) {
	to.TableAt = d.textPlace(v.node)
	k.scalar.decode(d, v, &to.Table)
}

func (k tableKind) schema(*mapping.Resource) jsonObject { return k.scalar.schema(nil) }

// expressionKind is a key that takes an expression bare.
type expressionKind struct {
	hint     string
	examples []any
}

func (k expressionKind) decode(d *decoder, v value, to **mapping.Source) {
	t, ok := d.rawText(v, "an expression", "")
	if !ok {
		return
	}
	if v.node.ShortTag() == "!!str" && strings.TrimSpace(t.written) == "" {
		d.add(t.at, k.hint, "%s is empty", v.path)
		return
	}
	out, _, ok := d.resolveExpression(v.node, t.written, 0)
	if !ok {
		d.bad[v.path] = true
		return
	}
	*to = &mapping.Source{Text: strings.TrimRight(out, " \r\n"), At: t.at}
}

func (k expressionKind) schema(**mapping.Source) jsonObject {
	return jsonObject{{"type", "string"}, {"minLength", 1}, {"examples", k.examples}}
}

// coalesceKind is true where each change is not an event of its own.
type coalesceKind struct{ scalar[bool] }

func (k coalesceKind) decode(d *decoder, v value, to *bool) {
	whole := !*to
	k.scalar.decode(d, v, &whole)
	*to = !whole
}

func (k coalesceKind) schema(*bool) jsonObject {
	whole := true
	return k.scalar.schema(&whole)
}

// eventsKind is a map from names of events to their conditions, kept in the file's order. Package mapping checks the names.
type eventsKind struct{}

var eventCondition = expressionKind{hint: `write a condition, as in stage == "won" && old.stage != "won"`}

func (eventsKind) decode(d *decoder, v value, to *[]mapping.NamedEvent) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, true)
	if !ok {
		return
	}
	for _, e := range entries {
		event := mapping.NamedEvent{Name: e.name, At: e.key}
		if eventCondition.decode(d, e.value, &event.When); event.When != nil {
			*to = append(*to, event)
		}
	}
}

func (eventsKind) schema(*[]mapping.NamedEvent) jsonObject {
	return jsonObject{
		{"type", "object"},
		{"additionalProperties", jsonObject{{"type", "string"}, {"minLength", 1}}},
		{"examples", []any{jsonObject{{"contact.won", `stage == "won" && old.stage != "won"`}}}},
	}
}

// pathKind is a path with ${…} for the row's values.
type pathKind struct{ examples []any }

func (k pathKind) decode(d *decoder, v value, to **mapping.Source) {
	t, ok := d.rawText(v, "text", "")
	if !ok || d.commentTrap(v.node) {
		return
	}
	out, _, ok := d.resolveTemplate(v.node)
	if !ok {
		return
	}
	if !strings.HasPrefix(out, "/") {
		d.add(t.at, "write the part of the address after the host: /contacts/${id}", "%s: %s does not begin with a /", v.path, t.shown)
		return
	}
	*to = &mapping.Source{Text: out, At: t.at}
}

func (k pathKind) schema(**mapping.Source) jsonObject {
	return jsonObject{{"type", "string"}, {"examples", k.examples}}
}

// columnsKind is a list of columns, or all.
type columnsKind struct{ names list[mapping.Source] }

func (k columnsKind) decode(d *decoder, v value, to *mapping.Resource) {
	k.into(d, v, &to.Columns, &to.AllColumns)
}

func (k columnsKind) into(d *decoder, v value, columns *[]mapping.Source, all *bool) {
	if !d.bad[v.node] && v.node.Kind == yaml.ScalarNode && !isNull(v.node) {
		const hint = "write a list of columns, or all"
		t, ok := d.text(v, taking{want: "a list of columns", hint: hint, fits: func(string) bool { return false }})
		switch {
		case !ok:
		case t.text == "all":
			*all = true
		default:
			d.bad[v.path] = true
			d.add(t.at, hint, "%s: %s is neither a list of columns nor all", v.path, t.shown)
		}
		return
	}
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 || isNull(v.node) {
		d.bad[v.path] = true
		d.add(d.objectPlace(v), "write a list of columns, or all", "%s names no column", v.path)
		return
	}
	if v.node.Kind != yaml.SequenceNode {
		d.bad[v.path] = true
	}
	k.names.decode(d, v, columns)
}

func (k columnsKind) schema(*mapping.Resource) jsonObject {
	named := k.names.schema(nil)
	return jsonObject{
		{"anyOf", []any{jsonObject{{"const", "all"}}, append(named, jsonMember{"minItems", 1}), reference}},
		{"examples", []any{"all", []any{"id", "email"}}},
	}
}

// columnKind is the name of a column with its place.
type columnKind struct{ scalar[string] }

func (k columnKind) decode(d *decoder, v value, to *mapping.Source) {
	to.At = d.textPlace(v.node)
	k.scalar.decode(d, v, &to.Text)
}

func (k columnKind) schema(*mapping.Source) jsonObject { return k.scalar.schema(nil) }

// columnText is the name of a column.
func columnText() scalar[string] {
	name := checked("a column name", "write the column's name", func(s string) *mistake {
		if len(s) > maxIdentifier {
			return &mistake{is: "is longer than the names that Postgres keeps"}
		}
		return nil
	})
	name.json = jsonObject{{"type", "string"}, {"minLength", 1}}
	return name
}

// columnNames is a list of different columns.
func columnNames() list[mapping.Source] {
	return list[mapping.Source]{item: kind[mapping.Source](columnKind{columnText()}), check: func(d *decoder, v value, items []mapping.Source) {
		seen := map[string]problem.Place{}
		for i, c := range items {
			told := d.notes[item(v.path, i)]
			if first, twice := seen[c.Text]; twice && c.Text != "" {
				d.add(c.At, fmt.Sprintf("it stands in line %d: keep one", first.Line), "%s: %s is named before", item(v.path, i), told.shown)
				continue
			}
			seen[c.Text] = c.At
		}
	}}
}

// representationKind is any tree, in which ${…} stand for the row's values.
type representationKind struct{}

func (representationKind) decode(d *decoder, v value, to **yaml.Node) {
	if isNull(v.node) {
		d.add(d.objectPlace(v), "paste what the API returns for one instance, with ${column} where a value comes from the row",
			"%s is empty", v.path)
		return
	}
	d.expand(v.node)
	*to = v.node
}

func (representationKind) schema(**yaml.Node) jsonObject {
	return jsonObject{
		{"type", []any{"object", "array", "string", "number", "boolean"}},
		{"examples", []any{jsonObject{{"id", "${id}"}, {"type", "contact"}, {"name", `${first_name + " " + last_name}`}}}},
	}
}

// expand replaces the references in a representation.
func (d *decoder) expand(n *yaml.Node) {
	if d.bad[n] {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if d.bad[k] {
				continue
			}
			if parts, _ := split(k.Value); len(parts) > 0 && !(len(parts) == 1 && parts[0].kind == literalPart) {
				d.add(d.place(k), "write the key as it is in the API's answer; only values may hold ${…}", "the key %q holds ${…}", k.Value)
			}
			d.expand(n.Content[i+1])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			d.expand(c)
		}
	case yaml.ScalarNode:
		if d.commentTrap(n) {
			return
		}
		if out, referred, ok := d.resolveTemplate(n); ok && referred {
			n.Value, n.Tag = out, "!!str"
		}
	}
}

// commentTrap complains of an unquoted template with a comment one space behind it: ${first_name} #${number}. Nobody can
// tell whether the # was meant as text, and what it cuts off would never be missed; so it has to be said.
func (d *decoder) commentTrap(n *yaml.Node) bool {
	if n.Style != 0 || n.ShortTag() != "!!str" {
		return false
	}
	l := d.line(n.Line)
	from := byteOffset(l, n.Column)
	hash := commentStart(l, from)
	if hash < 2 || l[hash-1] != ' ' || strings.TrimRight(l[from:hash], " \t") != n.Value || l[hash-2] == ' ' || l[hash-2] == '\t' {
		return false
	}
	parts, _ := split(n.Value)
	holds := strings.HasPrefix(l[hash:], "#${")
	for _, p := range parts {
		holds = holds || p.kind == expressionPart
	}
	if !holds {
		return false
	}
	hint := "if the # is text, " + d.quoteHintFor(n.Line-1, strings.TrimRight(l[from:], " \t")) + "; if it begins a comment, put two spaces before it"
	at := problem.Place{File: d.file, Line: n.Line, Column: len([]rune(l[:hash])) + 1}
	d.add(at, hint, `" #" begins a YAML comment: the value ends before it`)
	return true
}
