package mapping

import (
	"bytes"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// scanFields cuts the text of a composite value or of a range's bounds, without its brackets, into fields. A nil field
// is null; what field gets may be escaped: see unescapeField. It says whether the text was well formed.
// https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX
func scanFields(src []byte, field func(value []byte)) bool {
	start, quoted := 0, false
	emit := func(end int) {
		if end == start {
			field(nil)
			return
		}
		field(src[start:end:end])
	}
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\\':
			if i++; i == len(src) {
				return false
			}
		case c == '"':
			// A doubled quote closes and opens again, which comes to the same.
			quoted = !quoted
		case c == ',' && !quoted:
			emit(i)
			start = i + 1
		}
	}
	if quoted {
		return false
	}
	emit(len(src))
	return true
}

// unescapeField appends a field without its quotes and escapes.
func unescapeField(dst, s []byte) []byte {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			dst = append(dst, s[i])
		case c == '"' && quoted && i+1 < len(s) && s[i+1] == '"':
			i++
			dst = append(dst, '"')
		case c == '"':
			quoted = !quoted
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// compositeEncoder writes a composite value as an object of its attributes. A text with another number of fields than
// the type has now stays as it is: it was written before an attribute came or went.
func compositeEncoder(fields []cdc.Field, f *format) encoder {
	keys, encoders := make([][]byte, len(fields)), make([]encoder, len(fields))
	for i, field := range fields {
		keys[i] = append(appendString(nil, f.keys.key(field.Name)), ':')
		encoders[i] = encoderOf(field.Type, f)
		if slices.ContainsFunc(keys[:i], func(key []byte) bool { return bytes.Equal(key, keys[i]) }) {
			// Two names would become one: they stay as they are.
			own := *f
			own.keys = keysAsColumns
			return compositeEncoder(fields, &own)
		}
	}
	var text []byte
	return func(dst, src []byte) []byte {
		start := len(dst)
		if len(src) < 2 || src[0] != '(' || src[len(src)-1] != ')' {
			return appendString(dst, src)
		}
		dst = append(dst, '{')
		n := 0
		ok := scanFields(src[1:len(src)-1], func(value []byte) {
			if n++; n > len(fields) {
				return
			}
			dst = append(appendComma(dst, start), keys[n-1]...)
			if value == nil {
				dst = append(dst, "null"...)
				return
			}
			text = unescapeField(text[:0], value)
			dst = encoders[n-1](dst, text)
		})
		if cap(text) > keptBuffer {
			text = nil
		}
		if !ok || n != len(fields) {
			return appendString(dst[:start], src)
		}
		return append(dst, '}')
	}
}
