package mapping

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

type nodeKind uint8

const (
	nodeLiteral nodeKind = iota
	nodeColumn
	nodeExpression
	nodeText
	nodeObject
	nodeList
	nodeRelation
	// nodeAPI is a member of the application's own answer.
	nodeAPI
)

// node is an element bound to the columns of a table, ready to be rendered.
type node struct {
	kind nodeKind
	// dynamic says that the node holds something that comes from the row.
	dynamic bool
	path    string
	at      problem.Place
	// json is a literal, or the escaped text of a literal part of nodeText.
	json    []byte
	column  int
	encode  encoder
	program *program
	link    *link
	// steps lead to the member of the application's answer.
	steps []any
	// read is for columns of related rows, which expressions may ask for.
	read reader
	// names are the members' names, keys the same encoded with the colon; nodes are members, items or parts.
	names []string
	keys  [][]byte
	nodes []node
}

// bound is a resource bound to the columns of a table.
type bound struct {
	root node
	// links are what root uses of relations.
	links []*link
	// path is nil where there is none; usesAPI says that root needs the application's answer.
	path    *address
	usesAPI bool
	key     []int
	account *node
	// touches are the relations that touch, each with those that lead to it, from the resource's own on.
	touches [][]*link
	// owner finds the row itself, as it is when its relations are read; nil where that does not matter.
	owner *link
	// stateless says that it holds no program, which has one user at a time, and nothing of relations.
	stateless bool
	conditions
}

// binder binds one resource.
type binder struct {
	*scope
	// format is how values are written: the resource's, but for the account, which no rule changes.
	format    *format
	evaluator *evaluator
	problems  problem.List
	// programmed says that a program was compiled.
	programmed bool
	// tables are those of relations.
	tables map[cdc.TableName]*cdc.Table
}

// shape is what says what a row becomes.
type shape struct {
	root            *element
	columns, except []Source
	relations       []*relation
	at              problem.Place
}

// bind resolves every name of the resource in the columns and checks the types. Key names an instance, primary is the
// primary key, which other tables hold, tables are those of relations.
func (r *resource) bind(columns []cdc.Column, key, primary []int, tables map[cdc.TableName]*cdc.Table, e *evaluator) (*bound, problem.List) {
	b := binder{scope: newScope(r.Table, columns), format: r.format, evaluator: e, tables: tables}
	out := &bound{key: key}
	b.links, b.api = b.link(r.relations, primary), apiUseOf(r)
	out.touches = touching(nil, nil, r.relations, b.links)
	out.root = b.root(&shape{root: r.root, columns: r.Columns, except: r.Except, relations: r.relations, at: r.At})
	out.links, out.usesAPI = out.root.linksOf(nil), out.root.usesAPI()
	// What is not in the representation decides which events there are, before anything is read for them.
	b.withheld, b.links, b.api = b.links, nil, apiWithheld
	b.format = &plainFormat
	if r.account != nil {
		n := b.expression(r.account.text, location{*r.account, 0}, "account")
		out.account = &n
	}
	out.conditions = b.conditions(r, out)
	out.owner = r.ownerLink(columns, out)
	if r.path != nil {
		out.path = b.address(r.path)
	}
	if len(b.problems) > 0 {
		return nil, b.problems
	}
	out.stateless = !b.programmed && len(b.withheld) == 0
	return out, nil
}

// serves says that what is bound to a table is right for a relation of the stream too, and that both may use it at once. What a
// thousand tables are bound to is what the collector has to look at most: it should not be there twice.
func (b *bound) serves(t *cdc.Table, r *cdc.Relation, key []int) bool {
	return b.stateless && slices.Equal(b.key, key) && slices.EqualFunc(t.Columns, r.Columns, func(x, y cdc.Column) bool {
		return x.Name == y.Name && x.Identity == y.Identity && x.NotNull == y.NotNull && x.Generated == y.Generated &&
			(x.Type == y.Type || reflect.DeepEqual(x.Type, y.Type))
	})
}

// root binds what a row becomes.
func (b *binder) root(s *shape) node {
	switch {
	case s.root != nil:
		return b.element(s.root)
	case len(s.columns) > 0:
		root := node{kind: nodeObject, dynamic: true}
		for _, c := range s.columns {
			if l := b.links[c.Text]; l != nil {
				name, value := b.relationMember(l, c.At)
				b.addMember(&root, name, value, c.At)
			} else if i, ok := b.column(c.Text, c.At, &b.problems); ok {
				name, value := b.columnMember(c.Text, i, c.At)
				b.addMember(&root, name, value, c.At)
			}
		}
		return root.clipped()
	}
	root := node{kind: nodeObject, dynamic: true}
	except := map[string]bool{}
	for _, c := range s.except {
		// Not known may mean renamed: what was kept back must not go out under its new name.
		if _, ok := b.index[c.Text]; !ok {
			b.problems.Add(c.At, b.hint(c.Text), "table %s has no column %q, which except names", b.table, c.Text)
		}
		except[c.Text] = true
	}
	for i, c := range b.columns {
		// A tsvector is an index of other columns and no value of an API: it is sent where it is named.
		if !c.Generated && !except[c.Name] && b.links[c.Name] == nil && typeName(baseType(c.Type)) != "tsvector" {
			name, value := b.columnMember(c.Name, i, s.at)
			b.addMember(&root, name, value, s.at)
		}
	}
	for _, r := range s.relations {
		name, value := b.relationMember(b.links[r.Name], r.At)
		b.addMember(&root, name, value, r.At)
	}
	return root.clipped()
}

