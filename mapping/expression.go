package mapping

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// maxNodes bounds one expression.
const maxNodes = 2000

// location is where an expression begins within a scalar.
type location struct {
	source
	offset int
}

// place is where the rune at n of the expression text stands.
func (l location) place(text string, n int) problem.Place {
	offset := 0
	for range n {
		_, size := decodeRune(text, offset)
		if size == 0 {
			break
		}
		offset += size
	}
	return l.source.place(l.offset + offset)
}

// checkSyntax tells whether the expression can be parsed; names and types need the table.
func checkSyntax(expression, within source, offset int, problems *problem.List) {
	if _, err := parseExpression(expression.text); err != nil {
		tellSyntax(expression.text, location{within, offset}, err, problems)
	}
}

func parseExpression(text string) (*parser.Tree, error) {
	// The config knows no columns: a column named like a builtin must not hide the builtin's calls.
	config := conf.CreateNew()
	config.MaxNodes = maxNodes
	return parser.ParseWithConfig(text, config)
}

var unexpectedToken = regexp.MustCompile(`unexpected token (?:EOF|\w+\("((?:[^"\\]|\\.)*)"\))`)

// listInParentheses is how SQL writes a list.
var listInParentheses = regexp.MustCompile(`(?i)\bin\s*\(`)

func tellSyntax(text string, at location, err error, problems *problem.List) {
	message, place := err.Error(), at.place(text, 0)
	var fileError *file.Error
	if errors.As(err, &fileError) {
		message, place = fileError.Message, at.place(text, fileError.From)
	}
	hint := ""
	if m := unexpectedToken.FindStringSubmatch(message); m != nil {
		switch token := m[1]; {
		case token == "":
			message = "expression ends too early"
		case strings.Contains(message, "token String("):
			message = "unexpected text in quotes"
		default:
			message = "unexpected " + token
			switch strings.ToLower(token) {
			case "=":
				hint = "compare with =="
			case ">", "<":
				if strings.Contains(text, "<>") {
					hint = "compare with !="
				}
			case "is":
				hint = "write == null or != null"
			case "like":
				hint = "use startsWith, endsWith, contains or matches"
			case "and", "or", "not", "in":
				if lower := strings.ToLower(token); token != lower {
					hint = "write " + lower + " in small letters"
				}
			case ",":
				if listInParentheses.MatchString(text) {
					hint = `a list stands in square brackets: in ["a", "b"]`
				}
			case "{":
				if strings.HasPrefix(text, "${") {
					hint = "leave out ${ and }: all of it is an expression"
				}
			case ":":
				if strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:") {
					hint = "${env:NAME} and ${file:PATH} are read when the config is loaded"
				}
			}
		}
	}
	problems.Add(place, hint, "in expression %s: %s", quote(text), message)
}

// quote shortens an expression for a message. What stands in its strings is left out: it may have come from the
// environment, or from a file, and be secret.
func quote(text string) string {
	const limit = 60
	text = withoutStrings(text)
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit]) + "…"
	}
	return "`" + strings.ReplaceAll(text, "\n", " ") + "`"
}

func withoutStrings(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		open := text[i]
		b.WriteByte(open)
		if open != '"' && open != '\'' && open != '`' {
			continue
		}
		start := i + 1
		for i++; i < len(text) && text[i] != open; i++ {
			if text[i] == '\\' && open != '`' {
				i++
			}
		}
		if i > start {
			b.WriteString("…")
		}
		if i < len(text) {
			b.WriteByte(open)
		}
	}
	return b.String()
}

// program is a compiled expression.
type program struct {
	program *vm.Program
	columns []programColumn
	// format is how the result is written, and what text is made of it.
	format *format
	// result is the result's type, nil where it is known only when it is there.
	result reflect.Type
	// env is reused: it holds what the expression uses, and the evaluator has one user at a time.
	env map[string]any
	// nodes and patterns are how large the expression and its regular expressions are: in trials.
	nodes, patterns int
}

type programColumn struct {
	name  string
	index int
	value reader
	// old says that it is the old row's: null where that is not known.
	old bool
	// link is set where the name is a relation's, and no column's.
	link *link
	// api says that the name is the application's answer.
	api bool
}

