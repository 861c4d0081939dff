package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
	"github.com/rowhook/rowhook/internal/openapi"
	"github.com/rowhook/rowhook/mapping"
)

// maxName is how long a member's name may be, in bytes: YAML has no keys of more than some hundred characters.
const maxName = 200

// maxNested is how deep relations follow an answer's nested objects.
const maxNested = 4

// shaper gives the rows of one resource the shape that an API's answer has.
type shaper struct {
	all map[cdc.TableName]*discover.Table
	// tables are all of them in their order, joins those that join two others.
	tables []*discover.Table
	joins  map[*discover.Table]*join
	// numeric and bigint are how often the answer has a number and a string for such a column.
	numeric, bigint numbers
	// path is the address of an instance, with its host; empty where that is not known.
	path string
}

// numbers are how often a type's values are numbers and strings in an answer, and, once that is known, which of them the
// rules make of it.
type numbers struct {
	number, text int
	usual, rule  string
}

// seen counts one, and is what a member of its own has to be put through to be so; empty for nothing.
func (n *numbers) seen(kind string) string {
	switch kind {
	case openapi.Number, openapi.Integer:
		n.number++
		if n.rule == "string" {
			return "float"
		}
	case openapi.String:
		n.text++
		if n.rule == "number" {
			return "string"
		}
	}
	return ""
}

// decide chooses the rule that is right for most.
func (n *numbers) decide() {
	n.rule = n.usual
	switch {
	case n.number > n.text:
		n.rule = "number"
	case n.text > n.number:
		n.rule = "string"
	}
}

// level is one row that is being shaped: the resource's, or a relation's.
type level struct {
	table *discover.Table
	// related says that it is a relation's: old rows, generated columns and the API's own answer are another matter there.
	related   bool
	depth     int
	used      map[string]bool
	relations []*relation
}

// shape takes the representation from the API's description. It is false where that has nothing of the resource; a remark
// says so then.
func (p *plan) shape(r *resource, all []discover.Table, o Options) bool {
	i := o.API.Find(func(collection string) bool { return sameThing(collection, r) })
	if i == nil {
		r.remarks = append(r.remarks, fmt.Sprintf("%s has no GET for one %s that answers with an object, so these are the table's columns.", o.File, r.name))
		return false
	}
	s := &shaper{all: map[cdc.TableName]*discover.Table{}, numeric: numbers{usual: "string"}, bigint: numbers{usual: "number"}}
	s.joins = map[*discover.Table]*join{}
	for n := range all {
		t := &all[n]
		s.all[t.TableName] = t
		s.tables = append(s.tables, t)
		if j := p.joining(t); j != nil {
			s.joins[t] = j
		}
	}
	for _, guess := range p.presets {
		switch {
		case !guess.sure:
		case guess.name == "go":
			s.numeric.usual = "number"
		case guess.name == "node":
			s.bigint.usual = "string"
		}
	}
	path, whole := addressOf(i, r.table)
	if whole {
		r.path, r.pathOff, r.pathNote = path, false, ""
		if origin := o.API.Origin(); origin != "" {
			s.path = origin + path
		}
	} else {
		r.path, r.pathOff = "", true
		r.remarks = append(r.remarks, fmt.Sprintf("path: the API has %s, whose parameters are not all columns.", i.Base+i.Path))
	}
	// Once to see how the answer has numbers, and once knowing it.
	s.object(&level{table: r.table, used: map[string]bool{}}, i.Shape, "", "")
	s.numeric.decide()
	s.bigint.decide()
	l := &level{table: r.table, used: map[string]bool{}}
	members := s.object(l, i.Shape, "", "")
	if !anyActive(members) {
		r.remarks = append(r.remarks, fmt.Sprintf("GET %s of %s has no member that %s has, so these are the table's columns.", i.Path, o.File, r.table.Name))
		return false
	}
	r.remarks = append(r.remarks, fmt.Sprintf("As GET %s of %s answers.", i.Path, o.File))
	if i.Within != "" {
		r.remarks = append(r.remarks, fmt.Sprintf("There it stands within %q, which is left out here: a hook has its own data around it.", i.Within))
	}
	s.rules(r)
	r.members, r.relations = members, l.relations
	for _, c := range r.table.Columns {
		if !l.used[c.Name] {
			r.left = append(r.left, c.Name)
		}
	}
	return true
}

