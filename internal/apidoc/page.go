package apidoc

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"html/template"
	"slices"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// PagePolicy is the Content-Security-Policy of a page: it loads nothing, and runs nothing but its own script.
var PagePolicy = "default-src 'none'; style-src '" + hashOf(pageCSS) + "'; script-src '" + hashOf(pageJS) +
	"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"words": words, "upper": strings.ToUpper, "join": strings.Join}).Parse(pageHTML))

// Page is the document as HTML, whole in itself. Source is where the document is, from there.
func Page(d *Document, source string) ([]byte, error) {
	base := strings.TrimSuffix(d.Servers[0].URL, "/")
	v := view{Info: d.Info, Source: source, Base: base, Login: d.Components.SecuritySchemes[schemeName].Description, CSS: template.CSS(pageCSS), JS: template.JS(pageJS)}
	for _, t := range d.Tags {
		g := viewGroup{Tag: t}
		for _, p := range d.Paths {
			for _, m := range p.Value.Methods {
				if m.Value.Tags[0] == t.Name {
					g.Operations = append(g.Operations, viewOf(d, base, p.Name, p.Value, m.Name, m.Value))
				}
			}
		}
		if g.Operations != nil {
			v.Groups = append(v.Groups, g)
		}
	}
	for _, s := range d.Components.Schemas {
		v.Schemas = append(v.Schemas, viewSchema{Name: s.Name, Text: s.Value.Description, Fields: viewFields(s.Value)})
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, v)
	return b.Bytes(), err
}

type view struct {
	Info                Info
	Source, Base, Login string
	CSS                 template.CSS
	JS                  template.JS
	Groups              []viewGroup
	Schemas             []viewSchema
}

type viewGroup struct {
	Tag        Tag
	Operations []viewOperation
}

type viewOperation struct {
	*Described
	Method, Path  string
	Public, Admin bool
	Parameters    []*Parameter
	Body          []viewBody
	Curl          string
	Answers       []viewAnswer
}

type viewBody struct{ Type, Schema, Example string }

type viewAnswer struct {
	Status, Text, Schema, Example string
	Headers                       []string
	// Problem answers are told once for all operations.
	Problem, List bool
}

type viewSchema struct {
	Name, Text string
	Fields     []viewField
}

type viewField struct {
	Name, Type, Ref, Text, Example string
	Required, ReadOnly             bool
}

func viewOf(d *Document, base, path string, item *PathItem, method string, op *Described) viewOperation {
	v := viewOperation{Described: op, Method: method, Path: path, Public: op.Security != nil, Admin: slices.Contains(op.Tags, AdminTag),
		Parameters: slices.Concat(item.Parameters, op.Parameters)}
	if len(item.Servers) == 0 {
		v.Path = base + path
	}
	if op.RequestBody != nil {
		for _, c := range op.RequestBody.Content {
			v.Body = append(v.Body, viewBody{c.Name, nameOf(c.Value.Schema), indented(c.Value.Example)})
		}
	}
	for _, r := range op.Responses {
		a := viewAnswer{Status: r.Name, Text: r.Value.Description}
		response := r.Value
		if name, ok := strings.CutPrefix(r.Value.Ref, "#/components/responses/"); ok {
			shared, _ := d.Components.Responses.Get(name)
			response = shared.(*Response)
			a.Text, a.Problem = response.Description, true
		}
		for _, h := range response.Headers {
			a.Headers = append(a.Headers, h.Name)
		}
		for _, c := range response.Content {
			a.Schema, a.Example, a.List = nameOf(c.Value.Schema), indented(c.Value.Example), c.Value.Schema.Items != nil
		}
		v.Answers = append(v.Answers, a)
	}
	v.Curl = curl(v)
	return v
}

// curl is a command to paste, in a shell that has ROWHOOK_TOKEN.
func curl(v viewOperation) string {
	var b strings.Builder
	b.WriteString("curl -sS")
	if v.Method != "get" {
		b.WriteString(" -X " + strings.ToUpper(v.Method))
	}
	if !v.Public {
		b.WriteString(` -H "Authorization: Bearer $ROWHOOK_TOKEN"`)
	}
	path := v.Path
	for _, p := range v.Parameters {
		if example, ok := p.Example.(string); ok && p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", example)
		}
	}
	if len(v.Body) > 0 {
		var compact bytes.Buffer
		_ = json.Compact(&compact, []byte(v.Body[0].Example)) // it was made of JSON
		b.WriteString(" -H 'Content-Type: " + v.Body[0].Type + "' \\\n  -d '" + strings.ReplaceAll(compact.String(), "'", `'\''`) + "'")
	}
	b.WriteString(" \\\n  http://127.0.0.1:8477" + path)
	return b.String()
}

func viewFields(s *Schema) []viewField {
	var all []viewField
	for _, p := range s.Properties {
		f := viewField{Name: p.Name, Text: p.Value.Description, ReadOnly: p.Value.ReadOnly, Required: slices.Contains(s.Required, p.Name)}
		f.Type, f.Ref = typeOf(p.Value)
		if len(p.Value.Enum) > 0 {
			var values []string
			for _, e := range p.Value.Enum {
				text, _ := encode(e)
				values = append(values, string(text))
			}
			f.Type = strings.Join(values, " | ")
		}
		if len(p.Value.Examples) > 0 {
			text, _ := encode(p.Value.Examples[0])
			f.Example = string(text)
		}
		all = append(all, f)
	}
	return all
}

// typeOf is a type in words, and the schema that it refers to.
func typeOf(s *Schema) (text, ref string) {
	switch typ := s.Type.(type) {
	case string:
		text = typ
	case []string:
		text = strings.Join(typ, " | ")
	}
	switch {
	case s.Ref != "":
		ref = strings.TrimPrefix(s.Ref, refPrefix)
		return ref, ref
	case s.Items != nil:
		of, ref := typeOf(s.Items)
		return "list of " + of, ref
	case s.Format != "":
		return text + " (" + s.Format + ")", ""
	case text == "":
		var all []string
		for _, a := range s.AnyOf {
			of, r := typeOf(a)
			if all = append(all, of); r != "" {
				ref = r
			}
		}
		return strings.Join(all, " | "), ref
	}
	return text, ""
}

func nameOf(s *Schema) string {
	_, ref := typeOf(s)
	return ref
}

func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// words turns the little Markdown of the texts, which is code between backticks, into HTML.
func words(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}
