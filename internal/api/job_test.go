package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// The jobs that are there: one of account 1, and one of the admin.
const (
	jobOfOne   = "job_4hdvrlrqkz6uphbnkrk5sd4rtu"
	jobOfAdmin = "job_zhdvrlrqkz6uphbnkrk5sd4rtu"
)

// keptJobs are jobs for tests. What was asked of them last is kept.
type keptJobs struct {
	ended    bool
	replay   client.Replay
	backfill client.Backfill
	by       string
}

func jobAt(id, subscription string) *client.Job {
	total := int64(7)
	return &client.Job{ID: id, Kind: client.JobReplay, Subscription: subscription, State: client.JobQueued, Total: &total, RequestedBy: "one",
		CreatedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Replay: &client.Replay{EventIDs: []string{"evt_1"}, State: client.ReplayFailed}}
}

func (k *keptJobs) Replay(_ context.Context, s *subscriptions.Subscription, r client.Replay, by string) (*client.Job, error) {
	k.replay, k.by = r, by
	return jobAt(jobOfOne, s.ID), nil
}

func (k *keptJobs) CountReplay(_ context.Context, _ *subscriptions.Subscription, r client.Replay) (*client.ReplayCount, error) {
	k.replay = r
	return &client.ReplayCount{Total: 7, DryRun: true}, nil
}

func (k *keptJobs) Backfill(_ context.Context, s *subscriptions.Subscription, r client.Backfill, by string) (*client.Job, error) {
	k.backfill, k.by = r, by
	j := jobAt(jobOfOne, s.ID)
	j.Kind, j.Replay, j.Backfill = client.JobBackfill, nil, &r
	j.Resources = []client.BackfillResource{{Resource: "contact", Total: j.Total}}
	return j, nil
}

func (k *keptJobs) CountBackfill(_ context.Context, _ *subscriptions.Subscription, r client.Backfill) (*client.BackfillCount, error) {
	k.backfill = r
	total := int64(7)
	return &client.BackfillCount{Total: &total, DryRun: true, Resources: []client.BackfillResource{{Resource: "contact", Total: &total}}}, nil
}

func (k *keptJobs) Job(_ context.Context, scope subscriptions.Scope, id string) (*client.Job, error) {
	if scope.Admin && id == jobOfAdmin || (scope.Admin || scope.Account == "1") && id == jobOfOne {
		return jobAt(id, "sub_1"), nil
	}
	return nil, api.NotFound("there is no such job")
}

func (k *keptJobs) List(_ context.Context, s *subscriptions.Subscription, after string, limit int) ([]*client.Job, bool, error) {
	all := []*client.Job{jobAt("job_3", s.ID), jobAt("job_2", s.ID), jobAt("job_1", s.ID)}
	if i := slices.IndexFunc(all, func(j *client.Job) bool { return j.ID == after }); after != "" {
		if i < 0 {
			return nil, false, api.NotFound("there is no such job")
		}
		all = all[i+1:]
	}
	return all[:min(limit, len(all))], limit < len(all), nil
}

func (k *keptJobs) Cancel(ctx context.Context, scope subscriptions.Scope, id string) error {
	if _, err := k.Job(ctx, scope, id); err != nil {
		return err
	}
	if k.ended {
		return api.Conflict("the job has ended: done")
	}
	return nil
}

