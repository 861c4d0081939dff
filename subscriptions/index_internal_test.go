package subscriptions

import (
	"fmt"
	"testing"
)

// TestIndexForgetsEverything: accounts and patterns come and go for years.
func TestIndexForgetsEverything(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	for round := range int64(3) {
		for i := range int64(50) {
			s := &Subscription{
				Key: i, ID: fmt.Sprint(i), Version: round + 1, Account: fmt.Sprint(i % 7), Admin: i%5 == 0,
				Events: []string{"*", "deal.*", "deal.won", "deal.won", fmt.Sprintf("deal.%d", i)}, State: Active,
			}
			if i%3 == 0 {
				s.ResourceID = fmt.Sprint(i)
			}
			x.Put(s)
		}
		if last := x.events.last; last > 51 {
			t.Errorf("%d numbers for 51 events: they are not used again", last)
		}
	}
	for i := range 50 {
		x.Remove(fmt.Sprint(i))
		x.Remove(fmt.Sprint(i))
	}
	left := []int{
		len(x.byID), len(x.accounts.numbers), len(x.events.numbers), len(x.resources.numbers), len(x.lists), len(x.pinned),
	}
	if fmt.Sprint(left) != "[0 0 0 0 0 0]" {
		t.Errorf("left %v, want nothing", left)
	}
}