// sameThing says whether a word of the API's paths or answers means the resource.
func sameThing(word string, r *resource) bool {
	name := discover.Snake(word)
	singular := discover.Singular(name)
	return fold(singular) == fold(r.name) || fold(singular) == fold(discover.Singular(discover.Snake(r.table.Name))) || fold(name) == fold(r.table.Name)
}

// fold makes names the same that differ in case and signs only: createdAt, created_at, created-at.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '_' || r == '-' || r == ' ' || r == '.':
			return -1
		}
		return r
	}, name)
}

// addressOf is the path of one instance, with the row's values for its parameters, and whether all of them are known.
func addressOf(i *openapi.Instance, t *discover.Table) (string, bool) {
	if len(t.Key) == 0 {
		return "", false
	}
	path := literal(i.Base + i.Path)
	for n, param := range i.Params {
		name := ""
		for _, c := range t.Columns {
			if fold(c.Name) == fold(param) && c.Generated == "" {
				name = c.Name
			}
		}
		if name == "" && n == len(i.Params)-1 && len(t.Key) == 1 {
			// {contact_id} and {pk} mean the instance's own key.
			name = t.Key[0]
		}
		if name == "" {
			return "", false
		}
		path = strings.Replace(path, "{"+param+"}", valueOf(column(name)), 1)
	}
	return path, true
}

// object are the members that an object's properties become. Prefix is what columns of a nested object may begin with, at
// the object's path in the answer.
func (s *shaper) object(l *level, shape *openapi.Shape, prefix, at string) (members []member) {
	for _, p := range shape.Properties {
		members = append(members, s.member(l, p, prefix, at))
	}
	return members
}

func (s *shaper) member(l *level, p openapi.Property, prefix, at string) member {
	path := strings.TrimPrefix(at+"."+p.Name, ".")
	switch {
	case len(p.Name) > maxName:
		return member{remark: "a member with a name of more than 200 bytes: left out"}
	case strings.Contains(p.Name, "${"):
		return member{remark: path + ": left out, since a member's name cannot hold ${"}
	case p.Const != nil:
		return member{name: p.Name, value: constant(p.Const)}
	}
	c, found := s.column(l, p, prefix)
	switch {
	case found && !nests(p.Shape, c):
		l.used[c.Name] = true
		return s.value(l, p, c)
	case p.Kind == openapi.Object:
		if m, ok := s.nested(l, p, path); ok {
			return m
		}
	case p.Kind == openapi.Array:
		if p.Items != nil && p.Items.Repeats {
			return again(path)
		}
		if m, ok := s.list(l, p); ok {
			return m
		}
	}
	return s.missing(l, p, path)
}

// renames are names that mean the same.
var renames = [][]string{
	{"createdat", "created", "insertedat", "datecreated", "createdon", "creationdate"},
	{"updatedat", "updated", "modifiedat", "modified", "datemodified", "dateupdated", "updatedon", "lastmodified"},
	{"deletedat", "deleted", "discardedat"},
}

// column is the column that a property comes from.
func (s *shaper) column(l *level, p openapi.Property, prefix string) (discover.Column, bool) {
	want := []string{fold(prefix + p.Name)}
	if prefix != "" {
		want = append(want, fold(p.Name))
	}
	for _, same := range renames {
		if slices.Contains(same, fold(p.Name)) && p.Kind != openapi.Boolean {
			want = append(want, same...)
		}
	}
	if p.Kind != openapi.Object && p.Kind != openapi.Array {
		// author, where the API gives the key of one.
		want = append(want, fold(p.Name)+"id")
	}
	for _, w := range want {
		for _, c := range l.table.Columns {
			if fold(c.Name) == w {
				return c, true
			}
		}
	}
	if fold(p.Name) == "id" && prefix == "" && len(l.table.Key) == 1 {
		return l.table.Column(l.table.Key[0])
	}
	return discover.Column{}, false
}

// nests says that the answer has more than the column can hold: an object for a key.
func nests(s *openapi.Shape, c discover.Column) bool {
	switch c.Base {
	case "json", "jsonb", "hstore", "record":
		return false
	}
	return s.Kind == openapi.Object && len(s.Properties) > 0 || s.Kind == openapi.Array && !strings.HasPrefix(c.Base, "_") && c.Base != "vector"
}

