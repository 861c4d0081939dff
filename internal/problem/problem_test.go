package problem_test

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/problem"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	columns := []string{"first_name", "last_name", "email", "id"}
	for name, want := range map[string]string{
		"first_nmae": "first_name", "firstname": "first_name", "Email": "email", "mail": "email",
		"created_at": "", "": "", "di": "id", "bio": "", "sub": "",
	} {
		if got := problem.Nearest(name, columns); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestListSaysEverythingInOrder(t *testing.T) {
	t.Parallel()
	var l problem.List
	if l.Err() != nil {
		t.Fatal("an empty list is an error")
	}
	l.Add(problem.Place{File: "b.yaml", Line: 9, Column: 2}, "", "second")
	l.Add(problem.Place{File: "b.yaml", Line: 3, Column: 7}, "do this", "first %q", "x")
	want := "b.yaml:3:7: first \"x\"\n  hint: do this\nb.yaml:9:2: second"
	if got := l.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNoColumn(t *testing.T) {
	t.Parallel()
	many := strings.Fields("a b c d e f g h i j k l m last_name")
	for _, c := range []struct {
		name    string
		columns []string
		want    string
	}{
		{"frist_name", []string{"id", "first_name"}, `did you mean "first_name"?`},
		{"company", []string{"id"}, `did you mean "compony"?`},
		{"name", []string{"identity", "created", "first_name"}, "it has first_name, identity, created: name one of them, leave this out, or add the column to the table first"},
		{"name", many, "it has last_name, a, b, c, d, e, f, g, h, i, j, k and 2 more: name one of them, leave this out, or add the column to the table first"},
		{"name", nil, ""},
	} {
		if got := problem.NoColumn(c.name, c.columns, "compony"); got != c.want {
			t.Errorf("%s of %v: %s", c.name, c.columns, got)
		}
	}
}
