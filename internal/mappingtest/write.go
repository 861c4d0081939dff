package mappingtest

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Failed is how many cases failed.
func Failed(outcomes []*Outcome) int {
	n := 0
	for _, o := range outcomes {
		if len(o.Failures) > 0 {
			n++
		}
	}
	return n
}

// Title is what a case is called: its file, with the line and its name where it has one.
func (c *Case) Title() string {
	title := filepath.ToSlash(c.File)
	if c.Name != "" {
		title += ": " + c.Name
	}
	return title
}

// Text writes a line for each case, and what is wrong with those that failed.
func Text(w io.Writer, outcomes []*Outcome) error {
	var b strings.Builder
	for _, o := range outcomes {
		if len(o.Failures) == 0 {
			fmt.Fprintf(&b, "ok    %s\n", o.Case.Title())
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s\n", o.Case.Title())
		for _, f := range o.Failures {
			fmt.Fprintf(&b, "      %s: %s\n", f.Place, strings.ReplaceAll(f.What, "\n", "\n      "))
			if f.Hint != "" {
				fmt.Fprintf(&b, "        hint: %s\n", f.Hint)
			}
			if f.Want != "" || f.Got != "" {
				fmt.Fprintf(&b, "        want %s\n        got  %s\n", f.Want, f.Got)
			}
		}
	}
	if failed := Failed(outcomes); failed > 0 {
		fmt.Fprintf(&b, "%d of %s failed\n", failed, cases(len(outcomes)))
	} else {
		fmt.Fprintf(&b, "%s, all as expected\n", cases(len(outcomes)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cases(n int) string {
	if n == 1 {
		return "1 case"
	}
	return fmt.Sprintf("%d cases", n)
}

// JSON writes one object.
func JSON(w io.Writer, outcomes []*Outcome) error {
	type result struct {
		File     string    `json:"file"`
		Line     int       `json:"line"`
		Name     string    `json:"name,omitempty"`
		OK       bool      `json:"ok"`
		Failures []Failure `json:"failures,omitempty"`
	}
	out := struct {
		Failed int      `json:"failed"`
		Cases  []result `json:"cases"`
	}{Failed: Failed(outcomes), Cases: []result{}}
	for _, o := range outcomes {
		out.Cases = append(out.Cases, result{o.Case.File, o.Case.Line, o.Case.Name, len(o.Failures) == 0, o.Failures})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
