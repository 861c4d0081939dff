package mapping

// encodeJSON copies a json or jsonb text without the space between its tokens. Postgres has checked it, and a decode
// would round its numbers and drop its duplicate keys.
func encodeJSON(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); i++ {
		switch src[i] {
		case ' ', '\t', '\n', '\r':
			dst = append(dst, src[start:i]...)
			start = i + 1
		case '"':
			for i++; i < len(src) && src[i] != '"'; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		}
	}
	if start > len(src) {
		return dst
	}
	return append(dst, src[start:]...)
}

// encodeVector copies a pgvector, whose text is JSON already.
func encodeVector(dst, src []byte) []byte {
	n := len(src)
	if n < 2 || src[0] != '[' || src[n-1] != ']' {
		return appendString(dst, src)
	}
	for i, begin := 1, 1; i < n; i++ {
		if src[i] != ',' && i < n-1 {
			continue
		}
		if !validNumber(src[begin:i]) && n > 2 {
			return appendString(dst, src)
		}
		begin = i + 1
	}
	return append(dst, src...)
}
