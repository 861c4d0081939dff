package cdctest

import (
	"encoding/json"
	"errors"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Row reads a row: {id: 1, name: Ada}. A scalar is the value as Postgres reads it, and becomes what Postgres writes; what it
// would refuse is a problem. A list is an array, a map a json document. null is null, !unchanged a large value that the
// update did not touch, !absent one that the stream does not tell. Columns that are not given are as otherwise says.
func Row(file string, n *yaml.Node, columns []cdc.Column, table string, otherwise cdc.Kind) (cdc.Row, problem.List) {
	r := &reader{file: file}
	return r.row(n, columns, table, otherwise), r.problems
}

func (r *reader) row(n *yaml.Node, columns []cdc.Column, table string, otherwise cdc.Kind) cdc.Row {
	row := make(cdc.Row, len(columns))
	for i := range row {
		row[i].Kind = otherwise
	}
	r.entries(n, "the row", func(k, v *yaml.Node) {
		for i, c := range columns {
			if c.Name == k.Value {
				row[i] = r.value(v, c.Type)
				return
			}
		}
		r.add(k, problem.DidYouMean(k.Value, columnNames(columns)), "table %s has no column %q", table, k.Value)
	})
	return row
}

func (r *reader) value(n *yaml.Node, t *cdc.Type) cdc.Value {
	switch n.Tag {
	case "!unchanged":
		return cdc.Value{Kind: cdc.Unchanged}
	case "!absent":
		return cdc.Value{}
	case "!null":
		return cdc.Value{Kind: cdc.Null}
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Value != "" {
		return cdc.Value{Kind: cdc.Null}
	}
	return cdc.Value{Kind: cdc.Text, Data: []byte(r.text(n, t))}
}

// text is the value as Postgres would write it.
func (r *reader) text(n *yaml.Node, t *cdc.Type) string {
	for t.Base != nil {
		t = t.Base
	}
	var text string
	before := len(r.problems)
	switch {
	case n.Kind == yaml.SequenceNode && t.Elem != nil:
		text = r.array(n, t)
	case n.Kind != yaml.ScalarNode && (t.Name == "json" || t.Name == "jsonb"):
		var b strings.Builder
		r.json(&b, n)
		text = b.String()
	case n.Kind != yaml.ScalarNode:
		r.add(n, "write it as Postgres does, in quotes", "a value of the type %s is not a list or a map", t.Name)
	case r.sent && t.Name != "bool" && !(strings.HasPrefix(t.Name, "timestamp") && strings.Contains(n.Value, "T")):
		return n.Value
	default:
		text = n.Value
	}
	if len(r.problems) > before || r.sent && n.Kind != yaml.ScalarNode {
		return text
	}
	out, err := canonical(text, t)
	if wrong := (mistake{}); errors.As(err, &wrong) {
		r.add(n, wrong.hint, "%s", wrong.what)
	} else if err != nil {
		r.add(n, "", "%v", err)
	}
	return out
}

// array is the text of an array. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
func (r *reader) array(n *yaml.Node, t *cdc.Type) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range n.Content {
		if i > 0 {
			b.WriteByte(t.Elem.Delim)
		}
		switch c = resolved(c); {
		case c.Kind == yaml.SequenceNode && t.Elem.Elem == nil:
			b.WriteString(r.array(c, t)) // another dimension
		case c.Kind == yaml.ScalarNode && c.ShortTag() == "!!null":
			b.WriteString("NULL")
		default:
			b.WriteString(arrayItem(r.text(c, t.Elem), t.Elem.Delim))
		}
	}
	b.WriteByte('}')
	return b.String()
}

// arrayItem quotes an item where Postgres does.
func arrayItem(s string, delim byte) string {
	if s != "" && !strings.EqualFold(s, "null") && !strings.ContainsAny(s, "{}\"\\ \t\n\v\f\r"+string(delim)) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// json writes a tree, in its order and with the digits of its numbers.
func (r *reader) json(b *strings.Builder, n *yaml.Node) {
	n = resolved(n)
	text := func(s string) {
		out, _ := json.Marshal(s) // a text always can be
		b.Write(out)
	}
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteString(", ")
			}
			text(n.Content[i].Value)
			b.WriteString(": ")
			r.json(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			r.json(b, c)
		}
		b.WriteByte(']')
	default:
		switch tag := n.ShortTag(); {
		case tag == "!!null":
			b.WriteString("null")
		case tag == "!!bool", tag == "!!int", tag == "!!float":
			if json.Valid([]byte(n.Value)) {
				b.WriteString(n.Value)
				return
			}
			r.add(n, "put it in quotes, or write it as JSON does", "%q is not JSON", n.Value)
		default:
			text(n.Value)
		}
	}
}