// TestReplayIsStrict: each mistake is told with its field, and what is right arrives whole.
func TestReplayIsStrict(t *testing.T) {
	t.Parallel()
	kept := &keptJobs{}
	b := start(t, func(c *api.Config) { c.Jobs = kept })
	s := make1(t, b.client(tokenOne))
	at := "/api/v1/subscription/" + s.ID + "/replay"
	const early, late = "0000000100000000016b3a400000000100000000", "0000000100000000016b3a410000000100000000"
	for body, fields := range map[string][]string{
		`{}`:                    {"from"},
		`{"from":"yesterday"}`:  {"from"},
		`{"from":"2026-11-22"}`: {"from"},
		`{"from":1}`:            {"from"},
		`{"from":"2026-11-22T08:00:00Z","to":"2026-11-22T07:00:00Z","state":"lost","rate":-1}`:        {"to", "state", "rate"},
		`{"from":"2026-11-22T08:00:00Z","from_position":"` + early + `"}`:                             {"from_position"},
		`{"from_position":"` + late + `","to_position":"` + early + `"}`:                              {"to_position"},
		`{"from_position":"1","to":"2026-11-22T08:00:00Z","to_position":"` + late + `","rate":10001}`: {"from_position", "to_position", "rate"},
		`{"event_ids":["` + strings.Repeat(`x","`, 1000) + `x"]}`:                                     {"event_ids"},
		// What Postgres and JSON cannot take.
		`{"from":"0001-01-01T00:00:00+12:00","to":"9999-12-31T23:59:59-12:00"}`:                                          {"from", "to"},
		`{"from":"2026-11-22T08:00:00Z","resource_id":"4\u0000","events":["\u0000"],"event_ids":["evt_1","evt_\u0000"]}`: {"resource_id", "events", "event_ids"},
		`{"from":"2026-11-22T08:00:00Z","evnts":[]}`:                                                                     {"evnts"},
		`{"from":"2026-11-22T08:00:00Z","rate":"5"}`:                                                                     {"rate"},
	} {
		answer, text := b.do(t, "POST", at, tokenOne, "application/json", body)
		if answer.StatusCode != 422 {
			t.Errorf("%.100s: %s %s", body, answer.Status, text)
		}
		for _, field := range fields {
			if !strings.Contains(text, fmt.Sprintf(`"field":%q`, field)) {
				t.Errorf("%.100s: nothing of %s: %s", body, field, text)
			}
		}
	}
	from, to := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	want := client.Replay{From: &from, To: &to, Events: []string{"contact.*"}, ResourceID: "42", EventIDs: []string{"evt_1"}, State: client.ReplayMissed, Rate: 5}
	j, err := b.client(tokenOne).Replay(t.Context(), s.ID, want)
	if err != nil || j.ID != jobOfOne || j.Subscription != s.ID || kept.by != "one" {
		t.Fatalf("%+v, %v", j, err)
	}
	if got := kept.replay; !got.From.Equal(from) || !got.To.Equal(to) || !slices.Equal(got.Events, want.Events) || got.ResourceID != "42" ||
		!slices.Equal(got.EventIDs, want.EventIDs) || got.State != want.State || got.Rate != 5 || got.DryRun {
		t.Errorf("asked for %+v", got)
	}
	answer, _ := b.do(t, "POST", at, tokenOne, "application/json", `{"from":"2026-11-22T10:00:00+02:00"}`)
	if answer.StatusCode != http.StatusAccepted || answer.Header.Get("Location") != "/api/v1/job/"+jobOfOne+"/" {
		t.Errorf("%s %v", answer.Status, answer.Header)
	}
	if got := kept.replay; !got.From.Equal(from) || got.State != client.ReplayFailed {
		t.Errorf("asked for %+v", got)
	}
	if n, err := b.client(tokenOne).CountReplay(t.Context(), s.ID, want); err != nil || n.Total != 7 || !kept.replay.DryRun {
		t.Errorf("%+v, %v", n, err)
	}
	for name, change := range map[string]func(*subscriptions.Subscription){
		"feed": func(s *subscriptions.Subscription) { s.TargetURL = "" }, "shadow": func(s *subscriptions.Subscription) { s.State = subscriptions.Shadow },
		"expired": func(s *subscriptions.Subscription) { s.State = subscriptions.Expired },
	} {
		other := make1(t, b.client(tokenOne))
		if _, err := b.repository.Update(t.Context(), subscriptionsAdmin, other.ID, func(s *subscriptions.Subscription) error { change(s); return nil }); err != nil {
			t.Fatal(err)
		}
		if answer, text := b.do(t, "POST", "/api/v1/subscription/"+other.ID+"/replay", tokenOne, "application/json", `{"event_ids":["evt_1"]}`); answer.StatusCode != 409 ||
			!strings.Contains(text, name) {
			t.Errorf("%s: %s %s", name, answer.Status, text)
		}
	}
}

