package subscriptions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// object is a JSON object with its members in the order of the text. A value is nil, a bool, a json.Number, a string, a
// []any or an object.
type object []member

type member struct {
	name  string
	value any
}

// maxDepth is how deep a body may nest. A subscription needs three levels.
const maxDepth = 16

// get returns the member's value, and whether there is one.
func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// set returns the object with the member replaced or appended.
func (o object) set(name string, value any) object {
	for i := range o {
		if o[i].name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, member{name, value})
}

// without returns a copy without the member.
func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// parseObject reads a body that must be one JSON object: UTF-8, nothing after it, no member twice. It never panics, and
// is bounded by maxBody and maxDepth.
func parseObject(body []byte, m *mistakes) (object, error) {
	if len(body) > MaxBody {
		return nil, malformed("the body has more than %d bytes", MaxBody)
	}
	if !utf8.Valid(body) {
		return nil, malformed("the body is not UTF-8")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, malformed(`the body is empty: send a JSON object such as {"events": ["*"], "target_url": "https://…"}`)
	}
	// A first pass for the syntax, because Decoder.Token is lenient in places.
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			before := body[:min(int(syntax.Offset), len(body))]
			line := bytes.Count(before, []byte("\n")) + 1
			return nil, malformed("the body is not JSON: line %d, column %d: %s",
				line, len(before)-bytes.LastIndexByte(before, '\n')-1, syntax)
		}
		return nil, malformed("the body is not JSON")
	}
	p := parser{dec: json.NewDecoder(bytes.NewReader(body)), mistakes: m}
	p.dec.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, malformed("the body is %s: send a JSON object", kindOf(v))
	}
	return o, nil
}

type parser struct {
	dec      *json.Decoder
	mistakes *mistakes
}

func (p *parser) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed("the body nests deeper than %d levels", maxDepth)
	}
	t, err := p.dec.Token()
	if err != nil {
		return nil, malformed("the body is not JSON")
	}
	switch t {
	case json.Delim('{'):
		return p.object(path, depth)
	case json.Delim('['):
		list := []any{}
		for p.dec.More() {
			v, err := p.value(fmt.Sprintf("%s[%d]", shorten(path, maxQuoted), len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := p.dec.Token()
		return list, err
	}
	return t, nil
}

func (p *parser) object(path string, depth int) (any, error) {
	o, seen := object{}, map[string]bool{}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return nil, malformed("the body is not JSON")
		}
		name, _ := t.(string)
		at := join(path, name)
		v, err := p.value(at, depth+1)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			p.mistakes.add(at, "%s is given twice", quote(name))
			continue
		}
		seen[name] = true
		o = append(o, member{name, v})
	}
	_, err := p.dec.Token()
	return o, err
}

// join makes the path of a member. It is bounded, or paths of a hostile body would cost its depth times its size.
func join(path, name string) string {
	name = shorten(name, maxQuoted)
	if path == "" {
		return name
	}
	return shorten(path, 4*maxQuoted) + "." + name
}

// mergePatch applies a JSON merge patch. https://www.rfc-editor.org/rfc/rfc7396
func mergePatch(target any, patch object) object {
	old, _ := target.(object)
	merged := slices.Clone(old)
	for _, m := range patch {
		switch v := m.value.(type) {
		case nil:
			merged = merged.without(m.name)
		case object:
			before, _ := merged.get(m.name)
			merged = merged.set(m.name, mergePatch(before, v))
		default:
			merged = merged.set(m.name, v)
		}
	}
	return merged
}

// kindOf names the kind of a value for an error.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}