// add appends a member.
func (n *node) add(name string, value node) {
	n.names = append(n.names, name)
	n.keys = append(n.keys, append(appendString(nil, name), ':'))
	n.nodes = append(n.nodes, value)
	n.dynamic = n.dynamic || value.dynamic
}

// clipped is the node without room for more members. It is kept as long as the mapping.
func (n node) clipped() node {
	n.names, n.keys, n.nodes = slices.Clone(n.names), slices.Clone(n.keys), slices.Clone(n.nodes)
	return n
}

// columnMember is a column under its own name, in the case that the rules say.
func (b *binder) columnMember(column string, i int, at problem.Place) (string, node) {
	name := b.format.keys.key(column)
	return name, b.columnNode(i, memberPath("", name), at)
}

// addMember appends a column or a relation under its own name, in the case that the rules say.
func (b *binder) addMember(root *node, name string, value node, at problem.Place) {
	root.add(name, value)
	last := len(root.keys) - 1
	n := slices.IndexFunc(root.keys[:last], func(key []byte) bool { return bytes.Equal(key, root.keys[last]) })
	if n < 0 {
		return
	}
	first, second := b.nameOf(root.nodes[n]), b.nameOf(value)
	what := "columns"
	if value.link != nil {
		what = "column and relation"
	}
	b.problems.Add(at, "leave one of them out, or write a representation", "the %s %q and %q would both be called %q", what, first, second, name)
}

// nameOf is the name of a member's column or relation.
func (b *binder) nameOf(n node) string {
	if n.link != nil {
		return n.link.Name
	}
	return b.columns[n.column].Name
}

func (b *binder) columnNode(i int, path string, at problem.Place) node {
	n := node{kind: nodeColumn, dynamic: true, path: path, at: at, column: i, encode: encoderOf(b.columns[i].Type, b.format)}
	if b.related {
		n.read, _ = readerOf(b.columns[i].Type, b.format)
	}
	return n
}

// relationMember is a relation under its own name, in the case that the rules say.
func (b *binder) relationMember(l *link, at problem.Place) (string, node) {
	name := b.format.keys.key(l.Name)
	return name, node{kind: nodeRelation, dynamic: true, path: memberPath("", name), at: at, link: l}
}

// expression is a column where the text names nothing but one: that path computes nothing and loses nothing.
func (b *binder) expression(text string, at location, path string) node {
	place := at.place(text, 0)
	if l := b.soleLink(text); l != nil {
		return node{kind: nodeRelation, dynamic: true, path: path, at: place, link: l}
	}
	if i, ok := b.soleColumn(text); ok {
		return b.columnNode(i, path, place)
	}
	if steps, ok := b.soleAPI(text); ok {
		return node{kind: nodeAPI, dynamic: true, path: path, at: place, steps: steps}
	}
	b.programmed = true
	return node{
		kind: nodeExpression, dynamic: true, path: path, at: place,
		program: b.evaluator.compile(text, at, b.scope, b.format, &b.problems),
	}
}

func (b *binder) element(e *element) node {
	switch e.kind {
	case elementTemplate:
		return b.template(e)
	case elementObject:
		n := node{kind: nodeObject, path: e.path}
		for _, m := range e.members {
			n.add(m.name, b.element(m.element))
		}
		return n.folded()
	case elementList:
		n := node{kind: nodeList, path: e.path}
		for _, item := range e.items {
			n.nodes = append(n.nodes, b.element(item))
			n.dynamic = n.dynamic || n.nodes[len(n.nodes)-1].dynamic
		}
		return n.folded()
	}
	return node{kind: nodeLiteral, path: e.path, json: e.json}
}

func (b *binder) template(e *element) node {
	if len(e.segments) == 1 {
		s := e.segments[0]
		return b.expression(s.text, location{e.src, s.offset}, e.path)
	}
	n := node{kind: nodeText, path: e.path, at: e.src.place(0), dynamic: true}
	for _, s := range e.segments {
		if s.expr {
			n.nodes = append(n.nodes, b.expression(s.text, location{e.src, s.offset}, e.path))
			continue
		}
		n.nodes = append(n.nodes, node{kind: nodeLiteral, json: appendEscaped(nil, s.text)})
	}
	return n
}

// folded is the literal that an object or list of literals makes.
func (n node) folded() node {
	if n.dynamic {
		return n
	}
	r := renderer{}
	json, _ := r.render(nil, &n)
	return node{kind: nodeLiteral, path: n.path, json: json}
}

// columnsOf are the columns that a node needs, each once.
func (n *node) columnsOf(into []int) []int {
	switch n.kind {
	case nodeColumn:
		if !slices.Contains(into, n.column) {
			into = append(into, n.column)
		}
	case nodeExpression:
		if n.program == nil {
			break
		}
		for _, c := range n.program.columns {
			switch {
			case c.link != nil:
				into = c.link.keyColumns(into)
			case !c.old && !c.api && !slices.Contains(into, c.index):
				into = append(into, c.index)
			}
		}
	case nodeRelation:
		into = n.link.keyColumns(into)
	}
	for i := range n.nodes {
		into = n.nodes[i].columnsOf(into)
	}
	return into
}
