package mapping

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/shopspring/decimal"
)

// ownFunctions are those that expr does not have, with the types that the checker takes.
var ownFunctions = conf.FunctionsTable{
	"default": {Name: "default", Types: []reflect.Type{reflect.TypeFor[func(any, any) any]()}},
	"strftime": {Name: "strftime", Types: []reflect.Type{
		reflect.TypeFor[func(time.Time, string) string]()}},
	"fixed": {Name: "fixed", Types: []reflect.Type{
		reflect.TypeFor[func(any, int) string](), reflect.TypeFor[func(any, int, string, string) string]()}},
	// pickName is what {…}[x] and get become, so that a key may be a number.
	pickName: {Name: pickName, Types: []reflect.Type{reflect.TypeFor[func(any, any) any]()}},
}

const pickName = "__pick"

// functionNames are all functions that a user can call.
var functionNames = append(slices.Clone(builtin.Names), "default", "strftime", "fixed")

// picks turns {1: "lead", 2: "won"}[status] into a call that takes any key: the keys of objects are text, and an enum of
// integers is not.
func picks(n ast.Node) ast.Node {
	return rewriteNodes(n, func(n ast.Node, next func(ast.Node) ast.Node) (ast.Node, bool) {
		switch n := n.(type) {
		case *ast.MemberNode:
			_, literal := n.Property.(*ast.StringNode)
			if _, object := n.Node.(*ast.MapNode); object && !literal {
				return call(n, pickName, next(n.Node), next(n.Property)), true
			}
		case *ast.BuiltinNode:
			if n.Name == "get" && len(n.Arguments) == 2 {
				return call(n, pickName, each(n.Arguments, next)...), true
			}
		}
		return nil, false
	})
}

func (e *evaluator) addOwnFunctions(add func(string, func(...any) (any, error))) {
	add("__own_"+pickName, func(a ...any) (any, error) { return memberOf(a[0], a[1]) })
	add("__own_default", func(a ...any) (any, error) {
		if v := plain(a[0]); v != nil {
			return v, nil
		}
		return plain(a[1]), nil
	})
	add("__own_strftime", func(a ...any) (any, error) {
		t, ok := plain(a[0]).(time.Time)
		layout, isText := plain(a[1]).(string)
		switch {
		case plain(a[0]) == nil || plain(a[1]) == nil:
			return nil, nil
		case !ok || !isText:
			return nil, failed("strftime takes a time and a text, not %s and %s", kindOf(a[0]), kindOf(a[1]))
		}
		text, err := strftime(t, layout)
		if err != nil {
			return nil, err
		}
		return text, e.spend(len(text))
	})
	add("__own_fixed", func(a ...any) (any, error) { return fixed(a) })
}

// directives are those of strftime, with what Go's layouts call them.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'b': "Jan", 'B': "January",
	'a': "Mon", 'A': "Monday", 'j': "002", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05",
}

// strftime writes a time as C, Ruby and Python do.
func strftime(t time.Time, layout string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			b.WriteByte(layout[i])
			continue
		}
		if i++; i == len(layout) {
			return "", failed("the format of strftime ends with a single %%")
		}
		switch c := layout[i]; {
		case c == '%':
			b.WriteByte('%')
		case c == 's':
			b.WriteString(decimal.NewFromInt(t.Unix()).String())
		case c == 'L':
			b.WriteString(t.Format(".000")[1:])
		case c == 'f':
			b.WriteString(t.Format(".000000")[1:])
		case directives[c] != "":
			b.WriteString(t.Format(directives[c]))
		default:
			return "", failed("strftime knows no %%%s", string(rune(c)))
		}
	}
	return b.String(), nil
}

// maxFixed bounds the digits behind the point that fixed writes.
const maxFixed = 100

// fixed writes a number with so many digits behind the point, halves rounded away from zero as Postgres' round does for
// numerics: fixed(1234.5, 2) is 1234.50, fixed(1234.5, 2, ".", ",") is 1.234,50.
func fixed(a []any) (any, error) {
	value, digits := plain(a[0]), plain(a[1])
	if value == nil || digits == nil {
		return nil, nil
	}
	n, ok := digits.(int64)
	if !ok || n < 0 || n > maxFixed {
		return nil, failed("fixed takes 0 to %d digits", maxFixed)
	}
	var d decimal.Decimal
	switch v := value.(type) {
	case int64:
		d = decimal.NewFromInt(v)
	case decimal.Decimal:
		d = v
	case float64:
		if d, ok = fromFloat(v); !ok {
			return nil, nil // NaN and the infinities are null, as in JSON
		}
	default:
		return nil, failed("fixed takes a number, not %s", kindOf(value))
	}
	text := d.StringFixed(int32(n))
	if len(a) == 2 {
		return text, nil
	}
	thousands, ok1 := plain(a[2]).(string)
	point, ok2 := plain(a[3]).(string)
	if !ok1 || !ok2 {
		return nil, failed("fixed takes the separators as texts")
	}
	whole, fraction, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range []byte(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(thousands)
		}
		b.WriteByte(c)
	}
	if fraction != "" {
		b.WriteString(point + fraction)
	}
	return b.String(), nil
}
