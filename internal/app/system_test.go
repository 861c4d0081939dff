package app_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
)

// TestSystem: what runs is told to the admin, and nothing secret of it.
func TestSystem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer r.start()()
	admin := r.admin()

	first, err := admin.Check(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if !first.OK || first.Errors != 0 || len(first.Good) == 0 || first.At.IsZero() {
		t.Errorf("%+v", first)
	}
	if again, err := admin.Check(t.Context(), true); err != nil || !again.At.After(first.At) {
		t.Errorf("fresh: %+v %v", again, err)
	}
	// What is wrong is found as rowhook check finds it.
	r.exec(`ALTER TABLE contacts REPLICA IDENTITY NOTHING`)
	found, err := admin.Check(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found.Findings, func(f client.CheckFinding) bool {
		return strings.Contains(f.Place+f.What, "contacts") && f.What != "" && len(f.SQL) > 0
	}) {
		t.Errorf("without a replica identity: %+v", found.Findings)
	}
	r.exec(`ALTER TABLE contacts REPLICA IDENTITY DEFAULT`)

	cfg, err := admin.Config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(cfg.Text, "resources:") || strings.Contains(cfg.Text, "admin-token-0123456789") || strings.Contains(cfg.Text, "postgres://") || cfg.Path == "" {
		t.Errorf("the config is shown as %+v", cfg)
	}

	all, err := admin.Resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r client.Resource) bool { return r.Name == "contact" })
	if i < 0 || !all[i].Fit || all[i].Table != "public.contacts" || !slices.Equal(all[i].Key, []string{"id"}) || all[i].YAML != "" || len(all[i].Events) < 4 {
		t.Fatalf("%+v", all)
	}
	one, err := admin.Resource(t.Context(), "contact")
	if err != nil || one.Line == 0 || !strings.Contains(one.YAML, "table: contacts") {
		t.Errorf("%+v %v", one, err)
	}

	// How a subscription fares.
	sub := r.subscribe("/stats", "contact.create")
	r.insertContact(1, 1)
	eventually(t, "the delivery is counted", func() bool {
		v, err := admin.Stats(t.Context(), sub.ID)
		if err != nil {
			t.Fatal(err)
		}
		return v.Hour.Delivered == 1 && v.Day.Delivered == 1 && v.Day.Complete && v.Hour.SuccessRate != nil && *v.Hour.SuccessRate == 1 && v.Waiting.Count == 0 && v.LastError == nil
	})

	// What became of its event, by the position that the list of events has.
	var page *client.EventPage
	eventually(t, "the event is in the list", func() bool {
		page, err = admin.Events(t.Context(), client.EventQuery{ResourceID: "1", Types: []string{"contact.*"}})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Events) == 1
	})
	var told struct{ ID, Position string }
	if err := json.Unmarshal(page.Events[0], &told); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{told.ID, told.Position} {
		n := 0
		for d, err := range admin.EventDeliveries(t.Context(), id) {
			if n++; err != nil || d.Subscription != sub.ID || d.Status != client.DeliveryDelivered || d.Event.ID != told.ID {
				t.Errorf("%s: %+v %v", id, d, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d deliveries", id, n)
		}
	}
	for h, err := range admin.Held(t.Context(), sub.ID) {
		t.Errorf("held: %+v %v", h, err)
	}
}
