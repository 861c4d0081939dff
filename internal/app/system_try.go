package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/comparison"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/preview"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// tryTime bounds one preview's reading (mapping.Trial bounds what it computes), compareTime one comparison; what is not compared by then is left out.
	tryTime     = 10 * time.Second
	compareTime = 15 * time.Second
	// tries is how many previews and comparisons there are at once, each with its connections. Others wait.
	tries = 2
	// shownBody bounds the body that a preview shows, shownRow what is read for it, in bytes.
	shownBody = 1 << 20
	shownRow  = 8 << 20
)

// tried is a config to try a resource of, with the bounds of a request.
func (s *system) tried(resource string) (*config.Config, *mapping.Resource, error) {
	cfg := *s.app.live.Load()
	i := slices.IndexFunc(cfg.Mapping.Resources, func(r mapping.Resource) bool { return r.Name == resource })
	if i < 0 {
		return nil, nil, api.ErrNoResource
	}
	cfg.Limits.MaxRow = min(cfg.Limits.MaxRow, shownRow)
	return &cfg, &cfg.Mapping.Resources[i], nil
}

// enter waits for one of the places.
func (s *system) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.tries <- struct{}{}:
		return func() { <-s.tries }, nil
	case <-ctx.Done():
		return nil, &api.BusyError{Detail: fmt.Sprintf("%d others are being tried: try again", tries)}
	}
}

// Preview implements api.System.
func (s *system) Preview(ctx context.Context, resource string, r client.PreviewRequest) (*client.ResourcePreview, error) {
	cfg, own, err := s.tried(resource)
	if err != nil {
		return nil, err
	}
	event := strings.TrimPrefix(r.Event, resource+".")
	switch {
	case event == "":
		event = "update"
	case event == "truncate" || !slices.Contains(preview.OwnEvents, event) && !slices.ContainsFunc(own.Events, func(e mapping.NamedEvent) bool { return e.Name == resource+"."+event }):
		return nil, &api.RequestError{Field: "event", Detail: "is no event of a row of " + resource + ": give create, update, delete, or one of its own"}
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	v, err := preview.OpenViewer(ctx, cfg, resource, event)
	if err != nil {
		return nil, s.unable(ctx, err)
	}
	defer v.Close()
	if err := bound(ctx, v.Source); err != nil {
		return nil, s.unable(ctx, err)
	}
	out := &client.ResourcePreview{ID: r.ID, Problems: []client.MappingProblem{}, Diff: []client.PreviewDifference{}, Masked: []string{}}
	var changed *preview.Viewer
	if r.Mapping != "" {
		if changed, err = changedViewer(v, resource, r.Mapping, out); err != nil {
			return nil, err
		}
	}
	if out.ID == "" {
		out.ID, err = v.Sample(ctx)
		var gone *preview.NoRowError
		if errors.As(err, &gone) {
			return out, nil // an empty table is no mistake of the caller's
		}
		if err != nil {
			return nil, s.unable(ctx, err)
		}
	}
	a, b, errA, errB, err := preview.ShowBoth(ctx, v, changed, out.ID)
	if err != nil {
		return nil, s.unable(ctx, err)
	}
	for _, err := range []error{errA, errB} {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return nil, s.unable(ctx, err)
		}
	}
	around := sender.Envelope{Subscription: "sub_example", Target: "https://example.com/hooks", Source: sender.SourceOf(cfg.Database.Name()),
		Location: application.Location(cfg.App.PublicURL, v.Mapper)}
	out.Now = bodyOf(a, errA, around)
	if changed == nil {
		return out, nil
	}
	out.Changed = bodyOf(b, errB, around)
	out.Masked = append(out.Masked, changed.Masked()...)
	if out.Now.Body != nil && out.Changed.Body != nil {
		found, err := compare.Diff(out.Now.Body, out.Changed.Body, nil)
		if err != nil {
			return nil, fmt.Errorf("compare the bodies: %w", err)
		}
		for _, d := range found {
			out.Diff = append(out.Diff, client.PreviewDifference{Path: d.Path, Was: client.Value{RawMessage: d.Ours}, Is: client.Value{RawMessage: d.Theirs}})
		}
	}
	return out, nil
}

// changedViewer reads a changed mapping. What is wrong with it is put into out.
func changedViewer(v *preview.Viewer, resource, text string, out *client.ResourcePreview) (*preview.Viewer, error) {
	own, problems := config.ParseEntry(resource, text)
	if len(problems) == 0 {
		changed, err := v.Changed(own)
		if err == nil {
			return changed, nil
		}
		if !errors.As(err, &problems) {
			return nil, err
		}
	}
	for _, p := range problems {
		out.Problems = append(out.Problems, client.MappingProblem{Line: max(p.Line, 1), Column: max(p.Column, 1), What: p.Message, Mend: p.Hint})
	}
	return nil, nil
}

// bound keeps a source's connection to reading little.
func bound(ctx context.Context, src *preview.Source) error {
	if _, err := src.Conn.Exec(ctx, "set statement_timeout = '5s'; set lock_timeout = '500ms'"); err != nil {
		return err
	}
	src.Conn.PgConn().Frontend().SetMaxBodyLen(shownRow)
	return nil
}

