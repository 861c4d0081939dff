package config

import (
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"gopkg.in/yaml.v3"
)

// nasty are values that would like to be more than text.
var nasty = []string{
	"", "x", "$", "$$", "{", "}", "${", "$${", "$$${", "${x}", "a${", "{x}", `"`, `'`, "`", `\`, `\u0041`, "\n", "\t", "a\nb",
	`" + password + "`, "*/ x", "// x", "é", "}${password}", "$}", "#", ": ", "\u2028",
}

func decoderFor(text, value string) (*decoder, *yaml.Node) {
	d := &decoder{
		file: "f", lines: splitLines([]byte(text)), bad: map[any]bool{}, notes: map[string]note{},
		env: func(string) (string, bool) { return value, true },
	}
	return d, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: 1, Column: 1}
}

func TestTextFromElsewhereStaysText(t *testing.T) {
	t.Parallel()
	templates := []string{
		"${env:X}", "a ${env:X} b", "${env:X}${id}", "${id}${env:X}", "${id} ${env:X}{id}", "$${env:X} ${env:X}", "$${a}${env:X}",
		"${env:X}${env:X}", "${env:X}{x}${id}", "${a}${env:X}${b}", "{${env:X}}", "$${${env:X}}",
	}
	for _, template := range templates {
		for _, value := range nasty {
			// What the template has to come out as: its parts, with the value as text.
			var want strings.Builder
			parts, open := split(template)
			if open >= 0 {
				t.Fatalf("%s: unclosed", template)
			}
			alone := true
			for _, p := range parts {
				switch p.kind {
				case literalPart:
					want.WriteString(p.text)
				case referencePart:
					want.WriteString(value)
				case expressionPart:
					want.WriteString("<" + p.text + ">")
					alone = len(parts) == 1
				}
			}
			d, n := decoderFor(template, value)
			got, referred, ok := d.resolveTemplate(n)
			if !ok || !referred || len(d.problems) > 0 {
				t.Fatalf("%s with %q: %v", template, value, d.problems)
			}
			after, open := split(got)
			var read strings.Builder
			for _, p := range after {
				switch {
				case p.kind == literalPart:
					read.WriteString(p.text)
				case strings.Trim(p.text, `"$`) == "":
					read.WriteString(strings.Trim(p.text, `"`))
				default:
					read.WriteString("<" + p.text + ">")
				}
			}
			if open >= 0 || read.String() != want.String() {
				t.Errorf("%s with %q became %s, which reads as %q, want %q", template, value, got, read.String(), want.String())
			}
			if len(after) == 1 && after[0].kind == expressionPart && !alone {
				t.Errorf("%s with %q became %s: no text any more", template, value, got)
			}
		}
	}
}

func TestReferenceInExpressionIsAStringLiteral(t *testing.T) {
	t.Parallel()
	for _, value := range nasty {
		d, n := decoderFor("'<' + ${env:X} + '>'", value)
		got, referred, ok := d.resolveExpression(n, n.Value, 0)
		if !ok || !referred {
			t.Fatalf("%q: %v", value, d.problems)
		}
		result, err := expr.Eval(got, map[string]any{"password": "hunter2"})
		if err != nil {
			t.Errorf("%q became %s: %v", value, got, err)
		} else if result != "<"+value+">" {
			t.Errorf("%q became %s, which is %q", value, got, result)
		}
		if end := closing("${"+got+"}", 0); end != len(got)+2 {
			t.Errorf("%q became %s, which misleads the search for its end", value, got)
		}
	}
}

func TestClosing(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"${a}":                  3,
		"${a":                   -1,
		`${"}"} `:               5,
		`${'\'}'}`:              7,
		"${`}`}":                5,
		"${ {a: 1}.a }":         12,
		"${env:X:-it's}":        13,
		"${a + ${env:X:-it's}}": 20,
		"${a /* } */}":          11,
		"${a // }\n}":           9,
		"${a // }":              -1,
		`${"a}`:                 -1,
	} {
		if got := closing(s, 0); got != want {
			t.Errorf("closing(%q) = %d, want %d", s, got, want)
		}
	}
}
