// Package check looks at a config and at the database that it names, and says all that is wrong with them, and what mends
// it. It changes nothing, and needs no rowhook to have run before. What it finds is decided where run decides it too.
package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
)

// Report is what was found.
type Report struct {
	// Findings are sorted: errors first.
	Findings []finding.Finding
	// Good says in a line each what is as it should be.
	Good []string
	// script is what a database needs that could not be looked at.
	script []finding.Statement
	// slot is the slot's name, for the script; empty where the config could not be read.
	slot string
}

// Count is how many findings have the level.
func (r *Report) Count(l finding.Level) int { return finding.Count(r.Findings, l) }

func (r *Report) add(f ...finding.Finding) { r.Findings = append(r.Findings, f...) }

func (r *Report) good(format string, args ...any) {
	r.Good = append(r.Good, fmt.Sprintf(format, args...))
}

// problems adds mistakes of the config. Those that SQL mends have it by their places.
func (r *Report) problems(list problem.List, sql map[problem.Place][]finding.Statement) {
	sorted := list
	if errors.As(list.Err(), &sorted) {
		list = sorted
	}
	for _, p := range list {
		r.add(finding.Finding{Level: finding.Error, Place: p.Place.String(), What: p.Message, Consequence: "rowhook run refuses to start", Mend: p.Hint, SQL: sql[p.Place]})
	}
}

// Mistakes is the report on a config that could not be loaded: nothing else is known then.
func Mistakes(list problem.List) *Report {
	r := &Report{}
	r.problems(list, nil)
	return r
}

// Options say for what kind of run it is looked.
type Options struct {
	// Temporary is a run without a config file and with a slot of its own that ends with it: the slot is there because it runs, and what is
	// told is the database's alone, as nobody has written the keys.
	Temporary bool
}

// Run looks at everything. The error is the context's.
func Run(ctx context.Context, cfg *config.Config, o Options) (*Report, error) {
	r := &Report{slot: cfg.Database.Slot}
	def, problems := mapping.Parse(cfg.Mapping)
	r.problems(problems, nil)
	if !o.Temporary {
		r.config(cfg)
	}
	if len(problems) == 0 {
		r.good("config: %s", plural(len(cfg.Mapping.Resources), "resource"))
	}
	stores := storeConfig(cfg)
	kept, err := store.Look(ctx, stores)
	if err != nil {
		return nil, err
	}
	var checkpoints cdc.Checkpoints
	if kept.Store != nil {
		defer kept.Store.Close()
		checkpoints = kept.Store
	}
	src, err := cdc.New(cdc.Config{URL: cfg.Database.URL, Slot: cfg.Database.Slot, Publication: cfg.Database.Publication,
		Environment: cfg.Database.Environment, Tables: publishedOf(cfg, def), Temporary: o.Temporary, ReadOnly: true}, nil, checkpoints)
	if err != nil {
		r.add(finding.Finding{Level: finding.Error, Place: "config", What: err.Error()})
		return r, nil
	}
	s, err := src.Survey(ctx)
	if err != nil {
		return nil, err
	}
	r.Good = append(r.Good, s.Good...)
	r.add(s.Findings...)
	if s.LoggedIn || stores.SourceURL != "" {
		r.Good = append(r.Good, kept.Good...)
		r.add(kept.Findings...)
	} // else it is the same refusal
	switch {
	case !s.LoggedIn:
		r.blind(cfg, def, src, stores, s.Role)
	case s.Catalog.Tables != nil:
		if err := r.mapped(ctx, cfg, def, len(problems) == 0, s); err != nil {
			return nil, err
		}
	}
	if !o.Temporary {
		r.slotBounds(cfg, s)
	}
	finding.Sort(r.Findings)
	return r, nil
}

func storeConfig(cfg *config.Config) store.Config {
	c := store.Config{URL: cfg.Store.URL, Schema: cfg.Store.Schema}
	if cfg.Store.URL != cfg.Database.URL {
		c.SourceURL = cfg.Database.URL
	}
	if key := cfg.Store.EncryptionKey; key != "" {
		// The config was refused if one of them were none.
		c.Keys, _ = seal.New(append([]secret.String{key}, cfg.Store.PreviousKeys...)...)
	}
	return c
}

