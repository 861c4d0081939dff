package mapping

import (
	"regexp/syntax"
	"time"

	"github.com/shopspring/decimal"
)

const (
	// filterSteps bounds a run of a filter: an operation is one, and more where its values are large. All of them together
	// take some milliseconds.
	filterSteps = 50_000
	// filterNodeSteps is what a part of one costs by being there.
	filterNodeSteps = 5
	// filterItems bounds the lists that a run makes, filterBytes the texts.
	filterItems = 100_000
	filterBytes = 1 << 20
	// MaxFilterData is how much of an event's JSON one filter looks at, in bytes.
	MaxFilterData = 1 << 20
)

var (
	errFilterSteps = failed("the filter takes too long: it looks at too much, or too often")
	errFilterBytes = failed("the filter makes too much text")
	errFilterData  = failed("the filter looks at more than 1 MiB of the event")
	errFilterJSON  = failed("the event's JSON cannot be read by filters")
)

// newFilterEvaluator makes an evaluator whose functions are charged for what they do: filters are anybody's.
func newFilterEvaluator() *evaluator {
	e := makeEvaluator(charged(date))
	e.left, e.tooMuch = &e.steps, errFilterSteps
	e.vm.MemoryBudget = filterItems
	return e
}

// charged wraps functions so that each is charged for what it does, before it does it. Date stands for the function of its name.
func charged(date func(...any) (any, error)) func(e *evaluator, name string, f func(...any) (any, error)) func(...any) (any, error) {
	return func(e *evaluator, name string, f func(...any) (any, error)) func(...any) (any, error) {
		switch name {
		case "__isNull":
			return f
		case "__truth", "__step":
			return func(a ...any) (any, error) {
				// Once for each turn of a loop, whose body is charged with it.
				if err := e.charge(e.turn); err != nil {
					return nil, err
				}
				return f(a...)
			}
		case "__date":
			if date != nil {
				f = date
			}
		}
		c := chargeOf[name]
		return func(a ...any) (any, error) {
			if err := c.before(e, name, a); err != nil {
				return nil, err
			}
			v, err := f(a...)
			if err != nil {
				return nil, err
			}
			if c.shares {
				return v, nil
			}
			return v, e.after(v)
		}
	}
}

func (e *evaluator) charge(steps int) error {
	if *e.left -= steps; *e.left < 0 {
		return e.tooMuch
	}
	return nil
}

// exhausted fails for what would use up what is left. A trial is over with it; a filter has cost what it did until then.
func (e *evaluator) exhausted() error {
	if e.trial != nil {
		*e.left = -1
	}
	return e.tooMuch
}

// keep charges for memory that a function takes beside its result.
func (e *evaluator) keep(bytes int) error {
	if e.trial != nil {
		return e.charge(bytes / trialBytesPerStep)
	}
	return e.spend(bytes)
}

// charges are what a function costs beside one step.
type charges struct {
	// shallow ones look at no item of their values; times is how often the others look at each.
	shallow bool
	times   int
	// shares says that a result is a part of the values, and nothing new.
	shares bool
	// flat is added.
	flat int
}

var chargeOf = map[string]charges{
	"__len": {shallow: true}, "__list": {shallow: true}, "__slice": {shallow: true},
	"__first": {shallow: true, shares: true}, "__last": {shallow: true, shares: true}, "__member": {shares: true},
	"__own_" + pickName: {shares: true}, "__own_default": {shares: true}, "__max": {shares: true}, "__min": {shares: true},
	"__sort": {times: 8}, "__sortBy": {times: 8}, "__median": {times: 8}, "__groupBy": {times: 8}, "__toJSON": {times: 4},
	"__timezone": {flat: zoneSteps}, "__string": {times: 4}, "__join": {times: 4}, "__date": {flat: 50}, "__fromJSON": {times: 8}, "__own_strftime": {flat: 20},
}

const (
	// itemsPerStep and bytesPerStep are how much is looked at in the time of a step.
	itemsPerStep = 8
	bytesPerStep = 64
	// zoneSteps is what a time zone costs, which is read from a file.
	zoneSteps = 500
)

