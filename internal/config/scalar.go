package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

// mistake is why a text is not the value wanted. Is goes on after the value: "is not a duration".
type mistake struct {
	is   string
	hint string
}

// scalar is a value written as one text: how it is parsed, and what to say where it cannot be.
type scalar[V any] struct {
	// want is what the value has to be, with its article.
	want string
	// tags are the types, beside text, that YAML may give such a value when it is written without quotes. Without text
	// among them ("!!str"), a quoted value is refused.
	tags  []string
	hint  string
	parse func(string) (V, *mistake)
	// secret values are never shown, not even as they are written in the file.
	secret bool
	// hide says of a value that is not secret by itself that it may hold something that is.
	hide func(written string) bool
	// show is the value as it is written, nil where it is not to be shown; used for the schema's default.
	show func(V) any
	// json is the schema of the value as it is written in the file.
	json jsonObject
	// strict says that a reference such as ${env:NAME} does not fit json by itself, so the schema must allow it beside.
	strict bool
}

func (s scalar[V]) decode(d *decoder, v value, to *V) {
	if d.bad[v.node] {
		return
	}
	t, ok := d.text(v, taking{
		want: s.want, hint: s.hint, tags: s.tags, secret: s.secret || s.hide != nil && s.hide(v.node.Value),
		fits: func(text string) bool { _, wrong := s.parse(text); return wrong == nil },
	})
	if !ok {
		return
	}
	parsed, wrong := s.parse(t.text)
	if wrong != nil {
		hint := wrong.hint
		if hint == "" {
			hint = s.hint
		}
		d.add(t.at, hint, "%s: %s %s", v.path, t.shown, wrong.is)
		d.bad[v.path] = true
		return
	}
	*to = parsed
}

func (s scalar[V]) schema(def *V) jsonObject {
	out := s.json
	if s.strict {
		out = jsonObject{{"anyOf", []any{s.json, reference}}}
	}
	if def != nil && s.show != nil {
		if shown := s.show(*def); shown != nil {
			out = append(slices.Clone(out), jsonMember{"default", shown})
		}
	}
	return out
}

// text is a scalar's text with its references resolved.
type text struct {
	text string
	// shown is how messages name it: as it is written in the file, never with what a reference brought in.
	shown string
	// at is where the text begins, inside the quotes where there are any.
	at problem.Place
	// written is the text of the file; it differs from text where there are references.
	written string
}

// taking is what text looks for; the fields are those of scalar.
type taking struct {
	want, hint string
	tags       []string
	secret     bool
	// fits says whether a text would do: where it would, and YAML took it for something else, quotes are the mend.
	fits func(string) bool
}

// text takes a scalar for a key that can only hold a value.
func (d *decoder) text(v value, k taking) (text, bool) {
	t, ok := d.rawText(v, k.want, k.hint)
	if !ok {
		return t, false
	}
	t.shown = shown(t.written, strings.Contains(t.written, "${"))
	if k.secret {
		d.hidden[v.node] = true
		t.shown = "the value"
	}
	var referred bool
	t.text, referred, ok = d.resolveValue(v, k.secret)
	if !ok {
		d.bad[v.path] = true
		return t, false
	}
	d.notes[v.path] = note{shown: t.shown, at: t.at}
	tag := v.node.ShortTag()
	isText, takesText := tag == "!!str", len(k.tags) == 0 || slices.Contains(k.tags, "!!str")
	switch {
	case referred || isText && takesText || slices.Contains(k.tags, tag):
		return t, true
	case isText:
		d.add(t.at, k.hint, "%s: %s is not %s", v.path, t.shown, k.want)
	case takesText && k.secret:
		d.add(t.at, "put it in quotes", "%s: %s is %s, not %s", v.path, t.shown, formOf(v.node), k.want)
	case takesText && k.fits(t.text):
		d.add(t.at, fmt.Sprintf("put it in quotes: %q", t.written), "%s: %s is %s, not %s", v.path, t.shown, formOf(v.node), k.want)
	default:
		d.add(t.at, k.hint, "%s: %s is %s, not %s", v.path, t.shown, formOf(v.node), k.want)
	}
	d.bad[v.path] = true
	return t, false
}

// rawText is the scalar as it is written. It is false, and said, where v is none.
func (d *decoder) rawText(v value, want, hint string) (text, bool) {
	if d.bad[v.node] {
		d.bad[v.path] = true
		return text{}, false
	}
	t := text{written: v.node.Value, at: d.textPlace(v.node)}
	t.text, t.shown = t.written, shown(t.written, false)
	switch {
	case isNull(v.node):
		d.add(d.objectPlace(v), "give it a value, or leave the key out", "%s has no value", v.path)
	case v.node.Kind != yaml.ScalarNode:
		if hint == "" && want == "text" {
			hint = "put the value in single quotes"
		}
		d.add(d.place(v.node), hint, "%s must be %s, not %s", v.path, want, formOf(v.node))
	default:
		return t, true
	}
	d.bad[v.path] = true
	return t, false
}

// textPlace is where a scalar's text begins: behind its quote, or on the line below | and >.
func (d *decoder) textPlace(n *yaml.Node) problem.Place {
	at := d.place(n)
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return at.At(1)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		for i := n.Line; i < len(d.lines); i++ {
			if body := strings.TrimLeft(d.lines[i], " "); body != "" {
				return problem.Place{File: d.file, Line: i + 1, Column: len(d.lines[i]) - len(body) + 1}
			}
		}
	}
	return at
}

// shown quotes a value for a message, cut to a length that fits a line.
func shown(written string, referred bool) string {
	const most = 80
	if utf8.RuneCountInString(written) > most {
		written = string([]rune(written)[:most]) + "…"
	}
	if referred {
		return fmt.Sprintf("the value of %q", written)
	}
	return fmt.Sprintf("%q", written)
}
