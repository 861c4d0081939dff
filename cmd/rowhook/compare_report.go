package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/compare"
)

// result is what the comparison of a resource has found.
type result struct {
	Resource string `json:"resource"`
	// Rows are those that were compared, Different those of them that differ.
	Rows      int      `json:"rows"`
	Different int      `json:"different"`
	Fields    []*field `json:"fields"`
	// NotFound are the instances that the API does not know, or does not show; NotInstances the rows that are none.
	NotFound     []string  `json:"not_found"`
	NotInstances []string  `json:"not_instances"`
	Failed       []failure `json:"failed"`
	// FromAPI are the fields that are equal by themselves: they come of the answer that they are compared with.
	FromAPI []string `json:"from_api"`
	sampled bool
}

// field is where rows differ.
type field struct {
	Path string `json:"path"`
	Rows int    `json:"rows"`
	Hint string `json:"hint,omitempty"`
	// Examples are all of them; the text shows the first.
	Examples []example `json:"examples"`
}

// example is a difference in one row. A value that is not there is left out.
type example struct {
	Key  string          `json:"key"`
	Path string          `json:"path"`
	Ours json.RawMessage `json:"ours,omitempty"`
	API  json.RawMessage `json:"api,omitempty"`
}

type failure struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

func (r *result) compared(key string, found []compare.Difference) {
	r.Rows++
	if len(found) > 0 {
		r.Different++
	}
	counted := map[*field]bool{}
	for _, d := range found {
		i := slices.IndexFunc(r.Fields, func(f *field) bool { return f.Path == d.Field() })
		if i < 0 {
			i = len(r.Fields)
			r.Fields = append(r.Fields, &field{Path: d.Field()})
		}
		f := r.Fields[i]
		if !counted[f] {
			counted[f] = true
			f.Rows++
		}
		if f.Hint == "" {
			f.Hint = d.Hint
		}
		f.Examples = append(f.Examples, example{key, d.Path, d.Ours, d.Theirs})
	}
}

func (r *result) failed(key string, err error) {
	r.Failed = append(r.Failed, failure{key, err.Error()})
}

// trouble says that the resource is not equal, as far as was asked.
func (r *result) trouble() bool {
	// In a sample some instances may be hidden from the login, but not all of them.
	return r.Different > 0 || len(r.Failed) > 0 || len(r.NotFound) > 0 && (!r.sampled || r.Rows == 0) || !r.sampled && len(r.NotInstances) > 0
}

// report tells results as they come, or, as JSON, at the end.
type report struct {
	output, told  io.Writer
	verbose, json bool
	results       []*result
}

const (
	// shownExamples of a difference are told, each value cut at shownLength characters.
	shownExamples = 3
	shownLength   = 120
)

func (r *report) add(x *result) {
	slices.SortFunc(x.Fields, func(a, b *field) int { return strings.Compare(a.Path, b.Path) })
	r.results = append(r.results, x)
	if !r.json {
		text := *r
		text.output = plain{r.output}
		text.text(x)
	}
}

// end writes the JSON. The error is errDifferent where something differs.
func (r *report) end() error {
	different := slices.ContainsFunc(r.results, (*result).trouble)
	if r.json {
		for _, x := range r.results {
			// Lists are lists, also where there is nothing in them.
			x.Fields, x.NotFound, x.NotInstances = orEmpty(x.Fields), orEmpty(x.NotFound), orEmpty(x.NotInstances)
			x.Failed, x.FromAPI = orEmpty(x.Failed), orEmpty(x.FromAPI)
		}
		e := json.NewEncoder(r.output)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(struct {
			Equal     bool      `json:"equal"`
			Resources []*result `json:"resources"`
		}{!different, r.results}); err != nil {
			return err
		}
	}
	if different {
		return errDifferent
	}
	return nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (r *report) text(x *result) {
	total := 0
	for _, f := range x.Fields {
		total += len(f.Examples)
	}
	fmt.Fprintf(r.output, "%s: %s, %s", x.Resource, count(x.Rows, "row"), count(total, "difference"))
	if total > 0 {
		fmt.Fprintf(r.output, " in %s", count(x.Different, "row"))
	}
	if x.sampled && x.Rows+len(x.NotFound)+len(x.NotInstances)+len(x.Failed) == 0 {
		fmt.Fprint(r.output, ": the table is empty")
	}
	fmt.Fprintln(r.output)
	if len(x.FromAPI) > 0 {
		fmt.Fprintf(r.output, "  from the API itself, so equal: %s\n", strings.Join(x.FromAPI, ", "))
	}
	r.keys(x.NotFound, "the API answers 404: not there, or not visible to the login of app.headers")
	r.keys(x.NotInstances, "no instances: where does not hold, or delete_when does")
	for i, f := range x.Failed {
		if i == shownExamples && !r.verbose {
			fmt.Fprintf(r.output, "  and %d more that could not be compared: --verbose\n", len(x.Failed)-i)
			break
		}
		fmt.Fprintf(r.output, "  %s: %s\n", f.Key, strings.ReplaceAll(f.Error, "\n", "\n  "))
	}
	for _, f := range x.Fields {
		fmt.Fprintf(r.output, "  %s: differs in %d of %s\n", f.Path, f.Rows, count(x.Rows, "row"))
		for i, e := range f.Examples {
			if i == shownExamples && !r.verbose {
				fmt.Fprintf(r.output, "    and %d more: --verbose\n", len(f.Examples)-i)
				break
			}
			at := ""
			if e.Path != f.Path {
				at = " " + e.Path
			}
			fmt.Fprintf(r.output, "    %s%s: ours %s, API %s\n", e.Key, at, r.shown(e.Ours, e.API), r.shown(e.API, e.Ours))
		}
		if f.Hint != "" {
			fmt.Fprintf(r.output, "    hint: %s\n", f.Hint)
		}
	}
}

// keys tells a list of instances.
func (r *report) keys(keys []string, what string) {
	if len(keys) == 0 {
		return
	}
	list := keys
	if len(list) > shownExamples && !r.verbose {
		list = list[:shownExamples]
	}
	more := ""
	if len(list) < len(keys) {
		more = ", …"
	}
	fmt.Fprintf(r.output, "  %s (%s%s): %s\n", count(len(keys), "row"), strings.Join(list, "; "), more, what)
}

// shown is a value, with its kind where the other one is of another kind.
func (r *report) shown(value, other json.RawMessage) string {
	if value == nil {
		return "has no such field"
	}
	text := string(value)
	if runes := []rune(text); len(runes) > shownLength && !r.verbose {
		text = string(runes[:shownLength]) + "…"
	}
	if kind := kindOf(value); other != nil && kind != kindOf(other) && kind != "null" {
		text += " (" + kind + ")"
	}
	return text
}

// kindOf is JSON's word for a value.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
