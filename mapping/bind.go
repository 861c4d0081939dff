package mapping

import (
	"bytes"
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
	// keys are the members' names, encoded with the colon; nodes are members, items or parts.
	keys  [][]byte
	nodes []node
}

// bound is a resource bound to the columns of a table.
type bound struct {
	root    node
	key     []int
	account *node
	conditions
}

// binder binds one resource.
type binder struct {
	*scope
	// format is how values are written: the resource's, but for the account, which no rule changes.
	format    *format
	evaluator *evaluator
	problems  problem.List
}

// bind resolves every name of the resource in the columns and checks the types. Key is the primary key.
func (r *resource) bind(columns []cdc.Column, key []int, e *evaluator) (*bound, problem.List) {
	b := binder{scope: newScope(r.Table, columns), format: r.format, evaluator: e}
	out := &bound{key: key}
	switch {
	case r.root != nil:
		out.root = b.element(r.root)
	case len(r.Columns) > 0:
		out.root = node{kind: nodeObject, dynamic: true}
		for _, c := range r.Columns {
			if i, ok := b.column(c.Text, c.At, &b.problems); ok {
				b.addColumn(&out.root, c.Text, i, c.At)
			}
		}
	default:
		out.root = node{kind: nodeObject, dynamic: true}
		except := map[string]bool{}
		for _, c := range r.Except {
			// Not known may mean renamed: what was kept back must not go out under its new name.
			if _, ok := b.index[c.Text]; !ok {
				b.problems.Add(c.At, b.hint(c.Text), "table %s has no column %q, which except names", r.Table, c.Text)
			}
			except[c.Text] = true
		}
		for i, c := range columns {
			// A tsvector is an index of other columns and no value of an API: it is sent where it is named.
			if !c.Generated && !except[c.Name] && typeName(baseType(c.Type)) != "tsvector" {
				b.addColumn(&out.root, c.Name, i, r.At)
			}
		}
	}
	b.format = &plainFormat
	if r.account != nil {
		n := b.expression(r.account.text, location{*r.account, 0}, "account")
		out.account = &n
	}
	out.conditions = b.conditions(r, out)
	if r.path != nil {
		b.element(r.path)
	}
	if len(b.problems) > 0 {
		return nil, b.problems
	}
	return out, nil
}

// add appends a member.
func (n *node) add(name string, value node) {
	n.keys = append(n.keys, append(appendString(nil, name), ':'))
	n.nodes = append(n.nodes, value)
	n.dynamic = n.dynamic || value.dynamic
}

// addColumn appends a column under its own name, in the case that the rules say.
func (b *binder) addColumn(root *node, column string, i int, at problem.Place) {
	name := b.format.keys.key(column)
	root.add(name, b.columnNode(i, memberPath("", name), at))
	last := len(root.keys) - 1
	if n := slices.IndexFunc(root.keys[:last], func(key []byte) bool { return bytes.Equal(key, root.keys[last]) }); n >= 0 {
		b.problems.Add(at, "leave one of them out, or write a representation",
			"the columns %q and %q would both be called %q", b.columns[root.nodes[n].column].Name, column, name)
	}
}

func (b *binder) columnNode(i int, path string, at problem.Place) node {
	return node{kind: nodeColumn, dynamic: true, path: path, at: at, column: i, encode: encoderOf(b.columns[i].Type, b.format)}
}

// expression is a column where the text names nothing but one: that path computes nothing and loses nothing.
func (b *binder) expression(text string, at location, path string) node {
	place := at.place(text, 0)
	if i, ok := b.soleColumn(text); ok {
		return b.columnNode(i, path, place)
	}
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
			if !c.old && !slices.Contains(into, c.index) {
				into = append(into, c.index)
			}
		}
	}
	for i := range n.nodes {
		into = n.nodes[i].columnsOf(into)
	}
	return into
}
