package mapping

import "bytes"

// scanHstore calls pair for each pair of an hstore's text; a nil value is NULL. It says whether the text was well
// formed. What pair gets may be escaped; see unescape.
// https://www.postgresql.org/docs/current/hstore.html
func scanHstore(src []byte, pair func(key, value []byte)) bool {
	for len(src) > 0 {
		key, rest, ok := hstoreString(src)
		if !ok || !bytes.HasPrefix(rest, []byte("=>")) {
			return false
		}
		rest = rest[2:]
		if bytes.HasPrefix(rest, []byte("NULL")) {
			pair(key, nil)
			rest = rest[4:]
		} else {
			var value []byte
			if value, rest, ok = hstoreString(rest); !ok {
				return false
			}
			pair(key, value)
		}
		if len(rest) == 0 {
			return true
		}
		if !bytes.HasPrefix(rest, []byte(", ")) || len(rest) == 2 {
			return false
		}
		src = rest[2:]
	}
	return true
}

func hstoreString(src []byte) (s, rest []byte, ok bool) {
	if len(src) == 0 || src[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return src[1:i:i], src[i+1:], true
		}
	}
	return nil, nil, false
}

// hstoreEncoder writes an hstore as an object of strings and nulls.
func hstoreEncoder() encoder {
	var text []byte
	return func(dst, src []byte) []byte {
		start := len(dst)
		dst = append(dst, '{')
		ok := scanHstore(src, func(key, value []byte) {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			text = unescape(text[:0], key)
			dst = append(appendString(dst, text), ':')
			if value == nil {
				dst = append(dst, "null"...)
				return
			}
			text = unescape(text[:0], value)
			dst = appendString(dst, text)
		})
		if cap(text) > keptBuffer {
			text = nil
		}
		if !ok {
			return appendString(dst[:start], src)
		}
		return append(dst, '}')
	}
}
