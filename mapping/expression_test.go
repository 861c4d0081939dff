package mapping

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/expr-lang/expr"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// exprRow is a row for expressions: name, type, text (nil is null).
var exprRow = []struct {
	name, typ string
	text      any
}{
	{"i", "int8", "7"}, {"j", "int4", "-2"}, {"big", "int8", "9223372036854775807"}, {"f", "float8", "2.5"}, {"nan", "float8", "NaN"},
	{"d", "numeric", "12.30"}, {"e", "numeric", "3"}, {"dnan", "numeric", "NaN"}, {"s", "text", "Héllo"}, {"empty", "text", ""},
	{"t", "bool", "t"}, {"l", "text[]", "{b,a,c,a}"}, {"m", "jsonb", `{"a": 1, "b": [1.5, "x", null], "c": {"d": true}}`},
	{"at", "timestamptz", "2024-02-29 13:14:15.5+00"}, {"day", "date", "2024-03-01"}, {"local", "timestamp", "2024-02-29 13:14:15.5"},
	{"n", "int8", nil}, {"ns", "text", nil}, {"nd", "numeric", nil}, {"nb", "bool", nil}, {"nl", "text[]", nil}, {"nm", "jsonb", nil}, {"nt", "timestamptz", nil},
	{"dl", "numeric[]", "{2.50,NULL,1}"}, {"inf", "timestamptz", "infinity"}, {"count", "int8", "3"}, {"hs", "hstore", `"k"=>"v", "z"=>NULL`},
}

func exprScope() (*scope, cdc.Row) {
	columns := make([]cdc.Column, len(exprRow))
	row := make(cdc.Row, len(exprRow))
	for i, c := range exprRow {
		columns[i] = cdc.Column{Name: c.name, Type: testType(c.typ)}
		row[i] = cdc.Value{Kind: cdc.Null}
		if text, ok := c.text.(string); ok {
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(text)}
		}
	}
	return newScope(cdc.TableName{Schema: "public", Name: "t"}, columns), row
}

// evaluate is the JSON of an expression, or the problem or error.
func evaluate(text string) string { return evaluateBy(newEvaluator(), text) }

