package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
)

// TestParseEntry: an entry that came by a request is read as that of a file, with places that count in it, and reads nothing else.
func TestParseEntry(t *testing.T) {
	t.Setenv("ROWHOOK_TEST_SECRET", "hunter2")
	for _, c := range []struct{ text, problem string }{
		{"table: contacts\ncolumns: all\n", ""},
		{"{table: contacts, columns: [id]}", ""},
		{"table: contacts\nrepresentation:\n  id: ${id}\n", ""},
		{"", `1:1: resources.contact.table is required`},
		{"just a text", `1:1: `},
		{"table: contacts\ncolums: all\n", `2:1: unknown key "colums" in resources.contact (did you mean "columns"?)`},
		{"table: contacts\nrepresentation:\n  id: ${id\n", `3:7: ${ is not closed`},
		{"table: contacts\nrepresentation:\n  a: ${env:ROWHOOK_TEST_SECRET}\n", "3:6: ${env:…} and ${file:…} are for the config file alone"},
		{"table: contacts\nrepresentation:\n  a: ${env:NOT_THERE:-default}\n", "3:6: ${env:…} and ${file:…} are for the config file alone"},
		{"table: contacts\nrepresentation:\n  a: ${file:/etc/hostname}\n", "3:6: ${env:…} and ${file:…} are for the config file alone"},
		{"table: contacts\nwhere: name == $${env:ROWHOOK_TEST_SECRET}\ncolumns: all\n", "2:8: ${env:…} and ${file:…} are for the config file alone"},
		{"table: contacts\nwhere: name == \"a\" + ${env:ROWHOOK_TEST_SECRET}\ncolumns: all\n", "2:8: ${env:…} and ${file:…} are for the config file alone"},
		{"table: &a contacts\ncolumns: *a\n", "a YAML a"},
		{"table: contacts\n---\ntable: other\n", "one document"},
		{strings.Repeat("[", 20_000), "1"},
		{"table: contacts\nrepresentation: !!binary aGk=\n", "a YAML tag"},
		{"a\x80", "UTF-8"},
	} {
		r, problems := config.ParseEntry("contact", c.text)
		var told strings.Builder
		for _, p := range problems {
			fmt.Fprintf(&told, "%d:%d: %s (%s)\n", p.Line, p.Column, p.Message, p.Hint)
		}
		if (c.problem == "") != (told.Len() == 0) || !strings.Contains(told.String(), c.problem) {
			t.Errorf("%.80q: %s\nnot %s", c.text, told.String(), c.problem)
		}
		if strings.Contains(told.String()+fmt.Sprintf("%+v", r), "hunter2") {
			t.Errorf("%q tells the environment: %s %+v", c.text, told.String(), r)
		}
		if c.problem == "" && (r.Name != "contact" || r.Table.Name != "contacts") {
			t.Errorf("%q is %+v", c.text, r)
		}
	}
}
