package mapping

// encodeInteger copies the digits of an integer: all 64 bits, and oids.
func encodeInteger(dst, src []byte) []byte {
	if !validInteger(src) {
		return appendString(dst, src)
	}
	return append(dst, src...)
}

// encodeNumeric keeps a numeric's digits by writing them as a string; NaN and the infinities have no JSON form.
func encodeNumeric(dst, src []byte) []byte {
	if nonFinite(src) {
		return append(dst, "null"...)
	}
	return appendString(dst, src)
}

func encodeFloat(dst, src []byte) []byte {
	if nonFinite(src) {
		return append(dst, "null"...)
	}
	if !validNumber(src) {
		return appendString(dst, src)
	}
	return append(dst, src...)
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
