package hooktest

import (
	"fmt"
	"slices"
	"testing"
)

// about is a request about an instance.
func about(id string, instance int) Request {
	return Request{ID: id, Body: fmt.Appendf(nil, `{"type":"contact.update","data":{"id":%d}}`, instance)}
}

func statuses(script Script, requests ...Request) []int {
	var got []int
	for _, r := range requests {
		a := script(r)
		got = append(got, a.status())
	}
	return got
}

func TestScripts(t *testing.T) {
	t.Parallel()
	failThenOK := func() Script { return Sequence(Status(500), OK()) }
	a1, b1, a2 := about("evt_a", 1), about("evt_b", 1), about("evt_c", 2)
	tests := []struct {
		name     string
		script   Script
		requests []Request
		want     []int
	}{
		{"Always", Always(Status(404)), []Request{a1, a1}, []int{404, 404}},
		{"SequenceRepeatsItsLast", Sequence(Status(500), Status(503), OK()), []Request{a1, a1, a1, a1}, []int{500, 503, 200, 200}},
		{"EmptySequence", Sequence(), []Request{a1}, []int{200}},
		{"Times", Times(2, Always(Status(500)), Always(OK())), []Request{a1, a1, a1}, []int{500, 500, 200}},
		{"ForInstance", ForInstance("contact/2", Always(Status(500)), Always(OK())), []Request{a1, a2, b1}, []int{200, 500, 200}},
		{"PerID", PerID(failThenOK), []Request{a1, b1, a1, b1}, []int{500, 500, 200, 200}},
		{"PerInstance", PerInstance(failThenOK), []Request{a1, b1, a2, a2}, []int{500, 200, 500, 200}},
		{"FailRateNone", FailRate(0, 1, Reset()), []Request{a1, a1}, []int{200, 200}},
		{"FailRateAll", FailRate(1, 1, Reset()), []Request{a1, a1}, []int{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := statuses(tt.script, tt.requests...); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFailRateIsRepeatable(t *testing.T) {
	t.Parallel()
	requests := make([]Request, 1000)
	got := statuses(FailRate(0.3, 7, Status(500)), requests...)
	if again := statuses(FailRate(0.3, 7, Status(500)), requests...); !slices.Equal(got, again) {
		t.Error("the same seed failed other requests")
	}
	if other := statuses(FailRate(0.3, 8, Status(500)), requests...); slices.Equal(got, other) {
		t.Error("another seed failed the same requests")
	}
	failed := 0
	for _, status := range got {
		if status == 500 {
			failed++
		}
	}
	if failed < 230 || failed > 370 {
		t.Errorf("failed %d of 1000, want about 300", failed)
	}
}

func TestPathsHaveTheirOwnScripts(t *testing.T) {
	t.Parallel()
	r := New(t, Always(Status(204)))
	c := newClient(t, r)
	r.Handle("/bad", Always(Status(500)))
	want := func(path string, status int) {
		t.Helper()
		if got, _ := post(t, c, r.URL(path), ""); got != status {
			t.Errorf("%s: got %d, want %d", path, got, status)
		}
	}
	want("/good", 204)
	want("/bad", 500)
	r.Handle("/bad", nil)
	want("/bad", 204)
	r.HandleAll(Always(Status(410)))
	want("/good", 410)
}

func TestScriptMayAskTheReceiver(t *testing.T) {
	t.Parallel()
	var r *Receiver
	r = New(t, func(Request) Answer { return Status(200 + len(r.Requests())) })
	c := newClient(t, r)
	for want := 200; want < 203; want++ {
		if got, _ := post(t, c, r.URL("/"), ""); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}