func evaluateBy(e *evaluator, text string) string {
	s, row := exprScope()
	var problems problem.List
	p := e.compile(text, location{source{text: text}, 0}, s, &plainFormat, &problems)
	if p == nil {
		return "problem: " + problems.Error()
	}
	r := renderer{evaluator: e, row: row}
	got, _ := r.evaluate(nil, &node{program: p})
	if r.err != nil {
		return "error: " + r.err.Error()
	}
	return string(got)
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		// Null.
		{`n + 1`, `null`}, {`1 - n`, `null`}, {`n * d`, `null`}, {`-n`, `null`}, {`n / 0`, `null`}, {`n % 2`, `null`}, {`n ** 2`, `null`},
		{`n > 1`, `false`}, {`n < 1`, `false`}, {`1 >= n`, `false`}, {`n == null`, `true`}, {`n != nil`, `false`}, {`n == 1`, `false`}, {`n != 1`, `true`},
		{`ns + "x"`, `"x"`}, {`"x" + ns`, `"x"`}, {`ns + ns`, `""`}, {`ns + ns + ns`, `""`}, {`nm + nm`, `null`}, {`s + nm.x`, `"Héllo"`},
		{`nb ? 1 : 2`, `2`}, {`not nb`, `true`}, {`nb and t`, `false`}, {`nb or t`, `true`}, {`!nb && !nb`, `true`}, {`nb`, `null`},
		{`nm.a.b`, `null`}, {`nm["a"]`, `null`}, {`nm?.a`, `null`}, {`nl[0]`, `null`}, {`nl[1:2]`, `null`}, {`ns[1:]`, `null`}, {`m.nothing.at.all`, `null`},
		{`ns contains "a"`, `false`}, {`s contains ns`, `false`}, {`ns matches "a"`, `false`}, {`ns in ["a"]`, `false`}, {`"a" in nl`, `false`}, {`n in 1..2`, `false`},
		{`upper(ns)`, `null`}, {`len(nl)`, `null`}, {`map(nl, #)`, `null`}, {`filter(nl, true)`, `null`}, {`any(nl, true)`, `null`}, {`any(nl, true) ? 1 : 2`, `2`},
		{`sum(nl)`, `null`}, {`count(nl)`, `null`}, {`join(nl)`, `null`}, {`string(n)`, `null`}, {`int(ns)`, `null`}, {`abs(nd)`, `null`}, {`max(n, 1)`, `null`},
		{`nt.Year()`, `null`}, {`nt - at`, `null`}, {`nt == at`, `false`}, {`inf == null`, `true`}, {`dnan == null`, `true`}, {`nan == null`, `false`},
		{`n ?? 5`, `5`}, {`nm?.x ?? "d"`, `"d"`}, {`(n ?? nd) ?? 1`, `1`}, {`n..3`, `null`}, {`null`, `null`}, {`nil ?? null`, `null`}, {`[n, ns]`, `[null,null]`},
		{`{"k": n}`, `{"k":null}`}, {`n | abs()`, `null`}, {`let x = n; x ?? 1`, `1`}, {`n == n`, `true`}, {`nl == l`, `false`}, {`nb ?: "x"`, `"x"`},
		{`t ? null : 1`, `null`}, {`if nb {1} else {2}`, `2`}, {`reduce(nl, #acc + #)`, `null`}, {`sortBy(nl, #)`, `null`}, {`groupBy(nl, #)`, `null`},
		// What expr does not have.
		{`default(ns, "x")`, `"x"`}, {`default(s, "x")`, `"Héllo"`}, {`default(n, i)`, `7`}, {`default(empty, "x")`, `""`},
		{`{1: "lead", 7: "won"}[i]`, `"won"`}, {`{1: "lead"}[i]`, `null`}, {`{1: "lead"}[i] ?? "other"`, `"other"`}, {`{1: "lead"}[n]`, `null`},
		{`get({"7": "won"}, i)`, `"won"`}, {`{"7": "won"}["7"]`, `"won"`}, {`get(m, "a")`, `1`}, {`get(nm, "a")`, `null`}, {`{"12.30": 1}[d]`, `1`},
		{`map(1..2, get({1: "a", 2: "b"}, #))`, `["a","b"]`}, {`["lead", "won"][i - 6]`, `"won"`},
		{`strftime(at, "%Y-%m-%d %H:%M:%S.%L %f %j %%")`, `"2024-02-29 13:14:15.500 500000 060 %"`}, {`strftime(day, "%e. %B %y, %A %a %b")`, `" 1. March 24, Friday Fri Mar"`},
		{`strftime(at, "%F %T %s %I %p %z %Z")`, `"2024-02-29 13:14:15 1709212455 01 PM +0000 UTC"`}, {`strftime(nt, "%Y")`, `null`}, {`strftime(at, ns)`, `null`},
		{`strftime(at, "%" + "Q")`, `error: strftime knows no %Q`}, {`strftime(at, "%" + ns)`, `error: the format of strftime ends with a single %`},
		{`strftime(at, "x%Q")`, "problem: in expression `strftime(at, \"…\")`: strftime knows no %Q"}, {`strftime(s, "%Y")`, "problem: in expression `strftime(s, \"…\")`: cannot use text as argument (type time) to call strftime"},
		{`strftime(at, "é%Y2006")`, `"é20242006"`}, {`strftime(m.a, "%Y")`, `error: strftime takes a time and a text, not integer and text`},
		{`fixed(d, 1)`, `"12.3"`}, {`fixed(i, 2)`, `"7.00"`}, {`fixed(f, 0)`, `"3"`}, {`fixed(-2.345, 2)`, `"-2.35"`}, {`fixed(n, 2)`, `null`}, {`fixed(nan, 2)`, `null`},
		{`fixed(big, 2, ",", ".")`, `"9,223,372,036,854,775,807.00"`}, {`fixed(-1234567.891, 2, ".", ",")`, `"-1.234.567,89"`}, {`fixed(123, 0, ",", ".")`, `"123"`},
		{`fixed(dnan, 2)`, `null`}, {`fixed(m.c, 2)`, `error: fixed takes a number, not object`}, {`fixed(i, -1)`, `error: fixed takes 0 to 100 digits`},
		// Numbers.
		{`i + j`, `5`}, {`i / j`, `-3.5`}, {`i % 4`, `3`}, {`i ** 2`, `49`}, {`i * f`, `17.5`}, {`f - i`, `-4.5`}, {`big + 1`, `error: + of integers exceeds 64 bits`},
		{`big * -1`, `-9223372036854775807`}, {`-big - 2`, `error: - of integers exceeds 64 bits`}, {`big * 2`, `error: * of integers exceeds 64 bits`},
		{`big == 9223372036854775807`, `true`}, {`big`, `9223372036854775807`}, {`i % 0`, `error: % by zero`}, {`i / 0`, `null`}, {`nan`, `null`}, {`nan < 1`, `false`}, {`nan == nan`, `false`},
		{`d + e`, `"15.30"`}, {`d * e`, `"36.90"`}, {`d / e`, `"4.10"`}, {`e / d`, `"0.243902439024390243902"`}, {`1 / e`, `"0.33333333333333333333"`}, {`d - 0.30`, `"12.00"`},
		{`d * 1.19`, `"14.6370"`}, {`d * f`, `"30.750"`}, {`d > 12`, `true`}, {`12.3 == d`, `true`}, {`d < 12.31`, `true`}, {`d in [1, 12.3]`, `true`}, {`d != e`, `true`},
		{`d ** 2`, `151.29000000000002`}, {`d / 0`, `null`}, {`e == 3`, `true`}, {`3 == e`, `true`}, {`+d`, `"12.30"`}, {`-d`, `"-12.30"`}, {`i + d + f`, `"21.80"`},
		{`d * nan`, `null`}, {`e > nan`, `false`}, {`f > e`, `false`}, {`i > f`, `true`}, {`f == 2.5`, `true`}, {`1 < i < 9`, `true`}, {`1e-7`, `1e-07`}, {`1e21`, `1e+21`},
		{`int(d)`, `12`}, {`float(d)`, `12.3`}, {`string(d)`, `"12.30"`}, {`round(d)`, `"12"`}, {`ceil(d)`, `"13"`}, {`floor(d)`, `"12"`}, {`abs(-d)`, `"12.30"`}, {`round(f)`, `3`},
		{`max(d, 5, 1.5)`, `"12.30"`}, {`min(l)`, `"a"`}, {`mean(1, 2)`, `1.5`}, {`mean(dl)`, `"1.75"`}, {`median(dl)`, `"1.75"`}, {`median(3, 1, 2)`, `2`}, {`sum(dl)`, `"3.50"`}, {`sum(1..4, # * 2)`, `20`},
		{`mean([])`, `0`}, {`max([])`, `null`}, {`sum([])`, `0`},
		// Text.
		{`s + "!"`, `"Héllo!"`}, {`s[1:3]`, `"él"`}, {`s[-2:]`, `"lo"`}, {`s[:99]`, `"Héllo"`}, {`s[3:1]`, `""`}, {`len(s)`, `5`}, {`upper(s)`, `"HÉLLO"`}, {`s matches "^H"`, `true`},
		{`s not matches "^H"`, `false`}, {`s matches (s + "?")`, `true`}, {`"a" matches "(" + s`, `error: the pattern of matches is not a regular expression`}, {`s > "A"`, `true`},
		{`replace(s, "l", "L")`, `"HéLLo"`}, {`replace(s, "l", "L", 1)`, `"HéLlo"`}, {`repeat("ab", 2)`, `"abab"`}, {`repeat("a", -1)`, `error: repeat takes a text and how often, not text, integer`},
		{`split("a,b", ",")`, `["a","b"]`}, {`split("a,b", ",")[1]`, `"b"`}, {`trim(" x ")`, `"x"`}, {`hasPrefix(s, "H")`, `true`}, {`indexOf(s, "l")`, `3`}, {`toBase64(s)`, `"SMOpbGxv"`},
		{`fromBase64("!")`, `error: fromBase64 failed on text`}, {`int("x")`, `error: int failed on text`}, {`int("12")`, `12`}, {`string(t)`, `"true"`}, {`string(at)`, `"2024-02-29T13:14:15.500000Z"`},
		{`string(l)`, `"[\"b\",\"a\",\"c\",\"a\"]"`}, {`type(d)`, `"numeric"`}, {`type(m)`, `"object"`}, {`b"ab"`, `"ab"`},
		// Lists and objects.
		{`l[0]`, `"b"`}, {`l[-1]`, `"a"`}, {`l[9]`, `null`}, {`l[1:3]`, `["a","c"]`}, {`"c" in l`, `true`}, {`"c" not in l`, `false`}, {`first(l)`, `"b"`}, {`last(l)`, `"a"`}, {`take(l, 2)`, `["b","a"]`},
		{`sort(l)`, `["a","a","b","c"]`}, {`uniq(l)`, `["b","a","c"]`}, {`reverse(l)`, `["a","c","a","b"]`}, {`concat(l, [1])`, `["b","a","c","a",1]`}, {`join(l, ",")`, `"b,a,c,a"`}, {`join([1, n, d])`, `"112.30"`},
		{`map(l, {{"x": #}})[0].x`, `"b"`}, {`filter(l, # == "a")`, `["a","a"]`}, {`filter(l, nb)`, `[]`}, {`find(l, # > "b")`, `"c"`}, {`findIndex(l, # == "z")`, `null`}, {`one(l, # == "c")`, `true`}, {`none(l, # == "z")`, `true`},
		{`all(l, # >= "a")`, `true`}, {`count(l, # == "a")`, `2`}, {`count([true, nb, false])`, `1`}, {`reduce(l, #acc + #)`, `"baca"`}, {`reduce(l, #acc + 1, 0)`, `4`}, {`sortBy(l, #, "desc")`, `["c","b","a","a"]`},
		{`groupBy(l, #)`, `{"a":["a","a"],"b":["b"],"c":["c"]}`}, {`groupBy(dl, # > 2)`, `{"false":[null,"1"],"true":["2.50"]}`}, {`map(l, #index)`, `[0,1,2,3]`}, {`sort(dl)`, `["1","2.50",null]`}, {`flatten([[1], [2, [3]]])`, `[1,2,3]`},
		{`m.b`, `[1.5,"x",null]`}, {`m.c.d`, `true`}, {`m.a + 1`, `2`}, {`m["a"]`, `1`}, {`get(m, "a")`, `1`}, {`"a" in m`, `true`}, {`"z" in m`, `false`}, {`keys(m)`, `["a","b","c"]`}, {`values({"b": 1, "a": 2})`, `[2,1]`},
		{`toPairs({"a": 1})`, `[["a",1]]`}, {`fromPairs([["a", 1]])`, `{"a":1}`}, {`m == {"a": 1, "b": [1.5, "x", nil], "c": {"d": true}}`, `true`}, {`m == {"a": 1}`, `false`}, {`m.a * "x"`, `problem: `}, {`m.b * 2`, `error: * does not work on list and integer`},
		{`m.b > 1`, `error: list and integer have no order`}, {`m.c ? 1 : 2`, `error: object is not a condition`}, {`map(m, #)`, `error: map takes a list, not object`}, {`m.a.x`, `error: integer has no member by text`}, {`{(s): 1}`, `{"Héllo":1}`},
		{`hs.k`, `"v"`}, {`hs.z`, `null`}, {`count + count(l, true)`, `7`}, {`toJSON(dl)`, `"[\"2.50\",null,\"1\"]"`}, {`fromJSON("{")`, `error: fromJSON: the text is not JSON`}, {`fromJSON("[1.50]")[0]`, `1.50`},
		{`m.b[0] + 1`, `2.5`}, {`any(l, any(l, # == "a"))`, `true`}, {`map(1..2, map(1..2, #))`, `[[1,2],[1,2]]`}, {`3..1`, `[]`}, {`1..9999999`, `error: the expression takes more than 1000000 steps`},
		// Times.
		{`at`, `"2024-02-29T13:14:15.500000Z"`}, {`day ?? day`, `"2024-03-01"`}, {`local ?? local`, `"2024-02-29T13:14:15.500000"`}, {`at == local`, `true`}, {`day > at`, `true`}, {`day - duration("24h")`, `"2024-02-29"`},
		{`day + duration("1h")`, `"2024-03-01T01:00:00.000000"`}, {`at - duration("1.5s")`, `"2024-02-29T13:14:14.000000Z"`}, {`day - at`, `"PT10H45M44.5S"`}, {`at - day`, `"-PT10H45M44.5S"`}, {`(day - at).Hours() > 10`, `true`},
		{`at.Year()`, `2024`}, {`int(at.Month()) == 2`, `true`}, {`at.Month().String()`, `"February"`}, {`at.AddDate(0, count, 0).Month()`, `5`}, {`at.Format("2006-01")`, `"2024-02"`}, {`at.Unix()`, `1709212455`}, {`date("2024-02-29") < at`, `true`},
		{`date(at) == at`, `true`}, {`date("x")`, `error: date failed on text`}, {`duration("x")`, `error: duration failed on text`}, {`at.In(timezone("UTC")).Hour()`, `13`}, {`timezone("UTC")`, `error: the result has no JSON form`}, {`duration("0s")`, `"PT0S"`},
		// Conditions.
		{`t ? "a" : "b"`, `"a"`}, {`t and i > 1`, `true`}, {`t or m.a.x`, `true`}, {`not (i > 1)`, `false`}, {`i > 1 ? n : 2`, `null`}, {`t == true`, `true`}, {`"a" == s`, `false`},
	}
	for _, test := range tests {
		got := evaluate(test.in)
		if tried := evaluateBy(newTrialEvaluator(NewTrial()), test.in); tried != got {
			t.Errorf("%s: %s, and %s in a trial", test.in, got, tried)
		}
		if got != test.want && (test.want != "problem: " || !strings.HasPrefix(got, test.want)) {
			t.Errorf("%s: got %s, want %s", test.in, got, test.want)
		}
	}
}

