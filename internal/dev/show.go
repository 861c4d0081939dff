package dev

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/discover"
)

// show says what was mapped and what was left out.
func (o Options) show(conn *pgx.Conn, p plan) {
	cfg := conn.Config()
	fmt.Fprintf(o.Out, "rowhook dev on the database %s at %s:%d\n", cfg.Database, cfg.Host, cfg.Port)
	if len(p.resources) > 0 {
		fmt.Fprintf(o.Out, "\nMapped: %s, each with the events create, update, delete and truncate\n", count(len(p.resources), "resource"))
		w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
		for _, r := range p.resources {
			fmt.Fprintf(w, "  %s\t%s\tkey %s\t%s\n", r.name, discover.Display(r.table), strings.Join(r.key, ", "), count(len(r.columns), "column"))
		}
		_ = w.Flush()
	}
	if len(p.frameworks)+len(p.unfit)+len(p.secrets) > 0 {
		fmt.Fprintln(o.Out, "\nLeft out:")
	}
	for _, f := range p.frameworks {
		fmt.Fprintf(o.Out, "  tables of %s: %s\n", f.reason, strings.Join(f.tables, ", "))
	}
	for _, u := range p.unfit {
		fmt.Fprintf(o.Out, "  %s: %s\n", u.reason, strings.Join(u.tables, ", "))
	}
	if len(p.secrets) > 0 {
		fmt.Fprintf(o.Out, "  columns that look secret: %s\n", strings.Join(p.secrets, ", "))
	}
}

// showWay says how to use it.
func (r *session) showWay(base, target string) {
	fmt.Fprintf(r.opts.Out, `
Console: %s
API:     %s
token:   %s

Subscribe a receiver of yours, with its own address in the place of %s:
  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"events": ["*"], "target_url": "%s"}' %s/subscription/

Ready: Ctrl-C ends it and removes all that it made in the database.

`, r.console, base, r.token, target, r.token, target, base)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
