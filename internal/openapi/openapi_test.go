package openapi

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// show writes a shape in a line.
func show(s *Shape) string {
	var b strings.Builder
	if s.Name != "" {
		b.WriteString(s.Name + " ")
	}
	b.WriteString(s.Kind)
	if s.Format != "" {
		b.WriteString("/" + s.Format)
	}
	if s.Const != nil {
		b.WriteString("=" + s.Const.Value)
	}
	if s.Repeats {
		b.WriteString(" again")
	}
	if s.Variants > 0 {
		fmt.Fprintf(&b, " of %d", s.Variants)
	}
	if s.Items != nil {
		b.WriteString("[" + show(s.Items) + "]")
	}
	if len(s.Properties) > 0 {
		var parts []string
		for _, p := range s.Properties {
			parts = append(parts, p.Name+": "+show(p.Shape))
		}
		b.WriteString("{" + strings.Join(parts, ", ") + "}")
	}
	return b.String()
}

func TestShape(t *testing.T) {
	t.Parallel()
	for promise, c := range map[string]struct{ schema, components, want string }{
		"KeepsTheOrder":      {`{properties: {b: {type: string}, a: {type: integer}}}`, ``, `object{b: string, a: integer}`},
		"FollowsReferences":  {`{$ref: '#/components/schemas/A'}`, `A: {$ref: '#/components/schemas/B'}, B: {type: object, properties: {x: {type: number, format: double}}}`, `B object{x: number/double}`},
		"MergesAllOf":        {`{allOf: [{properties: {a: {}, b: {type: string}}}, {properties: {b: {type: integer}, c: {}}}]}`, ``, `object{a: , b: integer, c: }`},
		"NullIsNoVariant":    {`{properties: {a: {anyOf: [{type: string}, {type: 'null'}]}, b: {type: [integer, 'null']}, c: {oneOf: [{type: number}, {type: string}]}}}`, ``, `object{a: string, b: integer, c: number of 2}`},
		"ObjectsBeforeIDs":   {`{properties: {a: {oneOf: [{type: string}, {properties: {id: {}}}]}}}`, ``, `object{a: object of 2{id: }}`},
		"OneValueIsConstant": {`{properties: {a: {const: x}, b: {enum: [1]}, c: {enum: [1, 2]}, d: {enum: [y, null]}}}`, ``, `object{a: =x, b: =1, c: , d: =y}`},
		"WriteOnlyIsNotSent": {`{properties: {a: {type: string, writeOnly: true}, b: {$ref: '#/components/schemas/W'}, c: {}}}`, `W: {writeOnly: true}`, `object{c: }`},
		"EndsAtRepetition":   {`{$ref: '#/components/schemas/A'}`, `A: {properties: {id: {}, a: {$ref: '#/components/schemas/A'}, all: {items: {$ref: '#/components/schemas/A'}}}}`, `A object{id: , a: A object again, all: array[A object again]}`},
		"OtherFilesAreNotRead": {`{properties: {id: {}, a: {$ref: 'other.yaml#/A'}, b: {$ref: 'https://example.com/b'}, c: {$ref: '#/components/nothing'}}}`, ``,
			`object{id: , a: , b: , c: }`},
		"SelfReference":   {`{properties: {id: {}, a: {$ref: '#/components/schemas/A'}}}`, `A: {$ref: '#/components/schemas/A'}`, `object{id: , a: A }`},
		"EscapedNames":    {`{properties: {a: {$ref: '#/components/schemas/x~1y~0z%20q'}}}`, `'x/y~z q': {type: boolean}`, `object{a: x/y~z q boolean}`},
		"AnchorsAreTaken": {`{properties: {a: &a {type: string}, b: *a}}`, ``, `object{a: string, b: string}`},
		"OddThings":       {`{properties: {a: true, b: [], c: 7, d: {type: {}}, e: {properties: []}, f: {items: true}, g: {allOf: x}, h: {enum: {}}}}`, ``, `object{a: , b: , c: , d: , e: , f: array[], g: , h: }`},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			d := parse(t, "openapi: 3.1.0\npaths: {'/xs/{id}': {get: {responses: {'200': {content: {application/json: {schema: "+c.schema+"}}}}}}}\ncomponents: {schemas: {"+c.components+"}}")
			i := d.Find(func(s string) bool { return s == "xs" })
			if i == nil {
				t.Fatal("not found")
			}
			if got := show(i.Shape); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	const one = `{get: {responses: {'200': {content: {application/json: {schema: {properties: {PATH: {}}}}}}}}}`
	doc := func(servers string, paths ...string) string {
		text := "openapi: 3.0.1\n" + servers + "\npaths:\n"
		for i, p := range paths {
			text += "  '" + p + "': " + strings.ReplaceAll(one, "PATH", fmt.Sprint("p", i)) + "\n"
		}
		return text
	}
	for promise, c := range map[string]struct{ text, path, base, origin, shape string }{
		"ShortestWithoutOthers": {doc("", "/a/{a}/xs/{id}", "/v1/deep/xs/{id}", "/xs/{xId}/", "/v1/xs/{id}"), "/xs/{xId}/", "", "", "object{p2: }"},
		"FewestParameters":      {doc("", "/{a}/xs/{id}", "/v1/deep/xs/{id}"), "/v1/deep/xs/{id}", "", "", "object{p1: }"},
		"BaseOfTheServer":       {doc("servers: [{url: 'https://api.example.com/v1/'}]", "/xs/{id}"), "/xs/{id}", "/v1", "https://api.example.com", "object{p0: }"},
		"RelativeServer":        {doc("servers: [{url: /api}]", "/xs/{id}"), "/xs/{id}", "/api", "", "object{p0: }"},
		"ServerWithPassword":    {doc("servers: [{url: 'https://me:secret@h/v1'}]", "/xs/{id}"), "/xs/{id}", "", "", "object{p0: }"},
		"ServerWithoutDefault":  {doc("servers: [{url: 'https://{host}/v1'}]", "/xs/{id}"), "/xs/{id}", "", "", "object{p0: }"},
		"NoList":                {doc("", "/xs", "/xs/all", "/ys/{id}", "/xs/{id}/y", "{id}"), "", "", "", ""},
		"NotJSON":               {"openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {'200': {content: {text/html: {schema: {properties: {a: {}}}}}}}}}}", "", "", "", ""},
		"NoObject":              {"openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {'200': {content: {application/json: {schema: {type: string}}}}}}}}", "", "", "", ""},
		"NoPaths":               {"openapi: 3.1.0\nwebhooks: {}", "", "", "", ""},
		"Wrapped": {"openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {default: {content: {'*/*': {schema: {properties: {xs: {properties: {a: {}}}, meta: {}}}}}}}}}}",
			"/xs/{id}", "", "", "object{a: }"},
		"NotWrapped": {"openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {default: {content: {'*/*': {schema: {properties: {id: {}, data: {properties: {a: {}}}}}}}}}}}}",
			"/xs/{id}", "", "", "object{id: , data: object{a: }}"},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			d := parse(t, c.text)
			i := d.Find(func(s string) bool { return s == "xs" })
			if i == nil {
				i = &Instance{Base: c.base, Shape: &Shape{}}
			}
			if got := show(i.Shape); i.Path != c.path || i.Base != c.base || d.Origin() != c.origin || got != c.shape {
				t.Errorf("got %q, %q, %q, %s; want %q, %q, %q, %s", i.Path, i.Base, d.Origin(), got, c.path, c.base, c.origin, c.shape)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "it is no OpenAPI document",
		"[]":                       "it is no OpenAPI document",
		"just text":                "it is no OpenAPI document",
		"{\"openapi\": ":           "neither JSON nor YAML: line 1",
		"swagger: '2.0'":           "it is Swagger 2.0, and OpenAPI 3 is taken\n  hint: convert it",
		"openapi: 4.0.0":           `its version of OpenAPI is "4.0.0"`,
		"info: {}":                 `its version of OpenAPI is ""`,
		"openapi: '3.0'\n\xff\xfe": "not UTF-8",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "16 are taken") {
		t.Errorf("a document that is too large: %v", err)
	}
}

// TestBounded reads schemas that would be endless, or grow without bound, if all that they name were written out.
func TestBounded(t *testing.T) {
	t.Parallel()
	var wide, doubling, empty strings.Builder
	for i := range 30 {
		fmt.Fprintf(&doubling, "    S%d: {allOf: [{$ref: '#/components/schemas/S%d'}, {$ref: '#/components/schemas/S%[2]d'}], properties: {a%[1]d: {$ref: '#/components/schemas/S%[2]d'}, b%[1]d: {$ref: '#/components/schemas/S%[2]d'}}}\n", i, i+1)
	}
	for i := range 9 {
		fmt.Fprintf(&empty, "    E%d: {allOf: [%s]}\n", i, strings.Repeat(fmt.Sprintf("{$ref: '#/components/schemas/E%d'}, ", i+1), 20))
	}
	for i := range 3000 {
		fmt.Fprintf(&wide, "p%d: {$ref: '#/components/schemas/W'}, ", i)
	}
	for promise, schemas := range map[string]string{
		"Doubling": doubling.String() + "    X: {$ref: '#/components/schemas/S0'}\n",
		"Empty":    empty.String() + "    X: {$ref: '#/components/schemas/E0'}\n",
		"Wide":     "    W: {properties: {" + wide.String() + "}}\n    X: {properties: {id: {}, w: {$ref: '#/components/schemas/W'}}}\n",
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			d := parse(t, "openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/X'}}}}}}}}\ncomponents:\n  schemas:\n"+schemas)
			r := reader{Document: d}
			if s := r.shape(d.answer(d.paths[0].operation), 0); r.steps > 40*maxSteps || properties(s) > 12*MaxProperties {
				t.Errorf("%d schemas were looked at, for %d properties", r.steps, properties(s))
			}
		})
	}
}

func properties(s *Shape) int {
	n := len(s.Properties)
	for _, p := range s.Properties {
		n += properties(p.Shape)
	}
	return n
}

// FuzzFind reads any document: it must not panic, and not take long.
func FuzzFind(f *testing.F) {
	files, _ := filepath.Glob("../scaffold/testdata/*.openapi.*")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Add([]byte("openapi: 3.0.0\npaths: {'/xs/{id}': {get: {responses: {'200': {content: {application/json: {schema: &a {properties: {a: *a}, allOf: [*a]}}}}}}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		d.Origin()
		if i := d.Find(func(string) bool { return true }); i != nil && i.Shape == nil {
			t.Error("an instance without a shape")
		}
	})
}
