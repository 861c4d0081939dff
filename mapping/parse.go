package mapping

import (
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/problem"
)

// Definition is a config that is right as far as it can be told without the database.
type Definition struct {
	resources []*resource
	previous  bool
}

// resource is a parsed Resource.
type resource struct {
	Resource
	// root is the representation; nil where columns are listed.
	root *element
	// account is nil where there is none.
	account *source
	path    *element
	format  *format
	// where and deleteWhen are nil where there is none.
	where, deleteWhen *source
	events            []namedEvent
	relations         []*relation
	// application says that the application can be asked.
	application bool
}

// namedEvent is a parsed NamedEvent.
type namedEvent struct {
	name string
	when source
}

// Parse checks everything that needs no database and lists all that is wrong. The Definition is good only if the list
// is empty.
func Parse(cfg Config) (*Definition, problem.List) {
	var problems problem.List
	d := &Definition{previous: cfg.Previous}
	names := make(map[string]problem.Place, len(cfg.Resources))
	for _, r := range cfg.Resources {
		if !validResourceName(r.Name) {
			problems.Add(r.At, "use lower-case letters, digits and _, a letter first, as in contact or line_item",
				"resource name %q is not valid", r.Name)
		}
		if r.Name == "rowhook" {
			problems.Add(r.At, "take another name", "resource name %q is taken by rowhook's own messages", r.Name)
		}
		if first, ok := names[r.Name]; ok {
			problems.Add(r.At, "", "duplicate resource %q, first at line %d", r.Name, first.Line)
		} else {
			names[r.Name] = r.At
		}
		r.JSON = r.JSON.Over(cfg.JSON)
		p := parseResource(r, &problems)
		p.application = cfg.Application
		d.resources = append(d.resources, p)
	}
	return d, problems
}

// Tables are the tables whose changes are needed, each once: those that the resources map, in the order of the file, then
// those of relations that touch.
func (d *Definition) Tables() []cdc.TableName {
	var tables []cdc.TableName
	add := func(t cdc.TableName) {
		if !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
	}
	for _, r := range d.resources {
		add(r.Table)
	}
	for _, t := range d.TouchedTables() {
		add(t)
	}
	return tables
}

func parseResource(r Resource, problems *problem.List) *resource {
	p := &resource{Resource: r, format: r.JSON.format()}
	if r.Table.Name == "" {
		problems.Add(place(r.TableAt, r.At), "name the table, as in table: public.contacts", "resource %s has no table", r.Name)
	}
	columns := r.AllColumns || len(r.Columns) > 0
	switch {
	case r.Representation != nil && columns:
		problems.Add(r.At, "keep one of them", "resource %s has both representation and columns", r.Name)
	case r.Representation == nil && !columns && r.Account != nil:
		// Without one of them a new column of the table would go out to customers by itself.
		problems.Add(r.At, "say what customers get: representation: {id: ${id}, …} or columns: [id, …]",
			"resource %s has an account, but neither representation nor columns", r.Name)
	case r.AllColumns && len(r.Columns) > 0:
		problems.Add(r.At, "keep columns: all with except, or the list", "resource %s lists columns and asks for all", r.Name)
	}
	if len(r.Except) > 0 && (r.Representation != nil || len(r.Columns) > 0) {
		problems.Add(place(r.Except[0].At, r.At), "write columns: all beside it, or leave it out",
			"except of resource %s goes with columns: all only", r.Name)
	}
	checkDuplicates("key", r.Key, problems)
	checkDuplicates("columns", r.Columns, problems)
	checkDuplicates("except", r.Except, problems)
	if r.Representation != nil {
		b := treeBuilder{file: r.File, problems: problems}
		p.root = b.build(r.Representation, "")
	}
	if r.Account != nil {
		p.account = parseBare("account", r.Account, problems)
	}
	if r.Where != nil {
		p.where = parseBare("where", r.Where, problems)
	}
	if r.DeleteWhen != nil {
		p.deleteWhen = parseBare("delete_when", r.DeleteWhen, problems)
	}
	checkDuplicates("ignore_changes", r.IgnoreChanges, problems)
	p.events = parseEvents(r, problems)
	p.relations = parseRelations(r.Name, r.Relations, problems)
	if r.Path != nil {
		p.path = parsePath(r.Path, problems)
	}
	return p
}

// ownEvents are those that every resource has.
var ownEvents = []string{"create", "update", "delete", "truncate"}

func parseEvents(r Resource, problems *problem.List) []namedEvent {
	var events []namedEvent
	seen := map[string]bool{}
	for _, e := range r.Events {
		word, ok := strings.CutPrefix(e.Name, r.Name+".")
		switch {
		case !ok:
			problems.Add(e.At, "write "+r.Name+"."+e.Name[strings.LastIndex(e.Name, ".")+1:],
				"the event %q of resource %s does not begin with %s.", e.Name, r.Name, r.Name)
			continue
		case !validResourceName(word):
			problems.Add(e.At, "use lower-case letters, digits and _, a letter first, as in "+r.Name+".won", "event name %q is not valid", e.Name)
			continue
		case slices.Contains(ownEvents, word):
			problems.Add(e.At, "take another name; where and delete_when say what is created and deleted", "every resource has an event %s of its own", e.Name)
			continue
		case seen[e.Name]:
			problems.Add(e.At, "", "duplicate event %q", e.Name)
			continue
		}
		seen[e.Name] = true
		if when := parseBare(e.Name, e.When, problems); when != nil {
			events = append(events, namedEvent{e.Name, *when})
		}
	}
	return events
}

// place is the first that is known.
func place(places ...problem.Place) problem.Place {
	for _, p := range places {
		if p.Line > 0 {
			return p
		}
	}
	return places[0]
}

func checkDuplicates(key string, columns []Source, problems *problem.List) {
	seen := make(map[string]bool, len(columns))
	for _, c := range columns {
		if seen[c.Text] {
			problems.Add(c.At, "", "duplicate column %q in %s", c.Text, key)
		}
		seen[c.Text] = true
	}
}

// parseBare reads a key that can only hold an expression.
func parseBare(key string, s *Source, problems *problem.List) *source {
	trimmed := strings.TrimSpace(s.Text)
	src := &source{text: trimmed, at: s.At.At(strings.Index(s.Text, trimmed))}
	switch {
	case trimmed == "":
		hint := "write a condition, as in stage == \"won\""
		if key == "account" {
			hint = "name a column, as in account_id"
		}
		problems.Add(s.At, hint, "%s is empty", key)
		return nil
	case strings.HasPrefix(trimmed, "${"):
		hint := ""
		if end, _ := expressionEnd(trimmed, 2); end == len(trimmed)-1 {
			hint = "write " + strings.TrimSpace(trimmed[2:end])
		}
		problems.Add(s.At, hint, "%s is an expression and needs no ${…}", key)
		return nil
	}
	checkSyntax(*src, *src, 0, problems)
	return src
}

func parsePath(s *Source, problems *problem.List) *element {
	e := &element{kind: elementTemplate, path: "path", src: source{text: s.Text, at: s.At}}
	segments, err := scanTemplate(s.Text)
	if err != nil {
		problems.Add(e.src.place(err.offset), err.hint, "%s", err.message)
		return nil
	}
	for _, segment := range segments {
		if segment.expr {
			checkSyntax(source{text: segment.text}, e.src, segment.offset, problems)
		}
	}
	e.segments = segments
	return e
}

func validResourceName(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
