package sender_test

import (
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/sender"
)

// TestKeptEvents: an event that goes to nobody is stored, among others that do, and one that the store refuses holds up nothing.
func TestKeptEvents(t *testing.T) {
	t.Parallel()
	store := newMemory().open()
	r := hooktest.New(t, hooktest.Always(hooktest.OK()))
	sub := newSubscription(1, r.URL("/"))
	d := run(t, testConfig(), store)
	var receipts []*cdc.Receipt
	const events = 30
	for n := 1; n <= events; n++ {
		j := sender.Job{Event: newEvent(n, "a"), Keep: true}
		switch n % 10 {
		case 3:
			j.Event = newEvent(n, nulInstance)
		case 5:
			j.Keep, j.To = false, append(j.To, sub)
		case 7:
			j.Keep = false
		}
		parts := 1
		if n%10 == 7 {
			parts = 0
		}
		receipt := cdc.NewReceipt(parts)
		if err := d.Submit(t.Context(), []sender.Job{j}, receipt); err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, receipt)
	}
	settled(t, receipts...)
	d.idle(t)
	if c := d.Counts(); c.Bytes != 0 {
		t.Errorf("%d bytes are held", c.Bytes)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	for n := 1; n <= events; n++ {
		at := newEvent(n, "a").Position
		if got, want := store.events[at] != nil, n%10 != 3 && n%10 != 7; got != want {
			t.Errorf("event %d is stored: %v, want %v", n, got, want)
		}
		if got, want := store.letters[at], n%10 == 3; got != want {
			t.Errorf("event %d is a dead letter: %v, want %v", n, got, want)
		}
	}
}
