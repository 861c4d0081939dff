package main

import (
	"os"
	"testing"
	"time"
)

// TestAgainIsRead takes r and Enter, and nothing else, from a pipe that stays open.
func TestAgainIsRead(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pressed := again(t.Context(), r)
	for _, typed := range []string{"x\nrr\n\nr\n", " r \r\n"} {
		if _, err := w.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		select {
		case _, ok := <-pressed:
			if !ok {
				t.Fatal("it has ended")
			}
		case <-time.After(patience):
			t.Fatalf("%q is not heard", typed)
		}
	}
	_ = w.Close()
	select {
	case _, ok := <-pressed:
		if ok {
			t.Error("something else was taken for it")
		}
	case <-time.After(patience):
		t.Fatal("the end is not noticed")
	}
}
