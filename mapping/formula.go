package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/types"

	"github.com/rowhook/rowhook/internal/problem"
)

// Formula is an expression over the members of a JSON object that is no row, and whose members nobody has declared: an
// answer of the application, the claims of a token. A member that is not there is null. It may be used by many goroutines.
type Formula struct {
	key  string
	text string

	mu        sync.Mutex
	evaluator *evaluator
	program   *program
}

// ParseFormula compiles the expression of a key that takes it bare. The Formula is good only if the list is empty.
func ParseFormula(key string, s *Source) (*Formula, problem.List) {
	var problems problem.List
	src := parseBare(key, s, &problems)
	if src == nil || len(problems) > 0 {
		return nil, problems
	}
	f := &Formula{key: key, text: src.text, evaluator: newEvaluator()}
	f.program = f.evaluator.compileOpen(src.text, location{source: *src}, &problems)
	return f, problems
}

// compileOpen is compile for names that may be anything. It returns nil when it added a problem.
func (e *evaluator) compileOpen(text string, at location, problems *problem.List) (made *program) {
	defer func() {
		if r := recover(); r != nil {
			problems.Add(at.place(text, 0), "write it in another way, and report it", "expression %s cannot be compiled", quote(text))
			made = nil
		}
	}()
	tree, err := parseExpression(text)
	if err != nil {
		tellSyntax(text, at, err, problems)
		return nil
	}
	tree.Node = picks(plainNames(tree.Node, false))
	used, ok := openNames(tree.Node, text, at, problems)
	if !ok {
		return nil
	}
	p := &program{format: &plainFormat, env: make(map[string]any, len(used))}
	env := types.Map{nullName: types.Any}
	for _, name := range used {
		p.columns = append(p.columns, programColumn{name: name})
		env[name] = types.Any
	}
	if _, err := checker.Check(tree, configOf(env, ownFunctions)); err != nil {
		tellType(text, at, err, problems)
		return nil
	}
	tree.Node = e.rewrite(tree.Node, &scope{})
	delete(env, nullName)
	config := configOf(env, e.functions)
	if _, err = checker.Check(tree, config); err == nil {
		p.program, err = compiler.Compile(tree, config)
	}
	if err != nil {
		tellType(text, at, err, problems)
		return nil
	}
	return p
}

// openNames lists the names that the expression takes from the object, each once, and tells what cannot be used.
func openNames(root ast.Node, text string, at location, problems *problem.List) (used []string, ok bool) {
	v := nameVisitor{callees: map[ast.Node]bool{}, variables: map[string]bool{}}
	ast.Walk(&root, &v)
	ok = true
	for _, id := range v.names {
		name, place := id.Value, at.place(text, id.Location().From)
		switch {
		case slices.Contains(used, name), name == nullName, v.variables[name]:
		case v.callees[id] && ownFunctions[name] != nil:
		case v.callees[id]:
			ok = false
			problems.Add(place, problem.DidYouMean(name, functionNames), "there is no function %q", name)
		case name == "$env":
			ok = false
			problems.Add(place, `name one member, as in $env["https://example.com/account"]`, "$env cannot be used as a whole")
		default:
			used = append(used, name)
		}
	}
	for _, n := range v.now {
		ok = false
		problems.Add(at.place(text, n.Location().From), "", "now() is not available here")
	}
	return used, ok
}

// run evaluates with the members of the object. The error holds no value.
func (f *Formula) run(object map[string]any, size int) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.program.columns {
		f.program.env[c.name] = object[c.name]
	}
	v, err := f.evaluator.run(f.program, size)
	clear(f.program.env)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", f.key, quote(f.text), err)
	}
	return v, nil
}

// Object is a JSON object that formulas look at.
type Object struct {
	members map[string]any
	size    int
}

// String is the formula's text.
func (f *Formula) String() string { return f.text }

// Names are those of its members, in order.
func (o Object) Names() []string { return slices.Sorted(maps.Keys(o.members)) }

// ReadObject reads an object whose text is JSON. It is false where it is no object.
func ReadObject(text []byte) (Object, bool) {
	v, err := decodeJSON(strings.NewReader(string(text)))
	if err != nil {
		return Object{}, false
	}
	members, ok := v.(map[string]any)
	return Object{members, len(text)}, ok
}

// Account gives the account as a resource's account gives it: a text as it is, a number by its digits. It is empty where there
// is none: null, a member that is not there, the empty text. True and false, lists and objects are an error.
func (f *Formula) Account(o Object) (string, error) {
	v, err := f.run(o.members, o.size)
	if err != nil {
		return "", err
	}
	switch kind := kindOf(v); v.(type) {
	case bool, []any, map[string]any:
		return "", fmt.Errorf("%s: %s gives %s, not text or a number", f.key, quote(f.text), kind)
	}
	text, err := textOf(v)
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", f.key, quote(f.text), err)
	}
	return text, nil
}

// Holds says whether a condition holds. Null is false; what is no condition is an error.
func (f *Formula) Holds(o Object) (bool, error) {
	v, err := f.run(o.members, o.size)
	if err != nil {
		return false, err
	}
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	}
	return false, fmt.Errorf("%s: %s gives %s, not a condition", f.key, quote(f.text), kindOf(v))
}
