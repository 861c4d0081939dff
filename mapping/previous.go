package mapping

import (
	"bytes"

	"github.com/rowhook/rowhook/cdc"
)

// previousOf renders what an update has changed as it was before, in the shape of the data: nil where nothing of it is
// known. It is for the row that the renderer has just rendered.
func (m *Mapper) previousOf(p *planned) []byte {
	r := &m.renderer
	row, fallback, old, partial := r.row, r.fallback, r.old, r.partial
	defer func() { r.row, r.fallback, r.old, r.partial = row, fallback, old, partial }()
	// What an account's instance was in another account is not its business.
	if len(old) == 0 || m.transfer.owned != ownedStill {
		return nil
	}
	out, some := r.previous(nil, &p.root, row, fallback, old)
	if !some {
		return nil
	}
	return out
}

// previous appends what the node was, if that is known and not what it is.
func (r *renderer) previous(dst []byte, n *node, row, fallback, old cdc.Row) ([]byte, bool) {
	// What an old row's old row was is not known, nor what its relations were, nor what the application said of it.
	if !n.dynamic || n.kind != nodeObject && (n.usesOld() || n.usesLinks() || n.usesAPI()) {
		return dst, false
	}
	start := len(dst)
	if n.kind != nodeObject {
		if r.same(n, row, fallback, old) {
			return dst, false // most of an update is, and need not be rendered to be known as such
		}
		r.row, r.fallback, r.old = row, fallback, old
		now, k := r.render(nil, n)
		r.row, r.fallback, r.old = old, nil, nil
		dst, was := r.render(dst, n)
		if r.err != nil {
			// The old row may not have been fit for the expression; what it is now has been rendered already.
			r.failed, r.err = nil, nil
			return dst[:start], false
		}
		if was != known || k == known && bytes.Equal(now, dst[start:]) {
			return dst[:start], false
		}
		return dst, true
	}
	dst = append(dst, '{')
	for i := range n.nodes {
		before := len(dst)
		dst = append(appendComma(dst, start), n.keys[i]...)
		var some bool
		if dst, some = r.previous(dst, &n.nodes[i], row, fallback, old); !some {
			dst = dst[:before]
		}
	}
	if len(dst) == start+1 {
		return dst[:start], false
	}
	return append(dst, '}'), true
}

// same says that all columns of the node are known, and have the values that they had: so the node has its own. Relations
// are never the same.
func (r *renderer) same(n *node, row, fallback, old cdc.Row) bool {
	r.row, r.fallback = row, fallback
	is := func(column int) bool {
		now := r.value(column)
		if column >= len(old) || now.Kind != old[column].Kind {
			return false
		}
		return now.Kind == cdc.Null || now.Kind == cdc.Text && bytes.Equal(now.Data, old[column].Data)
	}
	switch n.kind {
	case nodeLiteral:
		return true
	case nodeColumn:
		return is(n.column)
	case nodeRelation:
		return false
	case nodeExpression:
		for _, c := range n.program.columns {
			if c.link != nil || c.old || !is(c.index) {
				return false
			}
		}
		return true
	}
	for i := range n.nodes {
		if !r.same(&n.nodes[i], row, fallback, old) {
			return false
		}
	}
	return true
}
