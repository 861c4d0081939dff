package apidoc

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Operation says what a method does at a path. What follows from that need not be said: see Builder.
type Operation struct {
	// ID names it for generators of clients: createSubscription.
	ID string
	// Method is in upper case; in Path, {id} stands for one part.
	Method, Path string
	Tag          string
	// Summary is one line, Text may have more in Markdown.
	Summary, Text string
	// Public needs no login, Admin that of the admin. AtRoot says that the path is not under the base.
	Public, Admin, AtRoot bool
	// Query are parameters.
	Query []*Parameter
	// Headers are parameters that are headers.
	Headers []*Parameter
	Body    *Body
	// Answers are those that do not follow from the rest.
	Answers []Answer
	// Also are statuses of errors that may come, and Not those that never come, although the rest says something else.
	Also, Not []int
}

// Body is what a request may carry.
type Body struct {
	// Types are content types; without any it is JSON.
	Types []string
	// Schema is a reference to what it is.
	Schema *Schema
	// Optional bodies may be left out.
	Optional bool
	// Example is composed of those of the fields if it is empty.
	Example string
}

// Answer is what may come back.
type Answer struct {
	Status int
	Text   string
	// Schema is nil for an answer without a body. Type is its content type; JSON if it is empty.
	Schema *Schema
	Type   string
	// Headers are names of the document's headers. A ? after one says that it is not always there.
	Headers []string
	// Rare are fields that the example has although it is rare that they are there.
	Rare []string
}

// Problem is an answer that says what is wrong, the same for all operations.
type Problem struct {
	Status int
	// Name is that of the response in the document.
	Name, Text string
	Headers    []string
	// Example is the body.
	Example string
}

// Builder makes the document.
type Builder struct {
	Info Info
	// Base is where the paths are, "" for the root.
	Base  string
	Tags  []Tag
	Login Scheme
	Types *Types
	// Problems are the statuses of errors, Problem their schema.
	Problems []Problem
	Problem  *Schema
	Headers  Ordered[*Header]
	// Params are the parts of paths that are not fixed, by the fixed part before them.
	Params     map[string]*Parameter
	Operations []Operation
}

// AdminTag marks what only the admin may do.
const AdminTag = "admin"

const schemeName = "token"

// Build makes the document.
func (b Builder) Build() *Document {
	base := b.Base
	if base == "" {
		base = "/"
	}
	d := &Document{
		OpenAPI: "3.1.0", Info: b.Info, Tags: b.Tags, Servers: []Server{{URL: base}},
		Security: []map[string][]any{{schemeName: {}}},
	}
	for _, op := range b.Operations {
		item, ok := d.Paths.Get(op.Path)
		if !ok {
			item = &PathItem{Parameters: b.pathParameters(op.Path)}
			if op.AtRoot {
				item.Servers = []Server{{URL: "/", Description: "beside the API, on the same listener"}}
			}
			d.Paths = append(d.Paths, Member[*PathItem]{op.Path, item})
		}
		item.Methods = append(item.Methods, Member[*Described]{strings.ToLower(op.Method), b.described(op)})
	}
	d.Components = Components{Headers: b.Headers, SecuritySchemes: map[string]Scheme{schemeName: b.Login}}
	for _, p := range b.Problems {
		d.Components.Responses = append(d.Components.Responses, Member[any]{p.Name, &Response{
			Description: p.Text, Headers: b.headers(p.Headers),
			Content: Ordered[*MediaType]{{"application/problem+json", &MediaType{Schema: b.Problem, Example: []byte(p.Example)}}},
		}})
	}
	d.Components.Schemas = used(d, b.Types.made)
	return d
}

var schemaRef = regexp.MustCompile(`"` + refPrefix + `(\w+)"`)

// used are the schemas that the rest of the document refers to, or one of these.
func used(d *Document, all Ordered[*Schema]) Ordered[*Schema] {
	named := map[string]bool{}
	var follow func(v any)
	follow = func(v any) {
		text, err := encode(v)
		if err != nil {
			panic("apidoc: an example is no JSON: " + err.Error())
		}
		for _, ref := range schemaRef.FindAllSubmatch(text, -1) {
			if name := string(ref[1]); !named[name] {
				named[name] = true
				s, _ := all.Get(name)
				follow(s)
			}
		}
	}
	follow(d.Paths)
	follow(d.Components.Responses)
	return slices.DeleteFunc(slices.Clone(all), func(m Member[*Schema]) bool { return !named[m.Name] })
}

