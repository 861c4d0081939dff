package scaffold

import (
	"fmt"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
)

// write is the plan as a file. Role is who the database was asked as.
func (p *plan) write(role string, o Options) []byte {
	d := &document{off: -1}
	first := p.resources[0].name
	d.prose(0, "A proposal of rowhook init, to be read and edited: it was guessed from names, keys and comments of the schema. "+
		"Lines that begin with # and no blank, such as #path, are proposals too: take the # away to use them.")
	d.line(0, "#", "")
	for _, step := range [][2]string{
		{"export DATABASE_URL=postgres://…", "direct, not through a pooler"},
		{"export ROWHOOK_TOKEN=$(openssl rand -hex 24)", ""},
		{"rowhook preview --config config.yaml --sample " + first, "what a hook would hold"},
		{"rowhook check --config config.yaml", "what is missing, with the SQL that mends it"},
		{"rowhook check --config config.yaml --sql > mend.sql", "the same as a script for psql"},
		{"rowhook compare --config config.yaml --all", "is it what your API answers? Wants app and the paths"},
		{"rowhook run --config config.yaml", ""},
	} {
		text := "#   " + step[0]
		if step[1] != "" {
			text = fmt.Sprintf("%-60s  # %s", text, step[1])
		}
		d.line(0, text, "")
	}
	d.line(0, "", "")
	d.line(0, "database:", "")
	d.line(2, "url: ${env:DATABASE_URL}", "")
	d.line(0, "", "")
	d.line(0, "api:", "")
	d.line(2, "tokens:", "")
	d.line(4, `- {name: ops, token: "${env:ROWHOOK_TOKEN}", account: "*"}`, "the admin, who sees every account")
	if p.account != "" {
		d.proposed(4, true, func() {
			d.line(4, `- {name: acme, token: "${env:ACME_TOKEN}", account: "1"}`, "a customer, who sees only rows with account 1")
		})
	}
	d.line(0, "", "")
	d.writeApp(o)
	d.writePresets(p.presets)
	p.writeAbout(d)
	d.line(0, "resources:", "")
	for i, r := range p.resources {
		if i > 0 {
			d.line(0, "", "")
		}
		r.write(d, p, role)
	}
	return []byte(d.b.String())
}

// writeApp names the application's address, and the public one that the API's description tells.
func (d *document) writeApp(o Options) {
	d.prose(0, "Your application. The path of each resource goes behind its url: rowhook compare asks there.")
	d.proposed(0, true, func() {
		d.line(0, "app:", "")
		d.line(2, "url: http://127.0.0.1:3000", "")
		if o.API != nil && o.API.Origin() != "" {
			d.line(2, "public_url: "+quoted(literal(o.API.Origin())), "")
		}
		d.line(2, `headers: {authorization: "Bearer ${env:APP_TOKEN}"}`, "a login that may read every instance")
	})
	d.line(0, "", "")
}

// writePresets names what the API is made with: where the tables speak for several things, the choice is left.
func (d *document) writePresets(all []preset) {
	if len(all) == 0 {
		return
	}
	text := "How dates, numbers and the like are written. "
	for i, p := range all {
		switch {
		case len(all) == 1 && p.sure:
			text += p.why + "."
		case len(all) == 1:
			text += p.why + ": if your API is made with that."
		default:
			text += fmt.Sprintf("%s: %s. ", p.name, p.why)
			if i == len(all)-1 {
				text += "Take what your API is made with."
			}
		}
	}
	d.prose(0, text)
	d.proposed(0, !all[0].sure, func() { d.line(0, "json: {preset: "+all[0].name+"}", "") })
	d.line(0, "", "")
}

