package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rowhook/rowhook/internal/compare"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/preview"
	"github.com/rowhook/rowhook/sender"
)

// previewDiff is what becomes of a row by another config.
type previewDiff struct {
	Event    string        `json:"event"`
	Instance string        `json:"instance"`
	Equal    bool          `json:"equal"`
	Diff     []bodyDiff    `json:"diff"`
	Was      previewStated `json:"was"`
	Is       previewStated `json:"is"`
}

// bodyDiff is a place at which two bodies differ. What is not there is left out.
type bodyDiff struct {
	Path string          `json:"path"`
	Was  json.RawMessage `json:"was,omitempty"`
	Is   json.RawMessage `json:"is,omitempty"`
}

// previewStated says whether an event would be sent, and what there is to say about that.
type previewStated struct {
	Sent    bool     `json:"sent"`
	Remarks []string `json:"remarks"`
}

// diff prints where the bodies of rows are others than those by the config of --was. The error is errDifferent where one is.
func (p *program) diff(ctx context.Context, v *preview.Viewer, cfg *config.Config, f previewFlags, resource string, keys []string, old map[string]*string) error {
	wasConfig, err := config.Load(f.was)
	if err != nil {
		return err
	}
	was, err := preview.OpenViewer(ctx, wasConfig, resource, f.event)
	if err != nil {
		return fmt.Errorf("--was: %w", err)
	}
	defer was.Close()
	if err := was.Knows(old); err != nil {
		return fmt.Errorf("--was: %w", err)
	}
	// An event says when it was committed, which is now for both.
	if err := v.AtOnce(ctx, was); err != nil {
		return err
	}
	var wrong []error
	different := false
	for _, key := range keys {
		a, errA := was.Show(ctx, key, old)
		b, errB := v.Show(ctx, key, old)
		if errA != nil || errB != nil {
			if errA != nil && (errB == nil || errA.Error() != errB.Error()) {
				wrong = append(wrong, fmt.Errorf("--was: %w", errA))
			}
			if errB != nil {
				wrong = append(wrong, errB)
			}
			continue
		}
		found, err := diffOf(f, a, b, around(was, wasConfig), around(v, cfg))
		if err == nil {
			different = different || !found.Equal
			err = p.printDiff(found, f)
		}
		if err != nil {
			return err
		}
	}
	if len(wrong) == 0 && different {
		return errDifferent
	}
	return errors.Join(wrong...)
}

func diffOf(f previewFlags, a, b *preview.Previewed, aroundA, aroundB sender.Envelope) (*previewDiff, error) {
	format := f.bodyFormat()
	found, err := compare.Diff(format.Append(nil, a.Event, aroundA), format.Append(nil, b.Event, aroundB), nil)
	if err != nil {
		return nil, err
	}
	state := func(s *preview.Previewed) previewStated {
		return previewStated{s.Sent, append([]string{}, s.Remarks...)}
	}
	out := &previewDiff{Event: b.Type, Instance: b.Instance, Diff: []bodyDiff{}, Was: state(a), Is: state(b)}
	for _, d := range found {
		out.Diff = append(out.Diff, bodyDiff{d.Path, d.Ours, d.Theirs})
	}
	out.Equal = len(out.Diff) == 0 && a.Sent == b.Sent && slices.Equal(a.Remarks, b.Remarks)
	return out, nil
}

func (p *program) printDiff(d *previewDiff, f previewFlags) error {
	if f.output == "json" {
		out := json.NewEncoder(p.stdout)
		out.SetEscapeHTML(false)
		return out.Encode(d)
	}
	out := plain{p.stdout}
	fmt.Fprintf(out, "%s %s: %s\n", d.Event, d.Instance, count(len(d.Diff), "difference"))
	value := func(v json.RawMessage) string {
		if v == nil {
			return "not there"
		}
		return string(v)
	}
	for _, x := range d.Diff {
		fmt.Fprintf(out, "  %s: was %s, is %s\n", x.Path, value(x.Was), value(x.Is))
	}
	if !slices.Equal(d.Was.Remarks, d.Is.Remarks) {
		for _, r := range d.Was.Remarks {
			fmt.Fprintf(out, "  was: %s\n", r)
		}
		for _, r := range d.Is.Remarks {
			fmt.Fprintf(out, "  is: %s\n", r)
		}
	}
	return nil
}
