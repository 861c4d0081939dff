package sender

import (
	"testing"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestABodyIsWrittenOnceForAll deliveries of an event that goes to several.
func TestABodyIsWrittenOnceForAll(t *testing.T) {
	t.Parallel()
	ev := &mapping.Event{Type: "contact.create", Data: []byte(`{"id":1}`)}
	shared := &body{shared: true}
	one, two := shared.textOf(ev), shared.textOf(ev)
	if want := string(AppendStandard(nil, ev)); string(one) != want || &one[0] != &two[0] {
		t.Errorf("got %s and %s, want %s once", one, two, want)
	}
}

// TestAllThatIsSentIsCharged, and for several deliveries what is kept for all of them, too.
func TestAllThatIsSentIsCharged(t *testing.T) {
	t.Parallel()
	small := &mapping.Event{Data: []byte(`{}`)}
	large := &mapping.Event{Data: []byte(`{}`), Previous: make([]byte, 1000), Context: make([]byte, 500)}
	for _, n := range []int{1, 2} {
		to := make([]*subscriptions.Subscription, n)
		if got := priceOf(&Job{Event: large, To: to}) - priceOf(&Job{Event: small, To: to}); got != int64(1500*n) {
			t.Errorf("to %d: %d bytes more, want %d", n, got, 1500*n)
		}
	}
}