// writeAbout says what holds for all resources, and what is not one.
func (p *plan) writeAbout(d *document) {
	switch {
	case p.account == "":
		d.prose(0, "No column looks like the customer whom a row belongs to, so all events are for the admin's subscriptions. "+
			"Give the resources an account: to offer them to customers.")
	default:
		d.prose(0, fmt.Sprintf("The customer whom a row belongs to is guessed: %s, which %d of %d tables have. Make sure of it: it decides who gets what.",
			p.account, p.has, p.from))
	}
	var admin, none []string
	for _, r := range p.resources {
		if r.adminDeletes {
			admin = append(admin, r.name)
		}
		if p.account != "" && r.account == "" {
			none = append(none, r.name)
		}
	}
	if len(admin) > 0 {
		d.prose(0, "Deletes of these do not tell the account, so they are for the admin's subscriptions only, until the replica identity holds it: "+
			shorten(admin)+". rowhook check prints the SQL.")
	}
	if len(none) > 0 {
		d.prose(0, "Without an account, so for the admin's subscriptions only: "+shorten(none)+".")
	}
	for i, o := range p.omitted {
		if i == 0 {
			d.prose(0, "Left out are:")
		}
		d.prose(0, "- "+o.reason+": "+shorten(o.tables))
	}
}

func (r *resource) write(d *document, p *plan, role string) {
	t := r.table
	d.prose(2, t.Comment)
	if !t.Readable {
		d.prose(2, fmt.Sprintf("%s may not read it: GRANT SELECT ON %s TO %s;", role, t.Quote(), cdc.QuoteIdent(role)))
	}
	d.line(2, scalar(r.name)+":", "")
	d.line(4, "table: "+scalar(tableText(t.TableName)), "")
	switch {
	case r.account != "":
		d.line(4, "account: "+scalar(r.account), "")
	case r.perhaps != "":
		d.proposed(4, true, func() { d.line(4, "account: "+scalar(r.perhaps), r.because) })
	}
	if r.path != "" {
		d.proposed(4, r.pathOff, func() { d.line(4, "path: "+scalar(r.path), r.pathNote) })
	}
	r.writeDeleted(d)
	r.writeIgnored(d)
	if r.json != "" {
		d.line(4, "json: "+r.json, "")
	}
	for _, remark := range r.remarks {
		d.prose(4, remark)
	}
	if anyActive(r.members) {
		d.line(4, "representation:", "")
		d.writeMembers(6, r.members)
	} else {
		// Of a table with nothing to show, the key is known at least.
		d.line(4, "columns: "+flow(literals(t.Key)), "")
		d.writeRemarks(4, r.members)
	}
	if len(r.left) > 0 {
		d.prose(6, "not in the API, so not sent: "+strings.Join(r.left, ", "))
	}
	d.writeRelations(4, r.relations)
}

// writeRemarks writes what would be said within a representation.
func (d *document) writeRemarks(indent int, all []member) {
	for _, m := range all {
		if m.remark != "" {
			d.prose(indent, m.remark)
		} else {
			d.prose(indent, m.name+": left out, "+m.note)
		}
	}
}

func (r *resource) writeDeleted(d *document) {
	if r.deleted == nil {
		return
	}
	note := r.deleted.unsure
	if note == "" {
		note = "a soft delete is a delete"
	}
	if r.deletedReason != "" {
		d.prose(4, "delete_when needs the row before: "+r.deletedReason)
	}
	d.proposed(4, r.deletedReason != "" || r.deleted.unsure != "", func() { d.line(4, "delete_when: "+scalar(r.deleted.expression), note) })
}

func (r *resource) writeIgnored(d *document) {
	if len(r.ignored) == 0 {
		return
	}
	whole := r.table.Identity == cdc.IdentityFull
	if !whole {
		d.prose(4, "ignore_changes needs whole old rows, which cost WAL: "+fullIdentity(r.table))
	}
	d.proposed(4, !whole, func() { d.line(4, "ignore_changes: "+flow(literals(r.ignored)), "a change of only these is no update") })
}

// fullIdentity is the statement that gives a table whole old rows.
func fullIdentity(t *discover.Table) string {
	mend := fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", t.Quote())
	if t.Partitioned {
		return mend + " and the same on each partition"
	}
	return mend
}

// shorten lists names, not without end.
func shorten(names []string) string {
	const most = 100
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