// before charges for the arguments.
func (c charges) before(e *evaluator, name string, a []any) error {
	if err := e.charge(1 + c.flat); err != nil {
		return err
	}
	if c.shallow {
		for _, v := range a {
			if s, ok := v.(string); ok {
				if err := e.charge(len(s) / bytesPerStep); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if name == "__member" {
		a = a[1:]
	}
	left := *e.left * itemsPerStep
	most := left
	for _, v := range a {
		if left = weigh(v, left, e.trial != nil); left < 0 {
			return e.exhausted()
		}
	}
	items := most - left
	times := max(c.times, 1)
	if name == "__uniq" {
		times = items
	}
	if items > 0 && times > *e.left*itemsPerStep/items {
		return e.exhausted()
	}
	if err := e.charge(items * times / itemsPerStep); err != nil {
		return err
	}
	switch name {
	case "__matches":
		if s, ok := a[0].(string); ok {
			size := e.patternSize
			if pattern, ok := a[1].(string); ok {
				// Only a trial lets patterns be made: it compiles them, each time anew.
				if err := e.charge(len(pattern)); err != nil {
					return err
				}
				tree, err := syntax.Parse(pattern, syntax.Perl)
				if err != nil {
					return nil // the function says so
				}
				if size = patternSize(tree); size > maxPatternSize {
					return e.exhausted()
				}
				if err := e.charge(8 * size); err != nil {
					return err
				}
			}
			return e.charge(len(s) * size / 16)
		}
	case "__date":
		if len(a) > 2 {
			return e.charge(zoneSteps)
		}
	case "__split", "__splitAfter":
		// Each piece is a text of its own.
		if s, ok := plain(a[0]).(string); ok {
			return e.keep(16 * len(s))
		}
	case "__fromJSON":
		if s, ok := plain(a[0]).(string); ok {
			return e.keep(16 * len(s))
		}
	case "__own_fixed":
		if len(a) == 4 {
			if s, ok := a[2].(string); ok {
				return e.spend(maxFilterDigits * len(s))
			}
		}
	}
	return nil
}

// weigh takes from left what a value has of items, lists and objects to their leaves; texts by their length, and numbers too if asked to.
func weigh(v any, left int, numbers bool) int {
	switch v := v.(type) {
	case string:
		return left - len(v)*itemsPerStep/bytesPerStep
	case []any:
		if left -= len(v); left < 0 {
			return left
		}
		for _, item := range v {
			if left = weigh(item, left, numbers); left < 0 {
				return left
			}
		}
	case map[string]any:
		if left -= 2 * len(v); left < 0 {
			return left
		}
		for _, item := range v {
			if left = weigh(item, left, numbers); left < 0 {
				return left
			}
		}
	case decimal.Decimal:
		if numbers {
			// Those of filters are short.
			words := (v.Coefficient().BitLen() + 4*max(int(v.Exponent()), -int(v.Exponent()))) / 64
			left -= words * words / 8
		}
		return left - 4
	}
	return left
}

// after charges for a result.
func (e *evaluator) after(v any) error {
	if e.trial != nil {
		if s, ok := v.(string); ok {
			return e.charge(len(s) / bytesPerStep)
		}
		return nil
	}
	switch v := v.(type) {
	case string:
		if e.bytes -= len(v); e.bytes < 0 {
			return errFilterBytes
		}
	case decimal.Decimal:
		if v.Exponent() > maxFilterDigits || v.Exponent() < -maxFilterDigits || v.NumDigits() > maxFilterDigits {
			return failed("a number has more than %d digits", maxFilterDigits)
		}
	}
	return nil
}

// dateLayouts are those of date where it is given a text alone.
var dateLayouts = []string{"2006-01-02", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "15:04:05", time.RFC822, time.RFC850, time.RFC1123}

// date reads a time, without asking where the machine stands.
func date(a ...any) (any, error) {
	text, ok := plain(a[0]).(string)
	if t, is := plain(a[0]).(time.Time); is && len(a) == 1 {
		return t, nil
	}
	if plain(a[0]) == nil {
		return nil, nil
	}
	layouts := dateLayouts
	if len(a) == 2 {
		layout, isText := plain(a[1]).(string)
		layouts, ok = []string{layout}, ok && isText
	}
	if ok {
		for _, layout := range layouts {
			if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
				return t, nil
			}
		}
		return nil, failed("date failed on a text that is none")
	}
	return nil, failed("date failed on %s", kindOf(a[0]))
}