// bodyOf is what would be sent, or why nothing would.
func bodyOf(p *preview.Previewed, err error, around sender.Envelope) *client.PreviewBody {
	out := &client.PreviewBody{Notes: []string{}}
	if err != nil {
		out.Notes = append(out.Notes, err.Error())
		return out
	}
	out.Notes = append(out.Notes, p.Remarks...)
	body := sender.Formats()[0].Append(nil, p.Event, around)
	if len(body) > shownBody {
		out.Notes = append(out.Notes, fmt.Sprintf("the body has %d bytes, and up to %d are shown here: rowhook preview prints it", len(body), shownBody))
		return out
	}
	out.Body = body
	return out
}

// Compare implements api.System.
func (s *system) Compare(ctx context.Context, resource string, r client.CompareRequest) (*client.Comparison, error) {
	cfg, own, err := s.tried(resource)
	switch {
	case err != nil:
		return nil, err
	case cfg.App.URL == "":
		return nil, &api.RequestError{Detail: "the config has no app.url: there is nobody to compare with"}
	case own.Path == nil:
		return nil, &api.RequestError{Detail: "resource " + resource + " has no path: it is not known where its API is"}
	}
	ctx, cancel := context.WithTimeout(ctx, compareTime)
	defer cancel()
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	src, err := preview.Open(ctx, cfg, "rowhook compare", resource)
	if err != nil {
		return nil, s.unable(ctx, err)
	}
	defer src.Close(ctx)
	if err := bound(ctx, src); err != nil {
		return nil, s.unable(ctx, err)
	}
	info, _ := src.Mapper.Resource(resource)
	var keys [][]string
	if len(r.IDs) > 0 {
		if keys, err = comparison.Keys(info, r.IDs); err != nil {
			return nil, &api.RequestError{Field: "ids", Detail: "do not fit: " + err.Error()}
		}
	} else if keys, err = preview.SampleKeys(ctx, src.Conn, info, r.Limit); err != nil {
		return nil, s.unable(ctx, err)
	}
	x := comparison.Comparer{Source: src}
	if r.At != "" {
		x.Envelopes = map[string]string{"": r.At}
	}
	if within, err := time.ParseDuration(r.Within); err == nil {
		x.Until = time.Now().Add(within)
	}
	found, err := x.Compare(ctx, info, keys, len(r.IDs) == 0)
	var nothing *comparison.AtError
	switch {
	case errors.As(err, &nothing):
		return nil, &api.RequestError{Field: "at", Detail: nothing.Error()}
	case err != nil && ctx.Err() == nil:
		return nil, s.unable(ctx, err)
	}
	found.Finish()
	stopped := len(found.Rest) > 0
	out := &client.Comparison{Resource: resource, Rows: found.Rows, Different: found.Different, Fields: make([]client.ComparisonField, len(found.Fields)), NotFound: found.NotFound,
		NotInstances: found.NotInstances, Failed: make([]client.ComparisonFailure, len(found.Failed)), FromAPI: found.FromAPI, Equal: !found.Trouble() && !stopped, Stopped: stopped, Rest: found.Rest}
	for i, f := range found.Failed {
		out.Failed[i] = client.ComparisonFailure(f)
	}
	for i, f := range found.Fields {
		out.Fields[i] = client.ComparisonField{Path: f.Path, Rows: f.Rows, Hint: f.Hint, Examples: []client.ComparisonExample{}}
		for _, e := range f.Examples[:min(len(f.Examples), shownExamples)] {
			out.Fields[i].Examples = append(out.Fields[i].Examples, client.ComparisonExample{Key: e.Key, Path: e.Path, Ours: shownValue(e.Ours), API: shownValue(e.API)})
		}
	}
	return out, nil
}

const (
	// shownExamples of a field that differs are told. A value longer than shownLength bytes is told as its length.
	shownExamples = 5
	shownLength   = 4 << 10
)

func shownValue(v []byte) client.Value {
	if len(v) > shownLength {
		v = fmt.Appendf(nil, `"… %d bytes of JSON …"`, len(v))
	}
	return client.Value{RawMessage: v}
}

// unable is the answer's error for one of the source or the application: what the caller can mend is told to him.
func (s *system) unable(ctx context.Context, err error) error {
	var gone *preview.NoRowError
	var wrong *preview.KeyError
	var refused *application.Error
	var problems problem.List
	switch {
	case ctx.Err() != nil:
		return &api.BusyError{Detail: "the database or the application takes too long to answer: look at rowhook status, and try again"}
	case errors.As(err, &gone):
		return &api.NoRowError{Detail: gone.Error()}
	case errors.As(err, &wrong):
		return &api.RequestError{Field: "id", Detail: wrong.Error()}
	case errors.As(err, &problems), errors.As(err, &refused):
		// The mapping that runs does not fit the tables any more, or the application does not let rowhook in.
		return &api.RequestError{Detail: err.Error()}
	}
	return fmt.Errorf("%w: %w", subscriptions.ErrUnavailable, err)
}
