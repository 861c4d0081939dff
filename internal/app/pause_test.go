package app_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestPauseDrainResume: a pause survives a restart and is shown; the log is acknowledged meanwhile, and drain says so; one command ends it,
// and everything arrives, once, in order. With an incident in the way resume does both or nothing.
func TestPauseDrainResume(t *testing.T) {
	t.Parallel()
	r := newRig(t, hooktest.Always(hooktest.OK()))
	stop := r.start()
	r.subscribe("/")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/", "contact/1", 1))

	acme := r.client("acme-token-0123456789")
	for what, err := range map[string]error{
		"pause": second(acme.Pause(t.Context(), "")), "look": second(acme.Paused(t.Context())), "drain": second(acme.Drain(t.Context(), client.Drain{})),
	} {
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Errorf("an account may %s: %v", what, err)
		}
	}
	if p, err := r.admin().Paused(t.Context()); err != nil || p.Paused || p.Since != nil {
		t.Errorf("before it: %+v, %v", p, err)
	}
	p, err := r.admin().Pause(t.Context(), "a wrong mapping")
	if err != nil || !p.Paused || p.By != "ops" || p.Reason != "a wrong mapping" || p.UnderWay == nil || *p.UnderWay != 0 {
		t.Fatalf("got %+v, %v", p, err)
	}
	r.insertContact(2, 1)
	r.exec(`update contacts set city = 'Bremen' where id = 2`)
	drained := r.drain()
	if drained.Waiting != 2 || !drained.Paused {
		t.Errorf("drained: %+v, want 2 that wait", drained)
	}
	// The slot holds nothing of it: this is what a switch-over or an upgrade needs.
	var confirmed bool
	if err := r.conn.QueryRow(t.Context(), `select confirmed_flush_lsn >= $1::pg_lsn from pg_replication_slots where slot_name = $2`, drained.UntilLSN, r.slot).Scan(&confirmed); err != nil || !confirmed {
		t.Errorf("the slot has not confirmed %s: %v", drained.UntilLSN, err)
	}
	ready, err := r.admin().Ready(t.Context())
	if err != nil || !ready.Ready {
		t.Errorf("a pause turns readiness red: %+v, %v", ready, err)
	}
	var part client.Part
	for _, x := range ready.Parts {
		if x.Name == "delivery" {
			part = x
		}
	}
	if part.State != "paused" || !strings.Contains(part.Detail, "a wrong mapping") || !strings.Contains(part.Detail, "rowhook resume") {
		t.Errorf("readiness says %+v", part)
	}
	status, err := r.admin().Status(t.Context())
	if err != nil || status.State != client.StatePaused || len(status.Findings) != 1 || status.Findings[0].Code != "paused" ||
		!strings.Contains(status.Findings[0].What, "by ops: a wrong mapping") || !strings.Contains(status.Findings[0].Mend, "rowhook resume") {
		t.Errorf("status says %+v, %v", status, err)
	}
	if got := r.metric("rowhook_paused"); got != 1 {
		t.Errorf("rowhook_paused is %v", got)
	}

	// The slot goes away while it is down: resume needs to know about the loss before it lets anything flow.
	stop()
	r.exec(`select pg_drop_replication_slot($1)`, r.slot)
	stop = r.startRed("rowhook resume --accept-gap")
	var refused *client.Error
	if _, err := r.admin().Resume(t.Context(), false); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("a gap without a word: %v", err)
	}
	if p, err := r.admin().Paused(t.Context()); err != nil || !p.Paused || p.Reason != "a wrong mapping" {
		t.Errorf("after a refused resume: %+v, %v", p, err)
	}
	done, err := r.admin().Resume(t.Context(), true)
	if err != nil || done.Incident != "slot_missing" || !done.Gap || done.PausedSince == nil {
		t.Fatalf("got %+v, %v", done, err)
	}
	r.isGreen()
	all := r.recv.WaitFor(t, func(q []hooktest.Request) bool { return arrived("/", "contact/2", 2)(q) && len(gaps(q, "/")) == 1 })
	if got := types(hooktest.ByInstance(all)["contact/2"]); got != "contact.create contact.update" {
		t.Errorf("contact/2 got %s", got)
	}

	// A pause alone, begun and ended by a standby.
	active := r.api
	standby := r.start()
	if p, err := r.admin().Pause(t.Context(), ""); err != nil || !p.Paused || p.UnderWay != nil {
		t.Errorf("by a standby: %+v, %v", p, err)
	}
	passive := r.api
	r.api = active
	eventually(t, "the process that sends obeys", func() bool { return r.metric("rowhook_paused") == 1 })
	r.insertContact(3, 1)
	if d := r.drain(); d.Waiting != 1 {
		t.Errorf("drained: %+v", d)
	}
	r.api = passive
	if _, err := r.admin().Drain(t.Context(), client.Drain{}); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("a standby drains: %v", err)
	}
	if done, err := r.admin().Resume(t.Context(), false); err != nil || done.Incident != "" || done.PausedSince == nil {
		t.Errorf("got %+v, %v", done, err)
	}
	r.recv.WaitFor(t, arrived("/", "contact/3", 1))
	if _, err := r.admin().Resume(t.Context(), false); !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("there was nothing to resume: %v", err)
	}
	standby()
	stop()
	for id, q := range hooktest.ByInstance(hooktest.Delivered(r.recv.Requests())) {
		if want := map[string]int{"contact/2": 2}[id]; strings.HasPrefix(id, "contact/") && len(q) != max(want, 1) {
			t.Errorf("%s came %d times", id, len(q))
		}
	}
}

func second[T any](_ T, err error) error { return err }

// drain waits until everything is delivered or stored.
func (r *rig) drain() *client.Drained {
	r.t.Helper()
	var d *client.Drained
	eventually(r.t, "drained", func() bool {
		var err error
		if d, err = r.admin().Drain(r.t.Context(), client.Drain{Wait: "1s"}); err != nil {
			r.t.Fatal(err)
		}
		return d.Drained
	})
	return d
}
