package mapping

import (
	"bytes"
	linked "container/list"
	"errors"

	"github.com/expr-lang/expr/vm"

	"github.com/rowhook/rowhook/cdc"
)

// FilterResult is what a filter says of an event.
type FilterResult uint8

const (
	// Refused says that the filter is false of the event, or failed.
	Refused FilterResult = iota
	Wanted
	// Undecided says that the filter asks for what an incomplete event does not have yet.
	Undecided
)

// Filters asks filters about one event after another. It keeps compiled those that were used last, and asks each once for
// an event, however many subscriptions have it. It has one user at a time, and shares with the Mappers of incomplete events
// what Map uses.
type Filters struct {
	evaluator *evaluator
	// byText are the compiled filters, in kept those that were used last at the front. size is about how large they are.
	byText map[string]*linked.Element
	kept   *linked.List
	size   int

	event          *Event
	number         uint64
	data, previous filterObject
	env            map[string]any
	// cost is what the last question cost, in steps.
	cost int
	// heavy says that the machine may hold much of the event.
	heavy bool
	// read is how much of the event's JSON is held as values, in bytes.
	read int
}

const (
	// keptFilters is how many compiled filters are kept at most, keptFilterSize about how large, in bytes.
	keptFilters    = 4096
	keptFilterSize = 8 << 20
	// The size of a compiled filter is about that of its nodes and patterns.
	filterSize, filterNodeSize, filterPatternSize = 3 << 10, 160, 120
)

// NewFilters returns Filters that have not been asked anything.
func NewFilters() *Filters {
	return &Filters{evaluator: newFilterEvaluator(), byText: map[string]*linked.Element{}, kept: linked.New(), env: make(map[string]any, 4)}
}

// compiledFilter is a filter with what it said of the last event that it was asked about.
type compiledFilter struct {
	text string
	*filterProgram
	// mistake is why it cannot be compiled.
	mistake error
	size    int

	number uint64
	result FilterResult
	err    error
}

// Ask says whether the filter with this text is true of the event. The error is why it is false where it failed; it holds
// nothing of the event. Until Done, the event must stay as it is.
func (f *Filters) Ask(text string, ev *Event) (FilterResult, error) {
	if f.event != ev {
		f.begin(ev)
	}
	x := f.compiled(text)
	f.cost = 0
	if x.number != f.number {
		x.number = f.number
		f.evaluator.steps = filterSteps
		x.result, x.err = f.run(x)
		f.cost = filterSteps - max(f.evaluator.steps, 0)
		if x.mistake == nil {
			// Whether it was kept compiled or not, the cost is the same.
			f.cost += x.nodes * filterNodeSteps
		}
	}
	return x.result, x.err
}

// Cost is what the last question cost, in steps of 100 ns or so; nothing if it had been answered before. It follows from
// filter and event alone.
func (f *Filters) Cost() int { return f.cost }

// Done lets go of the event that was asked about last.
func (f *Filters) Done() {
	f.event, f.read = nil, 0
	f.data.reset()
	f.previous.reset()
	clear(f.env)
	if f.heavy {
		// The machine keeps what it computed with until the next run.
		f.evaluator.vm, f.heavy = vm.VM{MemoryBudget: filterItems}, false
	}
}

func (f *Filters) begin(ev *Event) {
	f.Done()
	f.number++
	f.event, f.data.json, f.previous.json = ev, ev.Data, ev.Previous
	if ev.pending != nil {
		f.data.pending = ev
	}
}

func (o *filterObject) reset() {
	clear(o.spans)
	*o = filterObject{values: emptied(o.values), spans: o.spans[:0]}
}

// emptied is the map without its members, unless it has become large.
func emptied(m map[string]any) map[string]any {
	if m == nil || len(m) > 64 {
		return make(map[string]any, 8)
	}
	clear(m)
	return m
}

