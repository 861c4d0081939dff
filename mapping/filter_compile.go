package mapping

import (
	"errors"
	"fmt"
	"reflect"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"

	"github.com/rowhook/rowhook/internal/problem"
)

const (
	// MaxFilter is the longest filter, in bytes.
	MaxFilter = 4 << 10
	// maxFilterNodes bounds the tree of one, with what stands in two places counted twice.
	maxFilterNodes = 1000
	// maxPatternSize bounds the regular expressions of one, in about the steps of their machines.
	maxPatternSize = 2000
)

// filterNames are what a filter sees.
var filterNames = []string{"context", "data", "previous", "type"}

// filterMistake is what is wrong with a filter, at a rune of its text.
type filterMistake struct {
	at            int
	message, hint string
}

func (m *filterMistake) Error() string { return m.message }

func mistaken(n ast.Node, hint, format string, args ...any) *filterMistake {
	return &filterMistake{n.Location().From, fmt.Sprintf(format, args...), hint}
}

// CheckFilter says what is wrong with the text of a filter of events whose data has one of the shapes; nil if nothing is.
// The problem's place is within the text, and it holds none of the texts in quotes.
func CheckFilter(text string, shapes []*FilterShape) *problem.Problem {
	_, mistake := newFilterEvaluator().compileFilter(text, shapes)
	if mistake == nil {
		return nil
	}
	line, column := 1, 1
	n := 0
	for _, r := range text {
		if n++; n > mistake.at {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return &problem.Problem{Place: problem.Place{Line: line, Column: column}, Message: mistake.message, Hint: mistake.hint}
}

// filterProgram is a filter, ready to run.
type filterProgram struct {
	*program
	// data and previous are the members that it uses of these.
	data, previous usedMembers
	// nodes and patterns are how large it is.
	nodes, patterns int
}

// usedMembers are names of members, or the object whole.
type usedMembers struct {
	used, whole bool
	names       []string
}

func (u *usedMembers) add(name string) {
	if u.used = true; !slices.Contains(u.names, name) {
		u.names = append(u.names, name)
	}
}

// compileFilter compiles a filter. What it does to an event follows from its text alone; shapes, where there are any, are
// what it is checked against.
func (e *evaluator) compileFilter(text string, shapes []*FilterShape) (made *filterProgram, mistake *filterMistake) {
	defer func() {
		if r := recover(); r != nil {
			made, mistake = nil, &filterMistake{0, "it cannot be compiled", "write it in another way"}
		}
	}()
	if len(text) > MaxFilter {
		return nil, &filterMistake{0, fmt.Sprintf("it has %d bytes, and %d are the most", len(text), MaxFilter), ""}
	}
	tree, err := parseExpression(text)
	if err != nil {
		return nil, syntaxMistake(text, err)
	}
	p := &filterProgram{}
	if p.nodes = countNodes(tree.Node); p.nodes > maxFilterNodes {
		return nil, errFilterParts
	}
	tree.Node = picks(plainNames(tree.Node, false))
	if mistake := p.resolve(tree.Node, shapes); mistake != nil {
		return nil, mistake
	}
	s := &scope{}
	if shapes != nil {
		result, err := checker.Check(tree, configOf(filterTypes(shapes), ownFunctions))
		if err != nil {
			return nil, typeMistake(text, err, shapes)
		}
		switch {
		case result == nil, result.Kind() == reflect.Interface, result.Kind() == reflect.Bool:
		default:
			return nil, &filterMistake{0, "it is " + typeWords(result.String()) + ", and neither true nor false", `compare it with something: data.status == "won"`}
		}
		// Beside what another shape would make of it, the program stays the same.
		if tree, err = parseExpression(text); err != nil {
			return nil, syntaxMistake(text, err)
		}
		tree.Node = picks(plainNames(tree.Node, false))
	}
	untyped := types.Map{nullName: types.Any}
	for _, name := range filterNames {
		untyped[name] = types.Any
	}
	if _, err := checker.Check(tree, configOf(untyped, ownFunctions)); err != nil {
		return nil, typeMistake(text, err, shapes)
	}
	tree.Node = e.rewrite(tree.Node, s)
	config := configOf(untyped, e.functions)
	p.program = &program{format: &plainFormat}
	if _, err = checker.Check(tree, config); err == nil {
		p.program.program, err = compiler.Compile(tree, config)
	}
	if err != nil {
		return nil, typeMistake(text, err, shapes)
	}
	return p, nil
}

// filterTypes are the names of a filter with their types: what events of any of the shapes may hold.
func filterTypes(shapes []*FilterShape) types.Map {
	data := dataType(shapes).static()
	m := types.Map{nullName: types.Any, "data": data, "previous": types.Any, "type": types.String, "context": types.Any}
	if _, object := data.(types.Map); object {
		m["previous"] = data
	}
	return m
}

// dataType is that of all shapes together.
func dataType(shapes []*FilterShape) jsonType {
	var t jsonType
	for i, s := range shapes {
		switch {
		case s == nil:
			return jsonType{}
		case i == 0:
			t = s.root()
		default:
			t = t.or(s.root())
		}
	}
	return t
}

// countNodes counts up to one more than are allowed.
func countNodes(root ast.Node) int {
	n := 0
	rewriteNodes(root, func(at ast.Node, _ func(ast.Node) ast.Node) (ast.Node, bool) {
		n++
		return at, n > maxFilterNodes
	})
	return n
}

// resolve finds what the filter uses, and what it may not.
func (p *filterProgram) resolve(root ast.Node, shapes []*FilterShape) *filterMistake {
	v := nameVisitor{callees: map[ast.Node]bool{}, variables: map[string]bool{}}
	ast.Walk(&root, &v)
	data := dataType(shapes)
	for _, id := range v.names {
		name := id.Value
		switch {
		case v.callees[id] && ownFunctions[name] != nil:
		case v.callees[id] && strings.ToLower(name) == "not":
			return mistaken(id, "write not in small letters", "there is no function %q", name)
		case v.callees[id]:
			return mistaken(id, problem.DidYouMean(name, functionNames), "there is no function %q", name)
		case name == nullName || slices.Contains(filterNames, name) || v.variables[name]:
		case data.kind == jsonObject && has(data.members, name):
			return mistaken(id, fmt.Sprintf("did you mean data.%s?", name), "there is no %q: a filter sees data, previous, type and context", name)
		default:
			return mistaken(id, problem.DidYouMean(name, filterNames), "there is no %q: a filter sees data, previous, type and context", name)
		}
	}
	for _, n := range v.formats {
		if _, err := strftime(time.Time{}, n.Value); err != nil {
			return mistaken(n, "", "%s", err)
		}
	}
	for _, n := range v.now {
		return mistaken(n, "compare with a time of the data", "now() is not available: the same event must always match the same")
	}
	f := filterVisitor{program: p, known: data}
	f.visit(root)
	return f.mistake
}

func has[V any](m map[string]V, key string) bool {
	_, ok := m[key]
	return ok
}

// filterVisitor finds what is used of the event, and the mistakes that have no type.
type filterVisitor struct {
	program *filterProgram
	known   jsonType
	mistake *filterMistake
}

func (v *filterVisitor) visit(root ast.Node) {
	rewriteNodes(root, func(n ast.Node, next func(ast.Node) ast.Node) (ast.Node, bool) {
		if v.mistake != nil {
			return n, true
		}
		switch n := n.(type) {
		case *ast.MemberNode:
			name, text := n.Property.(*ast.StringNode)
			if used := v.objectOf(n.Node); used != nil && text {
				used.add(name.Value)
				return n, true
			}
		case *ast.BinaryNode:
			switch n.Operator {
			case "in":
				name, text := n.Left.(*ast.StringNode)
				if used := v.objectOf(n.Right); used != nil && text {
					used.add(name.Value)
					v.checkMember(name)
					return n, true
				}
			case "matches":
				v.checkPattern(n)
			}
		case *ast.BuiltinNode:
			v.checkBuiltin(n)
		case *ast.CallNode:
			if m, ok := n.Callee.(*ast.MemberNode); ok {
				if name, ok := m.Property.(*ast.StringNode); ok && slices.Contains([]string{"Local", "In", "Zone"}, name.Value) {
					v.mistake = mistaken(m.Property, "times are UTC", "%s() is not available: it depends on the machine", name.Value)
				}
			}
		case *ast.IdentifierNode:
			if used := v.objectOf(n); used != nil {
				used.used, used.whole = true, true
			}
		}
		return nil, false
	})
}

// objectOf is what is noted of data or previous, nil for anything else.
func (v *filterVisitor) objectOf(n ast.Node) *usedMembers {
	id, ok := n.(*ast.IdentifierNode)
	switch {
	case ok && id.Value == "data":
		return &v.program.data
	case ok && id.Value == "previous":
		return &v.program.previous
	}
	return nil
}

func (v *filterVisitor) checkMember(name *ast.StringNode) {
	if v.known.kind == jsonObject && !has(v.known.members, name.Value) {
		v.mistake = noMember(name, v.known)
	}
}

func noMember(at *ast.StringNode, in jsonType) *filterMistake {
	names := in.names(nil)
	slices.Sort(names)
	hint := problem.DidYouMean(at.Value, names)
	if hint == "" {
		hint = "it is none of the members that the mapping gives these events"
	}
	return mistaken(at, hint, "the event's data has no member %q", at.Value)
}

// checkPattern bounds a regular expression before it is compiled: a short one may be of millions of steps.
func (v *filterVisitor) checkPattern(n *ast.BinaryNode) {
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		v.mistake = mistaken(n.Right, `data.name matches "^A"`, "the pattern of matches has to be a text in quotes")
		return
	}
	tree, err := syntax.Parse(pattern.Value, syntax.Perl)
	var wrong *syntax.Error
	switch {
	case errors.As(err, &wrong):
		v.mistake = mistaken(pattern, "", "the pattern of matches is no regular expression: %s", wrong.Code)
	case err != nil:
		v.mistake = mistaken(pattern, "", "the pattern of matches is no regular expression")
	default:
		if v.program.patterns += patternSize(tree); v.program.patterns > maxPatternSize {
			v.mistake = mistaken(pattern, "repeat less: {1,20} stands for 20 copies", "the patterns of matches are too large")
		}
	}
}

// patternSize is about how many instructions a regular expression compiles to; it stops counting where that is too many.
func patternSize(r *syntax.Regexp) int {
	n := 1 + len(r.Rune)
	for _, sub := range r.Sub {
		if n += patternSize(sub); n > maxPatternSize {
			return n
		}
	}
	if r.Op == syntax.OpRepeat {
		return n * max(r.Min, r.Max, 1)
	}
	return n
}

func (v *filterVisitor) checkBuiltin(n *ast.BuiltinNode) {
	switch {
	case n.Name == "timezone":
		v.mistake = mistaken(n, "times are UTC", "timezone() is not available in filters")
	case n.Name == "date" && len(n.Arguments) > 2:
		v.mistake = mistaken(n, "give the offset in the text: 2026-01-31T00:00:00+01:00", "date takes no time zone in filters")
	}
}

var errFilterParts = &filterMistake{0, fmt.Sprintf("it has more than %d parts", maxFilterNodes), "write less, or make several subscriptions"}

func syntaxMistake(text string, err error) *filterMistake {
	if strings.Contains(err.Error(), "maximum allowed nodes") {
		return errFilterParts
	}
	var told problem.List
	tellSyntax(text, location{source: source{text: text}}, err, &told)
	return mistakeOf(text, err, told)
}

// mistakeOf takes what was told for a config's expression.
func mistakeOf(text string, err error, told problem.List) *filterMistake {
	m := &filterMistake{message: told[0].Message, hint: told[0].Hint}
	m.message = strings.TrimPrefix(m.message, "in expression "+quote(text)+": ")
	var at *file.Error
	if errors.As(err, &at) {
		m.at = at.From
	}
	return m
}

func typeMistake(text string, err error, shapes []*FilterShape) *filterMistake {
	var at *file.Error
	if errors.As(err, &at) {
		if m := unknownField.FindStringSubmatch(strings.TrimSpace(at.Message)); m != nil {
			n := &ast.StringNode{Value: m[1]}
			n.SetLocation(at.Location)
			return noMember(n, dataType(shapes))
		}
	}
	var told problem.List
	tellType(text, location{source: source{text: text}}, err, &told)
	return mistakeOf(text, err, told)
}
