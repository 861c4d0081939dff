package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
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
	src, err := openSource(ctx, cfg, "rowhook preview", resource)
	if err != nil {
		return nil, err
	}
	defer src.close(ctx)
	info, _ := src.mapper.Resource(resource)
	values, err := splitKey(key, len(info.Key))
	if err != nil {
		return nil, fmt.Errorf("the key of %s is %s: %w", info.Name, strings.Join(info.Key, ", "), err)
	}
	row, err := readRow(ctx, src.conn, info, key, values)
	if err != nil {
		return nil, err
	}
	op := cdc.Update
	if event == "delete" {
		op = cdc.Delete
		// Of a deleted row, the stream tells what is in the replica identity.
		for i, c := range info.Table.Columns {
			if !c.Identity {
				row[i] = cdc.Value{}
			}
		}
	}
	e, err := src.render(ctx, resource, op, row, src.app.Get)
	if err != nil {
		return nil, err
	}
	now, position, err := present(ctx, src.conn)
	if err != nil {
		return nil, err
	}
	return sender.AppendStandard(nil, &mapping.Event{Type: resource + "." + event, Time: now.UTC(), Data: e.Data, Partial: e.Partial, Position: position}), nil
}

// readRow reads the row as the stream would send it: each value in the text form of its type.
func readRow(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, key string, values []string) (cdc.Row, error) {
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
			return nil, mayNotRead(conn, info)
		}
		return nil, fmt.Errorf("read the row: %w", result.Err)
	}
	if len(result.Rows) == 0 {
		return nil, &noRowError{info.Name, key, info.Table.String()}
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

func mayNotRead(conn *pgx.Conn, info mapping.ResourceInfo) error {
	return fmt.Errorf("the role may not read %s\n  hint: GRANT SELECT ON %s TO %s;", info.Table, info.Table.Quote(), cdc.QuoteIdent(conn.Config().User))
}

// noRowError says that there is no row of a key.
type noRowError struct{ resource, key, table string }

func (e *noRowError) Error() string {
	return fmt.Sprintf("there is no %s %s: table %s has no such row that the role can see", e.resource, e.key, e.table)
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
