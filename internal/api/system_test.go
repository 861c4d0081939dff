package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

// fakeSystem tells of one resource.
type fakeSystem struct{ fileless bool }

var aResource = client.Resource{Name: "contact", Table: "public.contacts", Key: []string{"id"}, Account: new("account_id"), Fit: true,
	Events: []client.ResourceEvent{{Name: "contact.create"}}, Relations: []string{}, FromAPI: []string{}}

func (*fakeSystem) Check(context.Context, bool) (*client.CheckReport, error) {
	return &client.CheckReport{At: time.Now(), OK: true, Findings: []client.CheckFinding{{Level: "info", Place: "config", What: "so it is"}}, Good: []string{"config: 1 resource"}}, nil
}

func (f *fakeSystem) Config() (*client.LoadedConfig, bool, error) {
	return &client.LoadedConfig{Path: "config.yaml", LoadedAt: time.Now(), Text: "a: b\n"}, !f.fileless, nil
}

func (*fakeSystem) Resources() []client.Resource { return []client.Resource{aResource} }

func (*fakeSystem) Resource(name string) (*client.Resource, bool) {
	r := aResource
	r.YAML, r.Line = "table: contacts\n", 3
	return &r, name == "contact"
}

func (f *fakeSystem) Preview(_ context.Context, resource string, r client.PreviewRequest) (*client.ResourcePreview, error) {
	switch {
	case resource != "contact":
		return nil, api.ErrNoResource
	case f.fileless:
		return nil, &api.RequestError{Detail: "the mapping does not fit the tables"}
	case r.ID == "none":
		return nil, &api.NoRowError{Detail: "there is no contact none"}
	case r.ID == "wrong":
		return nil, &api.RequestError{Field: "id", Detail: "is no key"}
	}
	return &client.ResourcePreview{ID: "1", Now: &client.PreviewBody{Body: []byte(`{}`), Notes: []string{}}, Problems: []client.MappingProblem{}, Diff: []client.PreviewDifference{}, Masked: []string{}}, nil
}

func (f *fakeSystem) Compare(_ context.Context, resource string, r client.CompareRequest) (*client.Comparison, error) {
	switch {
	case resource != "contact":
		return nil, api.ErrNoResource
	case f.fileless:
		return nil, &api.RequestError{Detail: "the config has no app.url"}
	}
	return &client.Comparison{Resource: resource, Rows: r.Limit, Fields: []client.ComparisonField{}, NotFound: []string{}, NotInstances: []string{}, Failed: []client.ComparisonFailure{}, FromAPI: []string{}, Rest: []string{}, Equal: true}, nil
}

// TestTrying: what is asked of a preview and a comparison is bounded, and who may only read may ask.
func TestTrying(t *testing.T) {
	t.Parallel()
	const tokenReader = "rht_reads_all"
	b := start(t, whole, func(c *api.Config) {
		made := &madeTokens{}
		c.Made = made
		if err := made.CreateToken(t.Context(), &subscriptions.Token{ID: "tok_r", Scope: subscriptions.Scope{Admin: true}, ReadOnly: true}, subscriptions.TokenHash(tokenReader)); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		what, body, token string
		status            int
	}{
		{"preview", `{}`, tokenAdmin, 200},
		{"preview", `{}`, tokenReader, 200},
		{"preview", `{}`, tokenOne, 403},
		{"preview", `{"id":"none"}`, tokenAdmin, 404},
		{"preview", `{"id":"wrong"}`, tokenAdmin, 422},
		{"preview", `{"id":"` + strings.Repeat("x", 1001) + `"}`, tokenAdmin, 422},
		{"preview", `{"mapping":"` + strings.Repeat("x", 64<<10+1) + `"}`, tokenAdmin, 422},
		{"preview", `{"nonsense":1}`, tokenAdmin, 422},
		{"compare", `{}`, tokenReader, 200},
		{"compare", `{}`, tokenOne, 403},
		{"compare", `{"limit":101}`, tokenAdmin, 422},
		{"compare", `{"limit":-1}`, tokenAdmin, 422},
		{"compare", `{"within":"1s"}`, tokenAdmin, 200},
		{"compare", `{"within":"soon"}`, tokenAdmin, 422},
		{"compare", `{"within":"16s"}`, tokenAdmin, 422},
		{"compare", `{"within":"-1s"}`, tokenAdmin, 422},
		{"compare", `{"limit":5,"ids":["1"]}`, tokenAdmin, 422},
		{"compare", `{"ids":[""]}`, tokenAdmin, 422},
		{"compare", `{"ids":["1"` + strings.Repeat(`,"1"`, 100) + `]}`, tokenAdmin, 422},
	} {
		resp, body := b.do(t, "POST", "/api/v1/resource/contact/"+c.what, c.token, "application/json", c.body)
		if resp.StatusCode != c.status {
			t.Errorf("%s %.60s: %s %s", c.what, c.body, resp.Status, body)
		}
	}
	if resp, _ := b.do(t, "POST", "/api/v1/resource/nothing/preview", tokenAdmin, "application/json", "{}"); resp.StatusCode != 404 {
		t.Errorf("of nothing: %s", resp.Status)
	}
}