// compiled is the filter of the text, from those that are kept if it is there.
func (f *Filters) compiled(text string) *compiledFilter {
	if at := f.byText[text]; at != nil {
		f.kept.MoveToFront(at)
		return at.Value.(*compiledFilter)
	}
	x := &compiledFilter{text: text, size: filterSize + 2*len(text)}
	p, mistake := f.evaluator.compileFilter(text, nil)
	if mistake != nil {
		x.mistake = failed("the filter does not compile: %s", mistake.message)
	} else {
		x.filterProgram = p
		x.size += p.nodes*filterNodeSize + p.patterns*filterPatternSize
	}
	f.byText[text] = f.kept.PushFront(x)
	for f.size += x.size; f.size > keptFilterSize || f.kept.Len() > keptFilters; {
		last := f.kept.Back()
		old := f.kept.Remove(last).(*compiledFilter)
		delete(f.byText, old.text)
		f.size -= old.size
	}
	return x
}

// run evaluates a filter for the event.
func (f *Filters) run(x *compiledFilter) (FilterResult, error) {
	if x.mistake != nil {
		return Refused, x.mistake
	}
	if f.read > MaxFilterData {
		// What others looked at is not held for them.
		f.data.forget()
		f.previous.forget()
		f.read = 0
		clear(f.env)
	}
	size := 0
	for _, part := range []struct {
		name   string
		object *filterObject
		uses   *usedMembers
	}{{"data", &f.data, &x.data}, {"previous", &f.previous, &x.previous}} {
		if !part.uses.used {
			continue
		}
		n, decided, err := part.object.read(part.uses, &f.read)
		switch {
		case err != nil:
			return Refused, err
		case !decided:
			return Undecided, nil
		}
		size += n
		f.env[part.name] = part.object.value()
	}
	if size > MaxFilterData {
		return Refused, errFilterData
	}
	if _, ok := f.env["type"]; !ok {
		f.env["type"] = f.event.Type
		f.env["context"] = nil
		if len(f.event.Context) > 0 {
			context, err := readFilterValue(f.event.Context)
			if err != nil {
				return Refused, errFilterJSON
			}
			f.env["context"] = context
		}
	}
	f.heavy = f.heavy || size > keptBuffer
	e := f.evaluator
	e.bytes, e.format = filterBytes+4*size, &plainFormat
	e.turn, e.patternSize = 1+x.nodes/16, x.patterns
	v, err := e.vm.Run(x.program.program, f.env)
	var told *evalError
	switch {
	case errors.Is(err, errSteps):
		return Refused, errFilterSteps
	case errors.Is(err, errBytes):
		return Refused, errFilterBytes
	case errors.As(err, &told):
		return Refused, told
	case err != nil:
		return Refused, failed("the filter failed on a value of an unexpected kind or size")
	}
	switch v := v.(type) {
	case bool:
		if v {
			return Wanted, nil
		}
		return Refused, nil
	case nil:
		return Refused, nil
	}
	return Refused, failed("the filter is %s, and neither true nor false", kindOf(v))
}

// filterObject is data or previous of the event, read as far as filters have asked for it.
type filterObject struct {
	json []byte
	// pending is the event whose data is not complete.
	pending *Event
	// spans are the members of the JSON, once they were looked for; object says that it is one.
	spans         []jsonSpan
	split, object bool
	values        map[string]any
	whole         any
	wholeIsRead   bool
	unreadable    error
	sizes         map[string]int
}

// forget lets go of values.
func (o *filterObject) forget() {
	o.values, o.whole, o.wholeIsRead, o.sizes = make(map[string]any, 8), nil, false, nil
}

// value is what the filter sees.
func (o *filterObject) value() any {
	switch {
	case o.wholeIsRead:
		return o.whole
	case o.pending != nil || o.object:
		return o.values
	}
	return nil
}

