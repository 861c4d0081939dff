package cdc

import (
	"slices"
	"testing"
	"time"
)

// TestGuard: what was settled is acknowledged when the stream has come as far as the log was by then, and what came to nothing at once.
func TestGuard(t *testing.T) {
	t.Parallel()
	l := newLedger(100, 1<<62)
	l.guard = &guard{cleared: 100}
	flushed := func(want LSN, what string) {
		t.Helper()
		if _, got := l.positions(); got != want {
			t.Errorf("%s: flushed %d, want %d", what, got, want)
		}
	}
	// change is a transaction of which something is made.
	change := func(end LSN) *Receipt {
		l.begin()
		r := NewReceipt(1)
		l.settle(l.add(), r)
		l.commit(end, time.Time{})
		return r
	}
	if _, _, wanted := l.unproven(); wanted {
		t.Error("nothing was settled, and something is to be proven")
	}
	l.keepalive(150)
	flushed(150, "a keepalive")
	first := change(200)
	flushed(150, "not settled")
	first.Done()
	flushed(150, "settled, not proven")
	settled, watermark, wanted := l.unproven()
	if settled != 1 || watermark != 200 || !wanted {
		t.Errorf("got %d, %d, %v", settled, watermark, wanted)
	}
	l.prove(settled, watermark, 260)
	if _, _, wanted := l.unproven(); wanted {
		t.Error("a second proof is wanted before the first has come")
	}
	// Another one is settled meanwhile: it is not part of the proof.
	change(240).Done()
	flushed(150, "the stream is not there yet")
	l.keepalive(260)
	flushed(200, "the first is proven")
	l.keepalive(300)
	flushed(200, "the second is not")
	settled, watermark, _ = l.unproven()
	l.prove(settled, watermark, 300)
	flushed(300, "all is proven")
	l.keepalive(400)
	flushed(400, "a keepalive after that")
}

func TestSlotNames(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{"": nil, " ": nil, "a": {"a"}, `a, "b" ,c`: {"a", "b", "c"}} {
		if got := slotNames(list); !slices.Equal(got, want) {
			t.Errorf("%q: got %q", list, got)
		}
	}
}
