package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/sample"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// eventTypes are the mapping's as the API sees them.
type eventTypes struct{ app *App }

// labelsTimeout bounds the reading of enums' labels: the schemas go without.
const labelsTimeout = 5 * time.Second

// loadLabels reads the labels of enums, which only schemas need.
func (a *App) loadLabels(ctx context.Context, tables map[cdc.TableName]*cdc.Table) {
	reading, cancel := context.WithTimeout(ctx, labelsTimeout)
	defer cancel()
	labels, err := cdc.EnumLabels(reading, a.cfg.Database.URL, tables)
	if err != nil {
		if ctx.Err() == nil {
			a.log.Warn("the labels of enums cannot be read: schemas of events have those of before, or none, until the next reload", "error", err)
		}
		return
	}
	a.labels.Store(&labels)
}

// shape is that of an event, as the config is now.
func (e eventTypes) shape(event string) (*mapping.Mapper, *mapping.Shape, error) {
	m := e.app.mapper.Load()
	if m == nil {
		return nil, nil, fmt.Errorf("rowhook is starting: %w", subscriptions.ErrUnavailable)
	}
	if strings.HasPrefix(event, mapping.SubscriptionResource+".") {
		return m, mapping.SubscriptionNoticeShape(event), nil
	}
	var labels map[uint32][]string
	if l := e.app.labels.Load(); l != nil {
		labels = *l
	}
	s, ok := m.Shape(event, labels)
	if !ok {
		return nil, nil, fmt.Errorf("the config is being reloaded: %w", subscriptions.ErrUnavailable)
	}
	return m, s, nil
}

// Schema implements api.EventTypes.
func (e eventTypes) Schema(event string) (json.RawMessage, error) {
	_, s, err := e.shape(event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sender.StandardSchema(s))
}

// Formats implements api.EventTypes.
func (e eventTypes) Formats() (names []string) {
	for _, f := range sender.Formats() {
		names = append(names, f.Name)
	}
	return names
}

// Samples implements api.EventTypes.
func (e eventTypes) Samples(ctx context.Context, q api.SampleQuery) ([]json.RawMessage, error) {
	m, s, err := e.shape(q.Event)
	if err != nil {
		return nil, err
	}
	var events []*mapping.Event
	switch {
	case q.Synthetic:
		events = []*mapping.Event{sample.Synthetic(s)}
	case s.Truncates, strings.HasPrefix(q.Event, mapping.SubscriptionResource+"."): // it is of no row
	default:
		if events, err = e.app.samples.Rows(ctx, m, q.Event, q.Account, q.Limit); err != nil {
			return nil, fmt.Errorf("make a sample: %w (%w)", err, subscriptions.ErrUnavailable)
		}
	}
	// There is no subscription: what bodies say of one is an example.
	around := sender.Envelope{Subscription: "sub_example", Target: "https://example.com/hooks",
		Source: sender.SourceOf(e.app.cfg.Database.Name()), Location: e.app.locationOf}
	var bodies []json.RawMessage
	for _, event := range events {
		sample.Previous(event, s)
		for _, f := range sender.Formats() {
			if f.Name == q.Format {
				bodies = append(bodies, f.Append(nil, event, around))
			}
		}
	}
	return bodies, nil
}

// askForSample asks the application, as whom the config of now says.
func (a *App) askForSample(ctx context.Context, path string) ([]byte, error) {
	return a.application.Load().Get(ctx, path)
}

// missingAnswer says that the application knows no such instance.
func missingAnswer(err error) bool {
	var refused *application.Error
	return errors.As(err, &refused) && refused.Missing()
}
