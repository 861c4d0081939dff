package sender

import (
	"testing"

	"github.com/rowhook/rowhook/mapping"
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
