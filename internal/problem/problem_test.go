package problem_test

import (
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
