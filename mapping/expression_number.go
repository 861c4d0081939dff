package mapping

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// arithmetic are the operators by the function that stands for them.
var arithmetic = map[string]byte{
	"__add": '+', "__subtract": '-', "__multiply": '*', "__divide": '/', "__modulo": '%', "__power": '^',
}

// maxDigits bounds decimals: Postgres' numeric has no more.
const maxDigits = 150_000

// plain gives a value one type for each kind: int64 for integers, string for text, []any for lists. Numbers of a JSON
// document keep their text until something is computed with them.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, decimal.Decimal, time.Time, time.Duration, []any, map[string]any:
		return v
	case int:
		return int64(v)
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return i
		}
		f, _ := strconv.ParseFloat(string(v), 64)
		return f
	case time.Month:
		return int64(v)
	case time.Weekday:
		return int64(v)
	case float32:
		return float64(v)
	case []byte:
		return string(v)
	case []string:
		return anys(v)
	case []int:
		return anys(v)
	case []float64:
		return anys(v)
	case [][2]any:
		list := make([]any, len(v))
		for i, pair := range v {
			list[i] = []any{pair[0], pair[1]}
		}
		return list
	}
	return v
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// kindOf names a value's kind for a message.
func kindOf(v any) string {
	switch plain(v).(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	case int64:
		return "integer"
	case float64:
		return "float"
	case decimal.Decimal:
		return "numeric"
	case time.Time:
		return "time"
	case time.Duration:
		return "duration"
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return "another kind of value"
}

func (e *evaluator) arithmetic(op byte, a, b any) (any, error) {
	a, b = plain(a), plain(b)
	if a == nil || b == nil {
		// Null is the empty text beside text, and unknown beside numbers.
		if op == '+' {
			if s, ok := a.(string); ok {
				return s, nil
			}
			if s, ok := b.(string); ok {
				return s, nil
			}
		}
		return nil, nil
	}
	switch a := a.(type) {
	case int64:
		switch b := b.(type) {
		case int64:
			return integers(op, a, b)
		case float64:
			if op != '%' {
				return floats(op, float64(a), b), nil
			}
		case decimal.Decimal:
			return decimals(op, decimal.NewFromInt(a), b)
		case time.Duration:
			if op == '*' {
				return time.Duration(a) * b, nil
			}
			if op == '-' && a == 0 {
				return -b, nil
			}
		}
	case float64:
		switch b := b.(type) {
		case int64:
			if op != '%' {
				return floats(op, a, float64(b)), nil
			}
		case float64:
			if op != '%' {
				return floats(op, a, b), nil
			}
		case decimal.Decimal:
			if d, ok := fromFloat(a); ok {
				return decimals(op, d, b)
			}
			return floats(op, a, b.InexactFloat64()), nil
		case time.Duration:
			if op == '*' {
				return time.Duration(a * float64(b)), nil
			}
		}
	case decimal.Decimal:
		switch b := b.(type) {
		case int64:
			return decimals(op, a, decimal.NewFromInt(b))
		case float64:
			if d, ok := fromFloat(b); ok {
				return decimals(op, a, d)
			}
			return floats(op, a.InexactFloat64(), b), nil
		case decimal.Decimal:
			return decimals(op, a, b)
		}
	case string:
		if b, ok := b.(string); ok && op == '+' {
			if err := e.spend(len(a) + len(b)); err != nil {
				return nil, err
			}
			return a + b, nil
		}
	case time.Time:
		switch b := b.(type) {
		case time.Time:
			if op == '-' {
				return a.Sub(b), nil
			}
		case time.Duration:
			switch op {
			case '+':
				return a.Add(b), nil
			case '-':
				return a.Add(-b), nil
			}
		}
	case time.Duration:
		switch b := b.(type) {
		case time.Time:
			if op == '+' {
				return b.Add(a), nil
			}
		case time.Duration:
			switch op {
			case '+':
				return a + b, nil
			case '-':
				return a - b, nil
			}
		case int64:
			if op == '*' {
				return a * time.Duration(b), nil
			}
		case float64:
			if op == '*' {
				return time.Duration(float64(a) * b), nil
			}
		}
	}
	name := string(rune(op))
	if op == '^' {
		name = "**"
	}
	return nil, failed("%s does not work on %s and %s", name, kindOf(a), kindOf(b))
}

// integers computes in 64 bits and refuses to wrap around: a wrong number would look right.
func integers(op byte, a, b int64) (any, error) {
	switch op {
	case '+':
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
	case '-':
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
	case '*':
		if a == 0 || b == 0 {
			return int64(0), nil
		}
		if c := a * b; c/b == a && (a != -1 || b != math.MinInt64) && (b != -1 || a != math.MinInt64) {
			return c, nil
		}
	case '/':
		return float64(a) / float64(b), nil
	case '%':
		if b == 0 {
			return nil, failed("%% by zero")
		}
		return a % b, nil
	case '^':
		return math.Pow(float64(a), float64(b)), nil
	}
	return nil, failed("%s of integers exceeds 64 bits", string(rune(op)))
}

func floats(op byte, a, b float64) any {
	switch op {
	case '+':
		return a + b
	case '-':
		return a - b
	case '*':
		return a * b
	case '/':
		return a / b
	}
	return math.Pow(a, b)
}

// fromFloat takes a float by its shortest text, so that 1.19 is 1.19.
func fromFloat(f float64) (decimal.Decimal, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return decimal.Decimal{}, false
	}
	return decimal.NewFromFloat(f), true
}

