package scaffold

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/secret"
)

// TestManyTables writes 300 tables, twice the same, and it works.
func TestManyTables(t *testing.T) {
	t.Parallel()
	url := databaseOf(t, "testdata/rails.sql")
	var sql strings.Builder
	for i := range 300 {
		fmt.Fprintf(&sql, "create table things_%d (id bigint primary key, account_id bigint references accounts, name text, parent_id bigint references things_%d);\n", i, max(i-1, 0))
	}
	if _, err := connect(t, url).Exec(t.Context(), sql.String()); err != nil {
		t.Fatal(err)
	}
	first, err := Write(t.Context(), Options{URL: secret.String(url)})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Write(t.Context(), Options{URL: secret.String(url)}); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second time it is another text: %v", err)
	}
	if n := bytes.Count(first, []byte("\n    table: things_")); n != 300 {
		t.Errorf("it has %d of 300 tables", n)
	}
	for _, text := range []string{string(first), uncommented(string(first))} {
		if err := works(t.Context(), url, []byte(text)); err != nil {
			t.Error(err)
		}
	}
}

// TestRights asks as a role that may read one table, may not see into a schema, and may write nothing.
func TestRights(t *testing.T) {
	t.Parallel()
	url := databaseOf(t, "testdata/rails.sql")
	conn := connect(t, url)
	role := "init_" + regexp.MustCompile(`[^a-z0-9]`).ReplaceAllString(conn.Config().Database, "")
	_, err := conn.Exec(t.Context(), fmt.Sprintf(`create schema hidden; create table hidden.secrets_of_state (id int primary key);
		create role %s login password 'pw'; grant select on accounts to %[1]s`, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := conn.Exec(context.Background(), fmt.Sprintf(`revoke all on accounts from %s; drop role %[1]s`, role)); err != nil {
			t.Error(err)
		}
	})
	asked := regexp.MustCompile(`//[^@]*@`).ReplaceAllString(url, "//"+role+":pw@")
	text, err := Write(t.Context(), Options{URL: secret.String(asked)})
	if err != nil {
		t.Fatal(err)
	}
	grant := `GRANT SELECT ON "public"."projects" TO "` + role + `";`
	if joined := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "#", "")), " "); !strings.Contains(joined, grant) || strings.Contains(joined, `ON "public"."accounts" TO`) {
		t.Errorf("it does not say %s, or asks for what the role has:\n%s", grant, text)
	}
	if !bytes.Contains(text, []byte("table: hidden.secrets_of_state")) {
		t.Errorf("a schema that the role may not use is not there:\n%s", text)
	}
	if bytes.Contains(text, []byte(":pw@")) || bytes.Contains(text, []byte("127.0.0.1:5")) {
		t.Error("the file has the connection string")
	}
	if err := works(t.Context(), url, text); err != nil {
		t.Error(err)
	}
}

// TestChosen limits what is mapped, and names what is not there.
func TestChosen(t *testing.T) {
	t.Parallel()
	url := databaseOf(t, "testdata/hostile.sql")
	resource := regexp.MustCompile(`(?m)^  ([a-z0-9_]+):$`)
	for promise, c := range map[string]struct {
		o    Options
		want []string
		err  string
	}{
		"OneSchema":       {o: Options{Schemas: []string{"billing"}}, want: []string{"invoice"}},
		"SchemaAndTable":  {o: Options{Schemas: []string{"billing", "public"}, Tables: []string{"billing.invoices", "skus"}}, want: []string{"invoice", "skus"}},
		"NamedTwice":      {o: Options{Tables: []string{"skus", "public.skus"}}, want: []string{"skus"}},
		"UnknownSchema":   {o: Options{Schemas: []string{"biling"}}, err: `no table is in a schema "biling"` + "\n  hint: did you mean \"billing\"?"},
		"UnknownTable":    {o: Options{Tables: []string{"sku", "nope"}}, err: `there is no table "sku"` + "\n  hint: did you mean \"skus\"?\nthere is no table \"nope\""},
		"NothingIsLeft":   {o: Options{Tables: []string{"no_key", "api_tokens"}}, err: "no table is left that can be mapped\n  tables without a primary key"},
		"NotOfThatSchema": {o: Options{Schemas: []string{"public"}, Tables: []string{"billing.invoices"}}, err: `there is no table "billing.invoices"`},
		"QuotedName":      {o: Options{Schemas: []string{"My Schema"}}, want: []string{"on"}},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			c.o.URL = secret.String(url)
			text, err := Write(t.Context(), c.o)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range resource.FindAllStringSubmatch(string(text[bytes.Index(text, []byte("\nresources:")):]), -1) {
				got = append(got, m[1])
			}
			if c.want[0] == "on" {
				c.want = nil // it is in quotes
				if !bytes.Contains(text, []byte("\n  'on':\n")) {
					t.Errorf("the resource on is not in quotes:\n%s", text)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if err := works(t.Context(), url, text); err != nil {
				t.Error(err)
			}
		})
	}
}
