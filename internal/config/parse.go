package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// parse makes the file's tree, vetted: what is left in it is plain YAML of maps, lists and scalars. It is nil where
// there is nothing to decode. Where the file is no YAML because of values that need quotes, they are quoted here so
// that the rest of the file can be looked at too.
func (d *decoder) parse(data []byte) *yaml.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line := firstInvalid(data); line > 0 {
		d.add(problem.Place{File: d.file, Line: line}, "save the file as UTF-8", "the config file is not UTF-8 text")
		return nil
	}
	d.lines = splitLines(data)
	root, err := parseYAML(d.lines)
	if err != nil {
		traps := findTraps(d.lines)
		for _, t := range traps {
			d.trapped(t)
		}
		if len(traps) == 0 {
			d.add(d.yamlPlace(err), yamlHint(err), "not YAML: %s", yamlText(err))
		}
		mended, ok := mend(d.lines, traps)
		if !ok {
			return nil
		}
		d.lines, d.mended = mended, map[int]bool{}
		for _, t := range traps {
			d.mended[t.line+1] = true
		}
		if root, err = parseYAML(mended); err != nil {
			return nil
		}
	}
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	}
	d.vet(root)
	return root
}

// errDocuments says that the file holds more than one document.
var errDocuments = errors.New("a second document begins here")

// parseYAML is the content of the only document; nil where the file is empty.
func parseYAML(lines []string) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser meets whatever a file holds; a bug in it is still a mistake with a name
			root, err = nil, errors.New("the parser gives up on it")
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(strings.Join(lines, "\n")))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, err
	default:
		return nil, fmt.Errorf("line %d: %w", second.Line, errDocuments)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	if isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line \d+: )?`)

// yamlText is the parser's message without its own place, and without names from the file: *name may be a password.
func yamlText(err error) string {
	s := yamlLine.ReplaceAllString(err.Error(), "")
	if strings.HasPrefix(s, "unknown anchor") {
		return "a value begins with *"
	}
	return s
}

func yamlHint(err error) string {
	if errors.Is(err, errDocuments) {
		return "keep one document in the file: no line of three dashes"
	}
	return "look at this line and the one before: the indentation, the quotes, a space after each colon"
}

// yamlPlace is the line at which the file stops being YAML: the first that makes the parser fail as it does for the
// whole. The line in the parser's own message is often that of the block around it.
func (d *decoder) yamlPlace(whole error) problem.Place {
	low, high := 1, len(d.lines)
	for low < high {
		middle := (low + high) / 2
		if _, err := parseYAML(d.lines[:middle]); err != nil && err.Error() == whole.Error() {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return problem.Place{File: d.file, Line: low}
}

// vet walks a tree and complains of what no part of the file may have; it marks such nodes as bad.
func (d *decoder) vet(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.reject(n, "aliases (*) are not supported", "a value begins with *, which makes it a YAML alias")
		return
	case n.Anchor != "":
		d.reject(n, "anchors (&) are not supported", "a value begins with &, which makes it a YAML anchor")
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.reject(n, "tags (!) are not supported", "a value begins with !, which makes it a YAML tag")
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		d.vetMap(n)
	case yaml.SequenceNode:
		for _, c := range n.Content {
			d.vet(c)
		}
	case yaml.ScalarNode:
		d.vetScalar(n)
	}
}

// reject complains of a node and keeps the decoder off it.
func (d *decoder) reject(n *yaml.Node, hint, message string) {
	d.bad[n] = true
	d.add(d.place(n), d.quoteHint(n.Line-1, byteOffset(d.line(n.Line), n.Column))+"; "+hint, "%s", message)
}

func (d *decoder) vetMap(n *yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if t, ok := d.keyTrap(k); ok {
			d.trapped(t)
			d.bad[n] = true // the map is none: it is a value that YAML cut in two
			return
		}
		switch line := first[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Style&yaml.TaggedStyle != 0:
			d.bad[k] = true
			d.reject(n, "a key must be text", "a value that begins with { is a YAML map")
			return
		case n.Style&yaml.FlowStyle != 0 && v.Kind == yaml.ScalarNode && v.Value == "" && isNull(v) && !d.colonAfter(k):
			d.bad[n] = true
			d.add(d.place(n), fmt.Sprintf("write ${%s} for a value of the row, key: value for a map", k.Value),
				"{%s} is a YAML map whose key has no value", k.Value)
			return
		case k.ShortTag() == "!!merge":
			d.bad[k] = true
			d.add(d.place(k), "write the keys out", "merge keys (<<) are not supported")
			continue
		case line > 0:
			d.bad[k] = true
			d.add(d.place(k), fmt.Sprintf("it stands in line %d too: keep one", line), "%q is given twice", k.Value)
		default:
			first[k.Value] = k.Line
		}
		d.vet(v)
	}
}

// colonAfter says whether a key of a flow map has its colon: {a:} is meant, {a} is not.
func (d *decoder) colonAfter(k *yaml.Node) bool {
	l := d.line(k.Line)
	rest := l[byteOffset(l, k.Column):]
	if len(rest) < len(k.Value) {
		return true
	}
	rest = strings.TrimLeft(strings.TrimLeft(rest[len(k.Value):], `"'`), " ")
	return strings.HasPrefix(rest, ":")
}

// keyTrap finds an unquoted expression of which YAML made a key: - ${vip ? "a" : "b"}.
func (d *decoder) keyTrap(k *yaml.Node) (trap, bool) {
	if k.Kind != yaml.ScalarNode || k.Style != 0 {
		return trap{}, false
	}
	if _, open := split(k.Value); open < 0 {
		return trap{}, false
	}
	l := d.line(k.Line)
	from := byteOffset(l, k.Column)
	return colonTrap(k.Line-1, l, from), true
}

// vetScalar complains of a ${ that is not closed.
func (d *decoder) vetScalar(n *yaml.Node) {
	if d.mended[n.Line] {
		d.bad[n] = true // its line was complained of, and the quotes put in have shifted the places
		return
	}
	_, open := split(n.Value)
	if open < 0 {
		return
	}
	d.bad[n] = true
	at := d.nthPlace(n, strings.Count(n.Value[:open], "${"))
	if n.Style == 0 {
		l := d.line(n.Line)
		from := byteOffset(l, n.Column)
		if cut := commentStart(l, from); cut >= 0 && strings.TrimRight(l[from:cut], " \t") == n.Value {
			d.trapped(hashTrap(n.Line-1, l, from, cut))
			return
		}
	}
	d.add(at, "close it with }; write $${ for a literal ${", "${ is not closed")
}

// line is a line of the source, counted from 1; empty where there is none.
func (d *decoder) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return d.lines[n-1]
}
