package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// resume goes on in spite of what holds up replication. Subscribers that changes may be missing for get a rowhook.gap,
// which is durable with the new checkpoint. See resumeError for its errors.
func (a *App) resume(ctx context.Context, said client.Resume) (*client.Resumed, error) {
	if a.opts.ProxyAlone {
		return nil, errNotHere()
	}
	st, src := a.store.Load(), a.source.Load()
	if st == nil || src == nil {
		return nil, fmt.Errorf("the store is not open yet: %w", subscriptions.ErrUnavailable)
	}
	told := 0
	save := func(ctx context.Context, old, next cdc.Checkpoint, in *cdc.Incident) error {
		var notices []store.Notice
		if in != nil && in.Loses() {
			all, err := st.All(ctx)
			if err != nil {
				return err
			}
			notices = a.gapNotices(next, in, all)
		}
		for _, n := range notices {
			told += len(n.To)
		}
		return st.Resume(ctx, old, next, notices)
	}
	var in *cdc.Incident
	var err error
	if said.Drained && !said.AcceptGap {
		in, err = src.AcceptDrained(ctx, save)
	} else {
		in, err = src.Accept(ctx, said.AcceptGap, save)
	}
	if err != nil {
		return nil, err
	}
	r := &client.Resumed{Incident: string(in.Kind), Gap: in.Loses(), Told: told}
	if in.Loses() {
		r.From, r.To = timeOrNil(in.FromTime), timeOrNil(in.ToTime)
		a.metrics.gapsTotal.Inc()
		a.log.Warn("a gap was accepted: replication goes on", "incident", in.Kind, "from", in.From.String(), "to", in.To.String(),
			"subscriptions_told", told)
	} else {
		a.log.Info("confirmed: replication goes on", "incident", in.Kind)
	}
	return r, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// resumeError says what the caller can do about it.
func resumeError(err error) error {
	var needs *cdc.NeedsGap
	var trouble *cdc.Error
	switch {
	case errors.As(err, &needs):
		return api.Conflict(needs.Error())
	case errors.Is(err, cdc.ErrNothingToAccept), errors.Is(err, cdc.ErrStandby), errors.Is(err, store.ErrChanged):
		return api.Conflict(err.Error())
	case errors.As(err, &trouble) && trouble.Class == cdc.Refused:
		return api.Conflict(trouble.Error())
	case errors.As(err, &trouble):
		return api.NotNow(trouble)
	}
	return err
}

// gapName is the name of the event that tells of a gap: rowhook.gap.
const gapName = "gap"

// gapData is the data of a rowhook.gap: between From and To changes may be missing.
type gapData struct {
	Reason string     `json:"reason"`
	From   *time.Time `json:"from"`
	To     *time.Time `json:"to"`
	// Resources are those concerned; nil is all of them.
	Resources []string `json:"resources"`
	// Count is how many events are missing, where that is known.
	Count *int `json:"count,omitempty"`
}

// gapNotices are the events that tell subscribers, each what concerns it: an account hears nothing of resources that
// belong to no account.
func (a *App) gapNotices(next cdc.Checkpoint, in *cdc.Incident, all []*subscriptions.Subscription) []store.Notice {
	var resources, accounted []string
	for _, r := range a.live.Load().Mapping.Resources {
		if in.Tables == nil || slices.Contains(in.Tables, r.Table) {
			resources = append(resources, r.Name)
			if r.Account != nil {
				accounted = append(accounted, r.Name)
			}
		}
	}
	var admin, accounts []int64
	for _, s := range all {
		switch {
		case s.Unverified():
		case s.State == subscriptions.Expired && !s.ExpiresAt.After(in.FromTime): // what is missing was not for it
		case s.Admin && wantsOne(s, resources):
			admin = append(admin, s.Key)
		case !s.Admin && wantsOne(s, accounted):
			accounts = append(accounts, s.Key)
		}
	}
	at := cdc.Position{Epoch: next.Epoch, Commit: in.To}
	lineage := (&cdc.Catalog{SystemID: next.SystemID, DatabaseOID: next.DatabaseOID}).Lineage()
	notice := func(resources []string, to []int64) store.Notice {
		d := gapData{Reason: string(in.Kind), From: timeOrNil(in.FromTime), To: timeOrNil(in.ToTime)}
		if in.Tables != nil {
			d.Resources = resources
		}
		data, err := json.Marshal(d)
		if err != nil {
			panic(err) // times and texts always encode
		}
		ev := mapping.NewNotice(lineage, gapName, at, in.ToTime, data)
		at.Sub++
		return store.Notice{Event: ev, To: to}
	}
	var out []store.Notice
	if len(admin) > 0 {
		out = append(out, notice(resources, admin))
	}
	if len(accounts) > 0 {
		out = append(out, notice(accounted, accounts))
	}
	return out
}

// wantsOne says whether a subscription wants events of one of the resources.
func wantsOne(s *subscriptions.Subscription, resources []string) bool {
	for _, pattern := range s.Events {
		resource, _, _ := strings.Cut(pattern, ".")
		if pattern == "*" && len(resources) > 0 || slices.Contains(resources, resource) {
			return true
		}
	}
	return false
}