// scope is what the names of an expression may stand for.
type scope struct {
	table   cdc.TableName
	columns []cdc.Column
	index   map[string]int
	// links are the relations, which hide columns of their names; withheld are those that cannot be used here.
	links, withheld map[string]*link
	// related says that the row is a relation's, of which there is no old one.
	related bool
	// api says whether the application's answer can be used.
	api apiUse
}

func newScope(table cdc.TableName, columns []cdc.Column) *scope {
	s := &scope{table: table, columns: columns, index: make(map[string]int, len(columns))}
	for i, c := range columns {
		s.index[c.Name] = i
	}
	return s
}

// names are the columns that can be used.
func (s *scope) names() []string {
	return append(s.ownNames(), slices.Sorted(maps.Keys(s.links))...)
}

// ownNames are those without relations.
func (s *scope) ownNames() []string {
	names := make([]string, 0, len(s.columns))
	for _, c := range s.columns {
		if !c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

// column resolves a column that is named on its own, or tells why it cannot be used.
func (s *scope) column(name string, at problem.Place, problems *problem.List) (int, bool) {
	i, ok := s.index[name]
	if !ok && s.withheld[name] != nil {
		problems.Add(at, "use the row's own columns, as the foreign key; the representation can use the relation",
			"%s is a relation, which is read only when it is known that there is an event and whose", name)
		return 0, false
	}
	if !ok && name == apiName {
		s.tellAPI(at, problems)
		return 0, false
	}
	if !ok {
		problems.Add(at, s.hint(name), "table %s has no column %q", s.table, name)
		return 0, false
	}
	if s.columns[i].Generated {
		problems.Add(at, "write its expression here instead",
			"column %q of %s is generated and is not in the replication stream", name, s.table)
		return 0, false
	}
	return i, true
}

func (s *scope) hint(name string) string {
	switch name {
	case "old":
		if s.related {
			return "of the rows of a relation there are no old ones"
		}
		return "name one column of the old row, as in old." + firstName(s.names())
	case "env", "file":
		return fmt.Sprintf("what stands elsewhere is written with a colon: ${%s:…}", name)
	}
	return problem.NoColumn(name, s.ownNames(), slices.Sorted(maps.Keys(s.links))...)
}

func firstName(names []string) string {
	if len(names) == 0 {
		return "id"
	}
	return names[0]
}

// hasOld says that old is the old row, and not a column that is called so.
func (s *scope) hasOld() bool {
	_, column := s.index["old"]
	return !column && !s.related
}

// soleLink is the relation that the expression names and nothing else.
func (s *scope) soleLink(text string) *link {
	if len(s.links) == 0 {
		return nil
	}
	if l := s.links[text]; l != nil {
		return l
	}
	if tree, err := parseExpression(text); err == nil {
		if id, ok := plainNames(tree.Node, false).(*ast.IdentifierNode); ok {
			return s.links[id.Value]
		}
	}
	return nil
}

// soleColumn is the column that the expression names and nothing else, which is then written exactly.
func (s *scope) soleColumn(text string) (int, bool) {
	if i, ok := s.index[text]; ok && !s.columns[i].Generated {
		return i, true
	}
	if tree, err := parseExpression(text); err == nil {
		if id, ok := plainNames(tree.Node, false).(*ast.IdentifierNode); ok {
			i, ok := s.index[id.Value]
			return i, ok && !s.columns[i].Generated
		}
	}
	return 0, false
}

// compile checks an expression against the columns and compiles it. It returns nil when it added a problem.
func (e *evaluator) compile(text string, at location, s *scope, f *format, problems *problem.List) (made *program) {
	defer func() {
		// It also runs while changes are mapped, after the table has changed: a fault in a library must not end that.
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
	tree.Node = picks(plainNames(tree.Node, s.hasOld()))
	used, ok := resolveNames(tree.Node, text, at, s, problems)
	if !ok {
		return nil
	}
	p := &program{format: f, env: make(map[string]any, len(used))}
	if e.trial != nil && !e.trial.admit(tree.Node, p) {
		problems.Add(at.place(text, 0), "rowhook preview shows what it makes", "expression %s is too large to be tried here", quote(text))
		return nil
	}
	typed, untyped := types.Map{}, types.Map{}
	for _, name := range used {
		if l := s.links[name]; l != nil {
			p.columns = append(p.columns, programColumn{name: name, link: l})
			typed[name], untyped[name] = l.static, types.Any
			continue
		}
		if name == apiName && s.hasAPI() {
			p.columns = append(p.columns, programColumn{name: name, api: true})
			typed[name], untyped[name] = types.Any, types.Any
			continue
		}
		column, old := strings.CutPrefix(name, oldPrefix)
		index := s.index[column]
		value, static := readerOf(s.columns[index].Type, f)
		p.columns = append(p.columns, programColumn{name: name, index: index, value: value, old: old})
		typed[name], untyped[name] = static, types.Any
	}
	if _, ok := s.index[nullName]; !ok {
		// Any type: null must go with every operator.
		typed[nullName] = types.Any
	}
	result, err := checker.Check(tree, configOf(typed, ownFunctions))
	if err != nil {
		if !s.tellMember(text, at, err, problems) {
			tellType(text, at, err, problems)
		}
		return nil
	}
	if p.result = result; result != nil && result.Kind() == reflect.Interface {
		p.result = nil
	}
	// The first check has left a type on each node, and the rewriting uses it.
	tree.Node = e.rewrite(tree.Node, s)
	config := configOf(untyped, e.functions)
	if _, err = checker.Check(tree, config); err == nil {
		p.program, err = compiler.Compile(tree, config)
	}
	if err != nil {
		tellType(text, at, err, problems)
		return nil
	}
	return p
}

func configOf(env types.Map, functions conf.FunctionsTable) *conf.Config {
	config := conf.CreateNew()
	config.WithEnv(env)
	config.MaxNodes = maxNodes
	if functions != nil {
		config.Functions = functions
	}
	return config
}

// resolveNames lists the columns that the expression uses, each once, and tells all names that are not known.
func resolveNames(root ast.Node, text string, at location, s *scope, problems *problem.List) (used []string, ok bool) {
	v := nameVisitor{callees: map[ast.Node]bool{}, variables: map[string]bool{}}
	ast.Walk(&root, &v)
	ok = true
	told := map[string]bool{}
	for _, id := range v.names {
		name, place := id.Value, at.place(text, id.Location().From)
		switch {
		case told[name] || slices.Contains(used, name):
		case v.callees[id] && ownFunctions[name] != nil:
		case v.callees[id]:
			told[name], ok = true, false
			problems.Add(place, problem.DidYouMean(name, functionNames), "there is no function %q", name)
		case name == "$env":
			told[name], ok = true, false
			problems.Add(place, `name one column, as in $env["first name"]`, "$env cannot be used as a whole")
		case !v.variables[name] && (s.links[name] != nil || name == apiName && s.hasAPI()):
			used = append(used, name)
		default:
			if _, known := s.index[name]; !known && (name == nullName || v.variables[name]) {
				continue
			}
			if _, known := s.column(strings.TrimPrefix(name, oldPrefix), place, problems); !known {
				told[name], ok = true, false
				continue
			}
			used = append(used, name)
		}
	}
	for _, n := range v.formats {
		if _, err := strftime(time.Time{}, n.Value); err != nil {
			ok = false
			problems.Add(at.place(text, n.Location().From), "", "in expression %s: %s", quote(text), err.Error())
		}
	}
	for _, n := range v.now {
		ok = false
		problems.Add(at.place(text, n.Location().From), "the time of the change is the event's timestamp",
			"now() is not available: the same change must always give the same event")
	}
	return used, ok
}

type nameVisitor struct {
	names     []*ast.IdentifierNode
	callees   map[ast.Node]bool
	variables map[string]bool
	now       []*ast.BuiltinNode
	// formats are those given to strftime as they are.
	formats []*ast.StringNode
}

// Visit implements ast.Visitor.
func (v *nameVisitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if !slices.Contains(v.names, n) {
			v.names = append(v.names, n)
		}
	case *ast.CallNode:
		v.callees[n.Callee] = true
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && id.Value == "strftime" && len(n.Arguments) == 2 {
			if format, ok := n.Arguments[1].(*ast.StringNode); ok {
				v.formats = append(v.formats, format)
			}
		}
	case *ast.VariableDeclaratorNode:
		v.variables[n.Name] = true
	case *ast.BuiltinNode:
		if n.Name == "now" {
			v.now = append(v.now, n)
		}
	}
}

// typeNames are expr's words for types and ours. Longer ones come first.
var typeNames = strings.NewReplacer(
	"map[string]interface {}", "object", "[]interface {}", "list", "interface {}", "any value",
	"float32", "numeric", "time.Time", "time", "time.Duration", "duration",
	"float64", "float", "int64", "integer", "string", "text", "unknown", "any value",
)

var (
	plainInt     = regexp.MustCompile(`\bint\b`)
	missingField = regexp.MustCompile(`^(.* has no (?:field|method) )(.+)$`)
	mismatched   = regexp.MustCompile(`^invalid operation: (\S+) \(mismatched types? (.+?)(?: and (.+))?\)$`)
)

func typeWords(s string) string {
	return plainInt.ReplaceAllString(typeNames.Replace(s), "integer")
}

// tellType tells what expr's checker found in a line of our own: its own message draws the expression over several.
func tellType(text string, at location, err error, problems *problem.List) {
	// A fault of the compiler brings its stack along.
	message, _, _ := strings.Cut(err.Error(), "\n")
	place := at.place(text, 0)
	var fileError *file.Error
	if errors.As(err, &fileError) {
		message, place = strings.TrimSpace(fileError.Message), at.place(text, fileError.From)
	}
	if i := strings.LastIndex(message, ": `"); i >= 0 && strings.HasPrefix(message, "error parsing regexp") {
		message = message[:i] // what follows is the text of a string
	}
	hint := ""
	if m := mismatched.FindStringSubmatch(message); m != nil {
		left, right := typeWords(m[2]), typeWords(m[3])
		if right == "" {
			problems.Add(place, "", "in expression %s: %s does not work on %s", quote(text), m[1], left)
			return
		}
		message = fmt.Sprintf("%s does not work on %s and %s", m[1], left, right)
		hint = mismatchHint(m[1], left, right)
	} else if !strings.HasPrefix(message, "cannot redeclare") && !strings.HasPrefix(message, "unknown name") {
		message = typeWords(message)
	} else if strings.HasPrefix(message, "cannot redeclare") {
		hint = "give the variable another name"
	}
	if m := missingField.FindStringSubmatch(message); m != nil && !strings.Contains(withoutStrings(text), m[2]) {
		message = m[1] + "that name" // it was given as a text
	}
	problems.Add(place, hint, "in expression %s: %s", quote(text), message)
}

var unknownField = regexp.MustCompile(`^unknown field (\S+)$`)

// tellMember tells of a member that a relation does not have, if that is the mistake.
func (s *scope) tellMember(text string, at location, err error, problems *problem.List) bool {
	var fileError *file.Error
	if !errors.As(err, &fileError) {
		return false
	}
	m := unknownField.FindStringSubmatch(strings.TrimSpace(fileError.Message))
	if m == nil {
		return false
	}
	var members []string
	for _, l := range s.links {
		members = append(members, l.root.names...)
	}
	slices.Sort(members)
	hint := problem.DidYouMean(m[1], members)
	if hint == "" {
		hint = "an expression sees the members that the relation's representation has"
	}
	problems.Add(at.place(text, fileError.From), hint, "in expression %s: the relation has no member %q", quote(text), m[1])
	return true
}

func mismatchHint(operator, left, right string) string {
	has := func(word string) bool { return left == word || right == word }
	numeric := has("integer") || has("float") || has("numeric")
	switch {
	case operator == "in":
		return `in takes a list: stage in ["won", "lost"]`
	case has("time") && has("text"):
		return `make a time of the text: date("2026-01-31")`
	case operator == "+" && has("text"):
		return "join text with text: string(…) makes text of any value, and ${a} ${b} beside each other need no +"
	case has("text") && numeric:
		return "make a number of the text: int(…) or float(…)"
	case operator == "%" && numeric:
		return "% works on integers: int(…)"
	}
	return ""
}