func (b Builder) pathParameters(path string) []*Parameter {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var all []*Parameter
	for i, part := range parts {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		p, ok := b.Params[parts[i-1]]
		if !ok {
			panic(fmt.Sprintf("apidoc: nothing is told of the parameter of %s: see Builder.Params", path))
		}
		named := *p
		named.Name, named.In, named.Required = strings.Trim(part, "{}"), "path", true
		all = append(all, &named)
	}
	return all
}

func (b Builder) described(op Operation) *Described {
	d := &Described{OperationID: op.ID, Tags: []string{op.Tag}, Summary: op.Summary, Description: op.Text}
	if op.Admin {
		d.Tags = append(d.Tags, AdminTag)
	}
	if op.Public {
		d.Security = &[]map[string][]any{}
	}
	for _, p := range op.Query {
		q := *p
		q.In = "query"
		d.Parameters = append(d.Parameters, &q)
	}
	for _, p := range op.Headers {
		h := *p
		h.In = "header"
		d.Parameters = append(d.Parameters, &h)
	}
	if op.Body != nil {
		d.RequestBody = &RequestBody{Required: !op.Body.Optional}
		example := []byte(op.Body.Example)
		if len(example) == 0 {
			example = b.Types.Example(op.Body.Schema)
		}
		types := op.Body.Types
		if len(types) == 0 {
			types = []string{"application/json"}
		}
		for _, t := range types {
			d.RequestBody.Content = append(d.RequestBody.Content, Member[*MediaType]{t, &MediaType{Schema: op.Body.Schema, Example: example}})
		}
	}
	own := map[int]bool{}
	add := func(status int, r *Response) {
		d.Responses = append(d.Responses, Member[*Response]{strconv.Itoa(status), r})
		own[status] = true
	}
	for _, a := range op.Answers {
		r := &Response{Description: a.Text, Headers: b.headers(a.Headers)}
		if a.Schema != nil {
			t, example := a.Type, b.Types.Example(a.Schema, a.Rare...)
			if t == "" {
				t = "application/json"
			}
			r.Content = Ordered[*MediaType]{{t, &MediaType{Schema: a.Schema, Example: example}}}
		}
		add(a.Status, r)
	}
	for _, p := range b.Problems {
		if !own[p.Status] && !slices.Contains(op.Not, p.Status) && (op.may(p.Status) || slices.Contains(op.Also, p.Status)) {
			add(p.Status, &Response{Ref: "#/components/responses/" + p.Name})
		}
	}
	slices.SortStableFunc(d.Responses, func(a, b Member[*Response]) int { return strings.Compare(a.Name, b.Name) })
	return d
}

func (b Builder) headers(names []string) Ordered[*Header] {
	var all Ordered[*Header]
	for _, name := range names {
		name, optional := strings.CutSuffix(name, "?")
		h, ok := b.Headers.Get(name)
		if !ok {
			panic("apidoc: nothing is told of the header " + name)
		}
		if optional {
			h = &Header{Ref: "#/components/headers/" + name}
		} else {
			required := *h
			required.Required = true
			h = &required
		}
		all = append(all, Member[*Header]{name, h})
	}
	return all
}

// may says whether an operation like this can be answered with the status of an error.
func (op Operation) may(status int) bool {
	writes := op.Method != http.MethodGet
	switch status {
	case http.StatusBadRequest:
		return op.Body != nil || len(op.Query) > 0
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable:
		return !op.Public
	case http.StatusForbidden:
		return !op.Public && (op.Admin || writes)
	case http.StatusNotFound:
		return strings.Contains(op.Path, "{")
	case http.StatusPreconditionFailed:
		return slices.ContainsFunc(op.Headers, func(p *Parameter) bool { return p.Name == "If-Match" })
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return op.Body != nil || op.Method == http.MethodPost
	case http.StatusUnprocessableEntity:
		return op.Body != nil
	}
	return false
}
