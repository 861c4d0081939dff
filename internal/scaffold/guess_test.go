package scaffold

import (
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
)

// tablesOf makes tables: "contacts: id, account_id uuid, mood enum:good|deleted". A type that is not given is text; the
// first column is the key.
func tablesOf(texts ...string) (all []discover.Table) {
	for _, text := range texts {
		name, columns, _ := strings.Cut(text, ": ")
		t := discover.Table{TableName: cdc.TableName{Schema: "public", Name: name}, KeyInIdentity: true, Identity: cdc.IdentityDefault, Readable: true, Owned: true}
		for c := range strings.SplitSeq(columns, ", ") {
			name, base, given := strings.Cut(c, " ")
			if !given {
				base = "text"
			}
			column := discover.Column{Name: name, Base: base, Type: base}
			if labels, ok := strings.CutPrefix(base, "enum:"); ok {
				column.Base, column.Labels = "mood", strings.Split(labels, "|")
			}
			t.Columns = append(t.Columns, column)
		}
		t.Key = []string{t.Columns[0].Name}
		all = append(all, t)
	}
	return all
}

func pointers(all []discover.Table) (out []*discover.Table) {
	for i := range all {
		out = append(out, &all[i])
	}
	return out
}

func TestGuessAccount(t *testing.T) {
	t.Parallel()
	for promise, c := range map[string]struct {
		tables []string
		want   string
		has    int
	}{
		"MostTablesHaveIt":         {[]string{"a: id, tenant_id", "b: id, tenant_id, account_id", "c: id"}, "tenant_id", 2},
		"FirstOfEquals":            {[]string{"a: id, tenant_id, account_id"}, "account_id", 1},
		"AnyCase":                  {[]string{"a: id, accountId int8", "b: id, AccountID"}, "account_id", 2},
		"CompanyBesideAnAccount":   {[]string{"a: id, company_id", "b: id, company_id", "c: id, account_id"}, "account_id", 1},
		"CompanyOfHalfTheTables":   {[]string{"a: id, company_id", "b: id"}, "company_id", 1},
		"CompanyOfLessThanHalf":    {[]string{"a: id, company_id", "b: id", "c: id"}, "", 0},
		"NoneThatCannotNameAnyone": {[]string{"a: id, account_id jsonb", "b: id, tenant_id _int4"}, "", 0},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			if got, has := guessAccount(pointers(tablesOf(c.tables...))); got != c.want || has != c.has {
				t.Errorf("got %q, %d; want %q, %d", got, has, c.want, c.has)
			}
		})
	}
}

func TestGuessDeleted(t *testing.T) {
	t.Parallel()
	for columns, want := range map[string]string{
		"id, deleted_at timestamptz": "deleted_at != null", "id, discardedAt timestamp": "discardedAt != null", "id, deleted_on date": "deleted_on != null",
		"id, is_deleted bool": "is_deleted", "id, status enum:open|deleted": `status == "deleted"`, "id, in enum:deleted": `$env["in"] == "deleted"`,
		"id, archived_at timestamptz": "archived_at != null ?", "id, is_archived bool, deleted bool": "deleted",
		"id, deleted_at int8": "", "id, deleted": "", "id, deletable bool": "", "id, status enum:open|closed": "", "id": "",
	} {
		got := ""
		if c := guessDeleted(&tablesOf("t: " + columns)[0]); c != nil {
			if got = c.expression; c.unsure != "" {
				got += " ?"
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", columns, got, want)
		}
	}
}

func TestGuessIgnored(t *testing.T) {
	t.Parallel()
	table := tablesOf("t: id, updated_at timestamptz, modifiedOn date, posts_count int4, word_count, count int4, last_seen_at timestamp, lock_version int4, search tsvector, updated bool, created_at timestamptz")[0]
	if got, want := guessIgnored(&table), []string{"updated_at", "modifiedOn", "posts_count", "last_seen_at", "lock_version", "search"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	table = tablesOf("t: updated_at timestamptz, name")[0]
	if got := guessIgnored(&table); got != nil {
		t.Errorf("a key is ignored: %q", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for promise, c := range map[string]struct{ tables, want []string }{
		"AsTheyAre":           {[]string{"shop_product: id", "shop_category: id"}, []string{"shop_category", "shop_product"}},
		"DjangoWithoutTheApp": {[]string{"django_migrations: id", "shop_product: id", "shop_order_line: id", "auth_user: id"}, []string{"order_line", "product", "user"}},
		"DjangoLongAppNames":  {[]string{"django_migrations: id", "my_shop_product: id", "my_shop_category: id"}, []string{"category", "product"}},
		"DjangoSameInTwoApps": {[]string{"django_migrations: id", "shop_tag: id", "shop_item: id", "blog_tag: id", "blog_post: id"}, []string{"blog_post", "blog_tag", "shop_item", "shop_tag"}},
		"DjangoWithoutAnApp":  {[]string{"django_migrations: id", "product: id", "_: id"}, []string{"product", "t_"}},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			all := tablesOf(c.tables...)
			var got []string
			for _, r := range decide(all, all, false).resources {
				got = append(got, r.name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPlural(t *testing.T) {
	t.Parallel()
	for one, want := range map[string]string{"tag": "tags", "category": "categories", "day": "days", "box": "boxes", "match": "matches", "tags": "tags", "people": "people", "status": "statuses"} {
		if got := plural(one); got != want {
			t.Errorf("%s: got %s, want %s", one, got, want)
		}
	}
}

func TestScalar(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"id": "id", "${id}": "${id}", "deleted_at != null": "deleted_at != null", `status == "deleted"`: `status == "deleted"`, "/contacts/${id}": "/contacts/${id}",
		"on": "'on'", "No": "'No'", "~": "'~'", "": "''", "1": "'1'", "it's": "'it''s'", "a: b": "'a: b'", "a\nb": `"a\nb"`, "😀": "'😀'", "\u00a0": `"\u00a0"`,
	} {
		if got := scalar(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
