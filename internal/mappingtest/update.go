package mappingtest

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Update writes what came out into the files of the cases that failed, in the place of what they expect. All else of the
// files stays as it is. Cases that could not be run are left alone. It returns the number of cases that were written.
func Update(outcomes []*Outcome) (int, error) {
	byFile := map[string][]*Outcome{}
	var files []string
	for _, o := range outcomes {
		if !o.ran || len(o.Failures) == 0 {
			continue
		}
		if byFile[o.Case.File] == nil {
			files = append(files, o.Case.File)
		}
		byFile[o.Case.File] = append(byFile[o.Case.File], o)
	}
	written := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return written, fmt.Errorf("%s cannot be read", file)
		}
		lines := strings.SplitAfter(string(data), "\n")
		// From the end, so that the lines before keep their numbers.
		slices.SortFunc(byFile[file], func(a, b *Outcome) int { return cmp.Compare(b.Case.Line, a.Case.Line) })
		for _, o := range byFile[file] {
			if o.Case.root.Style == yaml.FlowStyle {
				return written, fmt.Errorf("%s: a case in braces cannot be written\n  hint: write its keys on lines of their own", o.Case.place())
			}
			text, err := expectation(o.made)
			if err != nil {
				return written, err
			}
			lines = o.Case.replace(lines, text)
			written++
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644); err != nil {
			return written, fmt.Errorf("%s cannot be written", file)
		}
	}
	return written, nil
}

// replace puts text in the place of the lines of expect, or behind the case.
func (c *Case) replace(lines []string, text string) []string {
	from := -1
	for i := 0; i+1 < len(c.root.Content); i += 2 {
		if k := c.root.Content[i]; k.Value == "expect" {
			from = k.Line - 1
		}
	}
	if from >= 0 {
		to := from + 1
		for to < len(lines) && within(lines, to) {
			to++
		}
		for to > from+1 && strings.TrimSpace(lines[to-1]) == "" {
			to-- // what is empty is between, not within
		}
		return slices.Replace(lines, from, to, text)
	}
	end := c.Line
	for end < len(lines) && !separates(lines[end]) {
		end++
	}
	for end > 0 && strings.TrimSpace(lines[end-1]) == "" {
		end--
	}
	if end > 0 && !strings.HasSuffix(lines[end-1], "\n") {
		text = "\n" + text
	}
	return slices.Insert(lines, end, text)
}

func separates(line string) bool {
	return strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...")
}

// within says whether a line goes on with the value of a key at the margin.
func within(lines []string, at int) bool {
	for ; at < len(lines); at++ {
		switch l := lines[at]; {
		case separates(l):
			return false
		case strings.TrimSpace(l) == "", l[0] == '#':
			continue // so do comments, where something of the value follows
		default:
			return l[0] == ' ' || l[0] == '-' || l[0] == '\t' || l[0] == ']' || l[0] == '}'
		}
	}
	return false
}

// expectation is what came out, as a case says it.
func expectation(got []made) (string, error) {
	entries := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if len(got) == 0 {
		entries.Style = yaml.FlowStyle
	}
	for _, m := range got {
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		add := func(key string, v *yaml.Node) { n.Content = append(n.Content, scalar("!!str", key), v) }
		if m.event == nil {
			add("dead_letter", scalar("!!str", m.dead.Resource))
			add("instance", scalar("!!str", m.dead.Instance))
			add("reason", scalar("!!str", m.dead.Reason))
		} else {
			e := m.event
			add("event", scalar("!!str", e.Type))
			if e.Instance != "" {
				add("instance", scalar("!!str", e.Instance))
			}
			if e.Accounted {
				add("account", scalar("!!str", e.Account))
			} else {
				add("account", scalar("!!null", "null"))
			}
			add("data", flowWhereSmall(tree(e.Data)))
			if e.Previous != nil {
				add("previous", flowWhereSmall(tree(e.Previous)))
			}
			if len(e.Partial) > 0 {
				add("partial", list(e.Partial))
			}
		}
		entries.Content = append(entries.Content, n)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("!!str", "expect"), entries}}); err != nil {
		return "", err
	}
	return b.String(), nil
}

// flowWhereSmall writes what fits into a line in one.
func flowWhereSmall(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode {
		if len(show(n)) <= 90 {
			n.Style = yaml.FlowStyle
			return n
		}
		for _, c := range n.Content {
			flowWhereSmall(c)
		}
	}
	return n
}
