package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// PreviewRequest asks what a resource's mapping makes of a row.
type PreviewRequest struct {
	// ID is the row's key; empty for the row with the highest. The values of a composite key are joined by commas.
	ID string `json:"id,omitempty"`
	// Event is create, update, delete, or one of the resource's own; empty is update.
	Event string `json:"event,omitempty"`
	// Mapping is a changed entry of the resource, as Resource.YAML; at most 64 KiB. Table, key, path and relations are to be as they are.
	Mapping string `json:"mapping,omitempty"`
}

// ResourcePreview is what mappings make of a row.
type ResourcePreview struct {
	ID string `json:"id"`
	// Now is what the mapping that runs makes, Changed what that of the request does; nil where there is none.
	Now     *PreviewBody `json:"now"`
	Changed *PreviewBody `json:"changed"`
	// Problems are those of the request's mapping.
	Problems []MappingProblem `json:"problems"`
	// Diff is where the two bodies differ.
	Diff []PreviewDifference `json:"diff"`
	// Masked are columns of which the mapping that runs sends nothing: Changed has *** or null in the place of their values.
	Masked []string `json:"masked"`
}

// PreviewBody is a body as it would be sent.
type PreviewBody struct {
	// Body is nil where none can be made; Notes say why, and what else there is to say.
	Body  json.RawMessage `json:"body"`
	Notes []string        `json:"notes"`
}

// MappingProblem is a mistake in a mapping, at its place in the text.
type MappingProblem struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	What   string `json:"what"`
	Mend   string `json:"mend,omitempty"`
}

// Value is any JSON as it was written. The zero Value is left out of what holds it.
type Value struct{ json.RawMessage }

// PreviewDifference is a value that two bodies do not share. A side that is not there is left out.
type PreviewDifference struct {
	Path string `json:"path"`
	Was  Value  `json:"was,omitzero"`
	Is   Value  `json:"is,omitzero"`
}

// CompareRequest asks how what would be sent differs from what the application's API answers.
type CompareRequest struct {
	// IDs are the rows, at most 100; without, it is a sample of Limit rows, 20 where that is 0.
	IDs   []string `json:"ids,omitempty"`
	Limit int      `json:"limit,omitempty"`
	// At is where the instance is in the API's answer: data.
	At string `json:"at,omitempty"`
	// Within is how long rows are begun, as a duration: at most 15s, which it is if it is empty. One row is compared at least.
	Within string `json:"within,omitempty"`
}

// Comparison is what a comparison has found.
type Comparison struct {
	Resource string `json:"resource"`
	// Rows are those that were compared, Different those of them that differ.
	Rows      int               `json:"rows"`
	Different int               `json:"different"`
	Fields    []ComparisonField `json:"fields"`
	// NotFound are those that the API does not know, or does not show; NotInstances the rows that the mapping leaves out.
	NotFound     []string            `json:"not_found"`
	NotInstances []string            `json:"not_instances"`
	Failed       []ComparisonFailure `json:"failed"`
	// FromAPI are fields that are equal by themselves: they are taken from the API's answer.
	FromAPI []string `json:"from_api"`
	Equal   bool     `json:"equal"`
	// Stopped says that the time was over before all rows were compared; Rest are those, to be given as IDs.
	Stopped bool     `json:"stopped"`
	Rest    []string `json:"rest"`
}

// ComparisonField is where rows differ.
type ComparisonField struct {
	Path     string              `json:"path"`
	Rows     int                 `json:"rows"`
	Hint     string              `json:"hint,omitempty"`
	Examples []ComparisonExample `json:"examples"`
}

// ComparisonExample is a difference in one row. A side that is not there is left out.
type ComparisonExample struct {
	Key  string `json:"key"`
	Path string `json:"path"`
	Ours Value  `json:"ours,omitzero"`
	API  Value  `json:"api,omitzero"`
}

// ComparisonFailure says why a row could not be compared.
type ComparisonFailure struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

// Preview shows what the mapping of a resource makes of a row, and what a changed one would. Nothing is stored or sent.
func (c *Client) Preview(ctx context.Context, resource string, r PreviewRequest) (*ResourcePreview, error) {
	return try[ResourcePreview](ctx, c, resource, "preview", r)
}

// Compare compares what would be sent for rows of a resource with what the application's API answers for them.
func (c *Client) Compare(ctx context.Context, resource string, r CompareRequest) (*Comparison, error) {
	return try[Comparison](ctx, c, resource, "compare", r)
}

func try[T any](ctx context.Context, c *Client, resource, what string, body any) (*T, error) {
	if resource == "" || resource == "." || resource == ".." {
		return nil, errors.New("a resource has a name")
	}
	at, err := c.address("/resource/" + url.PathEscape(resource) + "/" + what)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if _, err := c.do(ctx, http.MethodPost, at, body, v); err != nil {
		return nil, err
	}
	return v, nil
}