// TestExpressionsAgreeWithExpr runs what has no null and no decimal by expr itself too.
func TestExpressionsAgreeWithExpr(t *testing.T) {
	t.Parallel()
	env := map[string]any{
		"i": int64(7), "j": int64(-2), "f": 2.5, "s": "Hallo", "t": true, "l": []any{"b", "a", "c"}, "m": map[string]any{"a": 1, "b": []any{1.5, "x"}},
	}
	for _, text := range []string{
		`i + j * 2`, `i - j`, `(i + j) / 2`, `i % 3`, `2 ** 3 ** 2`, `-i`, `+f`, `f * i`, `i == 7.0`, `i != j`, `i <= 7 and j >= -2`, `not t`, `!t || i > 1`, `t && false`,
		`s + s`, `s contains "ll"`, `s startsWith "H"`, `s endsWith "o"`, `s matches "^H.*o$"`, `s not contains "z"`, `s[1:3]`, `s[:2]`, `s[-1:]`, `len(s)`, `upper(s) + lower(s)`,
		`l[0] + l[-1]`, `l[1:]`, `"a" in l`, `"z" not in l`, `map(l, upper(#))`, `filter(l, # > "a")`, `all(l, len(#) == 1)`, `any(l, # == "c")`, `none(l, # == "c")`, `one(l, # == "c")`,
		`find(l, # > "a")`, `findIndex(l, # == "c")`, `findLast(l, # < "c")`, `findLastIndex(l, # == "b")`, `count(l, # != "a")`, `sum(1..10)`, `sum([1, 2.5])`, `reduce(1..5, #acc * #)`, `reduce(l, #acc + #, "x")`,
		`sortBy(l, #)`, `sort(l, "desc")`, `groupBy(1..4, # % 2)`, `m.a`, `m["b"][0]`, `m?.b?.[1]`, `m.b | first()`, `keys({"k": 1})`, `t ? i : s`, `i > 9 ? 1 : i > 5 ? 2 : 3`, `let x = i * 2; x + x`,
		`{"a": i, "b": [s, f]}`, `[1, 2.5, "x", true]`, `1..3`, `max(1, 2.5)`, `min(3, 1)`, `mean([1, 2, 3])`, `median([1, 4, 2])`, `abs(-3)`, `ceil(1.2)`, `floor(1.8)`, `round(1.5)`, `int("3")`, `float(2)`, `string(3)`,
		`trim("  a ")`, `split("a-b", "-")`, `join(l, "-")`, `replace(s, "l", "r")`, `repeat("x", 3)`, `first(l)`, `last(l)`, `take(l, 2)`, `reverse(l)`, `uniq([1, 1, 2])`, `concat([1], [2])`, `flatten([1, [2]])`,
		`bitand(6, 3)`, `bitor(6, 3)`, `bitshl(1, 4)`, `toBase64("a")`, `date("2024-01-02").Year()`, `duration("90m").Minutes()`, `indexOf(s, "l")`, `hasSuffix(s, "o")`, `trimPrefix(s, "H")`, `"x" + (t ? "y" : "z")`,
		`any(l, any(l, # == "a"))`, `map(l, # + s)`, `filter(1..9, # % 2 == 0)`, `map(filter(1..9, # > 5), # * 2)`, `len(filter(l, true))`, `sum(map(1..3, # * #))`, `i in [1, 7]`, `"a" in m`, `if t { i } else { j }`,
	} {
		native, err := expr.Eval(text, env)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		// Keys of objects are text here.
		if groups := reflect.ValueOf(native); groups.Kind() == reflect.Map && groups.Type().Key().Kind() == reflect.Interface {
			m := map[string]any{}
			for _, k := range groups.MapKeys() {
				key, _ := textOf(k.Interface())
				m[key] = groups.MapIndex(k).Interface()
			}
			native = m
		}
		want, err := plainFormat.appendValue(nil, native)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		s := newScope(cdc.TableName{}, []cdc.Column{
			{Name: "i", Type: testType("int8")}, {Name: "j", Type: testType("int8")}, {Name: "f", Type: testType("float8")}, {Name: "s", Type: testType("text")},
			{Name: "t", Type: testType("bool")}, {Name: "l", Type: testType("text[]")}, {Name: "m", Type: testType("jsonb")},
		})
		e := newEvaluator()
		var problems problem.List
		p := e.compile(text, location{source{text: text}, 0}, s, &plainFormat, &problems)
		if p == nil {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		var row cdc.Row
		for _, v := range []string{"7", "-2", "2.5", "Hallo", "t", "{b,a,c}", `{"a":1,"b":[1.5,"x"]}`} {
			row = append(row, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
		}
		r := renderer{evaluator: e, row: row}
		got, _ := r.evaluate(nil, &node{program: p})
		if r.err != nil || string(got) != string(want) {
			t.Errorf("%s: got %s, %v, want %s", text, got, r.err, want)
		}
	}
}

// FuzzExpression compiles and runs any text: it never panics, its results are JSON, and its errors hold no values.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{`s + "x"`, `map(l, #)`, `let x = 1; x`, `$env["s"]`, `a?.b ?: c`, `m.b[0] ?? d / e`, `{(s): 1}`, `reduce(l, #acc)`, `t ? at.Year() : nil`, `1 in 1..2`, `sum(l | map(len(#)))`, `get($env, "s")`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := evaluate(text)
		switch {
		case strings.HasPrefix(got, "problem: "):
		case strings.HasPrefix(got, "error: "):
			if strings.Contains(got, "Héllo") {
				t.Errorf("%s: %s", text, got)
			}
		case !json.Valid([]byte(got)):
			t.Errorf("%s: %q is not JSON", text, got)
		}
	})
}
