package mapping

import (
	"fmt"
	"reflect"
	"regexp"

	"github.com/expr-lang/expr/ast"
)

// nullName is the word for nil that JSON has.
const nullName = "null"

// plainNames gives the tree one form for each thing: null for nil, a column's own name for $env["name"], and one name for
// old.stage where old is the old row and no column.
func plainNames(n ast.Node, old bool) ast.Node {
	return rewriteNodes(n, func(n ast.Node, next func(ast.Node) ast.Node) (ast.Node, bool) {
		switch n := n.(type) {
		case *ast.NilNode:
			return at(n, &ast.IdentifierNode{Value: nullName}), true
		case *ast.MemberNode:
			id, isName := n.Node.(*ast.IdentifierNode)
			name, isText := n.Property.(*ast.StringNode)
			switch {
			case !isName || !isText:
			case id.Value == "$env":
				return at(n, &ast.IdentifierNode{Value: name.Value}), true
			case id.Value == "old" && old:
				return at(n, &ast.IdentifierNode{Value: oldPrefix + name.Value}), true
			}
		}
		return nil, false
	})
}

// oldPrefix is before the name of a column of the old row. No column's name can begin with it.
const oldPrefix = "old\x00"

// rewrite replaces what would fail on null, or does not know decimals, by calls of the evaluator's functions. What is
// left to expr is what cannot fail: literals, names, conditions, loops over lists.
func (e *evaluator) rewrite(root ast.Node, s *scope) ast.Node {
	r := rewriter{scope: s}
	return rewriteNodes(root, r.node)
}

type rewriter struct {
	scope *scope
	lists int
}

func (r *rewriter) node(n ast.Node, next func(ast.Node) ast.Node) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if _, column := r.scope.index[nullName]; n.Value == nullName && !column {
			return at(n, &ast.NilNode{}), true
		}
	case *ast.UnaryNode:
		switch n.Operator {
		case "!", "not":
			return at(n, &ast.UnaryNode{Operator: "!", Node: truth(next(n.Node))}), true
		case "-":
			return call(n, "__negate", next(n.Node)), true
		}
		return call(n, "__plus", next(n.Node)), true
	case *ast.BinaryNode:
		return r.binary(n, next), true
	case *ast.ChainNode:
		// Every access of a member of null is null, so ?. is what . does.
		return next(n.Node), true
	case *ast.MemberNode:
		return call(n, "__member", next(n.Node), next(n.Property)), true
	case *ast.SliceNode:
		from, to := ast.Node(&ast.NilNode{}), ast.Node(&ast.NilNode{})
		if n.From != nil {
			from = next(n.From)
		}
		if n.To != nil {
			to = next(n.To)
		}
		return call(n, "__slice", next(n.Node), from, to), true
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok && ownFunctions[id.Value] != nil {
			return call(n, "__own_"+id.Value, each(n.Arguments, next)...), true
		}
		if m, ok := n.Callee.(*ast.MemberNode); ok {
			return call(n, "__method", append([]ast.Node{next(m.Node), next(m.Property)}, each(n.Arguments, next)...)...), true
		}
	case *ast.PairNode:
		if _, ok := n.Key.(*ast.StringNode); !ok {
			return at(n, &ast.PairNode{Key: call(n, "__key", next(n.Key)), Value: next(n.Value)}), true
		}
	case *ast.ConditionalNode:
		return at(n, &ast.ConditionalNode{Ternary: n.Ternary, Cond: truth(next(n.Cond)), Exp1: next(n.Exp1), Exp2: next(n.Exp2)}), true
	case *ast.BuiltinNode:
		return r.builtin(n, next), true
	}
	return nil, false
}

// operators are those whose two sides are values.
var operators = map[string]string{
	"+": "__add", "-": "__subtract", "*": "__multiply", "/": "__divide", "%": "__modulo", "**": "__power", "^": "__power",
	"==": "__equal", "<": "__less", ">": "__more", "<=": "__lessOrEqual", ">=": "__moreOrEqual",
	"in": "__in", "matches": "__matches", "contains": "__contains", "startsWith": "__startsWith", "endsWith": "__endsWith",
	"..": "__range",
}

func (r *rewriter) binary(n *ast.BinaryNode, next func(ast.Node) ast.Node) ast.Node {
	left, right := next(n.Left), next(n.Right)
	switch n.Operator {
	case "&&", "and", "||", "or":
		return at(n, &ast.BinaryNode{Operator: n.Operator, Left: truth(left), Right: truth(right)})
	case "??":
		return at(n, &ast.BinaryNode{Operator: "??", Left: left, Right: right})
	case "!=":
		return at(n, &ast.UnaryNode{Operator: "!", Node: call(n, "__equal", left, right)})
	case "+":
		// Where both sides are text by their types, two nulls make the empty text and not null.
		if isText(n.Left) && isText(n.Right) {
			return call(n, "__addText", left, right)
		}
	case "matches":
		if s, ok := n.Right.(*ast.StringNode); ok {
			// The checker has compiled it already.
			right = at(n.Right, &ast.ConstantNode{Value: regexp.MustCompile(s.Value)})
		}
	}
	return call(n, operators[n.Operator], left, right)
}

func isText(n ast.Node) bool { return n.Type() != nil && n.Type().Kind() == reflect.String }

