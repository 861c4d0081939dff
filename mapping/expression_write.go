package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// maxDepth bounds nesting, as encoding/json does: deeper values would cost more stack than they are worth.
const maxDepth = 10_000

// appendValue writes the result of an expression as JSON.
func (f *format) appendValue(dst []byte, v any) ([]byte, error) { return f.appendNested(dst, v, 0) }

func (f *format) appendNested(dst []byte, v any, depth int) ([]byte, error) {
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
		return f.appendFloat(dst, v), nil
	case decimal.Decimal:
		return f.encodeNumeric(dst, []byte(decimalText(v))), nil
	case time.Time:
		return f.appendTime(dst, v), nil
	case time.Duration:
		return f.appendDuration(dst, v), nil
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = f.appendNested(dst, item, depth+1); err != nil {
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
			if dst, err = f.appendNested(dst, v[key], depth+1); err != nil {
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

// appendDuration writes a duration as intervals are written.
func (f *format) appendDuration(dst []byte, d time.Duration) []byte {
	if f.interval == intervalISO {
		return append(appendISODuration(append(dst, '"'), d), '"')
	}
	return f.appendSpan(dst, &span{
		hours: int64(d / time.Hour), minutes: int64(d % time.Hour / time.Minute), seconds: int64(d % time.Minute / time.Second),
		micros: int64(d % time.Second / time.Microsecond),
	})
}

// appendISODuration writes ISO 8601 in hours, minutes and seconds.
func appendISODuration(dst []byte, d time.Duration) []byte {
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

// textOf is a value as a text that does not depend on the rules.
func textOf(v any) (string, error) { return plainFormat.textOf(v) }

// textOf is a value as text: what JSON shows, without the quotes. Null is the empty text.
func (f *format) textOf(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := f.appendValue(nil, v)
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
