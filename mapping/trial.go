package mapping

import (
	"errors"
	"regexp/syntax"

	"github.com/expr-lang/expr/ast"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Trial bounds what the expressions of mappers do together: mappings of the config are their operator's, and bounded expression by
// expression, but one that is tried may come from somebody who may look and do nothing more. A Trial is for one goroutine.
type Trial struct{ steps, patterns int }

const (
	// trialSteps are about 100 ns each, as a filter's.
	trialSteps = 2_000_000
	// trialPatterns bounds the regular expressions of all that is compiled in a trial, in about the steps of their machines.
	trialPatterns = 25 * maxPatternSize
	// trialBytesPerStep is how much memory is as dear as a step.
	trialBytesPerStep = 16
	// trialOutput bounds a body, in bytes.
	trialOutput = 8 << 20
)

var (
	errTrialSteps  = failed("the expressions of the mapping take too long to be tried here: rowhook preview shows what they make")
	errTrialOutput = failed("the mapping makes more than %d MiB, too much to be tried here: rowhook preview shows it", trialOutput>>20)
)

// NewTrial begins one.
func NewTrial() *Trial { return &Trial{steps: trialSteps, patterns: trialPatterns} }

// CompileTrial is Compile within the trial. What goes beyond its bounds fails, as other expressions that cannot be evaluated.
func (d *Definition) CompileTrial(tables map[cdc.TableName]*cdc.Table, lineage string, t *Trial) (*Mapper, problem.List) {
	return d.compile(tables, lineage, newTrialEvaluator(t))
}

func newTrialEvaluator(t *Trial) *evaluator {
	e := makeEvaluator(charged(nil))
	e.trial, e.left, e.tooMuch = t, &t.steps, errTrialSteps
	return e
}

// another is an evaluator for another user, under the same bounds.
func (e *evaluator) another() *evaluator {
	if e.trial != nil {
		return newTrialEvaluator(e.trial)
	}
	return newEvaluator()
}

// begin charges for a run with values of so many bytes.
func (e *evaluator) begin(p *program, bytes int) error {
	e.turn, e.patternSize = 1+p.nodes/16, p.patterns
	return e.charge(1 + p.nodes/8 + bytes/trialBytesPerStep)
}

// admit says whether the expression may be compiled, and notes how large it is.
func (t *Trial) admit(root ast.Node, p *program) bool {
	if p.nodes = countNodes(root); p.nodes > maxFilterNodes {
		return false
	}
	ast.Walk(&root, patternVisitor{&p.patterns})
	t.patterns -= p.patterns
	return p.patterns <= maxPatternSize && t.patterns >= 0
}

// patternVisitor adds up the sizes of regular expressions.
type patternVisitor struct{ size *int }

// Visit implements ast.Visitor.
func (v patternVisitor) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || n.Operator != "matches" {
		return
	}
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		return
	}
	tree, err := syntax.Parse(pattern.Value, syntax.Perl)
	var wrong *syntax.Error
	if err == nil {
		*v.size = min(*v.size+patternSize(tree), maxPatternSize+1)
	} else if errors.As(err, &wrong) && wrong.Code == syntax.ErrLarge {
		*v.size = maxPatternSize + 1
	}
}
