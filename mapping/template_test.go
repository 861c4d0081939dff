package mapping

import (
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/internal/problem"
)

func TestScanTemplate(t *testing.T) {
	t.Parallel()
	text := func(s string) segment { return segment{text: s} }
	tests := []struct {
		in   string
		want []segment
	}{
		{"", nil},
		{"$", []segment{text("$")}},
		{"$$", []segment{text("$$")}},
		{"${a}", []segment{{"a", true, 2}}},
		{"${ a }", []segment{{"a", true, 3}}},
		{"${a}${b}", []segment{{"a", true, 2}, {"b", true, 6}}},
		{"$${a}", []segment{text("${a}")}},
		{`${a ?? "}"}`, []segment{{`a ?? "}"`, true, 2}}},
		{`${a ?? '\'}'}`, []segment{{`a ?? '\'}'`, true, 2}}},
		{"${`a``}`}", []segment{{"`a``}`", true, 2}}},
		{"${ {a: {b: 1}} }", []segment{{"{a: {b: 1}}", true, 3}}},
		{"${a /* } */}", []segment{{"a /* } */", true, 2}}},
		{"${a // }\n}", []segment{{"a // }", true, 2}}},
		{"${a / b}", []segment{{"a / b", true, 2}}},
	}
	for _, test := range tests {
		got, err := scanTemplate(test.in)
		if err != nil {
			t.Errorf("%q: %+v", test.in, err)
		}
		for i := range got {
			if !got[i].expr {
				got[i].offset = 0
			}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: got %+v, want %+v", test.in, got, test.want)
		}
	}
	for _, in := range []string{"${", "${a", `${"a}`, "${'a}", "${`a}", "${}", "${ }", "${{}", "${a // }", "${a /* }", `${"\`} {
		if _, err := scanTemplate(in); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

func FuzzScanTemplate(f *testing.F) {
	for _, s := range []string{"a ${b} c", "$${", "${`", `${"\"}"}`, "${{{}}}", "${//\n}", "${/**/}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		segments, err := scanTemplate(s)
		if err != nil {
			if err.offset < 0 || err.offset >= len(s) || err.message == "" {
				t.Errorf("%q: %+v", s, err)
			}
			return
		}
		for i, segment := range segments {
			if segment.expr && !strings.HasPrefix(s[segment.offset:], segment.text) {
				t.Errorf("%q: segment %+v is not at its offset", s, segment)
			}
			if !segment.expr && i > 0 && !segments[i-1].expr {
				t.Errorf("%q: two texts in a row", s)
			}
			if segment.expr {
				// Must not panic, whatever it is.
				var problems problem.List
				checkSyntax(source{text: segment.text}, source{text: s, at: problem.Place{Line: 1, Column: 1}}, segment.offset, &problems)
			}
		}
	})
}

// TestPlace finds a marker in a file by the place that is told for it.
func TestPlace(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		`k: a ü ${§}`,
		`k: "a \" \\ ü ${§}"`,
		`k: 'a '' ${§}'`,
		"k: |\n  one\n  ${§}\n",
		"k: >\n  ${§}\n",
	} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(file), &n); err != nil {
			t.Fatal(err)
		}
		scalar := n.Content[0].Content[1]
		s := source{text: scalar.Value, at: problem.Place{Line: scalar.Line, Column: scalar.Column}, style: scalar.Style}
		at := s.place(strings.Index(scalar.Value, "§"))
		line := []rune(strings.Split(file, "\n")[at.Line-1])
		switch scalar.Style {
		case yaml.LiteralStyle:
			if !strings.Contains(string(line), "§") || at.Column != 0 {
				t.Errorf("%q: got %+v", file, at)
			}
		case yaml.FoldedStyle:
		default:
			if at.Column < 1 || at.Column > len(line) || line[at.Column-1] != '§' {
				t.Errorf("%q: got %+v", file, at)
			}
		}
	}
}