// value is the member that a column gives.
func (s *shaper) value(l *level, p openapi.Property, c discover.Column) member {
	m := member{name: p.Name, note: about(c)}
	expression := column(c.Name)
	differs := false
	switch kind := p.Kind; {
	case kind == openapi.Any, p.Variants > 1:
	case c.Base == "numeric" || c.Base == "int8":
		n := &s.numeric
		if c.Base == "int8" {
			n = &s.bigint
		}
		if convert := n.seen(kind); convert != "" {
			if convert == "float" && c.Base == "int8" {
				convert = "int"
			}
			expression = convert + "(" + expression + ")"
		}
		differs = kind != openapi.Number && kind != openapi.Integer && kind != openapi.String
	case isInteger(c) && kind == openapi.String:
		expression = "string(" + expression + ")"
	case isTime(c) && c.Base != "date" && kind == openapi.String && p.Format == "date":
		expression = fmt.Sprintf(`strftime(%s, "%%Y-%%m-%%d")`, expression)
	case isTime(c) && c.Base != "date" && kind == openapi.Integer:
		expression += ".Unix()"
	case isTime(c) && kind == openapi.Boolean:
		expression += " != null"
	case c.Base == "bool":
		differs = kind != openapi.Boolean
	case isInteger(c), c.Base == "float4", c.Base == "float8":
		differs = kind != openapi.Integer && kind != openapi.Number
	case c.Base == "text", c.Base == "varchar", c.Base == "uuid", isTime(c):
		differs = kind != openapi.String
	}
	if differs {
		m.note = fmt.Sprintf("%s here, %s in the API", c.Type, p.Kind)
	}
	m.value = scalar(valueOf(expression))
	switch {
	case discover.LooksSecret(c.Name):
		m.off, m.note = true, "looks secret"
	case c.Generated != "" && !l.related:
		return member{remark: p.Name + ": Postgres computes " + c.Name + " and does not send it; write its expression: " + c.Generated}
	}
	return m
}

var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// constant is a literal of the API's description.
func constant(n *yaml.Node) string {
	switch tag := n.ShortTag(); {
	case tag == "!!str":
		return scalar(literal(n.Value))
	case tag == "!!null":
		return "null"
	case tag == "!!bool":
		return strings.ToLower(n.Value)
	case number.MatchString(n.Value):
		return n.Value
	}
	return quoted(literal(n.Value))
}

// again is said of a schema that stands within itself.
func again(path string) member {
	return member{remark: path + ": left out, since it is what it stands within again"}
}

// nested is the object that a relation gives, or other columns of the same row.
func (s *shaper) nested(l *level, p openapi.Property, path string) (member, bool) {
	if p.Repeats {
		return again(path), true
	}
	for _, f := range l.table.ForeignKeys {
		rel := toOne(l.table, f, s.all)
		if rel == nil || l.depth >= maxNested || fold(nameOfKey(f)) != fold(p.Name) && fold(f.Columns[0]) != fold(p.Name) &&
			fold(discover.Singular(discover.Snake(f.Table))) != fold(p.Name) {
			continue
		}
		inner := &level{table: rel.table, related: true, depth: l.depth + 1, used: map[string]bool{}}
		members := s.object(inner, p.Shape, "", path)
		if !anyActive(members) {
			continue
		}
		for _, name := range f.Columns {
			l.used[name] = true
		}
		rel.members, rel.relations, rel.columns = members, inner.relations, nil
		return s.related(l, p, rel), true
	}
	// Without a column of it, nothing is claimed.
	members := s.object(l, p.Shape, discover.Snake(p.Name)+"_", path)
	if !anyValue(members) {
		return member{}, false
	}
	return member{name: p.Name, members: members}, true
}

// anyValue says whether one of the members comes from the row.
func anyValue(all []member) bool {
	return slices.ContainsFunc(all, func(m member) bool {
		return m.active() && (strings.Contains(m.value, "${") && !strings.Contains(m.value, "$${") || anyValue(m.members))
	})
}

// related adds a relation under the property's name, and is the member that shows it.
func (s *shaper) related(l *level, p openapi.Property, rel *relation) member {
	taken := columnNames(l.table)
	for _, r := range l.relations {
		taken = append(taken, r.name)
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, p.Name)
	rel.name = free(name, taken)
	l.relations = append(l.relations, rel)
	m := member{name: p.Name, value: scalar(valueOf(rel.name))}
	if rel.many {
		m.note = fmt.Sprintf("at most %d rows; more of them make a dead letter", mapping.MaxRelated)
	}
	return m
}

