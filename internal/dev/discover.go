package dev

import (
	"cmp"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
)

// plan is what becomes of the tables.
type plan struct {
	resources []resource
	// Tables of frameworks by the framework, tables that cannot be replicated with their reasons, and columns that look
	// secret: all that was left out.
	frameworks []omission
	unfit      []omission
	secrets    []string
}

type resource struct {
	name    string
	table   cdc.TableName
	columns []string
	key     []string
}

// omission is a reason and the tables that are left out for it.
type omission struct {
	reason string
	tables []string
}

// unfit is why a table cannot be replicated here, or empty.
func unfit(t *discover.Table) string {
	switch {
	case t.Unlogged:
		return "it is unlogged, so not in the log"
	case len(t.Key) == 0:
		return "no primary key"
	case !t.KeyInIdentity:
		return "its replica identity lacks the primary key"
	case !t.Owned:
		return "only its owner may publish it"
	}
	return ""
}

// decide makes the plan: of all tables, or of those named.
func decide(tables []discover.Table, only []string) (plan, error) {
	var p plan
	if len(only) > 0 {
		var err error
		if tables, err = discover.Choose(tables, only); err != nil {
			return p, err
		}
	}
	var names []cdc.TableName
	for _, t := range tables {
		shown := discover.Display(t.TableName)
		// A table that was named is wanted.
		if f := discover.Framework(t.Name); f != "" && len(only) == 0 {
			p.frameworks = omit(p.frameworks, f, shown)
			continue
		}
		if reason := unfit(&t); reason != "" {
			p.unfit = omit(p.unfit, reason, shown)
			continue
		}
		r := resource{table: t.TableName, key: t.Key}
		var secrets []string
		for _, c := range t.Columns {
			switch {
			case c.Generated != "": // not in the stream
			case discover.LooksSecret(c.Name):
				secrets = append(secrets, shown+"."+c.Name)
			default:
				r.columns = append(r.columns, c.Name)
			}
		}
		if slices.ContainsFunc(t.Key, discover.LooksSecret) {
			p.unfit = omit(p.unfit, "its primary key looks secret", shown)
			continue
		}
		p.secrets = append(p.secrets, secrets...)
		p.resources = append(p.resources, r)
		names = append(names, t.TableName)
	}
	for i, name := range discover.Names(names) {
		p.resources[i].name = name
	}
	slices.SortStableFunc(p.resources, func(a, b resource) int { return cmp.Compare(a.name, b.name) })
	return p, nil
}

func omit(list []omission, reason, table string) []omission {
	for i := range list {
		if list[i].reason == reason {
			list[i].tables = append(list[i].tables, table)
			return list
		}
	}
	return append(list, omission{reason, []string{table}})
}
