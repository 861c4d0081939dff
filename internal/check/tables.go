package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/mapping"
)

// identities tells what the tables' replica identities are too small for, with one mend for each table.
func (r *Report) identities(m *mapping.Mapper) {
	var tables []*cdc.Table
	byTable := map[*cdc.Table][]*mapping.Lack{}
	for _, l := range m.Lacks() {
		if byTable[l.Table] == nil {
			tables = append(tables, l.Table)
		}
		byTable[l.Table] = append(byTable[l.Table], l)
	}
	for _, t := range tables {
		sql, mend := byTable[t][0].Mend()
		for i, l := range byTable[t] {
			f := finding.Finding{Level: finding.Warning, Place: l.At.String(), What: l.What(), Consequence: l.Consequence}
			switch {
			case f.Consequence != "":
			case l.ToAccounts:
				f.Consequence = l.Event + " is offered to the admin only"
			default:
				f.Consequence = l.Event + " is offered to nobody"
			}
			f.Mend, f.SQL = mend, sql
			if i > 0 {
				f.Mend, f.SQL = fmt.Sprintf("as for %s above: a table has one replica identity, and that one is enough for all", t.TableName), nil
			}
			r.add(f)
		}
	}
}

// relations tells which indexes are missing.
func (r *Report) relations(m *mapping.Mapper) {
	told := map[string]bool{}
	for _, i := range m.MissingIndexes() {
		s := i.SQL()
		f := finding.Finding{Level: finding.Warning, Place: i.At.String(), What: i.What(), Consequence: "events that hold it are slow, and so is all behind them"}
		if i.Touch {
			f.Consequence = "its updates are slow, and so is all behind them"
		}
		if told[s.SQL] {
			f.Mend = "the index above is enough for both"
		} else {
			f.SQL = []finding.Statement{s}
		}
		told[s.SQL] = true
		r.add(f)
	}
}

// types tells what is sent otherwise than somebody may think.
func (r *Report) types(m *mapping.Mapper, cfg *config.Config, tables map[cdc.TableName]*cdc.Table) {
	var unsure []string
	for _, n := range tablesOf(cfg) {
		t := tables[n]
		if t == nil {
			continue
		}
		var money []string
		for _, name := range used(m, t) {
			if typ := t.Columns[t.Column(name)].Type; typ != nil && typ.Name == "money" && typ.OID < 16384 {
				money = append(money, name)
			}
		}
		if len(money) > 0 {
			r.add(finding.Finding{Level: finding.Info, Place: "table " + n.String(), What: fmt.Sprintf("%s is of the type money", strings.Join(money, ", ")),
				Consequence: "its text follows the server's lc_monetary: $1,234.50 here may be 1.234,50 € there", Mend: "numeric has no such surprises"})
		}
		if t.Identity != cdc.IdentityFull {
			unsure = append(unsure, n.String())
		}
	}
	if len(unsure) > 0 {
		r.add(finding.Finding{Level: finding.Info, Place: "replica identity", What: "old rows are not told whole of " + strings.Join(unsure, ", "),
			Consequence: "an update that changes nothing of what you send is sent all the same",
			Mend:        "where that matters more than the log that it costs: REPLICA IDENTITY FULL"})
	}
}

// used are the columns that the mapping of a table's rows uses.
func used(m *mapping.Mapper, t *cdc.Table) []string {
	rel := &cdc.Relation{OID: t.OID, Table: t.TableName, Identity: t.Identity}
	for i, c := range t.Columns {
		if c.Generated {
			continue
		}
		if slices.Contains(t.Key, i) {
			rel.Key = append(rel.Key, len(rel.Columns))
		}
		rel.Columns = append(rel.Columns, c)
	}
	var names []string
	for _, i := range m.Columns(rel) {
		names = append(names, rel.Columns[i].Name)
	}
	return names
}

// access is what the role of database.read_url may do with a table.
type access struct {
	usage, sel, guarded bool
	large               []string
}

