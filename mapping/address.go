package mapping

import (
	"bytes"
	"strings"
)

// address is a resource's path, bound to the columns of a table.
type address struct {
	parts []addressPart
}

// addressPart is text as it is, or a value of the row.
type addressPart struct {
	text  string
	value *node
}

// address binds the path.
func (b *binder) address(e *element) *address {
	a := &address{}
	for _, s := range e.segments {
		if !s.expr {
			a.parts = append(a.parts, addressPart{text: s.text})
			continue
		}
		n := b.expression(s.text, location{e.src, s.offset}, e.path)
		a.parts = append(a.parts, addressPart{value: &n})
	}
	return a
}

// columnsOf are the columns that the path needs.
func (a *address) columnsOf(into []int) []int {
	for _, p := range a.parts {
		if p.value != nil {
			into = p.value.columnsOf(into)
		}
	}
	return into
}

// appendAddress appends the path of the row's instance. Values are percent-encoded, so that none can leave its segment or
// add to a query. A value that is null or empty, or that makes a segment . or .., is that of no address: what would be
// asked then is a list, or something else.
func (r *renderer) appendAddress(dst []byte, a *address) ([]byte, knowledge) {
	start := len(dst)
	result := known
	for _, p := range a.parts {
		if p.value == nil {
			dst = append(dst, p.text...)
			continue
		}
		partial := r.partial
		json, k := r.render(nil, p.value)
		r.partial = partial
		if r.err != nil {
			return dst[:start], absent
		}
		text := textOfJSON(json)
		if k == known && len(text) == 0 {
			k = unchanged
		}
		result = max(result, k)
		dst = appendPercent(dst, text)
	}
	path, _, _ := bytes.Cut(dst[start:], []byte("?"))
	for segment := range bytes.SplitSeq(path, []byte("/")) {
		if s := string(segment); s == "." || s == ".." {
			result = max(result, unchanged)
		}
	}
	if result != known {
		return dst[:start], result
	}
	return dst, known
}

// appendPercent encodes all but what RFC 3986 reserves for nothing, so that it is the same in a path and in a query.
func appendPercent(dst, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
