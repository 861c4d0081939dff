package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// countedExactly is how many rows of a table are counted before a backfill, with more it is told about how many there are.
const countedExactly = 100_000

// Backfill implements api.Jobs.
func (a jobsAPI) Backfill(ctx context.Context, s *subscriptions.Subscription, r client.Backfill, by string) (*client.Job, error) {
	st, err := a.app.openStore()
	if err != nil {
		return nil, err
	}
	w, err := a.wantedBackfill(ctx, s, r)
	if err != nil {
		return nil, err
	}
	parameters, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	j := &store.Job{Kind: jobBackfill, Subscription: s.Key, SubscriptionID: s.ID, Parameters: parameters, RequestedBy: by}
	j.Total, _ = totalOf(w.Tables)
	if err := st.CreateJob(ctx, j); err != nil {
		if open, look := st.OpenJob(ctx, s.Key, jobBackfill); errors.Is(err, store.ErrJobOpen) && look == nil {
			return nil, api.Conflict("a backfill of the subscription is under way: wait for " + open.ID + ", or cancel it")
		}
		return nil, err
	}
	a.app.jobs.Load().look()
	return shownJob(j), nil
}

// CountBackfill implements api.Jobs.
func (a jobsAPI) CountBackfill(ctx context.Context, s *subscriptions.Subscription, r client.Backfill) (*client.BackfillCount, error) {
	w, err := a.wantedBackfill(ctx, s, r)
	if err != nil {
		return nil, err
	}
	n := &client.BackfillCount{DryRun: true, Resources: w.Tables}
	n.Total, n.Estimated = totalOf(w.Tables)
	return n, nil
}

// totalOf is how many rows there are, nil where that is not known, and whether it is an estimate.
func totalOf(tables []client.BackfillResource) (total *int64, estimated bool) {
	var sum int64
	for _, t := range tables {
		estimated = estimated || t.Estimated
		if t.Total == nil {
			return nil, true
		}
		sum += *t.Total
	}
	return &sum, estimated
}

// wantedBackfill resolves what is asked for, and refuses what cannot be.
func (a jobsAPI) wantedBackfill(ctx context.Context, s *subscriptions.Subscription, r client.Backfill) (w backfillWanted, err error) {
	mapper, offers := a.app.mapper.Load(), a.app.catalogue.Load()
	if mapper == nil || offers == nil {
		return w, api.Unavailable("rowhook is starting")
	}
	refused := func(field, detail string) (backfillWanted, error) {
		return w, api.Unprocessable("invalid-backfill", client.FieldError{Field: field, Detail: detail})
	}
	w.Own = !s.Admin
	var may []string
	for _, o := range *offers {
		if o.Name == o.Resource+".create" && s.WantsResource(o.Resource) && (s.Admin || !o.AdminOnly && o.AccountReason == "") {
			may = append(may, o.Resource)
		}
	}
	wanted := r.Resources
	if len(wanted) == 0 {
		wanted = may
	}
	if len(wanted) == 0 {
		return refused("resources", "the subscription asks for no events of resources")
	}
	for i, name := range wanted {
		switch {
		case !slices.Contains(may, name):
			return refused("resources", quoted(name)+" is no resource of the subscription's events: "+strings.Join(may, ", "))
		case slices.Contains(wanted[:i], name):
			return refused("resources", quoted(name)+" comes twice")
		}
	}
	w.Backfill = r
	w.Resources, w.DryRun = wanted, false
	rows := cdc.NewRowReader(a.app.cfg.Database.ReadURL, a.app.cfg.Limits.MaxRow, slog.New(slog.DiscardHandler))
	defer rows.Close()
	for _, name := range wanted {
		info, ok := mapper.Resource(name)
		if !ok {
			return refused("resources", quoted(name)+" is no resource any more")
		}
		t := client.BackfillResource{Resource: name}
		if r.Since != nil {
			c := sinceColumn(info.Table)
			if c == nil {
				return refused("since", "the rows of "+name+" do not say when they were changed: there is no column such as updated_at; leave since out")
			}
			t.SinceColumn = c.Name
		}
		a.count(ctx, rows, mapper, s, info, &t)
		w.Tables = append(w.Tables, t)
	}
	return w, nil
}

// count tells how many rows there are, as far as that is for the subscription's owner to know.
func (a jobsAPI) count(ctx context.Context, rows *cdc.RowReader, mapper *mapping.Mapper, s *subscriptions.Subscription, info mapping.ResourceInfo, t *client.BackfillResource) {
	var n int64
	var exact bool
	var err error
	switch {
	case s.ResourceID != "":
		n, exact = 1, true
	case s.Admin:
		n, exact, err = rows.Size(ctx, info.Table.TableName, countedExactly)
	default:
		sampler, failed := mapper.Backfiller(info.Name)
		if failed != nil {
			t.Estimated = true
			return
		}
		c, plain := sampler.AccountColumn()
		if !plain {
			t.Estimated = true
			return
		}
		if n, exact, err = rows.Count(ctx, info.Table.TableName, info.Table.Columns[c].Name, s.Account, countedExactly); !exact {
			t.Estimated = true
			return
		}
	}
	t.Estimated = !exact
	if err == nil {
		t.Total = &n
	}
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// shownBackfill adds what a backfill is to the job.
func shownBackfill(s *client.Job, j *store.Job) {
	var w backfillWanted
	if json.Unmarshal(j.Parameters, &w) != nil {
		return
	}
	s.Backfill, s.Resources = &w.Backfill, w.Tables
	var p backfillProgress
	if j.Progress != nil && json.Unmarshal(j.Progress, &p) == nil && len(p.Tables) > 0 {
		s.Resources, s.Position = p.Tables, p.Behind
	}
}
