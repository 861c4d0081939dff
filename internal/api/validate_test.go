package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/apidoc"
)

// contract is the document in a form that answers can be held against.
type contract struct {
	document *apidoc.Document
	compiler *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

var (
	contractsMu sync.Mutex
	// contracts are kept, by the server's base and routes: compiling takes longer than a test.
	contracts = map[string]*contract{}
)

// contractFor is what a server's document says.
func contractFor(t testing.TB, base string, s *api.Server) *contract {
	t.Helper()
	key := base + " " + strings.Join(slices.Sorted(slices.Values(s.Routes())), " ")
	contractsMu.Lock()
	defer contractsMu.Unlock()
	if contracts[key] == nil {
		contracts[key] = contractOf(t, s.Document())
	}
	return contracts[key]
}

// contractOf reads a document. Objects in it are closed, so that a field that it lacks is a mistake.
func contractOf(t testing.TB, d *apidoc.Document) *contract {
	t.Helper()
	text, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	close1(v.(map[string]any)["components"].(map[string]any)["schemas"])
	c := &contract{document: d, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("api.json", v); err != nil {
		t.Fatal(err)
	}
	return c
}

func close1(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, part := range v {
			close1(part)
		}
	case []any:
		for _, part := range v {
			close1(part)
		}
	}
}

// check says what is wrong with a value for the schema at a JSON pointer of the document.
func (c *contract) check(pointer string, value []byte) error {
	c.mu.Lock()
	s := c.compiled[pointer]
	if s == nil {
		var err error
		if s, err = c.compiler.Compile("api.json#" + pointer); err != nil {
			c.mu.Unlock()
			return err
		}
		c.compiled[pointer] = s
	}
	c.mu.Unlock()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return s.Validate(v)
}

// found is an operation of the document that a request is for.
type found struct {
	*apidoc.Described
	path, method string
}

// pointer is that of the operation.
func (f found) pointer() string {
	return "/paths/" + escaped(f.path) + "/" + f.method
}

func escaped(part string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
}

// find returns the operation of a method at a path, nil where there is none.
func (c *contract) find(method, path string) *found {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	base := strings.TrimSuffix(c.document.Servers[0].URL, "/")
	for _, fixedOnly := range []bool{true, false} {
		for _, p := range c.document.Paths {
			pattern := base + p.Name
			if len(p.Value.Servers) > 0 {
				pattern = p.Name
			}
			if fixedOnly == strings.Contains(pattern, "{") || !samePath(pattern, path) {
				continue
			}
			if op, ok := p.Value.Methods.Get(strings.ToLower(method)); ok {
				return &found{op, p.Name, strings.ToLower(method)}
			}
			return nil
		}
	}
	return nil
}

func samePath(pattern, path string) bool {
	want, got := strings.Split(strings.TrimSuffix(pattern, "/"), "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// validating holds every answer that it carries against the document, and the bodies of requests that were taken.
type validating struct {
	t        testing.TB
	contract *contract
}

func (v validating) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil && req.Body != http.NoBody {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := v.contract.exchange(req, sent, resp, body); err != nil {
		v.t.Errorf("%s %s = %d is not as the document says: %v\n%s", req.Method, req.URL.Path, resp.StatusCode, err, body)
	}
	return resp, nil
}

// exchange says what of a request and its answer is not as the document says.
func (c *contract) exchange(req *http.Request, sent []byte, resp *http.Response, body []byte) error {
	op := c.find(req.Method, req.URL.Path)
	if op == nil {
		switch resp.StatusCode {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return c.check("/components/schemas/Problem", orProblem(req, body))
		case http.StatusNoContent:
			if req.Method == http.MethodOptions {
				return nil
			}
		}
		return fmt.Errorf("it has no such operation")
	}
	status := strconv.Itoa(resp.StatusCode)
	r, ok := op.Responses.Get(status)
	if !ok {
		return fmt.Errorf("%s has no answer %s", op.OperationID, status)
	}
	pointer := op.pointer() + "/responses/" + status
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		shared, _ := c.document.Components.Responses.Get(name)
		r, pointer = shared.(*apidoc.Response), "/components/responses/"+name
	}
	for _, h := range r.Headers {
		if h.Value.Required && resp.Header.Get(h.Name) == "" {
			return fmt.Errorf("the header %s is missing", h.Name)
		}
	}
	if resp.StatusCode < 300 && op.RequestBody != nil && len(sent) > 0 {
		given, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
		if err := c.check(op.pointer()+"/requestBody/content/"+escaped(given)+"/schema", sent); err != nil {
			return fmt.Errorf("it took the body %s: %w", sent, err)
		}
	}
	if len(r.Content) == 0 || req.Method == http.MethodHead {
		if len(body) > 0 {
			return fmt.Errorf("it has a body")
		}
		return nil
	}
	given, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if _, ok := r.Content.Get(given); !ok {
		return fmt.Errorf("the content type is %q", given)
	}
	if !strings.HasSuffix(given, "json") {
		return nil
	}
	return c.check(pointer+"/content/"+escaped(given)+"/schema", body)
}

// orProblem is a body, or one that a HEAD would have.
func orProblem(req *http.Request, body []byte) []byte {
	if req.Method == http.MethodHead {
		return []byte(`{"type":"","title":"","status":0}`)
	}
	return body
}
