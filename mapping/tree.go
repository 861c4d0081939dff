package mapping

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// maxElements bounds what aliases can blow a representation up to.
const maxElements = 10_000

type elementKind uint8

const (
	elementLiteral elementKind = iota
	elementTemplate
	elementObject
	elementList
)

// element is a node of a representation, before it knows the table.
type element struct {
	kind elementKind
	// path names the element within the representation: address.city, tags[0].
	path string
	// json is the literal, encoded.
	json []byte
	// src and segments are those of a template.
	src      source
	segments []segment
	members  []member
	items    []*element
}

type member struct {
	name string
	*element
}

// treeBuilder reads a YAML tree into elements and collects what is wrong with it.
type treeBuilder struct {
	file     string
	problems *problem.List
	count    int
	// open holds the aliases being followed: a tree must not hold itself.
	open []*yaml.Node
}

func (b *treeBuilder) place(n *yaml.Node) problem.Place {
	return problem.Place{File: b.file, Line: n.Line, Column: n.Column}
}

func (b *treeBuilder) build(n *yaml.Node, path string) *element {
	b.count++
	if b.count == maxElements+1 {
		b.problems.Add(b.place(n), "aliases repeat what they name; write less or fewer of them",
			"representation has more than %d elements", maxElements)
	}
	if b.count > maxElements {
		return nil
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return b.build(n.Content[0], path)
		}
	case yaml.AliasNode:
		for _, o := range b.open {
			if o == n.Alias {
				b.problems.Add(b.place(n), "", "alias *%s stands within what it names", n.Value)
				return nil
			}
		}
		if n.Alias == nil {
			break
		}
		b.open = append(b.open, n.Alias)
		e := b.build(n.Alias, path)
		b.open = b.open[:len(b.open)-1]
		return e
	case yaml.MappingNode:
		return b.object(n, path)
	case yaml.SequenceNode:
		e := &element{kind: elementList, path: path}
		for i, c := range n.Content {
			if item := b.build(c, path+"["+strconv.Itoa(i)+"]"); item != nil {
				e.items = append(e.items, item)
			}
		}
		return e
	case yaml.ScalarNode:
		return b.scalar(n, path)
	}
	b.problems.Add(b.place(n), "", "this YAML node has no JSON form")
	return nil
}

func (b *treeBuilder) object(n *yaml.Node, path string) *element {
	e := &element{kind: elementObject, path: path}
	seen := make(map[string]problem.Place, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := b.place(key)
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			b.problems.Add(at, "a key of JSON is text", "a key must be a scalar")
			continue
		case key.ShortTag() == "!!merge":
			b.problems.Add(at, "write the members out, or give an alias as the value of a key", "merge keys (<<) are not supported")
			continue
		case strings.Contains(key.Value, "${"):
			b.problems.Add(at, "only values hold ${…}; quote the value where YAML read it as a key", "a key cannot hold ${…}")
			continue
		}
		if first, ok := seen[key.Value]; ok {
			b.problems.Add(at, "", "duplicate key %q, first at line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = at
		if v := b.build(value, memberPath(path, key.Value)); v != nil {
			e.members = append(e.members, member{key.Value, v})
		}
	}
	return e
}

func (b *treeBuilder) scalar(n *yaml.Node, path string) *element {
	at := b.place(n)
	if strings.Contains(n.Value, "${") {
		e := &element{kind: elementTemplate, path: path, src: source{text: n.Value, at: at, style: n.Style}}
		segments, err := scanTemplate(n.Value)
		if err != nil {
			b.problems.Add(e.src.place(err.offset), err.hint, "%s", err.message)
			return nil
		}
		for _, s := range segments {
			if s.expr {
				checkSyntax(source{s.text, e.src.place(s.offset), 0}, e.src, s.offset, b.problems)
			}
		}
		if len(segments) == 1 && !segments[0].expr {
			return &element{kind: elementLiteral, path: path, json: appendString(nil, segments[0].text)}
		}
		e.segments = segments
		return e
	}
	json, err := literalJSON(n)
	if err != nil {
		b.problems.Add(at, "put the value in quotes to send it as text", "%s", err)
		return nil
	}
	return &element{kind: elementLiteral, path: path, json: json}
}

// memberPath is the path of a member: dots between plain names, brackets around others.
func memberPath(path, name string) string {
	plain := name != ""
	for _, c := range name {
		if c == '.' || c == '[' || c == ']' || c == '"' || c <= ' ' {
			plain = false
		}
	}
	switch {
	case !plain:
		return fmt.Sprintf("%s[%q]", path, name)
	case path == "":
		return name
	}
	return path + "." + name
}
