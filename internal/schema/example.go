package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Example is a value that is valid against the schema, as JSON: the same each time, and plausible under the name of the
// member that it stands for. Another one asks for a second value of the same kind, where there is one.
func (s *Schema) Example(name string, another bool) []byte {
	var b bytes.Buffer
	s.example(&b, name, another)
	return b.Bytes()
}

func (s *Schema) example(b *bytes.Buffer, name string, another bool) {
	switch {
	case s.value != nil:
		b.Write(s.value)
		return
	case s.Const != nil:
		write(b, s.Const)
		return
	case len(s.Enum) > 0:
		at := 0
		if another && len(s.Enum) > 1 && s.Enum[1] != nil {
			at = 1
		}
		write(b, s.Enum[at])
		return
	case len(s.AnyOf) > 0:
		s.AnyOf[0].example(b, name, another)
		return
	case len(s.Type) == 0:
		b.WriteString("null")
		return
	}
	switch s.Type[0] {
	case Boolean:
		write(b, !another)
	case Integer:
		write(b, map[bool]int{false: 1, true: 2}[another])
	case Number:
		write(b, map[bool]json.Number{false: "12.5", true: "10.5"}[another])
	case String:
		write(b, s.text(strings.ToLower(name), another))
	case Array:
		b.WriteByte('[')
		if s.Items != nil && !s.Items.IsAny() {
			s.Items.example(b, strings.TrimSuffix(name, "s"), another)
		}
		b.WriteByte(']')
	case Object:
		b.WriteByte('{')
		for i, m := range s.Properties {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, m.Name)
			b.WriteByte(':')
			m.example(b, m.Name, another)
		}
		b.WriteByte('}')
	default:
		b.WriteString("null")
	}
}

func write(b *bytes.Buffer, v any) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if e.Encode(v) == nil {
		b.Write(bytes.TrimSpace(text.Bytes()))
	}
}

// texts are first and second examples by format, and by encoding.
var texts = map[string][2]string{
	"date-time": {"2026-01-31T09:30:00Z", "2026-01-30T08:00:00Z"},
	"date":      {"2026-01-31", "2026-01-30"},
	"uuid":      {"0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"},
	"duration":  {"PT1H", "PT30M"},
	"base64":    {"cm93aG9vaw==", "aG9vaw=="},
}

// named are examples by what is in a member's name; the first that fits counts.
var named = []struct {
	in []string
	of [2]string
}{
	{[]string{"email", "mail"}, [2]string{"ada@example.com", "ada.lovelace@example.com"}},
	{[]string{"url", "link", "href", "website"}, [2]string{"https://example.com/1", "https://example.com/2"}},
	{[]string{"phone", "mobile", "fax"}, [2]string{"+1 555 0100", "+1 555 0101"}},
	{[]string{"first_name", "firstname", "given"}, [2]string{"Ada", "Augusta"}},
	{[]string{"last_name", "lastname", "surname", "family"}, [2]string{"Lovelace", "Byron"}},
	{[]string{"name"}, [2]string{"Ada Lovelace", "Ada Byron"}},
	{[]string{"city", "town"}, [2]string{"London", "Paris"}},
	{[]string{"street", "address"}, [2]string{"12 St James's Square", "1 High Street"}},
	{[]string{"country"}, [2]string{"GB", "FR"}},
	{[]string{"currency"}, [2]string{"EUR", "USD"}},
	{[]string{"zip", "postal"}, [2]string{"10115", "10117"}},
}

// patterned are tried in the place of a text whose schema has a pattern.
var patterned = [][2]string{{"12.50", "10.00"}, {"42", "41"}, {"0f8fad5bd9cb469fa16570867728950e", "7c9e6679742540de944be07fc1f90ae7"},
	{"0a1b", "0a1c"}, {`\x0a1b`, `\x0a1c`}, {"0000000100000000016b37480000000000000000", "0000000100000000016b37480000000000000001"}}

func (s *Schema) text(name string, another bool) string {
	of := [2]string{"text", "another text"}
	switch known, ok := texts[s.Format]; {
	case ok:
		of = known
	case s.ContentEncoding != "":
		of = texts[s.ContentEncoding]
	case s.Pattern != "":
		for _, try := range patterned {
			if matches(s.Pattern, try[0]) && matches(s.Pattern, try[1]) {
				of = try
				break
			}
		}
	default:
		for _, n := range named {
			if slices.ContainsFunc(n.in, func(part string) bool { return strings.Contains(name, part) }) {
				of = n.of
				break
			}
		}
	}
	if another {
		return of[1]
	}
	return of[0]
}
