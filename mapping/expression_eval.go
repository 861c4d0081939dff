package mapping

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/vm"
)

// evaluator runs programs. It has one user at a time.
type evaluator struct {
	vm        vm.VM
	functions conf.FunctionsTable
	// steps and bytes are what the run may still use: expr bounds the lists that it makes, not its loops and texts.
	steps, bytes int
	patterns     map[string]*regexp.Regexp
	// format is that of the program that runs.
	format *format
	// turn is what a turn of a loop costs, patternSize what a byte in a pattern of matches does, left what they are taken from, and tooMuch
	// says that nothing is left of it: in filters and trials.
	turn, patternSize int
	left              *int
	tooMuch           error
	// trial is set where what all expressions do together is bounded.
	trial *Trial
}

const (
	maxSteps     = 1_000_000
	minBytes     = 4 << 20
	maxPatterns  = 64
	maxListItems = 1_000_000
)

// evalError is a failure told without the values that it failed on.
type evalError struct{ message string }

func (e *evalError) Error() string { return e.message }

func failed(format string, args ...any) error { return &evalError{fmt.Sprintf(format, args...)} }

var (
	errSteps = failed("the expression takes more than %d steps", maxSteps)
	errBytes = failed("the expression makes too much text")
)

func newEvaluator() *evaluator { return makeEvaluator(nil) }

// makeEvaluator makes one whose functions are wrapped by guard, if it is not nil.
func makeEvaluator(guard func(e *evaluator, name string, f func(...any) (any, error)) func(...any) (any, error)) *evaluator {
	e := &evaluator{patterns: map[string]*regexp.Regexp{}, format: &plainFormat}
	e.vm.MemoryBudget = maxListItems
	e.functions = conf.FunctionsTable{}
	add := func(name string, f func(args ...any) (any, error)) {
		if guard != nil {
			f = guard(e, name, f)
		}
		e.functions[name] = &builtin.Function{Name: name, Func: f}
	}
	e.addOperators(add)
	e.addBuiltins(add)
	e.addOwnFunctions(add)
	return e
}

// run evaluates with the values that are in the program's env; bytes is how large they are.
func (e *evaluator) run(p *program, bytes int) (any, error) {
	e.steps, e.bytes, e.format = maxSteps, minBytes+8*bytes, p.format
	if e.trial != nil {
		if err := e.begin(p, bytes); err != nil {
			return nil, err
		}
	}
	v, err := e.vm.Run(p.program, p.env)
	if bytes > keptBuffer {
		// The machine keeps what it computed with until the next run.
		e.vm = vm.VM{MemoryBudget: maxListItems}
	}
	if err == nil {
		return v, nil
	}
	var known *evalError
	if errors.As(err, &known) {
		return nil, known
	}
	// The text of other errors may hold the row's values.
	return nil, failed("the expression failed on a value of an unexpected kind or size")
}

func (e *evaluator) step() error {
	if e.steps--; e.steps < 0 {
		return errSteps
	}
	return nil
}

func (e *evaluator) spend(bytes int) error {
	if e.bytes -= bytes; e.bytes < 0 {
		return errBytes
	}
	return nil
}

// addOperators registers what rewrite puts in the place of operators.
func (e *evaluator) addOperators(add func(string, func(...any) (any, error))) {
	add("__truth", func(a ...any) (any, error) {
		if err := e.step(); err != nil {
			return nil, err
		}
		switch v := a[0].(type) {
		case nil:
			return false, nil
		case bool:
			return v, nil
		}
		return nil, failed("%s is not a condition", kindOf(a[0]))
	})
	add("__step", func(a ...any) (any, error) { return a[0], e.step() })
	add("__isNull", func(a ...any) (any, error) { return a[0] == nil, nil })
	add("__list", func(a ...any) (any, error) {
		switch v := plain(a[0]).(type) {
		case nil:
			return nil, nil
		case []any:
			return v, nil
		}
		return nil, failed("%s takes a list, not %s", a[1], kindOf(a[0]))
	})
	add("__key", func(a ...any) (any, error) {
		if plain(a[0]) == nil {
			return nil, failed("a key of an object is null")
		}
		return textOf(a[0])
	})
	for name, op := range arithmetic {
		add(name, func(a ...any) (any, error) { return e.arithmetic(op, a[0], a[1]) })
	}
	add("__addText", func(a ...any) (any, error) {
		if a[0] == nil && a[1] == nil {
			return "", nil
		}
		return e.arithmetic('+', a[0], a[1])
	})
	add("__negate", func(a ...any) (any, error) { return e.arithmetic('-', 0, a[0]) })
	add("__plus", func(a ...any) (any, error) { return e.arithmetic('+', 0, a[0]) })
	add("__equal", func(a ...any) (any, error) { return equal(a[0], a[1]), nil })
	for name, holds := range orderings {
		add(name, func(a ...any) (any, error) {
			left, right := plain(a[0]), plain(a[1])
			if left == nil || right == nil {
				return false, nil
			}
			c, ok := compare(left, right)
			if !ok {
				return nil, failed("%s and %s have no order", kindOf(left), kindOf(right))
			}
			return holds(c), nil
		})
	}
	for name, test := range textTests {
		add(name, func(a ...any) (any, error) {
			left, right := plain(a[0]), plain(a[1])
			if left == nil || right == nil {
				return false, nil
			}
			l, ok1 := left.(string)
			r, ok2 := right.(string)
			if !ok1 || !ok2 {
				return nil, failed("%s does not work on %s and %s", name[2:], kindOf(left), kindOf(right))
			}
			return test(l, r), nil
		})
	}
	add("__matches", e.matches)
	add("__in", in)
	add("__range", e.makeRange)
	add("__member", func(a ...any) (any, error) { return memberOf(a[0], a[1]) })
	add("__slice", func(a ...any) (any, error) { return sliceOf(a[0], a[1], a[2]) })
	add("__method", callMethod)
}

func (e *evaluator) matches(a ...any) (any, error) {
	left, right := plain(a[0]), a[1]
	if left == nil || right == nil {
		return false, nil
	}
	text, ok := left.(string)
	if !ok {
		return nil, failed("matches does not work on %s", kindOf(left))
	}
	switch pattern := right.(type) {
	case *regexp.Regexp:
		return pattern.MatchString(text), nil
	case string:
		r := e.patterns[pattern]
		if r == nil {
			var err error
			if r, err = regexp.Compile(pattern); err != nil {
				return nil, failed("the pattern of matches is not a regular expression")
			}
			if len(e.patterns) >= maxPatterns {
				clear(e.patterns)
			}
			e.patterns[pattern] = r
		}
		return r.MatchString(text), nil
	}
	return nil, failed("matches takes a pattern of text, not %s", kindOf(right))
}

func (e *evaluator) makeRange(a ...any) (any, error) {
	left, right := plain(a[0]), plain(a[1])
	if left == nil || right == nil {
		return nil, nil
	}
	from, ok1 := left.(int64)
	to, ok2 := right.(int64)
	if !ok1 || !ok2 {
		return nil, failed(".. does not work on %s and %s", kindOf(left), kindOf(right))
	}
	if to < from {
		return []any{}, nil
	}
	if to-from < 0 || to-from >= maxListItems {
		return nil, errSteps
	}
	n := int(to - from + 1)
	if e.steps -= n; e.steps < 0 {
		return nil, errSteps
	}
	list := make([]any, n)
	for i := range list {
		list[i] = from + int64(i)
	}
	return list, nil
}
