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
