package scaffold

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/discover"
)

// accountNames are columns that name the customer whom a row belongs to: the first ones nearly always, the others where
// most tables have them.
var (
	accountNames = []string{"account_id", "tenant_id", "organization_id", "organisation_id", "org_id", "workspace_id", "team_id",
		"account_uuid", "tenant_uuid", "organization_uuid", "account", "tenant", "organization", "organisation", "workspace"}
	perhapsAccountNames = []string{"customer_id", "company_id", "client_id", "merchant_id", "shop_id", "store_id", "customer", "merchant"}
)

// guessAccount is the name, in snake case, that the account's column has in most tables, and in how many.
func guessAccount(tables []*discover.Table) (string, int) {
	has := map[string]int{}
	for _, t := range tables {
		for _, c := range t.Columns {
			if c.Generated == "" && singleValue(c) {
				has[discover.Snake(c.Name)]++
			}
		}
	}
	most := func(names []string) (name string) {
		for _, n := range names {
			if has[n] > has[name] {
				name = n
			}
		}
		return name
	}
	if name := most(accountNames); name != "" {
		return name, has[name]
	}
	if name := most(perhapsAccountNames); name != "" && 2*has[name] >= len(tables) {
		return name, has[name]
	}
	return "", 0
}

// singleValue says whether a column can hold the name of a customer.
func singleValue(c discover.Column) bool {
	switch c.Base {
	case "int2", "int4", "int8", "text", "varchar", "citext", "uuid", "bpchar", "numeric":
		return true
	}
	return false
}

// condition is a guessed one.
type condition struct {
	expression string
	// unsure is why it is only proposed; usually empty.
	unsure string
}

// guessDeleted says which rows of a table count as deleted; nil where nothing looks like it.
func guessDeleted(t *discover.Table) *condition {
	var archived *condition
	for _, c := range t.Columns {
		if c.Generated != "" {
			continue
		}
		when := ""
		switch {
		case isTime(c):
			when = column(c.Name) + " != null"
		case c.Base == "bool":
			when = column(c.Name)
		case slices.Contains(c.Labels, "deleted") && !strings.HasPrefix(c.Base, "_"):
			return &condition{expression: column(c.Name) + ` == "deleted"`}
		default:
			continue
		}
		switch discover.Snake(c.Name) {
		case "deleted_at", "discarded_at", "removed_at", "soft_deleted_at", "deleted_on", "date_deleted", "deleted", "is_deleted", "soft_deleted",
			"discarded", "is_discarded", "is_removed":
			return &condition{expression: when}
		case "archived_at", "archived", "is_archived", "archived_on":
			archived = &condition{when, "only if archived ones are gone for your customers"}
		}
	}
	return archived
}

func isTime(c discover.Column) bool {
	return c.Base == "timestamptz" || c.Base == "timestamp" || c.Base == "date"
}

func isInteger(c discover.Column) bool {
	return c.Base == "int2" || c.Base == "int4" || c.Base == "int8"
}

// noise are columns that change without anything that a customer would want to hear of.
var noise = []string{"updated_at", "modified_at", "updated_on", "modified_on", "last_modified", "last_modified_at", "date_updated", "date_modified",
	"update_time", "modified", "updated", "lock_version", "row_version", "last_seen_at", "last_seen", "last_login", "last_login_at", "last_sign_in_at",
	"current_sign_in_at", "last_sign_in_ip", "current_sign_in_ip", "last_active_at", "last_activity_at", "last_accessed_at", "last_used_at",
	"last_synced_at", "synced_at", "touched_at"}

// guessIgnored are the columns of a table whose change alone is no update.
func guessIgnored(t *discover.Table) (columns []string) {
	for _, c := range t.Columns {
		name := discover.Snake(c.Name)
		if c.Generated != "" || slices.Contains(t.Key, c.Name) {
			continue
		}
		if slices.Contains(noise, name) && c.Base != "bool" || strings.HasSuffix(name, "_count") && isInteger(c) || c.Base == "tsvector" {
			columns = append(columns, c.Name)
		}
	}
	return columns
}

// presets are what tables of frameworks say of what the API is made with.
var presets = []struct {
	table, preset, of string
	// sure says that hardly anything else has the table.
	sure bool
}{
	{"ar_internal_metadata", "rails", "Rails", true},
	{"django_migrations", "django", "Django", true},
	{"alembic_version", "fastapi", "Alembic, which FastAPI applications often use", false},
	{"knex_migrations", "node", "Knex", true},
	{"_prisma_migrations", "node", "Prisma", true},
	{"__drizzle_migrations", "node", "Drizzle", true},
	{"sequelizemeta", "node", "Sequelize", true},
	{"goose_db_version", "go", "goose", true},
}

// preset is how types are written.
type preset struct {
	name, why string
	sure      bool
}

// guessPresets are those that the tables speak for, each once.
func guessPresets(tables []discover.Table) (found []preset) {
	for _, p := range presets {
		for _, t := range tables {
			if strings.ToLower(t.Name) != p.table {
				continue
			}
			if !slices.ContainsFunc(found, func(f preset) bool { return f.name == p.preset }) {
				found = append(found, preset{p.preset, fmt.Sprintf("%s is a table of %s", t.Name, p.of), p.sure})
			}
			break
		}
	}
	if len(found) > 1 {
		for i := range found {
			found[i].sure = false
		}
	}
	return found
}

// nameColumns are what a person would call a row by.
var nameColumns = []string{"name", "title", "full_name", "display_name", "label", "slug", "username", "email", "number", "code", "sku"}

// called is the column that a row is called by, or "".
func called(t *discover.Table) string {
	for _, want := range nameColumns {
		for _, c := range t.Columns {
			if discover.Snake(c.Name) == want && !slices.Contains(t.Key, c.Name) {
				return c.Name
			}
		}
	}
	return ""
}
