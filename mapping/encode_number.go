package mapping

import "bytes"

// encodeInteger copies the digits of an integer: all 64 bits, and oids.
func encodeInteger(dst, src []byte) []byte {
	if !validInteger(src) {
		return appendString(dst, src)
	}
	return append(dst, src...)
}

// encodeBig writes an integer that may not fit the numbers of JavaScript as a string.
func encodeBig(dst, src []byte) []byte { return appendString(dst, src) }

// numericStyle is how a numeric is written. No style drops digits that are not zeros.
type numericStyle uint8

const (
	// numericText is a string of the digits as stored, numericNumber a number of them.
	numericText numericStyle = iota
	numericNumber
	// numericTrimmed is a string without zeros at the end, but one behind the point: 12.3, 12.0.
	numericTrimmed
	// numericPython is a number as Python writes a float, where a float holds all digits.
	numericPython
	// numericJS is the same as JavaScript writes one.
	numericJS
)

// exactDigits is how many decimal digits any float64 keeps.
const exactDigits = 15

func (f *format) encodeNumeric(dst, src []byte) []byte {
	if nonFinite(src) {
		if f.nanText {
			return appendString(dst, src)
		}
		return append(dst, "null"...)
	}
	if f.numeric == numericText || !validNumber(src) {
		return appendString(dst, src)
	}
	switch f.numeric {
	case numericTrimmed:
		return append(appendTrimmed(append(dst, '"'), src), '"')
	case numericPython, numericJS:
		if f.numeric == numericJS || bytes.IndexByte(src, '.') >= 0 {
			if _, digits, _ := significant(src); len(digits) <= exactDigits {
				return f.layOut(dst, src)
			}
		}
	}
	return append(dst, src...)
}

// appendTrimmed writes a plain decimal with at least and at most the digits that it needs, one behind the point.
func appendTrimmed(dst, src []byte) []byte {
	if bytes.IndexByte(src, '.') < 0 {
		return append(append(dst, src...), ".0"...)
	}
	src = bytes.TrimRight(src, "0")
	dst = append(dst, src...)
	if src[len(src)-1] == '.' {
		dst = append(dst, '0')
	}
	return dst
}

func nonFinite(src []byte) bool {
	switch string(src) {
	case "NaN", "Infinity", "-Infinity":
		return true
	}
	return false
}

func validInteger(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	if len(s) == 0 || s[0] == '0' && len(s) > 1 {
		return false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// validNumber says that s is a number as RFC 8259 writes it.
func validNumber(s []byte) bool {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	n := digits(s[i:])
	if n == 0 || s[i] == '0' && n > 1 {
		return false
	}
	i += n
	if i < len(s) && s[i] == '.' {
		n := digits(s[i+1:])
		if n == 0 {
			return false
		}
		i += 1 + n
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digits(s[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	return i == len(s)
}

// digits is how many digits s begins with.
func digits(s []byte) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}
