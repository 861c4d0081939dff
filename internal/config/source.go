package config

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Source is the file that a config was read from, to be shown to people. Nothing that it shows is secret.
type Source struct {
	// Path is what the file is called, LoadedAt when it was read.
	Path     string
	LoadedAt time.Time
	lines    []string
	root     *yaml.Node
	// hidden are the values that are secret.
	hidden map[*yaml.Node]bool
}

// hiddenText stands for a secret.
const hiddenText = "***"

// onlyReference is a value that says where a secret is, and nothing of it.
var onlyReference = regexp.MustCompile(`^\$\{(env|file):[^}]*\}$`)

// Text is the file with *** in the place of what is secret, and without its comments, which may hold anything. References such as
// ${env:NAME} are as they are written: what they stand for is not shown.
func (s *Source) Text() (string, error) {
	if s.root == nil {
		return "", nil
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(s.shown(s.root)); err != nil {
		return "", err
	}
	return b.String(), e.Close()
}

// shown is a copy of the node that may be seen.
func (s *Source) shown(n *yaml.Node) *yaml.Node {
	c := *n
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	if s.hidden[n] && !onlyReference.MatchString(n.Value) {
		c.Value, c.Tag, c.Style = hiddenText, "!!str", yaml.DoubleQuotedStyle
	}
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = s.shown(child)
	}
	return &c
}

// Resource is the entry of a resource as it stands in the file, its comments too, without its margin, and the line in which it begins.
// No setting of an entry is secret. It is empty where there is none.
func (s *Source) Resource(name string) (text string, line int) {
	resources, _, _ := lookUp(s.root, "resources")
	entry, next, ok := lookUp(resources, name)
	if !ok {
		return "", 0
	}
	from, to := entry.Line, len(s.lines)
	if next == nil {
		// The last one ends where the next key of the file stands, if there is one.
		_, next, _ = lookUp(s.root, "resources")
	}
	if next != nil {
		to = next.Line - 1
	}
	if entry.Style&yaml.FlowStyle != 0 || resources.Style&yaml.FlowStyle != 0 || len(entry.Content) == 0 || from > to {
		b, err := yaml.Marshal(entry)
		if err != nil {
			return "", entry.Line
		}
		return string(b), entry.Line
	}
	margin := entry.Column - 1
	// Comments between the resource's name and its first key are its own.
	for at := from - 1; at >= 1; at-- {
		trimmed := strings.TrimLeft(s.lines[at-1], " ")
		if strings.HasPrefix(trimmed, "#") && len(s.lines[at-1])-len(trimmed) >= margin {
			from = at
		} else if strings.TrimSpace(trimmed) != "" {
			break
		}
	}
	lines := slices.Clone(s.lines[from-1 : to])
	for i, l := range lines {
		lines[i] = strings.TrimRight(l[min(len(l)-len(strings.TrimLeft(l, " ")), margin):], " \t")
	}
	// What stands behind it, up to the next one, belongs to that.
	for len(lines) > 0 {
		last := s.lines[from-1+len(lines)-1]
		trimmed := strings.TrimLeft(last, " ")
		if trimmed != "" && (!strings.HasPrefix(trimmed, "#") || len(last)-len(trimmed) >= margin) {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines, "\n") + "\n", from
}

// lookUp finds the value of a key in a map, and the key behind it.
func lookUp(n *yaml.Node, name string) (v, next *yaml.Node, ok bool) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != name {
			continue
		}
		if i+2 < len(n.Content) {
			next = n.Content[i+2]
		}
		return n.Content[i+1], next, true
	}
	return nil, nil, false
}
