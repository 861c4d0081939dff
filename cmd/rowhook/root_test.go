package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rowhook/rowhook/internal/problem"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	one, other := errors.New("no slot\n  hint: make one"), errors.New("no server")
	var list problem.List
	list.Add(problem.Place{File: "c.yaml", Line: 2, Column: 3}, "did you mean", "unknown key")
	for promise, c := range map[string]struct {
		err  error
		want string
	}{
		"OneKeepsItsHint":    {one, "rowhook: no slot\n  hint: make one"},
		"JoinedAreLinesEach": {errors.Join(one, other), "rowhook: no slot\n  hint: make one\nrowhook: no server"},
		"WrappedStayWhole":   {fmt.Errorf("%w (last: %w)", one, other), "rowhook: no slot\n  hint: make one (last: no server)"},
		"InsideStaysWhole":   {fmt.Errorf("start: %w", errors.Join(one, other)), "rowhook: start: no slot\n  hint: make one\nno server"},
		"MistakesAreLines":   {list.Err(), "rowhook: the config has a mistake, so nothing was started\nc.yaml:2:3: unknown key\n  hint: did you mean"},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			if got := explain(c.err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestInFlags(t *testing.T) {
	t.Parallel()
	err := inFlags(errors.Join(errors.New("mend store.url, or database.url where"), errors.New("host and port of database.url are right")))
	if got, want := explain(err), "rowhook: mend store.url, or --database-url where\nrowhook: host and port of --database-url are right"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if inFlags(nil) != nil {
		t.Error("no error became one")
	}
}
