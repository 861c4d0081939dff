package mapping

import (
	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// knowledge says whether a node's value is known.
type knowledge uint8

const (
	known knowledge = iota
	// absent is what the stream does not tell, as most of a deleted row: left out without a word.
	absent
	// unchanged is a value that is there but was not sent: left out, and named in Event.Partial.
	unchanged
)

// renderer writes the tree of one row.
type renderer struct {
	evaluator *evaluator
	// row is the image; fallback is where values that it does not hold are looked for, and may be nil.
	row, fallback cdc.Row
	// old is the row before an update, as far as it is told; nil for other changes.
	old     cdc.Row
	partial []string
	// failed and err are the node that could not be evaluated, and why.
	failed *node
	err    error
	text   []byte
	// most bounds what is written, in bytes; 0 is no bound.
	most int
	// related has the rows of relations; nil where nothing is known of them.
	related *Completion
	// document is the application's answer for the row; nil where nothing is known of it.
	document *document
	// moved says that the row has another account by now, and so may they.
	moved bool
}

// value is a column of the row.
func (r *renderer) value(i int) cdc.Value {
	var v cdc.Value
	if i < len(r.row) {
		v = r.row[i]
	}
	if v.Kind == cdc.Unchanged && i < len(r.fallback) {
		// Under REPLICA IDENTITY FULL too the new image says unchanged, and the old one has the value.
		if old := r.fallback[i]; old.Kind == cdc.Text || old.Kind == cdc.Null {
			return old
		}
	}
	return v
}

// data renders the whole representation. What is at the top stays an object even if nothing of it is known.
func (r *renderer) data(dst []byte, root *node) []byte {
	start := len(dst)
	dst, k := r.render(dst, root)
	if k == known || r.err != nil {
		return dst
	}
	dst = dst[:start]
	switch root.kind {
	case nodeObject:
		dst = append(dst, '{')
		for i := range root.nodes {
			if n := &root.nodes[i]; !n.dynamic {
				dst = appendComma(dst, start)
				dst = append(dst, root.keys[i]...)
				dst = append(dst, n.json...)
			}
		}
		return append(dst, '}')
	case nodeList:
		return append(dst, "[]"...)
	}
	return append(dst, "null"...)
}

// appendComma separates from what was written since the bracket at start.
func appendComma(dst []byte, start int) []byte {
	if len(dst) > start+1 {
		return append(dst, ',')
	}
	return dst
}

// render appends a node. What it appended counts only where the node is known.
func (r *renderer) render(dst []byte, n *node) ([]byte, knowledge) {
	switch n.kind {
	case nodeLiteral:
		return append(dst, n.json...), known
	case nodeColumn:
		switch v := r.value(n.column); v.Kind {
		case cdc.Text:
			return n.encode(dst, v.Data), known
		case cdc.Null:
			return append(dst, "null"...), known
		case cdc.Unchanged:
			return dst, r.note(n, unchanged)
		}
		return dst, absent
	case nodeExpression:
		dst, k := r.evaluate(dst, n)
		return dst, r.note(n, k)
	case nodeRelation:
		dst, k := r.renderRelation(dst, n)
		return dst, r.note(n, k)
	case nodeAPI:
		dst, k := r.renderAPI(dst, n)
		return dst, r.note(n, k)
	case nodeText:
		return r.renderText(dst, n)
	case nodeObject:
		return r.renderMembers(dst, n, '{', '}')
	case nodeList:
		return r.renderMembers(dst, n, '[', ']')
	}
	return dst, absent
}

// note names a node that is left out though it has a value.
func (r *renderer) note(n *node, k knowledge) knowledge {
	if k == unchanged {
		r.partial = append(r.partial, orRoot(n.path))
	}
	return k
}

// renderMembers leaves out what is not known, and all of it where nothing that comes from the row is known.
func (r *renderer) renderMembers(dst []byte, n *node, open, end byte) ([]byte, knowledge) {
	start := len(dst)
	dst = append(dst, open)
	result := known
	if n.dynamic {
		result = absent
	}
	for i := range n.nodes {
		child := &n.nodes[i]
		before := len(dst)
		dst = appendComma(dst, start)
		if n.keys != nil {
			dst = append(dst, n.keys[i]...)
		}
		var k knowledge
		dst, k = r.render(dst, child)
		r.bound(dst, child)
		if r.err != nil {
			return dst, absent
		}
		if k != known {
			dst = dst[:before]
			continue
		}
		if child.dynamic {
			result = known
		}
	}
	if result != known {
		return dst[:start], result
	}
	return append(dst, end), known
}

// renderText writes a string of parts. A part that is not known makes the whole not known: half a URL is no URL.
func (r *renderer) renderText(dst []byte, n *node) ([]byte, knowledge) {
	start := len(dst)
	result := known
	dst = append(dst, '"')
	for i := range n.nodes {
		part := &n.nodes[i]
		if part.kind == nodeLiteral {
			dst = append(dst, part.json...)
			continue
		}
		before := len(dst)
		var k knowledge
		if part.kind == nodeColumn {
			switch v := r.value(part.column); v.Kind {
			case cdc.Text:
				dst = part.encode(dst, v.Data)
			case cdc.Null:
				continue
			case cdc.Unchanged:
				k = unchanged
			default:
				k = absent
			}
		} else {
			switch part.kind {
			case nodeRelation:
				dst, k = r.renderRelation(dst, part)
			case nodeAPI:
				dst, k = r.renderAPI(dst, part)
			default:
				dst, k = r.evaluate(dst, part)
			}
		}
		r.bound(dst, part)
		if r.err != nil {
			return dst, absent
		}
		// Of two reasons the one that is told wins.
		result = max(result, k)
		if k == known {
			dst = r.intoString(dst, before)
		}
	}
	if result != known {
		return dst[:start], r.note(n, result)
	}
	return append(dst, '"'), known
}

// bound fails at the node after which too much was written.
func (r *renderer) bound(dst []byte, n *node) {
	if r.most > 0 && len(dst) > r.most && r.err == nil {
		r.failed, r.err = n, errTrialOutput
	}
}

// intoString turns the JSON value that begins at start into text within a string.
func (r *renderer) intoString(dst []byte, start int) []byte {
	switch value := dst[start:]; {
	case len(value) == 0:
	case value[0] == '"':
		// Escaped already.
		n := copy(value, value[1:len(value)-1])
		return dst[:start+n]
	case value[0] == '[' || value[0] == '{':
		r.text = append(r.text[:0], value...)
		return appendEscaped(dst[:start], r.text)
	case string(value) == "null":
		return dst[:start]
	}
	return dst
}

// evaluate runs an expression and writes its result.
func (r *renderer) evaluate(dst []byte, n *node) ([]byte, knowledge) {
	v, k := r.run(n)
	if k != known || r.err != nil {
		return dst, k
	}
	dst, err := n.program.format.appendValue(dst, v)
	if err != nil {
		r.failed, r.err = n, err
	}
	return dst, known
}

// run runs an expression.
func (r *renderer) run(n *node) (any, knowledge) {
	p := n.program
	result := known
	for _, c := range p.columns {
		if c.old {
			continue
		}
		if c.link != nil {
			_, k := r.rowsOf(c.link)
			result = max(result, k)
			continue
		}
		if c.api {
			_, k := r.answer()
			result = max(result, k)
			continue
		}
		switch r.value(c.index).Kind {
		case cdc.Unchanged:
			result = max(result, unchanged)
		case cdc.Absent:
			result = max(result, absent)
		}
	}
	if result != known {
		return nil, result
	}
	bytes := 0
	for _, c := range p.columns {
		var v any
		value := cdc.Value{}
		switch {
		case c.link != nil:
			var size int
			if v, size = r.relationValue(n, c.link); r.err != nil {
				return nil, known
			}
			bytes += size
			p.env[c.name] = v
			continue
		case c.api:
			bytes += len(r.document.json)
			p.env[c.name] = r.document.whole()
			continue
		case !c.old:
			value = r.value(c.index)
		case c.index < len(r.old):
			value = r.old[c.index]
		}
		if value.Kind == cdc.Text {
			v = c.value(value.Data)
			bytes += len(value.Data)
		}
		p.env[c.name] = v
	}
	v, err := r.evaluator.run(p, bytes)
	for _, c := range p.columns {
		p.env[c.name] = nil
	}
	if err != nil {
		r.failed, r.err = n, err
	}
	return v, known
}

// reason tells what failed, and never on which values.
func (r *renderer) reason(resource string) string {
	at := r.failed.at
	reason := resource
	if r.failed.path != "" {
		reason += "." + r.failed.path
	}
	if place := (problem.Place{File: at.File, Line: at.Line}).String(); place != "" {
		reason += " (" + place + ")"
	}
	return reason + ": " + r.err.Error()
}
