package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/check"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// system tells the admin what runs.
type system struct {
	app *App
	// turn is taken by the one who looks; found is what was found last, of the config.
	turn  chan struct{}
	mu    sync.Mutex
	found *client.CheckReport
	of    *config.Config
	// tries are the places of previews and comparisons.
	tries chan struct{}
}

// foundFor is how long what a check has found will do.
const foundFor = 10 * time.Second

func newSystem(a *App) *system {
	return &system{app: a, turn: make(chan struct{}, 1), tries: make(chan struct{}, tries)}
}

// last is what was found last, where it will do: of the config, and not before since.
func (s *system) last(cfg *config.Config, since time.Time) *client.CheckReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != cfg || s.found == nil || s.found.At.Before(since) {
		return nil
	}
	return s.found
}

// Check implements api.System. One looks at a time; who waits for it takes what that one has found, if it began after he asked.
func (s *system) Check(ctx context.Context, fresh bool) (*client.CheckReport, error) {
	cfg, since := s.app.live.Load(), time.Now()
	if !fresh {
		since = since.Add(-foundFor)
	}
	if r := s.last(cfg, since); r != nil {
		return r, nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r := s.last(cfg, since); r != nil {
		return r, nil
	}
	at := time.Now()
	report, err := check.Run(ctx, cfg, check.Options{Temporary: s.app.opts.Temporary})
	if err != nil {
		return nil, fmt.Errorf("%w: check the config and the database: %w", subscriptions.ErrUnavailable, err)
	}
	r := &client.CheckReport{At: at.UTC(), TookMS: float64(time.Since(at).Microseconds()) / 1000, OK: report.Count(finding.Error) == 0,
		Errors: report.Count(finding.Error), Warnings: report.Count(finding.Warning), Findings: []client.CheckFinding{}, Good: append([]string{}, report.Good...)}
	for _, f := range report.Findings {
		told := client.CheckFinding{Level: string(f.Level), Place: f.Place, What: f.What, Consequence: f.Consequence, Mend: f.Mend}
		for _, q := range f.SQL {
			told.SQL = append(told.SQL, client.CheckStatement{Statement: q.SQL, Note: q.Note, Database: q.Database})
		}
		r.Findings = append(r.Findings, told)
	}
	s.mu.Lock()
	s.found, s.of = r, cfg
	s.mu.Unlock()
	return r, nil
}

// Config implements api.System.
func (s *system) Config() (*client.LoadedConfig, bool, error) {
	src := s.app.live.Load().Source
	if src == nil {
		return nil, false, nil
	}
	text, err := src.Text()
	if err != nil {
		return nil, false, fmt.Errorf("show the config: %w", err)
	}
	return &client.LoadedConfig{Path: src.Path, LoadedAt: src.LoadedAt, Text: text}, true, nil
}

// Resources implements api.System.
func (s *system) Resources() []client.Resource {
	cfg, m := s.app.live.Load(), s.app.mapper.Load()
	all := make([]client.Resource, len(cfg.Mapping.Resources))
	for i := range all {
		all[i] = s.view(cfg, m, &cfg.Mapping.Resources[i])
	}
	return all
}

// Resource implements api.System.
func (s *system) Resource(name string) (*client.Resource, bool) {
	cfg := s.app.live.Load()
	i := slices.IndexFunc(cfg.Mapping.Resources, func(r mapping.Resource) bool { return r.Name == name })
	if i < 0 {
		return nil, false
	}
	v := s.view(cfg, s.app.mapper.Load(), &cfg.Mapping.Resources[i])
	if cfg.Source != nil {
		v.YAML, v.Line = cfg.Source.Resource(name)
	}
	return &v, true
}

// view shows a resource. Without a mapper it is what the config says of it.
func (s *system) view(cfg *config.Config, m *mapping.Mapper, r *mapping.Resource) client.Resource {
	v := client.Resource{Name: r.Name, Table: r.Table.String(), Key: []string{}, Events: []client.ResourceEvent{}, Relations: []string{}, FromAPI: []string{}}
	if r.Account != nil {
		v.Account = &r.Account.Text
	}
	if r.Path != nil {
		v.Path, v.Compare = &r.Path.Text, cfg.App.URL != ""
	}
	for _, relation := range r.Relations {
		v.Relations = append(v.Relations, relation.Name)
	}
	if m == nil {
		v.Reason = "the tables are not known yet"
		if waiting := s.app.waiting.Load(); waiting != nil && *waiting != "" {
			v.Reason += ": " + *waiting
		}
		return v
	}
	v.Fit = true
	if info, ok := m.Resource(r.Name); ok {
		v.Key, v.FromAPI = append(v.Key, info.Key...), append(v.FromAPI, info.FromAPI...)
	}
	for _, t := range m.Types() {
		if t.Resource != r.Name {
			continue
		}
		e := client.ResourceEvent{Name: t.Name, AdminOnly: !t.Accounted || t.AccountReason != "", Reason: t.Reason}
		if e.Reason == "" {
			e.Reason = t.AccountReason
		} else if v.Fit {
			v.Fit, v.Reason = false, t.Name+" is not made: "+t.Reason
		}
		v.Events = append(v.Events, e)
	}
	return v
}
