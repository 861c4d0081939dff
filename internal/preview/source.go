package preview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// Source is the database and the application, as far as one needs them to show what would be sent.
type Source struct {
	cfg    *config.Config
	Conn   *pgx.Conn
	rows   *cdc.RowReader
	App    *application.Client
	Mapper *mapping.Mapper
	// tables are those that the mapping reads.
	tables map[cdc.TableName]*cdc.Table
}

// renderTimeout bounds the reading of one row's relations, and of the application's answer.
const renderTimeout = 30 * time.Second

// Open connects, read only, and compiles the mapping, which has to have the resources.
func Open(ctx context.Context, cfg *config.Config, name string, resources ...string) (*Source, error) {
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range cfg.Mapping.Resources {
		names = append(names, r.Name)
	}
	for _, resource := range resources {
		if !slices.Contains(names, resource) {
			hint := problem.DidYouMean(resource, names)
			if hint == "" {
				hint = "there are: " + strings.Join(names, ", ")
			}
			return nil, fmt.Errorf("the config has no resource %q\n  hint: %s", resource, hint)
		}
	}
	// Under the settings that the replication connection has, so that values look the same.
	conn, err := cdc.Connect(ctx, cfg.Database.URL, map[string]string{
		"application_name": name, "default_transaction_read_only": "on", "statement_timeout": "30s"})
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, Conn: conn, rows: cdc.NewRowReader(cfg.Database.ReadURL, cfg.Limits.MaxRow, slog.New(slog.DiscardHandler)),
		App: application.New(application.Config{URL: cfg.App.URL, Headers: cfg.App.Headers, MaxBytes: cfg.Limits.MaxRow, UserAgent: name})}
	if err := s.compile(ctx, def); err != nil {
		s.Close(ctx)
		return nil, err
	}
	return s, nil
}

func (s *Source) compile(ctx context.Context, def *mapping.Definition) error {
	tables, err := cdc.LoadTables(ctx, s.Conn, def.Tables())
	if err != nil {
		return fmt.Errorf("read the tables' definitions: %w", err)
	}
	if names := def.RelatedTables(); len(names) > 0 {
		related, err := cdc.RelatedTables(ctx, s.cfg.Database.ReadURL, names, "")
		if err != nil {
			return err
		}
		maps.Copy(related, tables)
		tables = related
	}
	s.tables = tables
	mapper, problems := def.Compile(tables, "")
	s.Mapper = mapper
	return problems.Err()
}

// Close ends the connections.
func (s *Source) Close(ctx context.Context) {
	s.rows.Close()
	s.App.Close()
	_ = s.Conn.Close(context.WithoutCancel(ctx))
}

// Render makes the data of a row, with its relations as they are now, and what it takes from the application's answer,
// for which ask is called.
func (s *Source) Render(ctx context.Context, resource string, op cdc.Op, row cdc.Row, ask func(context.Context, string) ([]byte, error)) (*mapping.Event, error) {
	e, err := s.Mapper.Preview(resource, op, row)
	if err != nil {
		return nil, &MappingError{err.Error()}
	}
	return e, s.complete(ctx, e, ask)
}

// complete puts in what an event waits for, as it is now.
func (s *Source) complete(ctx context.Context, e *mapping.Event, ask func(context.Context, string) ([]byte, error)) error {
	if !e.Incomplete() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, renderTimeout)
	defer cancel()
	completion := mapping.NewCompletion([]*mapping.Event{e})
	if err := s.rows.ReadRelated(ctx, nil, completion, int(min(s.cfg.Limits.MaxRow, math.MaxInt32))); err != nil {
		var refused *cdc.LookupError
		if waiting := s.rows.Waiting(); !errors.As(err, &refused) && waiting != "" {
			return errors.New(waiting)
		}
		return err
	}
	for _, d := range completion.Documents() {
		answer, err := ask(ctx, d.Path)
		var refused *application.Error
		switch {
		case err == nil:
			completion.Answer(d.Path, answer)
		case errors.As(err, &refused) && refused.Missing():
			completion.Missing(d.Path)
		default:
			return err
		}
	}
	if letter, dead := completion.Complete(e); dead {
		return &MappingError{letter.Reason}
	}
	return nil
}

// MappingError says that the mapping cannot make an event of a row: others may do.
type MappingError struct{ reason string }

func (e *MappingError) Error() string { return e.reason }
