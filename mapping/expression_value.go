package mapping

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"
	"github.com/shopspring/decimal"

	"github.com/rowhook/rowhook/cdc"
)

// reader turns Postgres' text of a value into what expressions compute with.
type reader func(src []byte) any

// numericType stands for numeric columns while types are checked: expr's checker takes it for a number, which it would
// not decimal.Decimal, and no other type is read as float32. No value has this type.
var numericType = types.Float

// readerOf is the reader of a type, and the type that the checker assumes.
func readerOf(t *cdc.Type, f *format) (reader, types.Type) {
	t = baseType(t)
	if t != nil && t.Elem != nil {
		element, _ := readerOf(t.Elem, f)
		return arrayReader(element, delimiter(t.Elem)), types.TypeOf([]any{})
	}
	switch typeName(t) {
	case "int2", "int4", "int8", "oid", "xid8":
		return readInteger, types.Int64
	case "float4", "float8":
		return readFloat, types.Float64
	case "numeric":
		return readNumeric, numericType
	case "bool":
		return func(src []byte) any { return string(src) == "t" }, types.Bool
	case "date":
		return timeReader(dateZone), types.TypeOf(time.Time{})
	case "timestamp":
		return timeReader(localZone), types.TypeOf(time.Time{})
	case "timestamptz":
		return timeReader(time.UTC), types.TypeOf(time.Time{})
	case "json", "jsonb":
		return readJSON, types.Any
	case "hstore":
		return readHstore, types.Any
	case "bytea":
		// As text it is what the column shows.
		return func(src []byte) any { return string(textOfJSON(f.encodeBytea(nil, src))) }, types.String
	}
	return func(src []byte) any { return string(src) }, types.String
}

func readInteger(src []byte) any {
	i, err := strconv.ParseInt(string(src), 10, 64)
	if err != nil {
		return readNumeric(src)
	}
	return i
}

func readFloat(src []byte) any {
	f, err := strconv.ParseFloat(string(src), 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil
	}
	return f
}

// readNumeric has no NaN and no infinity: they are null, as in JSON.
func readNumeric(src []byte) any {
	// Postgres writes no exponents, and one could stand for any number of zeros.
	if bytes.ContainsAny(src, "eE") {
		return nil
	}
	d, err := decimal.NewFromString(string(src))
	if err != nil {
		return nil
	}
	return d
}

// timeReader has no infinity: it is null, as in JSON.
func timeReader(zone *time.Location) reader {
	return func(src []byte) any {
		p, ok := parseStamp(src)
		if !ok {
			return nil
		}
		return p.time().In(zone)
	}
}

func readJSON(src []byte) any {
	v, err := decodeJSON(bytes.NewReader(src))
	if err != nil {
		return nil
	}
	return v
}

