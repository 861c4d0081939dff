package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

// previewed are the events that a row can be shown as.
var previewed = []string{"create", "update", "delete"}

func (p *program) previewCommand() *cobra.Command {
	var file, event string
	var pretty bool
	cmd := &cobra.Command{
		Use:   "preview --config FILE RESOURCE KEY",
		Short: "Print the body that would be sent for a row",
		Long: "preview reads one row and prints the body of its event, byte for byte as it would be sent. It changes nothing, and\n" +
			"needs no more than SELECT on the table. KEY is the primary key; the values of a composite one are joined by commas.",
		Example: "  rowhook preview --config config.yaml contact 42\n" +
			"  rowhook preview --config config.yaml --event delete --pretty order_item 7,3",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(fmt.Sprintf("preview needs a resource and a key, and got %d of two", len(args)), "rowhook preview --config config.yaml contact 42")
			}
			return nil
		},
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().StringVar(&event, "event", "update", strings.Join(previewed, ", "))
	cmd.Flags().BoolVar(&pretty, "pretty", false, "on several lines; not as sent then")
	_ = cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(previewed, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return errNoConfig(cmd)
		}
		if !slices.Contains(previewed, event) {
			return usage(fmt.Sprintf("--event %q is not one", event), strings.Join(previewed, ", "))
		}
		cfg, err := config.Load(file)
		if err != nil {
			return err
		}
		body, err := preview(cmd.Context(), cfg, args[0], args[1], event)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stderr, "timestamp and position are those of now, in the place of a commit's")
		if pretty {
			var out bytes.Buffer
			if err := json.Indent(&out, body, "", "  "); err != nil {
				return err
			}
			body = out.Bytes()
		}
		_, err = p.stdout.Write(append(body, '\n'))
		return err
	}
	return cmd
}

