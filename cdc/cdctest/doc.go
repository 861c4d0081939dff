// Package cdctest makes tables, rows and changes of what somebody wrote down in YAML, as if a stream had sent them, and
// answers lookups from memory. It needs no database, and is for tests of mappings: our own, and those of users.
package cdctest

import (
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// reader notes what is wrong in a file.
type reader struct {
	file string
	// sent says that values are as a stream has sent them, and are taken as they are.
	sent     bool
	problems problem.List
}

func (r *reader) add(n *yaml.Node, hint, format string, args ...any) {
	r.problems.Add(problem.Place{File: r.file, Line: n.Line, Column: n.Column}, hint, format, args...)
}

// entries calls f for each member of a mapping node; false says that it is none.
func (r *reader) entries(n *yaml.Node, what string, f func(key, value *yaml.Node)) bool {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		if n.Kind != 0 && n.ShortTag() != "!!null" {
			r.add(n, "write it as name: value", "%s is not a map", what)
		}
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], resolved(n.Content[i+1]))
	}
	return true
}

// resolved is the node that an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