func decodeJSON(r io.Reader) (any, error) {
	d := json.NewDecoder(r)
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func readHstore(src []byte) any {
	m := map[string]any{}
	ok := scanHstore(src, func(key, value []byte) {
		if value == nil {
			m[string(unescape(nil, key))] = nil
			return
		}
		m[string(unescape(nil, key))] = string(unescape(nil, value))
	})
	if !ok {
		return nil
	}
	return m
}

func arrayReader(element reader, delim byte) reader {
	return func(src []byte) any {
		a := newArrayScanner(src, delim)
		var stack [][]any
		var done []any
		put := func(v any) {
			stack[len(stack)-1] = append(stack[len(stack)-1], v)
		}
		for {
			switch token, value := a.next(); token {
			case arrayOpen:
				stack = append(stack, []any{})
			case arrayClose:
				last := stack[len(stack)-1]
				if stack = stack[:len(stack)-1]; len(stack) == 0 {
					done = last
				} else {
					put(last)
				}
			case arrayNull:
				put(nil)
			case arrayValue:
				put(element(value))
			case arrayEnd:
				return done
			default:
				return nil
			}
		}
	}
}

// equal is == of expressions: numbers of all types by value, times by instant, lists and objects by what they hold.
func equal(a, b any) bool {
	a, b = plain(a), plain(b)
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	if c, ok := compare(a, b); ok {
		return c == 0
	}
	switch a := a.(type) {
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return false
}

func in(a ...any) (any, error) {
	needle := plain(a[0])
	switch set := plain(a[1]).(type) {
	case nil:
		return false, nil
	case []any:
		for _, v := range set {
			if equal(needle, v) {
				return true, nil
			}
		}
		return false, nil
	case map[string]any:
		if needle == nil {
			return false, nil
		}
		key, err := textOf(needle)
		if err != nil {
			return nil, err
		}
		_, ok := set[key]
		return ok, nil
	}
	return nil, failed("in takes a list or an object, not %s", kindOf(a[1]))
}

// memberOf is null where there is no such member, as it is for a missing key in JSON.
func memberOf(base, property any) (any, error) {
	base, property = plain(base), plain(property)
	if base == nil || property == nil {
		return nil, nil
	}
	switch base := base.(type) {
	case map[string]any:
		key, err := textOf(property)
		if err != nil {
			return nil, err
		}
		return base[key], nil
	case []any:
		i, ok := property.(int64)
		if !ok {
			break
		}
		if i < 0 {
			i += int64(len(base))
		}
		if i < 0 || i >= int64(len(base)) {
			return nil, nil
		}
		return base[i], nil
	}
	return nil, failed("%s has no member by %s", kindOf(base), kindOf(property))
}

// sliceOf cuts lists, and texts by characters, as len counts them.
func sliceOf(v, from, to any) (any, error) {
	v, from, to = plain(v), plain(from), plain(to)
	var runes []rune
	var n int64
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		runes = []rune(v)
		n = int64(len(runes))
	case []any:
		n = int64(len(v))
	default:
		return nil, failed("%s cannot be sliced", kindOf(v))
	}
	bound := func(v any, otherwise int64) (int64, error) {
		switch i := v.(type) {
		case nil:
			return otherwise, nil
		case int64:
			if i < 0 {
				i += n
			}
			return min(max(i, 0), n), nil
		}
		return 0, failed("a slice is bounded by integers, not %s", kindOf(v))
	}
	a, err := bound(from, 0)
	if err != nil {
		return nil, err
	}
	b, err := bound(to, n)
	if err != nil {
		return nil, err
	}
	a = min(a, b)
	if list, ok := v.([]any); ok {
		return list[a:b:b], nil
	}
	return string(runes[a:b]), nil
}

// textTests are the operators on two texts.
var textTests = map[string]func(a, b string) bool{
	"__contains": strings.Contains, "__startsWith": strings.HasPrefix, "__endsWith": strings.HasSuffix,
}

// callMethod calls a method of a time or duration, the only values that have any: created_at.Format("2006").
func callMethod(a ...any) (result any, err error) {
	if a[0] == nil {
		return nil, nil
	}
	name, _ := a[1].(string)
	switch a[0].(type) {
	case time.Time, time.Duration, time.Month, time.Weekday:
	default:
		return nil, failed("%s has no method %s", kindOf(a[0]), name)
	}
	method := reflect.ValueOf(a[0]).MethodByName(name)
	if !method.IsValid() || method.Type().NumIn() != len(a)-2 || method.Type().IsVariadic() || method.Type().NumOut() < 1 {
		return nil, failed("%s has no method %s that takes %d arguments", kindOf(a[0]), name, len(a)-2)
	}
	arguments := make([]reflect.Value, len(a)-2)
	for i, v := range a[2:] {
		want := method.Type().In(i)
		given := reflect.ValueOf(v)
		switch {
		case v == nil:
			return nil, nil
		case given.Type().AssignableTo(want):
		case given.CanInt() && want.Kind() >= reflect.Int && want.Kind() <= reflect.Int64:
			given = given.Convert(want)
		default:
			return nil, failed("argument %d of %s is %s", i+1, name, kindOf(v))
		}
		arguments[i] = given
	}
	defer func() {
		if recover() != nil {
			result, err = nil, failed("%s failed", name)
		}
	}()
	out := method.Call(arguments)
	if len(out) == 2 {
		if _, ok := out[1].Interface().(error); ok {
			return nil, failed("%s failed", name)
		}
	}
	return out[0].Interface(), nil
}
