package mapping

import (
	"bytes"

	"github.com/rowhook/rowhook/cdc"
)

// related are the rows of a link for one of our rows.
type related struct {
	*answer
	n int
}

func (a related) list() []cdc.Row {
	if a.answer == nil {
		return nil
	}
	return a.rows[a.n]
}

// rowsOf are the rows of the link for the row that is being rendered: none where a value of the key is null.
func (r *renderer) rowsOf(l *link) (related, knowledge) {
	if r.related == nil {
		return related{}, absent
	}
	if r.moved {
		return related{}, unchanged
	}
	key, k := r.related.keyOf(r, l)
	if k != known || key == nil {
		return related{}, k
	}
	if reason, failed := r.related.failed[l.lookup]; failed {
		r.related.broken = reason
		return related{}, absent
	}
	a := r.related.answers[l]
	if a == nil {
		return related{}, absent
	}
	n, asked := a.keys[string(key)]
	if !asked {
		return related{}, absent
	}
	return related{a, n}, known
}

// within calls f with the renderer on each row.
func (r *renderer) within(rows []cdc.Row, f func()) {
	row, fallback, old := r.row, r.fallback, r.old
	r.fallback, r.old = nil, nil
	for _, r.row = range rows {
		if f(); r.err != nil {
			break
		}
	}
	r.row, r.fallback, r.old = row, fallback, old
}

// tooMany fails where rows were left out.
func (r *renderer) tooMany(n *node, l *link, rows []cdc.Row) bool {
	if l.Many && len(rows) > MaxRelated {
		r.failed, r.err = n, failed("relation %s has more than %d rows", l.path, MaxRelated)
		return true
	}
	return false
}

// renderRelation writes a relation: the row's representation or null, or the list of them.
func (r *renderer) renderRelation(dst []byte, n *node) ([]byte, knowledge) {
	l := n.link
	found, k := r.rowsOf(l)
	if k != known {
		return dst, k
	}
	rows := found.list()
	if r.tooMany(n, l, rows) {
		return dst, known
	}
	if len(rows) > 0 && found.rendered[found.n] != nil {
		return append(dst, found.rendered[found.n]...), known
	}
	start := len(dst)
	switch {
	case !l.Many && len(rows) == 0:
		return append(dst, "null"...), known
	case l.Many:
		dst = append(dst, '[')
	}
	r.within(rows, func() {
		if l.Many {
			dst = appendComma(dst, start)
		}
		dst = r.data(dst, &l.root)
	})
	if r.err != nil {
		return dst, known
	}
	if l.Many {
		dst = append(dst, ']')
	}
	if len(rows) > 0 && found.uses[found.n] > 1 && r.related.broken == "" {
		// Many contacts have one company.
		found.rendered[found.n] = bytes.Clone(dst[start:])
	}
	return dst, known
}

// relationValue is a relation as expressions see it, and how large it is. It is known.
func (r *renderer) relationValue(n *node, l *link) (v any, size int) {
	found, _ := r.rowsOf(l)
	rows := found.list()
	if r.tooMany(n, l, rows) {
		return nil, 0
	}
	for _, row := range rows {
		for i := range row {
			size += len(row[i].Data)
		}
	}
	values := make([]any, 0, len(rows))
	r.within(rows, func() { values = append(values, r.nodeValue(&l.root)) })
	if l.Many {
		return values, size
	}
	if len(values) == 0 {
		return nil, 0
	}
	return values[0], size
}

// nodeValue is what an expression finds in a node of a related row.
func (r *renderer) nodeValue(n *node) any {
	if r.err != nil {
		return nil
	}
	switch n.kind {
	case nodeColumn:
		if v := r.value(n.column); v.Kind == cdc.Text {
			return n.read(v.Data)
		}
		return nil
	case nodeExpression:
		v, _ := r.run(n)
		return v
	case nodeRelation:
		v, _ := r.relationValue(n, n.link)
		return v
	case nodeObject:
		members := make(map[string]any, len(n.nodes))
		for i := range n.nodes {
			members[n.names[i]] = r.nodeValue(&n.nodes[i])
		}
		return members
	case nodeList:
		items := make([]any, len(n.nodes))
		for i := range n.nodes {
			items[i] = r.nodeValue(&n.nodes[i])
		}
		return items
	}
	// Texts and literals are what their JSON says.
	json, _ := r.render(nil, n)
	return readJSON(json)
}
