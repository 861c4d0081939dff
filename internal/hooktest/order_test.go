package hooktest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// arrivals makes requests from "path id instance position status" lines.
func arrivals(t *testing.T, lines ...string) []Request {
	t.Helper()
	var requests []Request
	for i, line := range lines {
		var r Request
		var instance int
		if _, err := fmt.Sscan(line, &r.Path, &r.ID, &instance, &r.Position, &r.Answered); err != nil {
			t.Fatal(err)
		}
		r.Number, r.Body = i+1, about(r.ID, instance).Body
		requests = append(requests, r)
	}
	return requests
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	requests := arrivals(t,
		"/a e1 1 1 500", "/a e1 1 1 200", // a retry
		"/b e1 1 1 200",                  // another subscription
		"/a e2 1 2 200", "/a e2 1 2 204", // twice
	)
	if got := Duplicates(requests); !slices.Equal(got, []string{"e2"}) {
		t.Errorf("got %v, want e2", got)
	}
	if got := len(Delivered(requests)); got != 4 {
		t.Errorf("got %d delivered, want 4", got)
	}
	if len(requests) != 5 || requests[0].Answered != 500 {
		t.Error("the requests were changed")
	}
	if got := ByInstance(requests)["contact/1"]; len(got) != 5 || got[4].ID != "e2" {
		t.Errorf("got %v", got)
	}
	if got := ByID(requests)["e1"]; len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

func TestOrderChecks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		lines               []string
		inOrder, newestLast bool
	}{
		{"Ascending", []string{"/a e1 1 1 200", "/a e2 1 2 200"}, true, true},
		{"Retries", []string{"/a e1 1 1 500", "/a e1 1 1 200", "/a e2 1 2 200"}, true, true},
		{"OthersMayPass", []string{"/a e1 1 1 500", "/a e2 2 2 200", "/a e1 1 1 200"}, true, true},
		{"OtherPathsMayPass", []string{"/a e2 1 2 200", "/b e1 1 1 200"}, true, true},
		{"Overtaken", []string{"/a e1 1 1 500", "/a e2 1 2 200", "/a e1 1 1 200"}, false, false},
		{"RepeatedAfterACrash", []string{"/a e1 1 1 200", "/a e2 1 2 200", "/a e1 1 1 200", "/a e2 1 2 200"}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requests := arrivals(t, tt.lines...)
			if err := CheckOrder(requests); (err == nil) != tt.inOrder {
				t.Errorf("CheckOrder: got %v, want in order: %v", err, tt.inOrder)
			}
			if err := CheckNewestLast(requests); (err == nil) != tt.newestLast {
				t.Errorf("CheckNewestLast: got %v, want newest last: %v", err, tt.newestLast)
			} else if err != nil && !strings.Contains(err.Error(), "contact/1") {
				t.Errorf("got %v, want it to name the instance", err)
			}
		})
	}
}