func decimals(op byte, a, b decimal.Decimal) (any, error) {
	var d decimal.Decimal
	switch op {
	case '+':
		d = a.Add(b)
	case '-':
		d = a.Sub(b)
	case '*':
		d = a.Mul(b)
	case '/':
		if b.IsZero() {
			return floats('/', float64(a.Sign()), 0), nil
		}
		d = divide(a, b)
	case '%':
		if b.IsZero() {
			return nil, failed("%% by zero")
		}
		d = a.Mod(b)
	default:
		return floats(op, a.InexactFloat64(), b.InexactFloat64()), nil
	}
	if d.NumDigits() > maxDigits || d.Exponent() > maxDigits || d.Exponent() < -maxDigits {
		return nil, failed("%s of numerics exceeds %d digits", string(rune(op)), maxDigits)
	}
	return d, nil
}

// divide gives 20 significant digits about, or 20 decimals, and no more zeros at the end than the operands have.
func divide(a, b decimal.Decimal) decimal.Decimal {
	magnitude := a.NumDigits() + int(a.Exponent()) - b.NumDigits() - int(b.Exponent())
	scale := int32(max(20-magnitude, 20))
	q := a.DivRound(b, scale)
	least := max(-a.Exponent(), -b.Exponent(), 0)
	if n := q.Normalize(); -n.Exponent() >= least {
		return n
	}
	return q.Round(least)
}

// orderings are the comparisons, given what compare says of left and right.
var orderings = map[string]func(int) bool{
	"__less":        func(c int) bool { return c < 0 },
	"__more":        func(c int) bool { return c == 1 },
	"__lessOrEqual": func(c int) bool { return c <= 0 },
	"__moreOrEqual": func(c int) bool { return c == 0 || c == 1 },
}

// unordered is the comparison of a NaN: neither less nor more nor equal.
const unordered = 2

// compare orders two plain values of one kind; numbers of all types are one kind.
func compare(a, b any) (int, bool) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return order(a, b), true
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Compare(b), true
		}
	case time.Duration:
		if b, ok := b.(time.Duration); ok {
			return order(a, b), true
		}
	case int64:
		switch b := b.(type) {
		case int64:
			return order(a, b), true
		case decimal.Decimal:
			return decimal.NewFromInt(a).Cmp(b), true
		case float64:
			if d, ok := fromFloat(b); ok {
				return decimal.NewFromInt(a).Cmp(d), true
			}
			return orderFloats(float64(a), b), true
		}
	case float64:
		switch b := b.(type) {
		case float64:
			return orderFloats(a, b), true
		case int64, decimal.Decimal:
			c, ok := compare(b, a)
			if c != unordered {
				c = -c
			}
			return c, ok
		}
	case decimal.Decimal:
		switch b := b.(type) {
		case decimal.Decimal:
			return a.Cmp(b), true
		case int64:
			return a.Cmp(decimal.NewFromInt(b)), true
		case float64:
			if d, ok := fromFloat(b); ok {
				return a.Cmp(d), true
			}
			return orderFloats(a.InexactFloat64(), b), true
		}
	}
	return 0, false
}

func order[T int64 | string | time.Duration](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func orderFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return unordered
}
