package comparison

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/preview"
)

// Result is what the comparison of a resource has found.
type Result struct {
	Resource string `json:"resource"`
	// Rows are those that were compared, Different those of them that differ.
	Rows      int      `json:"rows"`
	Different int      `json:"different"`
	Fields    []*Field `json:"fields"`
	// NotFound are the instances that the API does not know, or does not show; NotInstances the rows that are none.
	NotFound     []string  `json:"not_found"`
	NotInstances []string  `json:"not_instances"`
	Failed       []Failure `json:"failed"`
	// FromAPI are the fields that are equal by themselves: they come of the answer that they are compared with.
	FromAPI []string `json:"from_api"`
	// Rest are the rows that were not reached in time.
	Rest []string `json:"-"`
	// Sampled says that the rows were chosen here, so that some may be hidden, or gone meanwhile.
	Sampled bool `json:"-"`
}

// Field is where rows differ.
type Field struct {
	Path string `json:"path"`
	Rows int    `json:"rows"`
	Hint string `json:"hint,omitempty"`
	// Examples are all of them; the text shows the first.
	Examples []Example `json:"examples"`
}

// Example is a difference in one row. A value that is not there is left out.
type Example struct {
	Key  string          `json:"key"`
	Path string          `json:"path"`
	Ours json.RawMessage `json:"ours,omitempty"`
	API  json.RawMessage `json:"api,omitempty"`
}

// Failure says why a row could not be compared.
type Failure struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

// Add counts a row that was compared, with what differs.
func (r *Result) Add(key string, found []compare.Difference) {
	r.Rows++
	if len(found) > 0 {
		r.Different++
	}
	counted := map[*Field]bool{}
	for _, d := range found {
		i := slices.IndexFunc(r.Fields, func(f *Field) bool { return f.Path == d.Field() })
		if i < 0 {
			i = len(r.Fields)
			r.Fields = append(r.Fields, &Field{Path: d.Field()})
		}
		f := r.Fields[i]
		if !counted[f] {
			counted[f] = true
			f.Rows++
		}
		if f.Hint == "" {
			f.Hint = d.Hint
		}
		f.Examples = append(f.Examples, Example{key, d.Path, d.Ours, d.Theirs})
	}
}

func (r *Result) failed(key string, err error) {
	r.Failed = append(r.Failed, Failure{key, err.Error()})
}

func (r *Result) rest(keys [][]string) {
	for _, values := range keys {
		r.Rest = append(r.Rest, preview.JoinKey(values))
	}
}

// Trouble says that the resource is not equal, as far as was asked.
func (r *Result) Trouble() bool {
	// In a sample some instances may be hidden from the login, but not all of them.
	return r.Different > 0 || len(r.Failed) > 0 || len(r.NotFound) > 0 && (!r.Sampled || r.Rows == 0) || !r.Sampled && len(r.NotInstances) > 0
}

// Finish sorts the fields by name, and makes lists of what is not there, for JSON.
func (r *Result) Finish() {
	slices.SortFunc(r.Fields, func(a, b *Field) int { return strings.Compare(a.Path, b.Path) })
	r.Fields, r.NotFound, r.NotInstances = orEmpty(r.Fields), orEmpty(r.NotFound), orEmpty(r.NotInstances)
	r.Failed, r.FromAPI, r.Rest = orEmpty(r.Failed), orEmpty(r.FromAPI), orEmpty(r.Rest)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