// preview is the body in the standard format, as it would be sent.
func preview(ctx context.Context, cfg *config.Config, resource, key, event string) ([]byte, error) {
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range cfg.Mapping.Resources {
		names = append(names, r.Name)
	}
	if !slices.Contains(names, resource) {
		hint := problem.DidYouMean(resource, names)
		if hint == "" {
			hint = "there are: " + strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("the config has no resource %q\n  hint: %s", resource, hint)
	}
	// Under the settings that the replication connection has, so that values look the same.
	conn, err := cdc.Connect(ctx, cfg.Database.URL, map[string]string{
		"application_name": "rowhook preview", "default_transaction_read_only": "on", "statement_timeout": "30s"})
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tables, err := cdc.LoadTables(ctx, conn, def.Tables())
	if err != nil {
		return nil, fmt.Errorf("read the tables' definitions: %w", err)
	}
	if names := def.RelatedTables(); len(names) > 0 {
		related, err := cdc.RelatedTables(ctx, cfg.Database.ReadURL, names, "")
		if err != nil {
			return nil, err
		}
		maps.Copy(related, tables)
		tables = related
	}
	mapper, problems := def.Compile(tables, "")
	if err := problems.Err(); err != nil {
		return nil, err
	}
	info, _ := mapper.Resource(resource)
	row, err := readRow(ctx, conn, info, key)
	if err != nil {
		return nil, err
	}
	if event == "delete" {
		// Of a deleted row, the stream tells what is in the replica identity.
		for i, c := range info.Table.Columns {
			if !c.Identity {
				row[i] = cdc.Value{}
			}
		}
	}
	data, err := previewData(ctx, cfg, mapper, resource, event, row)
	if err != nil {
		return nil, err
	}
	now, position, err := present(ctx, conn)
	if err != nil {
		return nil, err
	}
	return sender.AppendStandard(nil, &mapping.Event{Type: resource + "." + event, Time: now.UTC(), Data: data, Position: position}), nil
}

// previewData renders the row, with its relations as they are now.
func previewData(ctx context.Context, cfg *config.Config, mapper *mapping.Mapper, resource, event string, row cdc.Row) ([]byte, error) {
	op := cdc.Update
	if event == "delete" {
		op = cdc.Delete
	}
	e, err := mapper.Preview(resource, op, row)
	if err != nil {
		return nil, err
	}
	if !e.Incomplete() {
		return e.Data, nil
	}
	ctx, cancel := context.WithTimeout(ctx, previewTimeout)
	defer cancel()
	rows := cdc.NewRowReader(cfg.Database.ReadURL, cfg.Limits.MaxRow, slog.New(slog.DiscardHandler))
	defer rows.Close()
	completion := mapping.NewCompletion([]*mapping.Event{e})
	if err := rows.ReadRelated(ctx, nil, completion, int(min(cfg.Limits.MaxRow, math.MaxInt32))); err != nil {
		var refused *cdc.LookupError
		if waiting := rows.Waiting(); !errors.As(err, &refused) && waiting != "" {
			return nil, errors.New(waiting)
		}
		return nil, err
	}
	if letter, dead := completion.Complete(e); dead {
		return nil, errors.New(letter.Reason)
	}
	return e.Data, nil
}

// previewTimeout bounds the reading of relations.
const previewTimeout = 30 * time.Second

// readRow reads the row as the stream would send it: each value in the text form of its type.
func readRow(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, key string) (cdc.Row, error) {
	values, err := splitKey(key, len(info.Key))
	if err != nil {
		return nil, fmt.Errorf("the key of %s is %s: %w", info.Name, strings.Join(info.Key, ", "), err)
	}
	columns := make([]string, len(info.Table.Columns))
	for i, c := range info.Table.Columns {
		columns[i] = cdc.QuoteIdent(c.Name)
	}
	where, args := make([]string, len(info.Key)), make([][]byte, len(info.Key))
	for i, k := range info.Key {
		where[i], args[i] = fmt.Sprintf("%s = $%d", cdc.QuoteIdent(k), i+1), []byte(values[i])
	}
	sql := "select " + strings.Join(columns, ", ") + " from " + info.Table.Quote() + " where " + strings.Join(where, " and ")
	// Without result formats, all come as text, which is not the same as a cast to text: booleans, char(n).
	result := conn.PgConn().ExecParams(ctx, sql, args, nil, nil, nil).Read()
	if result.Err != nil {
		switch cdc.SQLState(result.Err) {
		case "22P02", "22003", "22007", "22008", "22021":
			return nil, fmt.Errorf("%q is not a key of %s: its %s cannot be that", key, info.Name, strings.Join(info.Key, ", "))
		case "42501":
			return nil, fmt.Errorf("the role may not read %s\n  hint: GRANT SELECT ON %s TO %s;", info.Table, info.Table.Quote(), cdc.QuoteIdent(conn.Config().User))
		}
		return nil, fmt.Errorf("read the row: %w", result.Err)
	}
	if len(result.Rows) == 0 {
		return nil, fmt.Errorf("there is no %s %s: table %s has no such row that the role can see", info.Name, key, info.Table)
	}
	row := make(cdc.Row, len(columns))
	for i, v := range result.Rows[0] {
		switch {
		case info.Table.Columns[i].Generated:
			// not in the stream
		case v == nil:
			row[i].Kind = cdc.Null
		default:
			row[i] = cdc.Value{Kind: cdc.Text, Data: v}
		}
	}
	return row, nil
}

// splitKey cuts a key into the values of n columns. A comma or a \ in a value of a composite key has a \ before it, as in
// the events' instances.
func splitKey(key string, n int) ([]string, error) {
	if n == 1 {
		return []string{key}, nil
	}
	values := []string{""}
	for i := 0; i < len(key); i++ {
		switch {
		case key[i] == '\\' && i+1 < len(key):
			i++
			values[len(values)-1] += string(key[i])
		case key[i] == ',':
			values = append(values, "")
		default:
			values[len(values)-1] += string(key[i])
		}
	}
	if len(values) != n {
		return nil, fmt.Errorf("give %d values, joined by commas; %q has %d", n, key, len(values))
	}
	return values, nil
}

// present is the time and the position of now.
func present(ctx context.Context, conn *pgx.Conn) (time.Time, cdc.Position, error) {
	var now time.Time
	var lsn string
	err := conn.QueryRow(ctx, `select now(), (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text`).Scan(&now, &lsn)
	if err != nil {
		return now, cdc.Position{}, fmt.Errorf("ask the server for its position: %w", err)
	}
	at, err := pglogrepl.ParseLSN(lsn)
	return now, cdc.Position{Epoch: 1, Commit: at, Ordinal: 1}, err
}
