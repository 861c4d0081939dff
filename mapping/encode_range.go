package mapping

import "github.com/rowhook/rowhook/cdc"

type rangeStyle uint8

const (
	rangeText rangeStyle = iota
	// rangeObject is {"lower":1,"upper":6,"bounds":"[)"}, with null for no bound, and {"empty":true}.
	rangeObject
	// rangeDots is 1...6 as in Ruby, rangeJSON the object as a text, as Django's forms have it.
	rangeDots
	rangeJSON
)

// bounds are a range taken apart. A nil bound is infinite.
type bounds struct {
	lower, upper     []byte
	opening, closing byte
	empty            bool
}

// parseRange reads the text of a range: empty, [1,6), ["2024-01-01 00:00:00+00",).
// https://www.postgresql.org/docs/current/rangetypes.html#RANGETYPES-IO
func parseRange(src []byte) (b bounds, ok bool) {
	if string(src) == "empty" {
		return bounds{empty: true}, true
	}
	n := len(src)
	if n < 3 || src[0] != '[' && src[0] != '(' || src[n-1] != ']' && src[n-1] != ')' {
		return b, false
	}
	b.opening, b.closing = src[0], src[n-1]
	count := 0
	ok = scanFields(src[1:n-1], func(value []byte) {
		if value != nil {
			value = unescapeField(nil, value)
			if value == nil {
				value = []byte{}
			}
		}
		if count++; count == 1 {
			b.lower = value
		} else {
			b.upper = value
		}
	})
	return b, ok && count == 2
}

func (f *format) rangeEncoder(sub *cdc.Type) encoder {
	switch f.ranges {
	case rangeDots:
		return dotsEncoder(sub, f)
	case rangeJSON:
		return rangeJSONEncoder(sub)
	}
	element := encoderOf(sub, f)
	return func(dst, src []byte) []byte {
		b, ok := parseRange(src)
		switch {
		case !ok:
			return appendString(dst, src)
		case b.empty:
			return append(dst, `{"empty":true}`...)
		}
		dst = appendBound(append(dst, `{"lower":`...), b.lower, element)
		dst = appendBound(append(dst, `,"upper":`...), b.upper, element)
		return append(append(dst, `,"bounds":"`...), b.opening, b.closing, '"', '}')
	}
}

func appendBound(dst, bound []byte, element encoder) []byte {
	if bound == nil {
		return append(dst, "null"...)
	}
	return element(dst, bound)
}

// rangeJSONEncoder writes {"bounds": "[)", "lower": "1", "upper": "6"} into a text. Bounds are texts.
func rangeJSONEncoder(sub *cdc.Type) encoder {
	// As Python's isoformat and str have them, and never without an offset.
	plain := format{clock: clockISOFormat, utc: "+00:00", infinity: infinityPython}
	element := encoderOf(sub, &plain)
	return func(dst, src []byte) []byte {
		b, ok := parseRange(src)
		switch {
		case !ok:
			return appendString(dst, src)
		case b.empty:
			return append(dst, `"{\"empty\": true}"`...)
		}
		text := append([]byte(`{"bounds": "`), b.opening, b.closing)
		for _, side := range []struct {
			name  string
			value []byte
		}{{`", "lower": `, b.lower}, {`, "upper": `, b.upper}} {
			text = append(text, side.name...)
			if side.value == nil {
				text = append(text, "null"...)
				continue
			}
			value := element(nil, side.value)
			if value[0] != '"' {
				value = appendString(nil, value)
			}
			text = append(text, value...)
		}
		return appendString(dst, append(text, '}'))
	}
}

// dotsEncoder writes 1..6, or 1...6 where the upper end does not belong to it; Ruby has no range whose lower end does
// not, so that one stays as it is.
func dotsEncoder(sub *cdc.Type, f *format) encoder {
	element := encoderOf(sub, f)
	stamped := false
	switch typeName(baseType(sub)) {
	case "timestamp", "timestamptz":
		stamped = true
	}
	side := func(dst, bound []byte, infinity string) []byte {
		switch {
		case bound == nil:
			return append(dst, infinity...)
		case stamped:
			// 2024-01-01 00:00:00 UTC
			if p, ok := parseStamp(bound); ok && p.clock != nil {
				dst = append(append(f.appendDate(dst, &p), ' '), p.clock...)
				return append(dst, " UTC"...)
			}
		}
		return append(dst, textOfJSON(element(nil, bound))...)
	}
	return func(dst, src []byte) []byte {
		b, ok := parseRange(src)
		switch {
		case !ok || !b.empty && b.opening == '(' && b.lower != nil:
			return appendString(dst, src)
		case b.empty:
			return append(dst, "null"...)
		}
		text := side(nil, b.lower, "-Infinity")
		text = append(text, ".."...)
		if b.closing == ')' {
			text = append(text, '.')
		}
		return appendString(dst, side(text, b.upper, "Infinity"))
	}
}