// read reads what a filter uses. It returns how large that is, and false where it is not there yet; held grows by what is
// read anew.
func (o *filterObject) read(u *usedMembers, held *int) (size int, decided bool, err error) {
	if o.pending != nil {
		return o.readPending(u, held)
	}
	if len(o.json) == 0 {
		return 0, true, nil
	}
	if !o.split {
		o.splitMembers()
	}
	if o.unreadable != nil {
		return 0, true, o.unreadable
	}
	if u.whole || !o.object {
		if len(o.json) > MaxFilterData {
			return 0, true, errFilterData
		}
		if !o.wholeIsRead {
			if o.whole, err = readFilterValue(o.json); err != nil {
				return 0, true, errFilterJSON
			}
			o.wholeIsRead = true
			*held += len(o.json)
		}
		return len(o.json), true, nil
	}
	for _, name := range u.names {
		json := o.member(name)
		if json == nil {
			continue
		}
		if size += len(json); size > MaxFilterData {
			return 0, true, errFilterData
		}
		if o.wholeIsRead {
			continue
		}
		if _, known := o.values[name]; known {
			continue
		}
		if err := o.readMember(name, json); err != nil {
			return 0, true, err
		}
		*held += len(json)
	}
	return size, true, nil
}

func (o *filterObject) readMember(name string, json []byte) error {
	v, err := readFilterValue(json)
	if err != nil {
		return errFilterJSON
	}
	if o.values == nil {
		o.values = make(map[string]any, 8)
	}
	o.values[name] = v
	return nil
}

// jsonSpan is a member: its name in its quotes, and its value.
type jsonSpan struct{ quoted, json []byte }

// member is the value of the last member of that name, nil where there is none.
func (o *filterObject) member(name string) []byte {
	for i := len(o.spans) - 1; i >= 0; i-- {
		q := o.spans[i].quoted
		if string(q[1:len(q)-1]) == name {
			return o.spans[i].json
		}
		if bytes.IndexByte(q, '\\') >= 0 {
			if text, err := unquoted(q); err == nil && text == name {
				return o.spans[i].json
			}
		}
	}
	return nil
}

// splitMembers finds the members of an object without reading them.
func (o *filterObject) splitMembers() {
	o.split = true
	r := jsonReader{src: o.json}
	if o.object = r.space() == '{'; !o.object {
		return
	}
	err := r.members(func(quoted []byte) error {
		start := r.at
		err := r.skip()
		o.spans = append(o.spans, jsonSpan{quoted, o.json[start:r.at]})
		return err
	})
	if err != nil {
		o.unreadable = errFilterJSON
	}
}

// readPending reads members of an event that is not complete.
func (o *filterObject) readPending(u *usedMembers, held *int) (size int, decided bool, err error) {
	if u.whole {
		return 0, false, nil
	}
	for _, name := range u.names {
		n, asked := o.sizes[name]
		if !asked {
			json, k, ok := o.pending.ownMember(name)
			if !ok {
				return 0, false, nil
			}
			if k == known {
				if len(json) > MaxFilterData {
					return 0, true, errFilterData
				}
				if err := o.readMember(name, json); err != nil {
					return 0, true, err
				}
				*held += len(json)
			}
			if o.sizes == nil {
				o.sizes = map[string]int{}
			}
			n = len(json)
			o.sizes[name] = n
		}
		if size += n; size > MaxFilterData {
			return 0, true, errFilterData
		}
	}
	return size, true, nil
}

// ownMember renders a member of the incomplete event's data that comes from the event's own row. It is false where it
// comes from other rows or from the application, or cannot be rendered: then it is known when the event is complete.
func (e *Event) ownMember(name string) (json []byte, k knowledge, ok bool) {
	w := e.pending
	root := &w.planned.root
	if root.kind != nodeObject || w.op == cdc.Delete {
		return nil, absent, false
	}
	at := -1
	for i := range root.names {
		if root.names[i] == name {
			at = i
		}
	}
	if at < 0 {
		return nil, absent, true
	}
	n := &root.nodes[at]
	if n.usesLinks() || n.usesAPI() {
		return nil, absent, false
	}
	m := w.mapper
	r := &m.renderer
	defer func() {
		m.forget()
		if recover() != nil {
			json, k, ok = nil, absent, false
		}
	}()
	r.row, r.fallback, r.old, r.partial, r.failed, r.err, r.related = w.row, w.fallback, w.old, nil, nil, nil, nil
	json, k = r.render(nil, n)
	if r.err != nil {
		r.failed, r.err = nil, nil
		return nil, absent, false
	}
	if k != known {
		json = nil
	}
	return json, k, true
}
