package scaffold

import (
	"context"
	"errors"
	"fmt"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
	"github.com/rowhook/rowhook/internal/openapi"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// Options say what a config is written for.
type Options struct {
	// URL of the database. The role needs no more than to see the tables in the catalog.
	URL secret.String
	// Schemas and Tables limit what is mapped; empty means all that can be. Tables that are named are mapped also if they
	// are a framework's.
	Schemas, Tables []string
	// API is the description of the API that representations are to look like, File what it is called; nil: there is none.
	API  *openapi.Document
	File string
}

// Write is the config, as YAML with comments.
func Write(ctx context.Context, o Options) ([]byte, error) {
	conn, err := cdc.Connect(ctx, o.URL, map[string]string{
		"application_name": "rowhook init", "default_transaction_read_only": "on", "statement_timeout": "60s", "lock_timeout": "5s"})
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, err := discover.Tables(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("read the database's tables: %w", err)
	}
	tables := all
	if len(o.Schemas) > 0 {
		if tables, err = discover.InSchemas(tables, o.Schemas); err != nil {
			return nil, err
		}
	}
	if len(o.Tables) > 0 {
		if tables, err = discover.Choose(tables, o.Tables); err != nil {
			return nil, err
		}
	}
	p := decide(all, tables, len(o.Tables) > 0)
	if len(p.resources) == 0 {
		return nil, nothing(p)
	}
	err = p.ask(func(def *mapping.Definition) (map[cdc.TableName]*cdc.Table, error) {
		found, err := cdc.LoadTables(ctx, conn, def.Tables())
		if err != nil {
			return nil, fmt.Errorf("read the tables' definitions: %w", err)
		}
		return found, nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range p.resources {
		if o.API == nil || !p.shape(r, all, o) {
			r.members = ofColumns(r)
		}
	}
	return p.write(conn.Config().User, o), nil
}

// nothing says why there is no table to map.
func nothing(p *plan) error {
	if len(p.omitted) == 0 {
		return errors.New("the database has no tables in the schemas that were asked for\n  hint: name the database that your application uses in --database-url")
	}
	text := "no table is left that can be mapped"
	for _, o := range p.omitted {
		text += fmt.Sprintf("\n  %s: %s", o.reason, shorten(o.tables))
	}
	return errors.New(text + "\n  hint: --table maps tables that are left out because of their names")
}
