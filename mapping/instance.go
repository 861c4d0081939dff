package mapping

import (
	"bytes"

	"github.com/rowhook/rowhook/cdc"
)

// appendInstance appends the key of the row as text, and says whether all of it is known.
func (r *renderer) appendInstance(dst []byte, key []int) ([]byte, bool) {
	for n, k := range key {
		v := r.value(k)
		if v.Kind != cdc.Text {
			return dst, false
		}
		if len(key) == 1 {
			return append(dst, v.Data...), true
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		if bytes.IndexByte(v.Data, ',') < 0 && bytes.IndexByte(v.Data, '\\') < 0 {
			dst = append(dst, v.Data...)
			continue
		}
		for _, c := range v.Data {
			if c == ',' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
	}
	return dst, len(key) > 0
}

// appendAccount appends the account as text, and says whether there is one. The empty text is none: no token and no
// subscription may match it by being empty too.
func (r *renderer) appendAccount(dst []byte, n *node) ([]byte, bool) {
	start := len(dst)
	partial := len(r.partial)
	dst, k := r.render(dst, n)
	r.partial = r.partial[:partial]
	if r.err != nil || k != known {
		return dst[:start], false
	}
	value := dst[start:]
	if len(value) > 0 && (value[0] == '[' || value[0] == '{') {
		r.failed, r.err = n, failed("the account is a list or an object, not one value")
		return dst[:start], false
	}
	text := textOfJSON(value)
	dst = append(dst[:start], text...)
	return dst, len(text) > 0
}