// tablesOf are the mapped tables, also of a mapping that cannot be parsed.
func tablesOf(cfg *config.Config) []cdc.TableName {
	var tables []cdc.TableName
	for _, r := range cfg.Mapping.Resources {
		if r.Table.Name != "" && !slices.Contains(tables, r.Table) {
			tables = append(tables, r.Table)
		}
	}
	return tables
}

// publishedOf are the tables whose changes are needed: those that are mapped, then those of relations that touch.
func publishedOf(cfg *config.Config, def *mapping.Definition) []cdc.TableName {
	tables := tablesOf(cfg)
	for _, t := range def.TouchedTables() {
		if t.Name != "" && !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
	}
	return tables
}

// mapped looks at the mapped tables, and at those of relations.
func (r *Report) mapped(ctx context.Context, cfg *config.Config, def *mapping.Definition, parsed bool, s *cdc.Survey) error {
	// What is wrong with a table is told once, at the first resource that names it.
	told := map[problem.Place]bool{}
	done := map[cdc.TableName]bool{}
	for _, res := range cfg.Mapping.Resources {
		findings := s.Tables[res.Table]
		if len(findings) == 0 {
			continue
		}
		told[res.TableAt] = true
		if done[res.Table] {
			continue
		}
		done[res.Table] = true
		for _, f := range findings {
			if at := res.TableAt.String(); at != "" && f.Place == "table "+res.Table.String() {
				f.Place = at
			}
			r.add(f)
		}
	}
	for _, n := range def.TouchedTables() {
		// What is no table, or not there, is told where the relation names it.
		if t := s.Catalog.Tables[n]; t != nil && (t.Kind == 'r' || t.Kind == 'p') && !done[n] {
			done[n] = true
			r.add(s.Tables[n]...)
		}
	}
	if !parsed {
		return nil
	}
	tables := maps.Clone(s.Catalog.Tables)
	related := def.RelatedTables()
	if len(related) > 0 {
		found, err := cdc.RelatedTables(ctx, cfg.Database.ReadURL, related, lineageOf(s))
		var refused *cdc.Error
		switch {
		case errors.As(err, &refused):
			r.add(refused.Finding("database.read_url", "rowhook run refuses to start, or waits"))
			return nil
		case err != nil:
			return err
		}
		for name, t := range found {
			if mine := tables[name]; mine != nil {
				mine.Indexes = t.Indexes
				continue
			}
			tables[name] = t
		}
	}
	m, problems := def.Compile(tables, "check")
	var left problem.List
	for _, p := range problems {
		if !told[p.Place] {
			left = append(left, p)
		}
	}
	r.problems(left, def.MendKeys(tables))
	if err := r.privileges(ctx, cfg, m, tables, related); err != nil {
		return err
	}
	if m != nil {
		r.identities(m)
		r.relations(m)
		r.types(m, cfg, s.Catalog.Tables)
	}
	return nil
}

// lineageOf is empty where the server did not tell who it is.
func lineageOf(s *cdc.Survey) string {
	if s.Catalog.SystemID == "" {
		return ""
	}
	return s.Catalog.Lineage()
}

// blind says what a database needs that did not let the role in.
func (r *Report) blind(cfg *config.Config, def *mapping.Definition, src *cdc.Source, stores store.Config, role string) {
	r.script = src.Script()
	tables := tablesOf(cfg)
	if def != nil {
		for _, t := range def.RelatedTables() {
			if !slices.Contains(tables, t) {
				tables = append(tables, t)
			}
		}
	}
	for _, t := range tables {
		r.script = append(r.script, grants(t, role)...)
	}
	if stores.SourceURL == "" {
		r.script = append(r.script, store.SchemaStatement(stores, role))
	}
	r.add(finding.Finding{Level: finding.Info, Place: "database.url", What: "nothing in the database could be looked at",
		Mend: "check --sql prints what makes the role and all else that the config names; then check again"})
}

// grants let a role read a table.
func grants(t cdc.TableName, role string) []finding.Statement {
	return []finding.Statement{
		{Phase: finding.Grant, SQL: fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s;", cdc.QuoteIdent(t.Schema), cdc.QuoteIdent(role))},
		{Phase: finding.Grant, SQL: fmt.Sprintf("GRANT SELECT ON %s TO %s;", t.Quote(), cdc.QuoteIdent(role))},
	}
}
