package sample

import (
	"context"
	"errors"
	"testing"
)

// TestNobodyWaitsForAnothersMany lets one account ask without end, and another one ask once.
func TestNobodyWaitsForAnothersMany(t *testing.T) {
	t.Parallel()
	r := NewReader("", 0, nil, nil)
	busy, other := "1", "2"
	leave, err := r.enter(t.Context(), &busy)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	for range 50 {
		go func() {
			_, err := r.enter(ctx, &busy)
			waiting <- err
		}()
	}
	for range 3 {
		done, err := r.enter(t.Context(), &other)
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
	cancel()
	for range 50 {
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	leave()
	if admin, err := r.enter(t.Context(), nil); err != nil {
		t.Error(err)
	} else {
		admin()
	}
	if len(r.turns) > 0 || len(r.slots) > 0 {
		t.Errorf("%d turns and %d slots are left", len(r.turns), len(r.slots))
	}
}