// TestBackfillIsStrict: the same of a backfill, which needs nothing said.
func TestBackfillIsStrict(t *testing.T) {
	t.Parallel()
	kept := &keptJobs{}
	b := start(t, func(c *api.Config) { c.Jobs = kept })
	s := make1(t, b.client(tokenOne))
	at := "/api/v1/subscription/" + s.ID + "/backfill"
	for body, field := range map[string]string{
		`{"since":"yesterday"}`: "since", `{"since":1}`: "since", `{"rate":-1}`: "rate", `{"rate":10001}`: "rate", `{"resource":"contact"}`: "resource",
		`{"resources":["` + strings.Repeat(`x","`, 100) + `x"]}`: "resources",
	} {
		if answer, text := b.do(t, "POST", at, tokenOne, "application/json", body); answer.StatusCode != 422 || !strings.Contains(text, fmt.Sprintf(`"field":%q`, field)) {
			t.Errorf("%.100s: %s %s", body, answer.Status, text)
		}
	}
	for _, body := range []string{"", "{}"} {
		answer, text := b.do(t, "POST", at, tokenOne, "application/json", body)
		if answer.StatusCode != http.StatusAccepted || answer.Header.Get("Location") != "/api/v1/job/"+jobOfOne+"/" || kept.by != "one" {
			t.Errorf("%q: %s %v %s", body, answer.Status, answer.Header, text)
		}
	}
	since := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	want := client.Backfill{Resources: []string{"contact"}, Since: &since, Rate: 5}
	if j, err := b.client(tokenOne).Backfill(t.Context(), s.ID, want); err != nil || j.ID != jobOfOne || len(j.Resources) != 1 {
		t.Errorf("%+v, %v", j, err)
	}
	if got := kept.backfill; !slices.Equal(got.Resources, want.Resources) || !got.Since.Equal(since) || got.Rate != 5 || got.DryRun {
		t.Errorf("asked for %+v", got)
	}
	if n, err := b.client(tokenOne).CountBackfill(t.Context(), s.ID, want); err != nil || *n.Total != 7 || !kept.backfill.DryRun {
		t.Errorf("%+v, %v", n, err)
	}
	// A feed can have what is there; a shadow and one that has ended cannot.
	for state, c := range map[string]struct {
		status int
		change func(*subscriptions.Subscription)
	}{
		"feed":    {202, func(s *subscriptions.Subscription) { s.TargetURL = "" }},
		"shadow":  {409, func(s *subscriptions.Subscription) { s.State = subscriptions.Shadow }},
		"expired": {409, func(s *subscriptions.Subscription) { s.State = subscriptions.Expired }},
	} {
		other := make1(t, b.client(tokenOne))
		if _, err := b.repository.Update(t.Context(), subscriptionsAdmin, other.ID, func(s *subscriptions.Subscription) error { c.change(s); return nil }); err != nil {
			t.Fatal(err)
		}
		if answer, text := b.do(t, "POST", "/api/v1/subscription/"+other.ID+"/backfill", tokenOne, "application/json", "{}"); answer.StatusCode != c.status {
			t.Errorf("%s: %s %s", state, answer.Status, text)
		}
	}
}

// TestJobRoutes: page by page, and one by one.
func TestJobRoutes(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *api.Config) { c.Jobs = &keptJobs{} })
	s := make1(t, b.client(tokenOne))
	var ids []string
	resp, body := b.do(t, "GET", "/api/v1/subscription/"+s.ID+"/job?limit=2", tokenOne, "", "")
	for resp.StatusCode == 200 {
		for part := range strings.SplitSeq(body, `"id":"`) {
			if id, _, ok := strings.Cut(part, `"`); ok && strings.HasPrefix(id, "job_") {
				ids = append(ids, id)
			}
		}
		link, _, more := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), `>; rel="next"`)
		if !more {
			break
		}
		resp, body = b.do(t, "GET", link, tokenOne, "", "")
	}
	if !slices.Equal(ids, []string{"job_3", "job_2", "job_1"}) {
		t.Errorf("listed %v, the last answer %s", ids, resp.Status)
	}
	c := b.client(tokenOne)
	if all, err := c.Jobs(t.Context(), s.ID); err != nil || len(all) != 3 {
		t.Errorf("%v, %v", all, err)
	}
	if j, err := c.Job(t.Context(), jobOfOne); err != nil || j.Ended() || j.Replay.State != client.ReplayFailed {
		t.Errorf("%+v, %v", j, err)
	}
	if err := c.CancelJob(t.Context(), jobOfOne); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"", "..", jobOfAdmin} {
		if _, err := c.Job(t.Context(), id); err == nil {
			t.Errorf("the job %q is there", id)
		}
	}
}