// privileges tells which rows rowhook will want to read and may not. The Mapper may be nil.
func (r *Report) privileges(ctx context.Context, cfg *config.Config, m *mapping.Mapper, tables map[cdc.TableName]*cdc.Table, related []cdc.TableName) error {
	conn, err := cdc.Connect(ctx, cfg.Database.ReadURL, map[string]string{
		"application_name": "rowhook check", "default_transaction_read_only": "on", "statement_timeout": "30s", "lock_timeout": "10s"})
	var refused *cdc.Error
	if errors.As(err, &refused) {
		r.add(refused.Finding("database.read_url", "relations are not read, and large values are left out"))
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	role := conn.Config().User
	found, err := readAccess(ctx, conn, tables)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.add(finding.Finding{Level: finding.Error, Place: "database.read_url", What: fmt.Sprintf("the role's privileges cannot be read: %v (SQLSTATE %s)", "the server refuses", cdc.SQLState(err))})
		return nil
	}
	read := slices.Clone(related)
	if m != nil {
		for _, n := range m.OwnTables() {
			if !slices.Contains(read, n) {
				read = append(read, n)
			}
		}
	}
	for _, n := range read {
		a, ok := found[n]
		if !ok {
			continue
		}
		if !a.usage || !a.sel {
			r.add(finding.Finding{Level: finding.Error, Place: "table " + n.String(), What: fmt.Sprintf("the role %q may not read it, and relations need it", role),
				Consequence: "events that hold the relation become dead letters", SQL: missingGrants(n, role, a)})
		} else if a.guarded {
			r.add(finding.Finding{Level: finding.Error, Place: "table " + n.String(), What: fmt.Sprintf("row-level security guards it from the role %q, and relations need it", role),
				Consequence: "rowhook run refuses to start; while it runs, events that hold the relation become dead letters", SQL: []finding.Statement{seeAll(role)}})
		}
	}
	for _, res := range cfg.Mapping.Resources {
		if m == nil || res.Account == nil || slices.Contains(related, res.Table) {
			continue
		}
		info, ok := m.Resource(res.Name)
		a, there := found[res.Table]
		if !ok || !there || len(info.FromAPI) == 0 || a.usage && a.sel && !a.guarded {
			continue
		}
		f := finding.Finding{Level: finding.Warning, Place: "table " + res.Table.String(),
			What:        fmt.Sprintf("the role %q may not read it: whose an instance is when the application answers is not known", role),
			Consequence: fmt.Sprintf("what %s takes from ${api.…} is left out of events of accounts, and named in partial", res.Name)}
		if !a.usage || !a.sel {
			f.SQL = missingGrants(res.Table, role, a)
		}
		if a.guarded {
			f.SQL = append(f.SQL, seeAll(role))
		}
		r.add(f)
	}
	for _, n := range tablesOf(cfg) {
		a, t := found[n], tables[n]
		if m == nil || t == nil || slices.Contains(read, n) || t.Identity == cdc.IdentityFull {
			continue
		}
		var large []string
		for _, c := range used(m, t) {
			if slices.Contains(a.large, c) {
				large = append(large, c)
			}
		}
		if len(large) == 0 {
			continue
		}
		what := fmt.Sprintf("%s may hold large values, which the log leaves out of an update that does not touch them", strings.Join(large, ", "))
		const consequence = "they are left out of such events, and named in partial"
		switch {
		case !a.usage || !a.sel:
			r.add(finding.Finding{Level: finding.Warning, Place: "table " + n.String(), What: fmt.Sprintf("the role %q may not read it: ", role) + what,
				Consequence: consequence, SQL: missingGrants(n, role, a)})
		case a.guarded:
			r.add(finding.Finding{Level: finding.Warning, Place: "table " + n.String(), What: fmt.Sprintf("row-level security guards it from the role %q: ", role) + what,
				Consequence: consequence, SQL: []finding.Statement{seeAll(role)}})
		}
	}
	return nil
}

// missingGrants are those of grants that the role lacks.
func missingGrants(n cdc.TableName, role string, a access) []finding.Statement {
	all := grants(n, role)
	switch {
	case a.usage:
		return all[1:]
	case a.sel:
		return all[:1]
	}
	return all
}

// seeAll lets the role pass by row-level security.
func seeAll(role string) finding.Statement {
	return finding.Statement{Phase: finding.Grant, SQL: cdc.SeeAll(role),
		Note: "Of all tables that it has SELECT on. A policy is not enough: rowhook reads with row_security off, so that no hidden row looks as if it were gone.\n" +
			"Where nobody may give this, a role that owns the tables, and shares them with rowhook's by GRANT, does the same."}
}

func readAccess(ctx context.Context, conn *pgx.Conn, tables map[cdc.TableName]*cdc.Table) (map[cdc.TableName]access, error) {
	schemas, names := []string{}, []string{}
	for n := range tables {
		schemas, names = append(schemas, n.Schema), append(names, n.Name)
	}
	rows, err := conn.Query(ctx, `
		select n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT') or has_any_column_privilege(c.oid, 'SELECT'),
			row_security_active(c.oid),
			array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attstorage <> 'p'
				-- a varchar that is short stays in its row
				and not (a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod between 5 and 254)
				-- and so does a number, in all that anybody writes down
				and a.atttypid not in ('numeric'::regtype, 'inet'::regtype, 'cidr'::regtype, 'varbit'::regtype))
		from unnest($1::text[], $2::text[]) as w(s, t)
		join pg_namespace n on n.nspname = w.s
		join pg_class c on c.relnamespace = n.oid and c.relname = w.t`, schemas, names)
	if err != nil {
		return nil, err
	}
	found := map[cdc.TableName]access{}
	var n cdc.TableName
	var a access
	_, err = pgx.ForEachRow(rows, []any{&n.Schema, &n.Name, &a.usage, &a.sel, &a.guarded, &a.large}, func() error {
		found[n] = a
		a.large = nil
		return nil
	})
	return found, err
}
