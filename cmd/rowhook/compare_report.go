package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/comparison"
)

// report tells results as they come, or, as JSON, at the end.
type report struct {
	output, told  io.Writer
	verbose, json bool
	results       []*comparison.Result
}

const (
	// shownExamples of a difference are told, each value cut at shownLength characters.
	shownExamples = 3
	shownLength   = 120
)

func (r *report) add(x *comparison.Result) {
	x.Finish()
	r.results = append(r.results, x)
	if !r.json {
		text := *r
		text.output = plain{r.output}
		text.text(x)
	}
}

// end writes the JSON. The error is errDifferent where something differs.
func (r *report) end() error {
	different := slices.ContainsFunc(r.results, (*comparison.Result).Trouble)
	if r.json {
		e := json.NewEncoder(r.output)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(struct {
			Equal     bool                 `json:"equal"`
			Resources []*comparison.Result `json:"resources"`
		}{!different, r.results}); err != nil {
			return err
		}
	}
	if different {
		return errDifferent
	}
	return nil
}

func (r *report) text(x *comparison.Result) {
	total := 0
	for _, f := range x.Fields {
		total += len(f.Examples)
	}
	fmt.Fprintf(r.output, "%s: %s, %s", x.Resource, count(x.Rows, "row"), count(total, "difference"))
	if total > 0 {
		fmt.Fprintf(r.output, " in %s", count(x.Different, "row"))
	}
	if x.Sampled && x.Rows+len(x.NotFound)+len(x.NotInstances)+len(x.Failed) == 0 {
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
