package cdc

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// mapped are the tables that are to be published now: those of Config.Tables, until Publish gave others.
func (s *Source) mapped() []TableName {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables
}

// over is a Source for other tables, for what looks at them only.
func (s *Source) over(tables []TableName) *Source {
	return &Source{cfg: s.cfg, tables: tables}
}

// Tables reads and checks the definitions of further tables as they are now, as Inspect does at the start. It changes
// nothing, and may be called while the Source runs. Errors are of type Error.
func (s *Source) Tables(ctx context.Context, names []TableName) (map[TableName]*Table, error) {
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	found, err := LoadTables(ctx, conn, names)
	if err != nil {
		return nil, s.trouble("read the tables' definitions", err)
	}
	return found, checkTables(names, found)
}

// Publish makes the tables, whose definitions Tables gave, those that are to be published, without disturbing the stream:
// those that the publication lacks are added to it. It returns these, and those that are not needed any more, which stay
// in the publication. When it fails nothing has changed. Errors are of type Error.
func (s *Source) Publish(ctx context.Context, names []TableName, found map[TableName]*Table) (added, left []TableName, err error) {
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer closeConn(conn)
	cat := &Catalog{Tables: found}
	if err := s.over(names).ensurePublication(ctx, conn, cat); err != nil {
		return nil, nil, err
	}
	for _, t := range s.mapped() {
		if !slices.Contains(names, t) {
			left = append(left, t)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables = slices.Clone(names)
	return cat.AddedTables, left, nil
}

// Unpublish is the statement that takes tables out of the publication.
func (s *Source) Unpublish(tables []TableName) string {
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = "ONLY " + t.Quote()
	}
	return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s;", QuoteIdent(s.cfg.Publication), strings.Join(quoted, ", "))
}

// Lineage identifies the database in event ids; empty before Establish.
func (s *Source) Lineage() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catalog == nil {
		return ""
	}
	return s.catalog.Lineage()
}
