package app_test

import (
	"net/http"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestNobodyIsOwedWhatHeDidNotAgreeTo: what waits for a target that agreed is not sent to another one that did not, when its
// time to agree, or the lease, is over.
func TestNobodyIsOwedWhatHeDidNotAgreeTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/agreed", func(q hooktest.Request) hooktest.Answer {
		if q.Header.Get("X-Hook-Secret") != "" {
			return agreeing(q)
		}
		return hooktest.Status(500)
	})
	r.recv.Handle("/stranger", hooktest.Always(hooktest.Status(500)))
	defer r.start()()
	s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL("/agreed"), Verification: "secret",
		Delivery: client.Delivery{Retries: &client.Retries{Waits: []string{"1h"}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.reaches(s.ID, "active")
	r.exec(`insert into notes values (1, 'private')`)
	r.becomes("a row waits for a retry", `select count(*) = 1 from rowhook.due`)
	r.exec(`update rowhook.due set due_at = now() + interval '1 second'`)
	if _, err := r.admin().Update(t.Context(), s.ID, client.Patch{"target_url": r.recv.URL("/stranger"), "delivery": map[string]any{"retries": 0}}); err != nil {
		t.Fatal(err)
	}
	r.reaches(s.ID, "expired")
	r.subscribe("/all", "note.*")
	r.exec(`insert into notes values (2, 'x')`)
	r.recv.WaitFor(t, arrived("/all", "note/2", 1))
	r.becomes("the row is due", `select clock_timestamp() > max(due_at) + interval '1 second' or count(*) = 0 from rowhook.due`)
	for _, q := range hooktest.ByPath(r.recv.Requests())["/stranger"] {
		if q.Type != "rowhook.verification" {
			t.Errorf("a target that has not agreed got %s %s (%s)", http.MethodPost, q.Type, q.Body)
		}
	}
}
