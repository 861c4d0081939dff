package scaffold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
	"github.com/rowhook/rowhook/mapping"
)

// plan is what the config will say.
type plan struct {
	resources []*resource
	presets   []preset
	// account is the name that the customer's column has, in snake case, and has in how many tables; empty where none does.
	account   string
	has, from int
	omitted   []omission
}

// omission is a reason and the tables that are left out for it.
type omission struct {
	reason string
	tables []string
}

// resource is one of the config's.
type resource struct {
	name  string
	table *discover.Table
	// account is the expression; perhaps one that is only proposed, and why.
	account          string
	perhaps, because string
	deleted          *condition
	// deletedReason says why the log does not tell it, and the mend; empty where it does.
	deletedReason string
	// adminDeletes says that deletes do not tell the account.
	adminDeletes bool
	ignored      []string
	relations    []*relation
	members      []member
	path         string
	pathNote     string
	pathOff      bool
	// json are rules of its own, in flow style.
	json string
	// remarks stand above the representation, left are the columns that are not in it.
	remarks []string
	left    []string
}

// join is a table that holds nothing but which rows of two others belong together.
type join struct {
	table *discover.Table
	ends  [2]discover.ForeignKey
}

// decide makes the plan. All are the tables of the database, tables those that were asked for, named says that by name.
func decide(all, tables []discover.Table, named bool) *plan {
	p := &plan{presets: guessPresets(all)}
	byName := map[cdc.TableName]*discover.Table{}
	for i := range all {
		byName[all[i].TableName] = &all[i]
	}
	var kept []*discover.Table
	for i := range tables {
		t := &tables[i]
		shown := discover.Display(t.TableName)
		switch f := discover.Framework(t.Name); {
		case f != "" && !named:
			p.omit("tables of "+f, shown)
		case t.Unlogged:
			p.omit("unlogged tables, which are not in the log; ALTER TABLE … SET LOGGED mends it", shown)
		default:
			kept = append(kept, t)
		}
	}
	p.account, p.has = guessAccount(kept)
	p.from = len(kept)
	var joins []*join
	var mapped []*discover.Table
	for _, t := range kept {
		shown := discover.Display(t.TableName)
		switch j := p.joining(t); {
		case j != nil && !named:
			joins = append(joins, j)
			p.omit("tables that only join two others, which have them as relations", shown)
		case len(t.Key) == 0:
			p.omit("tables without a primary key, which their rows would be named by; ALTER TABLE … ADD PRIMARY KEY (…) mends it", shown)
		case !t.KeyInIdentity:
			p.omit("tables whose replica identity lacks the primary key; ALTER TABLE … REPLICA IDENTITY DEFAULT mends it", shown)
		case slices.ContainsFunc(t.Key, discover.LooksSecret):
			p.omit("tables whose primary key looks secret", shown)
		default:
			mapped = append(mapped, t)
		}
	}
	tenants := p.tenants(mapped)
	for i, name := range p.names(mapped) {
		r := &resource{name: name, table: mapped[i], deleted: guessDeleted(mapped[i]), ignored: guessIgnored(mapped[i])}
		p.assign(r, tenants)
		r.propose(byName, joins, p.account)
		if len(r.table.Key) == 1 {
			called := discover.Singular(discover.Snake(r.table.Name))
			if strings.HasSuffix(called, name) {
				called = name // without what stands before it
			}
			r.path = "/" + strings.ReplaceAll(plural(called), "_", "-") + "/" + valueOf(column(r.table.Key[0]))
			r.pathOff, r.pathNote = true, "its address in your API, under app.url"
		}
		p.resources = append(p.resources, r)
	}
	slices.SortFunc(p.resources, func(a, b *resource) int { return cmp.Compare(a.name, b.name) })
	return p
}

// names are those of the resources. Django puts the application's name before that of the table, which nobody calls a
// thing by.
func (p *plan) names(tables []*discover.Table) []string {
	names := make([]cdc.TableName, len(tables))
	for i, t := range tables {
		names[i] = t.TableName
	}
	if slices.ContainsFunc(p.presets, func(g preset) bool { return g.name == "django" && g.sure }) {
		short := slices.Clone(names)
		for i, n := range names {
			short[i].Name = strings.TrimPrefix(n.Name, application(n, names))
		}
		for i, n := range short {
			if slices.Index(short, n) != i {
				return discover.Names(names) // two applications have a table of that name
			}
		}
		return discover.Names(short)
	}
	return discover.Names(names)
}

// application is what all tables of a Django application have in front: shop_, my_shop_.
func application(t cdc.TableName, all []cdc.TableName) string {
	first, _, ok := strings.Cut(t.Name, "_")
	if !ok {
		return ""
	}
	shared, alone := t.Name[:strings.LastIndexByte(t.Name, '_')+1], true
	for _, o := range all {
		if o.Schema != t.Schema || o == t || !strings.HasPrefix(o.Name, first+"_") {
			continue
		}
		alone = false
		for !strings.HasPrefix(o.Name, shared) {
			shared = shared[:strings.LastIndexByte(strings.TrimSuffix(shared, "_"), '_')+1]
		}
	}
	if alone {
		shared = first + "_"
	}
	if shared == t.Name {
		return ""
	}
	return shared
}

