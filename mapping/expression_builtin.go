package mapping

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/builtin"
	"github.com/shopspring/decimal"
)

// addBuiltins registers expr's functions under names of ours, null-safe and without values in their errors. Those that
// do not know decimals, or may take any amount of memory, are ours.
func (e *evaluator) addBuiltins(add func(string, func(...any) (any, error))) {
	own := map[string]func(args []any) (any, error){
		"abs":     func(a []any) (any, error) { return e.round("abs", a[0], decimal.Decimal.Abs) },
		"ceil":    func(a []any) (any, error) { return e.round("ceil", a[0], decimal.Decimal.Ceil) },
		"floor":   func(a []any) (any, error) { return e.round("floor", a[0], decimal.Decimal.Floor) },
		"round":   func(a []any) (any, error) { return e.round("round", a[0], roundWhole) },
		"int":     toInteger,
		"float":   toFloat,
		"string":  func(a []any) (any, error) { return e.text(a[0]) },
		"type":    func(a []any) (any, error) { return kindOf(a[0]), nil },
		"join":    e.join,
		"repeat":  e.repeat,
		"replace": e.replace,
		"max":     func(a []any) (any, error) { return extreme(a, 1) },
		"min":     func(a []any) (any, error) { return extreme(a, -1) },
		"mean":    e.mean,
		"median":  e.median,
		"sum":     func(a []any) (any, error) { return e.sum(a[0].([]any)) },
		"sort":    func(a []any) (any, error) { return sortList("sort", a[0], a[0], a[1:]) },
		"sortBy":  func(a []any) (any, error) { return sortList("sortBy", a[0], a[1], a[2:]) },
		"groupBy": groupBy,
		"uniq":    uniq,
		"keys":    func(a []any) (any, error) { return sortedPairs("keys", a[0], func(k string, _ any) any { return k }) },
		"values":  func(a []any) (any, error) { return sortedPairs("values", a[0], func(_ string, v any) any { return v }) },
		"toPairs": func(a []any) (any, error) {
			return sortedPairs("toPairs", a[0], func(k string, v any) any { return []any{k, v} })
		},
		"fromPairs": fromPairs,
		"toJSON": func(a []any) (any, error) {
			b, err := e.format.appendValue(nil, a[0])
			return string(b), err
		},
		"fromJSON": func(a []any) (any, error) {
			s, ok := a[0].(string)
			if !ok {
				return nil, failed("fromJSON does not work on %s", kindOf(a[0]))
			}
			v, err := decodeJSON(strings.NewReader(s))
			if err != nil {
				return nil, failed("fromJSON: the text is not JSON")
			}
			return v, nil
		},
	}
	for _, f := range builtin.Builtins {
		if f.Predicate && own[f.Name] == nil || f.Name == "get" || f.Name == "now" {
			continue
		}
		run := own[f.Name]
		if run == nil {
			run = func(args []any) (any, error) { return callBuiltin(f, args) }
		}
		add("__"+f.Name, func(args ...any) (any, error) {
			if err := e.step(); err != nil {
				return nil, err
			}
			values := make([]any, len(args))
			for i, v := range args {
				values[i] = plain(v)
			}
			if len(values) > 0 && values[0] == nil {
				return nil, nil
			}
			return run(values)
		})
	}
}

// callBuiltin calls one of expr's functions. Its errors and panics may quote what it was given.
func callBuiltin(f *builtin.Function, args []any) (result any, err error) {
	refused := func() error {
		kinds := make([]string, len(args))
		for i, v := range args {
			kinds[i] = kindOf(v)
		}
		return failed("%s failed on %s", f.Name, strings.Join(kinds, ", "))
	}
	if t, ok := args[0].(time.Time); ok && f.Name == "date" && len(args) == 1 {
		return t, nil
	}
	defer func() {
		if recover() != nil {
			result, err = nil, refused()
		}
	}()
	given := make([]any, len(args))
	for i, v := range args {
		if n, ok := v.(int64); ok {
			v = int(n)
		}
		given[i] = v
	}
	switch {
	case f.Fast != nil:
		result = f.Fast(given[0])
	case f.Safe != nil:
		result, _, err = f.Safe(given...)
	default:
		result, err = f.Func(given...)
	}
	if err != nil {
		return nil, refused()
	}
	return plain(result), nil
}

