package mapping

// maxArrayDepth bounds nesting; Postgres itself allows six dimensions.
const maxArrayDepth = 64

type arrayToken uint8

const (
	arrayBad arrayToken = iota
	arrayOpen
	arrayClose
	arrayNull
	arrayValue
	arrayEnd
)

// arrayScanner reads the text form of an array.
// https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
type arrayScanner struct {
	src   []byte
	delim byte
	depth int
	// value says that a value or an opening brace must come, after a delimiter.
	value bool
	// done says that a value or array has ended, so that a delimiter or a closing brace must come.
	done bool
	// text holds a value that had escapes.
	text []byte
}

func newArrayScanner(src []byte, delim byte) arrayScanner {
	// Bounds other than 1 come first: [0:1]={7,8}. JSON has no place for them.
	if len(src) > 0 && src[0] == '[' {
		for i, c := range src {
			if c == '=' {
				src = src[i+1:]
				break
			}
		}
	}
	return arrayScanner{src: src, delim: delim, value: true}
}

// next is the next token, and for arrayValue its bytes, which are good until the next call.
func (a *arrayScanner) next() (arrayToken, []byte) {
	if a.depth == 0 && a.done {
		if len(a.src) > 0 {
			return arrayBad, nil
		}
		return arrayEnd, nil
	}
	if len(a.src) == 0 {
		return arrayBad, nil
	}
	if a.done && a.src[0] == a.delim {
		a.src, a.done, a.value = a.src[1:], false, true
		if len(a.src) == 0 {
			return arrayBad, nil
		}
	}
	switch c := a.src[0]; {
	case c == '}':
		if a.depth == 0 || a.value {
			return arrayBad, nil
		}
		a.src, a.done = a.src[1:], true
		a.depth--
		return arrayClose, nil
	case a.done:
		return arrayBad, nil
	case c == '{':
		a.src, a.value = a.src[1:], false
		if a.depth++; a.depth > maxArrayDepth {
			return arrayBad, nil
		}
		return arrayOpen, nil
	case a.depth == 0:
		return arrayBad, nil
	case c == '"':
		return a.quoted()
	}
	return a.bare()
}

func (a *arrayScanner) quoted() (arrayToken, []byte) {
	escaped := false
	for i := 1; i < len(a.src); i++ {
		switch a.src[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			value := a.src[1:i]
			a.src, a.done, a.value = a.src[i+1:], true, false
			if escaped {
				a.text = unescape(a.text[:0], value)
				value = a.text
			}
			return arrayValue, value
		}
	}
	return arrayBad, nil
}

func (a *arrayScanner) bare() (arrayToken, []byte) {
	escaped := false
	for i := 0; i < len(a.src); i++ {
		c := a.src[i]
		switch {
		case c == '\\':
			escaped = true
			i++
			continue
		case c == '"' || c == '{':
			return arrayBad, nil
		case c != a.delim && c != '}':
			continue
		}
		value := a.src[:i]
		if len(value) == 0 {
			return arrayBad, nil
		}
		a.src, a.done, a.value = a.src[i:], true, false
		if escaped {
			a.text = unescape(a.text[:0], value)
			return arrayValue, a.text
		}
		if string(value) == "NULL" {
			return arrayNull, nil
		}
		return arrayValue, value
	}
	return arrayBad, nil
}

// unescape appends s without the backslashes before other characters.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		dst = append(dst, s[i])
	}
	return dst
}

// arrayEncoder writes an array as nested JSON arrays of what element writes. It keeps its scratch space from call to
// call, so each encoder has one user at a time.
func arrayEncoder(element encoder, delim byte) encoder {
	var text []byte
	return func(dst, src []byte) []byte {
		start := len(dst)
		a := newArrayScanner(src, delim)
		a.text = text
		comma := false
		for {
			token, value := a.next()
			if comma && (token == arrayOpen || token == arrayNull || token == arrayValue) {
				dst = append(dst, ',')
			}
			comma = true
			switch token {
			case arrayOpen:
				dst = append(dst, '[')
				comma = false
			case arrayClose:
				dst = append(dst, ']')
			case arrayNull:
				dst = append(dst, "null"...)
			case arrayValue:
				dst = element(dst, value)
			case arrayEnd:
				if text = a.text; cap(text) > keptBuffer {
					text = nil
				}
				return dst
			default:
				return appendString(dst[:start], src)
			}
		}
	}
}
