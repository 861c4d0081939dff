package mapping

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// maxDepth bounds nesting, as encoding/json does: deeper values would cost more stack than they are worth.
const maxDepth = 10_000

// appendValue writes the result of an expression as JSON.
func appendValue(dst []byte, v any) ([]byte, error) { return appendNested(dst, v, 0) }

func appendNested(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, failed("the result is nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case json.Number:
		return append(dst, v...), nil
	case []byte:
		return appendString(dst, v), nil
	}
	switch v := plain(v).(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return appendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		return appendFloat(dst, v), nil
	case decimal.Decimal:
		dst = append(dst, '"')
		dst = append(dst, decimalText(v)...)
		return append(dst, '"'), nil
	case time.Time:
		return appendTime(dst, v), nil
	case time.Duration:
		dst = append(dst, '"')
		dst = appendDuration(dst, v)
		return append(dst, '"'), nil
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendNested(dst, item, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, key), ':')
			var err error
			if dst, err = appendNested(dst, v[key], depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, failed("the result has no JSON form")
}

// decimalText keeps the zeros at the end: 12.30 times 2 is 24.60, as in Postgres.
func decimalText(d decimal.Decimal) string {
	if d.Exponent() < 0 {
		return d.StringFixed(-d.Exponent())
	}
	return d.String()
}

// appendFloat writes the shortest number that reads back as f; NaN and the infinities have no JSON form.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

// appendDuration writes ISO 8601 in hours, minutes and seconds, as intervals are.
func appendDuration(dst []byte, d time.Duration) []byte {
	u := uint64(d)
	if d < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = append(dst, "PT"...)
	start := len(dst)
	const second = uint64(time.Second)
	for _, unit := range []struct {
		size uint64
		name byte
	}{{3600 * second, 'H'}, {60 * second, 'M'}} {
		if n := u / unit.size; n > 0 {
			dst = append(strconv.AppendUint(dst, n, 10), unit.name)
			u %= unit.size
		}
	}
	if u == 0 {
		if len(dst) == start {
			dst = append(dst, "0S"...)
		}
		return dst
	}
	dst = strconv.AppendUint(dst, u/second, 10)
	if rest := u % second; rest > 0 {
		digits := strconv.AppendUint(nil, second+rest, 10)
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		dst = append(append(dst, '.'), digits[1:]...)
	}
	return append(dst, 'S')
}

// textOf is a value as text: what JSON shows, without the quotes. Null is the empty text.
func textOf(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := appendValue(nil, v)
	if err != nil {
		return "", err
	}
	return string(textOfJSON(b)), nil
}

// textOfJSON is the text that a JSON value stands for: a string without its quotes and escapes, nothing for null,
// anything else as it is.
func textOfJSON(b []byte) []byte {
	if string(b) == "null" {
		return nil
	}
	if len(b) < 2 || b[0] != '"' {
		return b
	}
	if inner := b[1 : len(b)-1]; !slices.Contains(inner, '\\') {
		return inner
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return b
	}
	return []byte(s)
}
