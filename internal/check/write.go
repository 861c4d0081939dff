package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
)

// Text writes the report for people.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, g := range r.Good {
		fmt.Fprintf(&b, "ok       %s\n", g)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%-8s %s: %s\n", f.Level, f.Place, indent(f.What, "         "))
		if f.Consequence != "" {
			fmt.Fprintf(&b, "         so:   %s\n", indent(f.Consequence, "               "))
		}
		lead := "mend: "
		if f.Mend != "" {
			fmt.Fprintf(&b, "         %s%s\n", lead, indent(f.Mend, "         "))
			lead = ""
		}
		if strings.Contains(f.Mend, ";") {
			continue // it has the statements
		}
		for _, s := range f.SQL {
			if lead != "" {
				fmt.Fprintf(&b, "         %s%s\n", lead, "let the owner, or a superuser, run")
				lead = ""
			}
			fmt.Fprintf(&b, "           %s\n", indent(s.SQL, "           "))
		}
	}
	if len(r.Findings) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s, %s, %s\n", plural(r.Count(finding.Error), "error"), plural(r.Count(finding.Warning), "warning"), plural(r.Count(finding.Info), "remark"))
	_, err := io.WriteString(w, b.String())
	return err
}

func plural(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// indent puts a margin before all lines but the first.
func indent(s, margin string) string { return strings.ReplaceAll(s, "\n", "\n"+margin) }

// JSON writes the report for programs: one object.
func (r *Report) JSON(w io.Writer) error {
	out := struct {
		Errors   int               `json:"errors"`
		Warnings int               `json:"warnings"`
		Infos    int               `json:"infos"`
		OK       []string          `json:"ok"`
		Findings []finding.Finding `json:"findings"`
	}{r.Count(finding.Error), r.Count(finding.Warning), r.Count(finding.Info), append([]string{}, r.Good...), append([]finding.Finding{}, r.Findings...)}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

var headings = map[finding.Phase][]string{
	finding.Server: {"Settings of the server"},
	finding.Role:   {"The role"},
	finding.Schema: {"rowhook's own schema"},
	finding.Grant:  {"What the role may read"},
	finding.Repair: {"TABLES OF THE APPLICATION are altered: published as they are, the application's own updates would fail.",
		"Read each; take a table that is to stay as it is out of the config."},
	finding.Publication: {"The publication: which tables' changes are in the stream"},
	finding.Index:       {"Indexes for relations: without them each read goes through the whole table"},
	finding.Table: {"TABLES OF THE APPLICATION are altered from here on: read each, and leave out what you do not want.",
		"What needs it is then not offered; rowhook runs without."},
}

// Script writes all that SQL mends, in its order, each statement and its comment apart from the next by an empty line.
func (r *Report) Script(w io.Writer) error {
	statements := slices.Clone(r.script)
	for _, f := range r.Findings {
		for _, s := range f.SQL {
			if f.Level == finding.Info {
				continue
			}
			statements = append(statements, s)
		}
	}
	slices.SortStableFunc(statements, func(a, b finding.Statement) int { return int(a.Phase) - int(b.Phase) })
	var b strings.Builder
	if len(statements) == 0 {
		b.WriteString("-- rowhook check: there is nothing that SQL could mend.\n")
	} else {
		b.WriteString("-- What rowhook's config needs of this database, by rowhook check --sql. To be run by a superuser, or by whoever owns\n" +
			"-- the tables and may make roles, in the database of database.url, and not as one transaction:\n" +
			"--   psql \"$ADMIN_URL\" -v ON_ERROR_STOP=1 -f this-file.sql\n" +
			"-- It may be run again: what is there is left alone.\n")
	}
	seen := map[string]bool{}
	last := finding.Phase(255)
	for _, s := range statements {
		if seen[s.SQL] {
			continue
		}
		seen[s.SQL] = true
		if s.Phase != last {
			b.WriteString("\n")
			for _, l := range headings[s.Phase] {
				fmt.Fprintf(&b, "-- %s\n", l)
			}
			last = s.Phase
		}
		b.WriteString("\n")
		if s.Note != "" {
			// A name may hold whatever ends a comment's line.
			fmt.Fprintf(&b, "-- %s\n", indent(strings.ReplaceAll(s.Note, "\r", " "), "-- "))
		}
		sql := s.SQL
		if s.Unless != "" {
			sql = unless(s.Unless, sql)
		}
		if s.Database != "" {
			sql = "-- in the database " + s.Database + ":\n-- " + indent(sql, "-- ")
		}
		fmt.Fprintf(&b, "%s\n", sql)
	}
	if len(statements) > 0 && r.slot != "" {
		fmt.Fprintf(&b, "\n-- The replication slot is not made here: rowhook run makes it, and reads it from then on. A slot that nobody reads keeps\n"+
			"-- the log without end. Where it has to be there before, as the last step:\n"+
			"--   SELECT pg_create_logical_replication_slot(%s, 'pgoutput');\n", cdc.QuoteLiteral(r.slot))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// unless is a statement that is run unless the condition holds.
func unless(condition, sql string) string {
	body := fmt.Sprintf("BEGIN\n    IF NOT %s THEN\n        %s\n    END IF;\nEND", condition, sql)
	tag := "$rowhook$"
	for strings.Contains(body, tag) {
		tag = tag[:len(tag)-1] + "_$"
	}
	return "DO " + tag + " " + body + " " + tag + ";"
}

// Unscripted are the errors that Script does not mend.
func (r *Report) Unscripted() []finding.Finding {
	var left []finding.Finding
	for _, f := range r.Findings {
		mended := len(f.SQL) > 0 && !slices.ContainsFunc(f.SQL, func(s finding.Statement) bool { return s.Database != "" })
		if f.Level == finding.Error && !mended {
			left = append(left, f)
		}
	}
	return left
}
