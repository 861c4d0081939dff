package cdctest

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Tables are tables by name, and their relations by the name under which they were written down.
type Tables struct {
	ByName    map[cdc.TableName]*cdc.Table
	Relations map[string]*cdc.Relation
	last      uint32
}

// NewTables are none.
func NewTables() *Tables {
	return &Tables{ByName: map[cdc.TableName]*cdc.Table{}, Relations: map[string]*cdc.Relation{}, last: 20000}
}

// Clone can be added to by itself.
func (t *Tables) Clone() *Tables {
	c := NewTables()
	c.last = t.last
	for n, table := range t.ByName {
		c.ByName[n] = table
	}
	for n, r := range t.Relations {
		c.Relations[n] = r
	}
	return c
}

// Name is a table's name with its schema, which is public unless it says another one.
func Name(s string) cdc.TableName {
	if schema, table, ok := strings.Cut(s, "."); ok {
		return cdc.TableName{Schema: schema, Name: table}
	}
	return cdc.TableName{Schema: "public", Name: s}
}

// Relation is that of a table, as its name is written.
func (t *Tables) Relation(name string) *cdc.Relation {
	if r := t.Relations[name]; r != nil {
		return r
	}
	n := Name(name)
	for written, r := range t.Relations {
		if Name(written) == n {
			return r
		}
	}
	return nil
}

// identities are the words of identity.
var identities = map[string]cdc.IdentityKind{"default": cdc.IdentityDefault, "full": cdc.IdentityFull, "nothing": cdc.IdentityNothing, "index": cdc.IdentityIndex}

var tableKeys = []string{"columns", "key", "unique", "identity", "kind", "indexes", "oid"}

// Add reads tables: contacts: {identity: full, key: id, columns: {id: bigint, name: text not null}}. The key is id unless it
// says another one, identity the key, or a list of columns. Beside it there may be unique indexes: unique: slug, or
// [[tenant, number], slug]. Words after a column's type: not null, generated, identity. A
// second definition of a table, under its name and a suffix (contacts@2), is what an ALTER TABLE has made of it.
func (t *Tables) Add(file string, n *yaml.Node) problem.List {
	r := &reader{file: file}
	r.entries(n, "tables", func(name, body *yaml.Node) {
		full, version, later := strings.Cut(name.Value, "@")
		tab := &cdc.Table{TableName: Name(full), Kind: 'r', Persistence: 'p', Identity: cdc.IdentityDefault}
		if first := t.ByName[tab.TableName]; first != nil {
			tab.OID = first.OID
		} else {
			t.last++
			tab.OID = t.last
		}
		r.table(tab, name, body)
		if !later || version == "new" {
			t.ByName[tab.TableName] = tab
		}
		t.Relations[name.Value] = RelationOf(tab)
	})
	return r.problems
}

func (r *reader) table(tab *cdc.Table, name, body *yaml.Node) {
	var key, identity []string
	var keyNode, identityNode, uniqueNode *yaml.Node
	r.entries(body, "table "+name.Value, func(k, v *yaml.Node) {
		switch k.Value {
		case "identity":
			identityNode = v
			if kind, ok := identities[v.Value]; ok && v.Kind == yaml.ScalarNode {
				tab.Identity = kind
			} else if v.Kind == yaml.SequenceNode {
				tab.Identity, identity = cdc.IdentityIndex, r.names(v)
			} else {
				r.add(v, "full, nothing, or a list of columns; leave it out for the primary key", "identity %q is none", v.Value)
			}
		case "kind":
			tab.Kind = v.Value[0]
		case "oid":
			_ = v.Decode(&tab.OID)
		case "key":
			keyNode, key = v, r.names(v)
		case "unique":
			uniqueNode = v
		case "indexes":
			tab.Indexes = append([]string{}, r.names(v)...)
		case "columns":
			r.entries(v, "columns", func(k, v *yaml.Node) { tab.Columns = append(tab.Columns, r.column(k, v)) })
		default:
			r.add(k, problem.DidYouMean(k.Value, tableKeys), "unknown key %q of table %s", k.Value, name.Value)
		}
	})
	if len(tab.Columns) == 0 {
		r.add(name, "columns: {id: bigint, name: text}", "table %s has no columns", name.Value)
	}
	if keyNode == nil && tab.Column("id") >= 0 {
		key = []string{"id"}
	}
	at := func(n *yaml.Node, column string) int {
		i := tab.Column(column)
		if i < 0 {
			r.add(n, problem.DidYouMean(column, columnNames(tab.Columns)), "table %s has no column %q", name.Value, column)
		}
		return i
	}
	for _, k := range key {
		i := at(keyNode, k)
		if i < 0 {
			continue
		}
		tab.Key = append(tab.Key, i)
		if tab.Identity == cdc.IdentityDefault {
			tab.Columns[i].Identity = true
		}
	}
	if len(tab.Key) > 0 {
		tab.Unique = append(tab.Unique, slices.Clone(tab.Key))
	}
	for _, index := range indexesOf(uniqueNode) {
		var columns []int
		for _, name := range r.names(index) {
			if i := at(index, name); i >= 0 {
				columns = append(columns, i)
			}
		}
		tab.Unique = append(tab.Unique, columns)
	}
	for _, c := range identity {
		if i := at(identityNode, c); i >= 0 {
			tab.Columns[i].Identity = true
		}
	}
	if tab.Identity == cdc.IdentityFull {
		for i := range tab.Columns {
			tab.Columns[i].Identity = true
		}
	}
}

// indexesOf are the indexes of unique: each a column or a list of columns.
func indexesOf(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

func columnNames(columns []cdc.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// names are a name or a list of them.
func (r *reader) names(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var names []string
	for _, c := range n.Content {
		names = append(names, resolved(c).Value)
	}
	return names
}

func (r *reader) column(k, v *yaml.Node) cdc.Column {
	typ, words := v.Value, ""
	for _, word := range []string{" not null", " identity", " generated"} {
		if before, after, ok := strings.Cut(typ, word); ok {
			typ, words = before+after, words+word
		}
	}
	if typ = strings.TrimSpace(typ); typ == "" {
		r.add(v, "write its type: text, bigint, timestamptz, …", "column %s has no type", k.Value)
	}
	return cdc.Column{Name: k.Value, Type: Type(typ), NotNull: strings.Contains(words, "not null"),
		Identity: strings.Contains(words, "identity"), Generated: strings.Contains(words, "generated")}
}

// RelationOf is the relation that the stream would send of a table: without generated columns. Without a primary key the
// identity is the key.
func RelationOf(tab *cdc.Table) *cdc.Relation {
	r := &cdc.Relation{OID: tab.OID, Table: tab.TableName, Identity: tab.Identity, Key: make([]int, len(tab.Key))}
	for i, c := range tab.Columns {
		if c.Generated {
			continue
		}
		if k := slices.Index(tab.Key, i); k >= 0 {
			r.Key[k] = len(r.Columns)
		}
		r.Columns = append(r.Columns, c)
	}
	if len(tab.Key) == 0 {
		r.Key = identityOf(r.Columns)
	}
	return r
}

func identityOf(columns []cdc.Column) (identity []int) {
	for i, c := range columns {
		if c.Identity {
			identity = append(identity, i)
		}
	}
	return identity
}