func (p *plan) omit(reason, table string) {
	for i := range p.omitted {
		if p.omitted[i].reason == reason {
			p.omitted[i].tables = append(p.omitted[i].tables, table)
			return
		}
	}
	p.omitted = append(p.omitted, omission{reason, []string{table}})
}

// joining is the join that a table is; nil for other tables.
func (p *plan) joining(t *discover.Table) *join {
	j := &join{table: t}
	n := 0
	used := map[string]bool{}
	for _, f := range t.ForeignKeys {
		if len(f.Columns) == 1 && discover.Snake(f.Columns[0]) == p.account {
			continue
		}
		if n == 2 {
			return nil
		}
		j.ends[n] = f
		n++
		for _, c := range f.Columns {
			used[c] = true
		}
	}
	if n != 2 {
		return nil
	}
	for _, c := range t.Columns {
		switch name := discover.Snake(c.Name); {
		case used[c.Name], name == "id", name == "created_at", name == "updated_at", name == "inserted_at", name == p.account:
		default:
			return nil
		}
	}
	return j
}

// tenants is the table that holds the customers themselves, and its column that the others name; nil where there is none.
func (p *plan) tenants(tables []*discover.Table) *discover.ForeignKey {
	if p.account == "" {
		return nil
	}
	for _, t := range tables {
		for _, f := range t.ForeignKeys {
			if len(f.Columns) == 1 && discover.Snake(f.Columns[0]) == p.account {
				return &f
			}
		}
	}
	stem, _ := strings.CutSuffix(strings.TrimSuffix(p.account, "_uuid"), "_id")
	for _, t := range tables {
		if discover.Singular(discover.Snake(t.Name)) == stem && len(t.Key) == 1 {
			return &discover.ForeignKey{Schema: t.Schema, Table: t.Name, Theirs: t.Key}
		}
	}
	return nil
}

// assign says whose the rows are.
func (p *plan) assign(r *resource, tenants *discover.ForeignKey) {
	if tenants != nil && tenants.To() == r.table.TableName {
		r.account = column(tenants.Theirs[0])
		return
	}
	for _, c := range r.table.Columns {
		if p.account != "" && discover.Snake(c.Name) == p.account && c.Generated == "" && singleValue(c) {
			r.account = column(c.Name)
			return
		}
	}
	if tenants == nil {
		return
	}
	for _, f := range r.table.ForeignKeys {
		c, ok := r.table.Column(f.Columns[0])
		if ok && c.Generated == "" && len(f.Columns) == 1 && f.To() == tenants.To() && slices.Equal(f.Theirs, tenants.Theirs) {
			r.perhaps, r.because = column(c.Name), "if the row belongs to whom it names"
			return
		}
	}
}

// propose makes the relations that the foreign keys allow.
func (r *resource) propose(all map[cdc.TableName]*discover.Table, joins []*join, account string) {
	taken := columnNames(r.table)
	add := func(rel *relation, name string) {
		if rel != nil {
			rel.name, rel.off = free(name, taken), true
			taken = append(taken, rel.name)
			r.relations = append(r.relations, rel)
		}
	}
	for _, f := range r.table.ForeignKeys {
		// Customers know their own account.
		if len(f.Columns) > 1 || discover.Snake(f.Columns[0]) != account {
			add(toOne(r.table, f, all), nameOfKey(f))
		}
	}
	for _, j := range joins {
		if rel := through(r.table, j, all); rel != nil {
			add(rel, rel.name)
		}
	}
}

// config is the plan as far as it matters to what the log tells.
func (p *plan) config() mapping.Config {
	var c mapping.Config
	for _, r := range p.resources {
		m := mapping.Resource{Name: r.name, Table: r.table.TableName}
		for _, k := range r.table.Key {
			m.Columns = append(m.Columns, mapping.Source{Text: k})
		}
		if r.account != "" {
			m.Account = &mapping.Source{Text: r.account}
		}
		if r.deleted != nil {
			m.DeleteWhen = &mapping.Source{Text: r.deleted.expression}
		}
		c.Resources = append(c.Resources, m)
	}
	return c
}

// ask has the mapping say what the log does not tell.
func (p *plan) ask(tables func(*mapping.Definition) (map[cdc.TableName]*cdc.Table, error)) error {
	def, problems := mapping.Parse(p.config())
	if err := problems.Err(); err != nil {
		return fmt.Errorf("guess: %w", err)
	}
	found, err := tables(def)
	if err != nil {
		return err
	}
	mapper, problems := def.Compile(found, "")
	if err := problems.Err(); err != nil {
		return fmt.Errorf("guess: %w", err)
	}
	byName := map[string]*resource{}
	for _, r := range p.resources {
		byName[r.name] = r
	}
	for _, e := range mapper.Types() {
		if r := byName[e.Resource]; e.Name == r.name+".delete" {
			r.deletedReason = e.Reason
			r.adminDeletes = e.Accounted && e.AccountReason != ""
		}
	}
	return nil
}
