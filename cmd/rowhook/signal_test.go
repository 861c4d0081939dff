package main

import (
	"testing"
	"time"
)

func TestASignalThatIsRepeatedAtOnceIsOne(t *testing.T) {
	t.Parallel()
	var p presses
	start := time.Now()
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {time.Millisecond, false}, {samePress, false}, {samePress + 1, true}, {time.Hour, true}} {
		if got := p.again(start.Add(c.after)); got != c.want {
			t.Errorf("a signal after %s is a second one: %v", c.after, got)
		}
	}
}
