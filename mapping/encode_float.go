package mapping

import (
	"math"
	"strconv"
)

// floatStyle is how a float is laid out. The digits are always the fewest that read back as the same number.
type floatStyle uint8

const (
	// floatPostgres is Postgres' own text.
	floatPostgres floatStyle = iota
	floatRuby
	floatPython
	floatJS
	floatGo
)

func (f *format) encodeFloat(dst, src []byte) []byte {
	if nonFinite(src) {
		return append(dst, "null"...)
	}
	if !validNumber(src) {
		return appendString(dst, src)
	}
	if f.float == floatPostgres {
		return append(dst, src...)
	}
	return f.layOut(dst, src)
}

// appendFloat writes a computed float; NaN and the infinities have no JSON form.
func (f *format) appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if f.float != floatPostgres {
		var text [32]byte
		return f.layOut(dst, strconv.AppendFloat(text[:0], v, 'e', -1, 64))
	}
	layout := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		layout = 'e'
	}
	return strconv.AppendFloat(dst, v, layout, -1, 64)
}

// layOut writes the digits of a number as the style lays them out.
func (f *format) layOut(dst, src []byte) []byte {
	negative, digits, exponent := significant(src)
	low, high := -5, 16 // the exponents from which on there are exponents
	switch f.float {
	case floatJS, floatGo:
		low, high = -7, 21
	}
	if negative && (len(digits) > 0 || f.float != floatJS) {
		dst = append(dst, '-')
	}
	point := f.float == floatRuby || f.float == floatPython // 100.0
	switch {
	case len(digits) == 0:
		dst = append(dst, '0')
	case exponent > low && exponent < high:
		return appendFixed(dst, digits, exponent, point)
	default:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		} else if f.float == floatRuby {
			dst = append(dst, ".0"...)
		}
		dst = append(dst, 'e')
		if exponent < 0 {
			dst, exponent = append(dst, '-'), -exponent
		} else {
			dst = append(dst, '+')
		}
		if point {
			return appendPadded(dst, exponent, 2)
		}
		return strconv.AppendInt(dst, int64(exponent), 10)
	}
	if point {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendFixed writes digits without an exponent.
func appendFixed(dst, digits []byte, exponent int, point bool) []byte {
	if exponent < 0 {
		dst = append(dst, "0."...)
		for range -exponent - 1 {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	for i, d := range digits {
		if i == exponent+1 {
			dst = append(dst, '.')
		}
		dst = append(dst, d)
	}
	for range exponent + 1 - len(digits) {
		dst = append(dst, '0')
	}
	if point && len(digits) <= exponent+1 {
		dst = append(dst, ".0"...)
	}
	return dst
}

// significant takes a valid number apart: its digits without zeros at either end, and the exponent of the first. Zero
// has no digits.
func significant(s []byte) (negative bool, digits []byte, exponent int) {
	if s[0] == '-' {
		negative, s = true, s[1:]
	}
	whole := -1
scan:
	for i, c := range s {
		switch c {
		case '.':
			whole = len(digits)
		case 'e', 'E':
			// It is bounded by Postgres' own: what does not fit an int is no float.
			exponent, _ = strconv.Atoi(string(s[i+1:]))
			break scan
		default:
			digits = append(digits, c)
		}
	}
	if whole < 0 {
		whole = len(digits)
	}
	exponent += whole - 1
	for len(digits) > 0 && digits[0] == '0' {
		digits, exponent = digits[1:], exponent-1
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return negative, digits, exponent
}