func (e *evaluator) text(v any) (any, error) {
	s, err := e.format.textOf(v)
	if err != nil {
		return nil, err
	}
	return s, e.spend(len(s))
}

func (e *evaluator) round(name string, v any, f func(decimal.Decimal) decimal.Decimal) (any, error) {
	if d, ok := v.(decimal.Decimal); ok {
		return f(d), nil
	}
	return callBuiltin(builtin.Builtins[builtin.Index[name]], []any{v})
}

func roundWhole(d decimal.Decimal) decimal.Decimal { return d.Round(0) }

func toInteger(a []any) (any, error) {
	if d, ok := a[0].(decimal.Decimal); ok {
		whole := d.Truncate(0)
		if !whole.BigInt().IsInt64() {
			return nil, failed("int: the numeric exceeds 64 bits")
		}
		return whole.IntPart(), nil
	}
	return callBuiltin(builtin.Builtins[builtin.Index["int"]], a)
}

func toFloat(a []any) (any, error) {
	if d, ok := a[0].(decimal.Decimal); ok {
		return d.InexactFloat64(), nil
	}
	return callBuiltin(builtin.Builtins[builtin.Index["float"]], a)
}

// join takes values of any kind, by their text.
func (e *evaluator) join(a []any) (any, error) {
	list, ok := a[0].([]any)
	glue := ""
	if len(a) > 1 {
		s, isText := a[1].(string)
		glue, ok = s, ok && isText
	}
	if !ok {
		return nil, failed("join takes a list and a text, not %s", kindOf(a[0]))
	}
	parts := make([]string, len(list))
	size := len(glue) * len(list)
	for i, v := range list {
		s, err := e.format.textOf(v)
		if err != nil {
			return nil, err
		}
		parts[i] = s
		size += len(s)
	}
	if err := e.spend(size); err != nil {
		return nil, err
	}
	return strings.Join(parts, glue), nil
}

func (e *evaluator) repeat(a []any) (any, error) {
	s, ok1 := a[0].(string)
	n, ok2 := a[1].(int64)
	if !ok1 || !ok2 || n < 0 {
		return nil, failed("repeat takes a text and how often, not %s, %s", kindOf(a[0]), kindOf(a[1]))
	}
	if n > maxSteps {
		return nil, errBytes
	}
	if err := e.spend(len(s) * int(n)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, int(n)), nil
}

func (e *evaluator) replace(a []any) (any, error) {
	var texts [3]string
	n := int64(-1)
	ok := true
	for i, v := range a {
		var is bool
		if i < 3 {
			texts[i], is = v.(string)
		} else {
			n, is = v.(int64)
		}
		ok = ok && is
	}
	if !ok {
		return nil, failed("replace takes texts")
	}
	s, from, to := texts[0], texts[1], texts[2]
	count := strings.Count(s, from)
	if n >= 0 {
		count = min(count, int(n))
	}
	// Checked beforehand: a long text in place of each character of another is more than memory holds.
	if len(to) > 0 && count > e.bytes/len(to) {
		return nil, errBytes
	}
	if err := e.spend(len(s) + count*len(to)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, int(n)), nil
}