// list is the list that the rows of another table give, which name this one, or do so over a join table.
func (s *shaper) list(l *level, p openapi.Property) (member, bool) {
	if p.Items == nil || l.depth >= maxNested {
		return member{}, false
	}
	want := discover.Singular(discover.Snake(p.Name))
	for _, t := range s.tables {
		if j := s.joins[t]; j != nil {
			if m, ok := s.joined(l, p, through(l.table, j, s.all), want); ok {
				return m, true
			}
		}
	}
	for _, exact := range []bool{true, false} {
		for _, t := range s.tables {
			name := discover.Singular(discover.Snake(t.Name))
			if s.joins[t] != nil || exact && fold(name) != fold(want) || !exact && !strings.HasSuffix(name, "_"+want) {
				continue
			}
			for _, f := range t.ForeignKeys {
				if f.To() != l.table.TableName {
					continue
				}
				if m, ok := s.many(l, p, toMany(l.table, t, f), t); ok {
					return m, true
				}
			}
		}
	}
	return member{}, false
}

// joined is the list of the rows at the other end of a join table.
func (s *shaper) joined(l *level, p openapi.Property, rel *relation, want string) (member, bool) {
	if rel == nil || fold(discover.Singular(rel.name)) != fold(want) {
		return member{}, false
	}
	inner := rel.relations[0]
	name := called(inner.table)
	switch {
	case p.Items.Kind == openapi.Object:
		at := &level{table: inner.table, related: true, depth: l.depth + 2, used: map[string]bool{}}
		members := s.object(at, p.Items, "", p.Name)
		if !anyActive(members) {
			return member{}, false
		}
		inner.members, inner.relations, inner.columns = members, at.relations, nil
	case p.Items.Kind == openapi.String && identifier.MatchString(name):
		inner.columns, rel.value = []string{name}, valueOf(inner.name+"."+name)
	default:
		return member{}, false
	}
	return s.related(l, p, rel), true
}

// many is the list of a relation's rows.
func (s *shaper) many(l *level, p openapi.Property, rel *relation, t *discover.Table) (member, bool) {
	if rel == nil {
		return member{}, false
	}
	inner := &level{table: t, related: true, depth: l.depth + 1, used: map[string]bool{}}
	if p.Items.Kind == openapi.Object {
		rel.members = s.object(inner, p.Items, "", p.Name)
		rel.relations = inner.relations
		if !anyActive(rel.members) {
			return member{}, false
		}
		return s.related(l, p, rel), true
	}
	name := called(t)
	if name == "" || p.Items.Kind != openapi.String || discover.LooksSecret(name) {
		return member{}, false
	}
	rel.value = valueOf(column(name))
	return s.related(l, p, rel), true
}

// missing is what is said of a property that no column is for, with a guess where there is one.
func (s *shaper) missing(l *level, p openapi.Property, path string) member {
	where := l.table.Name
	guess := ""
	switch has := func(name string) bool { c, ok := l.table.Column(name); return ok && c.Generated == "" }; {
	case !l.related && s.path != "" && slices.Contains([]string{"url", "href", "self", "link", "htmlurl", "apiurl"}, fold(p.Name)):
		return member{name: p.Name, value: scalar(s.path), off: true, note: "not found in " + where + ": a guess"}
	case slices.Contains([]string{"name", "fullname", "displayname"}, fold(p.Name)) && has("first_name") && has("last_name"):
		guess = `first_name + " " + last_name`
	case p.Kind == openapi.Boolean:
		for _, c := range l.table.Columns {
			if isTime(c) && c.Generated == "" && (fold(c.Name) == fold(p.Name)+"at" || "is"+fold(c.Name) == fold(p.Name)+"at") {
				guess = column(c.Name) + " != null"
			}
		}
	}
	if guess != "" {
		return member{name: p.Name, value: scalar(valueOf(guess)), off: true, note: "not found in " + where + ": a guess"}
	}
	if l.related {
		return member{remark: p.Name + ": not found in " + where + ": a column, or an expression"}
	}
	field := "api." + path
	if !plainWord.MatchString(strings.ReplaceAll(path, ".", "_")) {
		field = "api.…"
	}
	return member{remark: fmt.Sprintf("%s: not found in %s: a column, an expression, or ${%s}", p.Name, where, field)}
}

// rules writes numbers as most of the answer has them.
func (s *shaper) rules(r *resource) {
	var rules []string
	if s.numeric.rule != s.numeric.usual {
		rules = append(rules, "numeric: "+s.numeric.rule)
	}
	if s.bigint.rule != s.bigint.usual {
		rules = append(rules, "bigint: "+s.bigint.rule)
	}
	if len(rules) > 0 {
		r.json = "{" + strings.Join(rules, ", ") + "}"
	}
}
