// Package problem is how a mistake in the user's configuration is told: where it is, what is wrong, what to do.
package problem

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Place is a position in a configuration file. Line and Column count from 1; zero means unknown.
type Place struct {
	File   string
	Line   int
	Column int
}

// String is file:line:column, without the parts that are unknown.
func (p Place) String() string {
	switch {
	case p.File == "" && p.Line == 0:
		return ""
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// At is the place n columns further on the same line.
func (p Place) At(n int) Place {
	if p.Column > 0 {
		p.Column += n
	}
	return p
}

// Problem is one mistake. Message says what is wrong with the value named; Hint says the next step and may be empty.
type Problem struct {
	Place
	Message string
	Hint    string
}

// Error is one line, or two where there is a hint.
func (p Problem) Error() string {
	var b strings.Builder
	if place := p.Place.String(); place != "" {
		b.WriteString(place)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("\n  hint: ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

// List is all mistakes found at once. The zero value is ready to use.
type List []Problem

// Add appends a problem. Format and args make the message.
func (l *List) Add(at Place, hint, format string, args ...any) {
	*l = append(*l, Problem{Place: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// Err is nil when the list is empty, else the list in the order of the files.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	sorted := append(List(nil), l...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return sorted
}

// Error lists every problem, one after another.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Nearest is the candidate that name was probably meant to be, or "" when none is near enough.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/3+2
	if len(name) < 4 {
		bestDistance = 2 // two letters of three make another word
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c), bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// DidYouMean is the hint for a name that is not known: empty when nothing is near.
func DidYouMean(name string, candidates []string) string {
	if n := Nearest(name, candidates); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return ""
}

// namedAtMost bounds the names that a hint lists.
const namedAtMost = 12

// NoColumn is the hint for a column that a table lacks: the one, or the other name, that was probably meant, or those that there are.
func NoColumn(name string, columns []string, others ...string) string {
	if hint := DidYouMean(name, slices.Concat(columns, others)); hint != "" || len(columns) == 0 {
		return hint
	}
	// first_name is what somebody looks for who has written name; a letter is in many words.
	has := func(a, b string) bool { return len(b) > 2 && strings.Contains(strings.ToLower(a), strings.ToLower(b)) }
	listed := slices.Clone(columns)
	slices.SortStableFunc(listed, func(a, b string) int {
		of := func(c string) int {
			if has(c, name) || has(name, c) {
				return 0
			}
			return 1
		}
		return of(a) - of(b)
	})
	more := ""
	if n := len(listed) - namedAtMost; n > 0 {
		listed, more = listed[:namedAtMost], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("it has %s%s: name one of them, leave this out, or add the column to the table first", strings.Join(listed, ", "), more)
}

// distance is the optimal string alignment distance (insert, delete, replace, swap of neighbours), or limit when it is
// at least that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