// flat are the values of the arguments and of the lists among them, without nulls.
func flat(args []any) []any {
	var out []any
	for _, v := range args {
		v = plain(v)
		if list, ok := v.([]any); ok {
			out = append(out, flat(list)...)
			continue
		}
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}

// extreme is the largest (sign 1) or smallest value. Nulls do not count, as in SQL.
func extreme(args []any, sign int) (any, error) {
	var best any
	for _, v := range flat(args) {
		if best == nil {
			best = v
			continue
		}
		c, ok := compare(v, best)
		if !ok {
			return nil, failed("%s and %s have no order", kindOf(v), kindOf(best))
		}
		if c*sign > 0 && c != unordered {
			best = v
		}
	}
	return best, nil
}

func (e *evaluator) sum(list []any) (any, error) {
	var total any = int64(0)
	for _, v := range list {
		if plain(v) == nil {
			continue
		}
		var err error
		if total, err = e.arithmetic('+', total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func (e *evaluator) mean(args []any) (any, error) {
	values := flat(args)
	if len(values) == 0 {
		return 0.0, nil
	}
	total, err := e.sum(values)
	if err != nil {
		return nil, err
	}
	return e.arithmetic('/', total, len(values))
}

func (e *evaluator) median(args []any) (any, error) {
	values := flat(args)
	if len(values) == 0 {
		return 0.0, nil
	}
	sorted, err := sortList("median", values, values, nil)
	if err != nil {
		return nil, err
	}
	values = sorted.([]any)
	n := len(values)
	if n%2 == 1 {
		return values[n/2], nil
	}
	return e.mean(values[n/2-1 : n/2+1])
}

// sortList sorts a copy of list by keys; nulls come last.
func sortList(name string, list, keys any, direction []any) (any, error) {
	values, ok1 := list.([]any)
	by, ok2 := keys.([]any)
	if !ok1 || !ok2 {
		return nil, failed("%s takes a list, not %s", name, kindOf(list))
	}
	sign := 1
	if len(direction) > 0 {
		switch direction[0] {
		case "asc":
		case "desc":
			sign = -1
		default:
			return nil, failed("%s goes asc or desc", name)
		}
	}
	type pair struct{ key, value any }
	pairs := make([]pair, len(values))
	for i := range values {
		pairs[i] = pair{plain(by[i]), values[i]}
	}
	var err error
	slices.SortStableFunc(pairs, func(a, b pair) int {
		switch {
		case a.key == nil || b.key == nil:
			return cmp.Compare(b2i(a.key == nil), b2i(b.key == nil))
		}
		c, ok := compare(a.key, b.key)
		if !ok {
			err = failed("%s and %s have no order", kindOf(a.key), kindOf(b.key))
		}
		if c == unordered {
			return 0
		}
		return sign * c
	})
	out := make([]any, len(pairs))
	for i, p := range pairs {
		out[i] = p.value
	}
	return out, err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// groupBy makes an object: its keys are texts, as all keys of JSON.
func groupBy(a []any) (any, error) {
	list, keys := a[0].([]any), a[1].([]any)
	groups := map[string]any{}
	for i, v := range list {
		key, err := textOf(keys[i])
		if err != nil {
			return nil, err
		}
		group, _ := groups[key].([]any)
		groups[key] = append(group, v)
	}
	return groups, nil
}

func uniq(a []any) (any, error) {
	list, ok := a[0].([]any)
	if !ok {
		return nil, failed("uniq takes a list, not %s", kindOf(a[0]))
	}
	const limit = 10_000 // It compares each with each.
	if len(list) > limit {
		return nil, failed("uniq takes at most %d items", limit)
	}
	out := []any{}
	for _, v := range list {
		if !slices.ContainsFunc(out, func(w any) bool { return equal(v, w) }) {
			out = append(out, v)
		}
	}
	return out, nil
}

func fromPairs(a []any) (any, error) {
	list, ok := a[0].([]any)
	if !ok {
		return nil, failed("fromPairs takes a list, not %s", kindOf(a[0]))
	}
	m := make(map[string]any, len(list))
	for _, v := range list {
		pair, ok := plain(v).([]any)
		if !ok || len(pair) != 2 {
			return nil, failed("fromPairs takes a list of pairs")
		}
		key, err := textOf(pair[0])
		if err != nil {
			return nil, err
		}
		m[key] = pair[1]
	}
	return m, nil
}

// sortedPairs lists the pairs of an object by key: Go's own order would differ from run to run.
func sortedPairs(name string, v any, make func(k string, v any) any) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, failed("%s takes an object, not %s", name, kindOf(v))
	}
	keys := []string{}
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := []any{}
	for _, k := range keys {
		out = append(out, make(k, m[k]))
	}
	return out, nil
}
