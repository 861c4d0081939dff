package cdctest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// jsonText checks a document. json keeps it as it is; jsonb sorts the members, keeps the last one of each name, and writes
// numbers as numeric does.
func jsonText(s string, binary bool) (string, error) {
	if !json.Valid([]byte(s)) {
		return "", mistake{shown(s) + " is not JSON", `write it as a map or a list, or as JSON in quotes: '"a text"'`}
	}
	if !binary {
		return s, nil
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var b strings.Builder
	if err := jsonb(d, &b); err != nil {
		return "", err
	}
	return b.String(), nil
}

// jsonb writes the next value.
func jsonb(d *json.Decoder, b *strings.Builder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return jsonbItems(d, b)
		}
		return jsonbMembers(d, b)
	case string:
		return jsonbString(v, b)
	case json.Number:
		n, err := numeric(v.String())
		b.WriteString(n)
		return err
	case nil:
		b.WriteString("null")
	default:
		fmt.Fprint(b, v)
	}
	return nil
}

func jsonbItems(d *json.Decoder, b *strings.Builder) error {
	b.WriteByte('[')
	for n := 0; d.More(); n++ {
		if n > 0 {
			b.WriteString(", ")
		}
		if err := jsonb(d, b); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	_, err := d.Token()
	return err
}

func jsonbMembers(d *json.Decoder, b *strings.Builder) error {
	values := map[string]string{}
	var names []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return io.ErrUnexpectedEOF
		}
		var value strings.Builder
		if err := jsonb(d, &value); err != nil {
			return err
		}
		if _, again := values[name]; !again {
			names = append(names, name)
		}
		values[name] = value.String()
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)) })
	b.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := jsonbString(name, b); err != nil {
			return err
		}
		b.WriteString(": " + values[name])
	}
	b.WriteByte('}')
	return nil
}

func jsonbString(s string, b *strings.Builder) error {
	if strings.ContainsRune(s, 0) {
		return mistake{shown(s) + ` cannot be in a jsonb`, `leave \u0000 out: Postgres has no text with it`}
	}
	b.WriteByte('"')
	for _, c := range s {
		switch c {
		case '"', '\\':
			b.WriteRune('\\')
			b.WriteRune(c)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if c < ' ' {
				fmt.Fprintf(b, `\u%04x`, c)
				continue
			}
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return nil
}