// builtin makes each builtin null where its first argument is, and its predicates booleans.
func (r *rewriter) builtin(n *ast.BuiltinNode, next func(ast.Node) ast.Node) ast.Node {
	predicate := func(wrap string) *ast.PredicateNode {
		p := n.Arguments[1].(*ast.PredicateNode)
		return at(p, &ast.PredicateNode{Node: call(p, wrap, next(p.Node))})
	}
	loop := func(name string, arguments ...ast.Node) ast.Node {
		return at(n, &ast.BuiltinNode{Name: name, Arguments: arguments})
	}
	switch n.Name {
	case "all", "none", "any", "one", "filter", "find", "findIndex", "findLast", "findLastIndex":
		return r.overList(n, next, func(list ast.Node) ast.Node { return loop(n.Name, list, predicate("__truth")) })
	case "map":
		return r.overList(n, next, func(list ast.Node) ast.Node { return loop("map", list, predicate("__step")) })
	case "count":
		return r.overList(n, next, func(list ast.Node) ast.Node {
			if len(n.Arguments) == 2 {
				return loop("count", list, predicate("__truth"))
			}
			return loop("count", list, at(n, &ast.PredicateNode{Node: call(n, "__truth", at(n, &ast.PointerNode{}))}))
		})
	case "sum":
		return r.overList(n, next, func(list ast.Node) ast.Node {
			if len(n.Arguments) == 2 {
				list = loop("map", list, predicate("__step"))
			}
			return call(n, "__sum", list)
		})
	case "sortBy", "groupBy":
		return r.overList(n, next, func(list ast.Node) ast.Node {
			keys := loop("map", list, predicate("__step"))
			return call(n, "__"+n.Name, append([]ast.Node{list, keys}, each(n.Arguments[2:], next)...)...)
		})
	case "reduce":
		return r.overList(n, next, func(list ast.Node) ast.Node {
			return loop("reduce", append([]ast.Node{list, predicate("__step")}, each(n.Arguments[2:], next)...)...)
		})
	case "get":
		return call(n, "__member", each(n.Arguments, next)...)
	}
	return call(n, "__"+n.Name, each(n.Arguments, next)...)
}

// overList evaluates the list once and is null where the list is.
func (r *rewriter) overList(n *ast.BuiltinNode, next func(ast.Node) ast.Node, body func(list ast.Node) ast.Node) ast.Node {
	r.lists++
	// A space cannot be in a name that a user writes.
	name := fmt.Sprintf("list %d", r.lists)
	list := func() ast.Node { return at(n, &ast.IdentifierNode{Value: name}) }
	return at(n, &ast.VariableDeclaratorNode{
		Name:  name,
		Value: call(n, "__list", next(n.Arguments[0]), at(n, &ast.StringNode{Value: n.Name})),
		Expr: at(n, &ast.ConditionalNode{
			Cond: call(n, "__isNull", list()), Exp1: at(n, &ast.NilNode{}), Exp2: body(list()),
		}),
	})
}

func truth(n ast.Node) ast.Node { return call(n, "__truth", n) }

func call(where ast.Node, name string, arguments ...ast.Node) ast.Node {
	return at(where, &ast.CallNode{Callee: at(where, &ast.IdentifierNode{Value: name}), Arguments: arguments})
}

func at[N ast.Node](where ast.Node, n N) N {
	n.SetLocation(where.Location())
	return n
}

func each(nodes []ast.Node, f func(ast.Node) ast.Node) []ast.Node {
	out := make([]ast.Node, len(nodes))
	for i, n := range nodes {
		out[i] = f(n)
	}
	return out
}

// rewriteNodes makes a new tree. Where replace does not give a node, the node is copied with its children rewritten.
// It copies because a node may stand in two places: a ?: b and 1 < a < 3 share one.
func rewriteNodes(n ast.Node, replace func(n ast.Node, next func(ast.Node) ast.Node) (ast.Node, bool)) ast.Node {
	var next func(ast.Node) ast.Node
	next = func(n ast.Node) ast.Node {
		if n == nil {
			return nil
		}
		if made, ok := replace(n, next); ok {
			return made
		}
		switch n := n.(type) {
		case *ast.UnaryNode:
			return at(n, &ast.UnaryNode{Operator: n.Operator, Node: next(n.Node)})
		case *ast.BinaryNode:
			return at(n, &ast.BinaryNode{Operator: n.Operator, Left: next(n.Left), Right: next(n.Right)})
		case *ast.ChainNode:
			return at(n, &ast.ChainNode{Node: next(n.Node)})
		case *ast.MemberNode:
			return at(n, &ast.MemberNode{Node: next(n.Node), Property: next(n.Property), Optional: n.Optional, Method: n.Method})
		case *ast.SliceNode:
			return at(n, &ast.SliceNode{Node: next(n.Node), From: next(n.From), To: next(n.To)})
		case *ast.CallNode:
			return at(n, &ast.CallNode{Callee: next(n.Callee), Arguments: each(n.Arguments, next)})
		case *ast.BuiltinNode:
			return at(n, &ast.BuiltinNode{Name: n.Name, Arguments: each(n.Arguments, next)})
		case *ast.PredicateNode:
			return at(n, &ast.PredicateNode{Node: next(n.Node)})
		case *ast.VariableDeclaratorNode:
			return at(n, &ast.VariableDeclaratorNode{Name: n.Name, Value: next(n.Value), Expr: next(n.Expr)})
		case *ast.SequenceNode:
			return at(n, &ast.SequenceNode{Nodes: each(n.Nodes, next)})
		case *ast.ConditionalNode:
			return at(n, &ast.ConditionalNode{Ternary: n.Ternary, Cond: next(n.Cond), Exp1: next(n.Exp1), Exp2: next(n.Exp2)})
		case *ast.ArrayNode:
			return at(n, &ast.ArrayNode{Nodes: each(n.Nodes, next)})
		case *ast.MapNode:
			return at(n, &ast.MapNode{Pairs: each(n.Pairs, next)})
		case *ast.PairNode:
			return at(n, &ast.PairNode{Key: next(n.Key), Value: next(n.Value)})
		}
		return n
	}
	return next(n)
}
