package config

import (
	"io/fs"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// ParseEntry reads the entry of one resource, as Source.Resource shows it, which somebody has sent. References to the environment and
// to files are refused: whoever sends an entry would read by them what this process can read. The places of problems count in the
// text.
func ParseEntry(name, text string) (mapping.Resource, problem.List) {
	d := &decoder{
		env:      func(string) (string, bool) { return "", false },
		readFile: func(string) ([]byte, error) { return nil, fs.ErrPermission },
		file:     "mapping",
		bad:      map[any]bool{}, notes: map[string]note{}, hidden: map[*yaml.Node]bool{},
	}
	start := problem.Place{File: d.file, Line: 1, Column: 1}
	r := mapping.Resource{Name: name, At: start, File: d.file}
	root := d.parse([]byte(text))
	if root != nil {
		d.refuseReferences(root)
		if len(d.problems) == 0 {
			resourceObject.decode(d, value{path: "resources." + name, key: start, node: root}, &r)
		}
	}
	if len(d.problems) == 0 {
		return r, nil
	}
	return r, sortedProblems(d.problems)
}

// refuseReferences complains of every ${env:…} and ${file:…} of a tree, also of those that are escaped: what escapes one in a text
// does not in an expression.
func (d *decoder) refuseReferences(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && firstReference(n.Value) >= 0 {
		d.add(d.place(n), "write the value that it stands for", "${env:…} and ${file:…} are for the config file alone")
	}
	for _, child := range n.Content {
		d.refuseReferences(child)
	}
}

// sortedProblems are those of one text in its order.
func sortedProblems(list problem.List) problem.List {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b problem.Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return sorted
}
