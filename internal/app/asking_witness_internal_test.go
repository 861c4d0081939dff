package app

import (
	"context"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTheWitnessFails: the instance that the application answered for last is the one that it cannot answer for any more. It
// is given up like any other, where the application answers for another one, and does not hold the stream for ever.
func TestTheWitnessFails(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, body(`{}`))
	a, _ := newAsker(t, app)
	for _, path := range []string{"/good", "/bad"} {
		if err := a.ask(t.Context(), want(path), nil); err != nil {
			t.Fatal(err)
		}
	}
	app.Handle("/bad", hooktest.Always(hooktest.Status(500)))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w := want("/bad")
	if err := a.ask(ctx, w, nil); err != nil {
		t.Fatalf("it is asked for as long as there is time: %v", err)
	}
	w.is(t, "/bad", "500 Internal Server Error; it answers for others")
}

// TestTheOnlyOneFails: nothing else was ever answered, so nobody can tell whether it is the instance.
func TestTheOnlyOneFails(t *testing.T) {
	t.Parallel()
	app := hooktest.New(t, body(`{}`))
	a, _ := newAsker(t, app)
	a.limits.unproven = 50 * time.Millisecond
	if err := a.ask(t.Context(), want("/only"), nil); err != nil {
		t.Fatal(err)
	}
	app.Handle("/only", hooktest.Always(hooktest.Status(500)))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w := want("/only")
	if err := a.ask(ctx, w, nil); err != nil {
		t.Fatalf("it is asked for as long as there is time: %v", err)
	}
	w.is(t, "/only", "500 Internal Server Error")
}
