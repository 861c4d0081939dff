// Package mappingtest runs cases of a mapping: rows in, events out, through the same coalescing, mapping and completing as
// in a running rowhook, without a database.
package mappingtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/internal/problem"
)

// shared is the file of a directory that is for all of its cases.
const shared = "tables.yaml"

// Case is one case: a document of a file.
type Case struct {
	// File and Line are where it begins. Name is what it says, or empty.
	File string
	Line int
	Name string

	config     string
	configNode *yaml.Node
	env        map[string]string
	tables     *cdctest.Tables
	rows       []rowsOf
	changes    *yaml.Node
	// expect is nil where it is to be written. root is the document.
	expect, root *yaml.Node
	problems     problem.List
}

// common is what a directory says for all of its cases.
type common struct {
	config   string
	env      map[string]string
	tables   *cdctest.Tables
	rows     []rowsOf
	problems problem.List
}

// rowsOf are the rows that a file gives.
type rowsOf struct {
	file string
	node *yaml.Node
}

var (
	sharedKeys = []string{"config", "env", "tables", "rows"}
	caseKeys   = []string{"name", "config", "env", "tables", "rows", "changes", "expect"}
)

// Find reads the cases of a directory and those below it, in the order of their names. Config is their config file unless
// they name one; empty is config.yaml in the directory above.
func Find(dir, config string) ([]*Case, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("the directory %s %s", dir, reason(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file\n  hint: give the directory that it is in", dir)
	}
	base := common{config: config, tables: cdctest.NewTables(), env: map[string]string{}}
	if config == "" {
		base.config = filepath.Join(dir, "..", "config.yaml")
	}
	cases, err := find(dir, base)
	if err == nil && len(cases) == 0 {
		err = fmt.Errorf("there is no case in %s\n  hint: a case is a file such as contact.yaml, with changes and expect", dir)
	}
	return cases, err
}

func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "does not exist"
	}
	return "cannot be read"
}

func find(dir string, c common) ([]*Case, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("the directory %s cannot be read", dir)
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == shared }) {
		if c, err = c.with(filepath.Join(dir, shared)); err != nil {
			return nil, err
		}
	}
	var cases []*Case
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(path); {
		case e.IsDir():
			more, err := find(path, c)
			if err != nil {
				return nil, err
			}
			cases = append(cases, more...)
		case e.Name() != shared && (ext == ".yaml" || ext == ".yml"):
			more, err := readCases(path, c)
			if err != nil {
				return nil, err
			}
			cases = append(cases, more...)
		}
	}
	return cases, nil
}

// with adds what a shared file says.
func (c common) with(path string) (common, error) {
	docs, err := documents(path)
	if err != nil {
		return c, err
	}
	c.env, c.tables, c.rows = maps.Clone(c.env), c.tables.Clone(), slices.Clone(c.rows)
	for _, root := range docs {
		members(path, root, sharedKeys, &c.problems, func(k, v *yaml.Node) {
			switch k.Value {
			case "config":
				c.config = relative(path, v.Value)
			case "env":
				addEnv(path, c.env, v, &c.problems)
			case "tables":
				c.problems = append(c.problems, c.tables.Add(path, v)...)
			case "rows":
				c.rows = append(c.rows, rowsOf{path, v})
			}
		})
	}
	return c, c.problems.Err()
}

func readCases(path string, c common) ([]*Case, error) {
	docs, err := documents(path)
	if err != nil {
		return nil, err
	}
	var cases []*Case
	for _, root := range docs {
		x := &Case{File: path, Line: root.Line, root: root, config: c.config, env: maps.Clone(c.env), tables: c.tables.Clone(), rows: slices.Clone(c.rows)}
		members(path, root, caseKeys, &x.problems, func(k, v *yaml.Node) {
			switch k.Value {
			case "name":
				x.Name = v.Value
			case "config":
				x.config, x.configNode = relative(path, v.Value), v
			case "env":
				addEnv(path, x.env, v, &x.problems)
			case "tables":
				x.problems = append(x.problems, x.tables.Add(path, v)...)
			case "rows":
				x.rows = append(x.rows, rowsOf{path, v})
			case "changes":
				x.changes = v
			case "expect":
				if v.ShortTag() == "!!null" {
					return // it is still to be said
				}
				if x.expect = v; v.Kind != yaml.SequenceNode {
					x.problems.Add(at(path, v), "write a list: - event: contact.create; or [] for none", "expect is no list")
				}
			}
		})
		if x.changes == nil {
			x.problems.Add(at(path, root), "changes: [{insert: contacts, new: {id: 1}}]", "the case has no changes")
		} else if x.changes.Kind != yaml.SequenceNode {
			x.problems.Add(at(path, x.changes), "write a list: - insert: contacts", "changes is no list")
		}
		cases = append(cases, x)
	}
	return cases, nil
}

func at(file string, n *yaml.Node) problem.Place {
	return problem.Place{File: file, Line: n.Line, Column: n.Column}
}

// relative is a path as a file means it.
func relative(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// documents are those of a file that hold something.
func documents(path string) ([]*yaml.Node, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s", path, reason(err))
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var docs []*yaml.Node
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s\n  hint: put texts with signs such as : # { in quotes", path, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(n.Content) > 0 && n.Content[0].ShortTag() != "!!null" {
			docs = append(docs, n.Content[0])
		}
	}
}

// members calls f for each member of a map, of which the keys are known.
func members(file string, n *yaml.Node, known []string, problems *problem.List, f func(k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		problems.Add(at(file, n), "it has the keys "+strings.Join(known, ", "), "this is not a map")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		for v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		switch {
		case !slices.Contains(known, k.Value):
			hint := problem.DidYouMean(k.Value, known)
			if hint == "" {
				hint = "there are: " + strings.Join(known, ", ")
			}
			problems.Add(at(file, k), hint, "unknown key %q", k.Value)
		case seen[k.Value]:
			problems.Add(at(file, k), "keep one of them", "duplicate key %q", k.Value)
		default:
			seen[k.Value] = true
			f(k, v)
		}
	}
}

func addEnv(file string, env map[string]string, n *yaml.Node, problems *problem.List) {
	if n.Kind != yaml.MappingNode {
		problems.Add(at(file, n), "write it as NAME: value", "env is not a map")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		env[n.Content[i].Value] = n.Content[i+1].Value
	}
}
