package app_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Rows, subscriptions and changes at random, and a model that says by keys alone what each subscription has to get. The
// mapping, the coalescing and the matching are the real ones.

const accountsConfig = `
database: {url: "postgres://localhost/x"}
resources:
  full:
    table: t_full
    account: account
    where: kind != "x"
    delete_when: kind == "gone"
    ignore_changes: [seen]
    events:
      full.moved: 'old.account != null && old.account != account'
      full.shown: 'kind == "y"'
    representation: {id: "${id}", a: "${a}", big: "${big}", owner: "${account}", was: "${old.a}", text: "${a} ${big}", both: "${(old.big ?? \"\") + (a ?? \"\")}"}
  every: {table: t_full, account: account, coalesce: false, columns: [id, a, big, account]}
  expr:
    table: t_full
    account: 'kind == "y" ? "org-" + (account ?? "") : account'
    columns: all
  admin: {table: t_full, columns: all}
  index: {table: t_index, account: account, columns: all}
  plain: {table: t_plain, account: account, columns: all}
`

// hostileAccounts are accounts that look like something else. Empty and null are nobody.
var hostileAccounts = []string{
	"1", "2", "*", "a'b\"c\\", "Zoë 🙂", " 1 ", "1,2", "null", "true", "{\"a\":1}", "[1]", "contact.*", "admin", strings.Repeat("long", 700), "",
}

const nullAccount = "\x00null"

// modelRow is a row by columns: account, kind, seen, a, big.
type modelRow struct{ account, kind, seen, a, big string }

func (r *modelRow) values(id string) cdc.Row {
	row := cdc.Row{}
	for _, v := range []string{id, r.account, r.kind, r.seen, r.a, r.big} {
		if v == nullAccount {
			row = append(row, cdc.Value{Kind: cdc.Null})
		} else {
			row = append(row, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
		}
	}
	return row
}

func (r *modelRow) owner() string {
	if r.account == nullAccount {
		return ""
	}
	return r.account
}

// modelResource is what the model knows of a resource.
type modelResource struct {
	name, table string
	each        bool
	// owner is whose a row is, instance whether it is one; same says whether an update of nothing else is none.
	owner    func(*modelRow) string
	instance func(*modelRow) bool
	same     func(a, b *modelRow) bool
	// known says that the log tells the account before.
	known bool
}

func modelResources() []modelResource {
	always := func(*modelRow) bool { return true }
	never := func(a, b *modelRow) bool { return false }
	whole := func(a, b *modelRow) bool { return *a == *b }
	shown := func(a, b *modelRow) bool { return a.a == b.a && a.big == b.big && a.account == b.account }
	owner := (*modelRow).owner
	return []modelResource{
		{"full", "t_full", false, owner, func(r *modelRow) bool { return r.kind != "x" && r.kind != "gone" }, shown, true},
		{"every", "t_full", true, owner, always, shown, true},
		{"expr", "t_full", false, func(r *modelRow) string {
			if r.kind == "y" {
				return "org-" + r.owner()
			}
			return r.owner()
		}, always, whole, true},
		{"admin", "t_full", false, func(*modelRow) string { return "" }, always, whole, true},
		{"index", "t_index", false, owner, always, never, true},
		{"plain", "t_plain", false, owner, always, never, false},
	}
}

// expected is an event that has to come.
type expected struct {
	resource, event, instance, account string
	audience                           mapping.Audience
}

// between is what has to come of an instance that was a row and is another one; nil is none.
func (m *modelResource) between(instance string, was, is *modelRow) (events []expected) {
	add := func(event, account string, to mapping.Audience) {
		events = append(events, expected{m.name, event, instance, account, to})
	}
	there, here := was != nil && m.instance(was), is != nil && m.instance(is)
	shown := here && is.kind == "y" && m.name == "full"
	switch {
	case !there && here:
		add("create", m.owner(is), mapping.ToAll)
		if shown {
			add("shown", m.owner(is), mapping.ToAll)
		}
	case there && !here:
		if m.known {
			add("delete", m.owner(was), mapping.ToAll)
		} else {
			add("delete", "", mapping.ToAdmin)
		}
	case !there:
	case m.known && m.owner(was) != m.owner(is):
		if m.owner(was) != "" {
			add("delete", m.owner(was), mapping.ToAccount)
		}
		if m.owner(is) != "" {
			add("create", m.owner(is), mapping.ToAccount)
			if shown {
				add("shown", m.owner(is), mapping.ToAccount)
			}
		}
		if !m.same(was, is) {
			add("update", "", mapping.ToAdmin)
		}
		if shown && (!m.same(was, is) || was.kind != is.kind) {
			add("shown", "", mapping.ToAdmin)
		}
	default:
		if !m.same(was, is) {
			add("update", m.owner(is), mapping.ToAll)
		}
		if shown && (!m.same(was, is) || was.kind != is.kind) {
			add("shown", m.owner(is), mapping.ToAll)
		}
	}
	return events
}

// accountsModel is the tables, what is done to them, and what that has to come to.
type accountsModel struct {
	t         *testing.T
	rng       *rand.Rand
	resources []modelResource
	relations map[string]*cdc.Relation
	rows      map[string]map[string]modelRow
	// before are the tables as they were at the block's begin, or behind the last TRUNCATE, touched the keys since.
	before  map[string]map[string]modelRow
	touched map[string]map[string]bool
	// owned are the marks that rows of an account had, by resource and account.
	owned   map[[2]string]map[string]bool
	marks   int
	tx      *cdc.Tx
	ordinal uint32
	block   uint32
	changes []cdc.Change
	// sql are the statements that do the same.
	sql  []string
	want []expected
}

func newAccountsModel(t *testing.T, rng *rand.Rand) (*accountsModel, *mapping.Mapper) {
	cfg := loadConfig(t, accountsConfig, "", "slot")
	cfg.Mapping.Previous = true
	def, problems := mapping.Parse(cfg.Mapping)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m := &accountsModel{t: t, rng: rng, resources: modelResources(), relations: map[string]*cdc.Relation{}, rows: map[string]map[string]modelRow{},
		before: map[string]map[string]modelRow{}, touched: map[string]map[string]bool{}, owned: map[[2]string]map[string]bool{}}
	tables := map[cdc.TableName]*cdc.Table{}
	for i, name := range []string{"t_full", "t_index", "t_plain"} {
		identity := []cdc.IdentityKind{cdc.IdentityFull, cdc.IdentityIndex, cdc.IdentityDefault}[i]
		tab := &cdc.Table{TableName: cdc.TableName{Schema: "public", Name: name}, OID: uint32(20000 + i), Kind: 'r', Identity: identity, Key: []int{0}}
		for n, column := range []string{"id", "account", "kind", "seen", "a", "big"} {
			tab.Columns = append(tab.Columns, cdc.Column{Name: column, Type: &cdc.Type{OID: 25, Name: "text", Kind: 'b', Delim: ','}, NotNull: n < 2,
				Identity: n == 0 || identity == cdc.IdentityFull || n == 1 && identity == cdc.IdentityIndex})
		}
		tables[tab.TableName] = tab
		m.relations[name] = &cdc.Relation{OID: tab.OID, Table: tab.TableName, Identity: identity, Columns: tab.Columns, Key: tab.Key}
		m.rows[name] = map[string]modelRow{}
	}
	mapper, problems := def.Compile(tables, "lineage")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m, mapper
}

// mark is a text that nothing else holds.
func (m *accountsModel) mark(large bool) string {
	m.marks++
	s := fmt.Sprintf("«%d»", m.marks)
	if large {
		return s + strings.Repeat("x", 3000)
	}
	return s
}

func (m *accountsModel) account(table string) string {
	if table != "t_index" && m.rng.IntN(8) == 0 {
		return nullAccount
	}
	return hostileAccounts[m.rng.IntN(len(hostileAccounts))]
}

func (m *accountsModel) kind() string { return []string{"a", "y", "y", "x", "gone"}[m.rng.IntN(5)] }

// send is what the stream says of a row that was and is, under the keys.
func (m *accountsModel) send(table, wasKey, isKey string, was, is *modelRow) {
	r := m.relations[table]
	m.ordinal++
	c := cdc.Change{Tx: m.tx, Ordinal: m.ordinal, Block: m.block, Relation: r}
	identity := func(row cdc.Row) cdc.Row {
		if r.Identity == cdc.IdentityFull {
			return row
		}
		for i := range row {
			if !r.Columns[i].Identity {
				row[i] = cdc.Value{}
			}
		}
		return row
	}
	switch {
	case was == nil:
		c.Op, c.New = cdc.Insert, is.values(isKey)
	case is == nil:
		c.Op, c.Old = cdc.Delete, identity(was.values(wasKey))
	default:
		c.Op, c.New = cdc.Update, is.values(isKey)
		if r.Identity == cdc.IdentityFull || wasKey != isKey || r.Identity == cdc.IdentityIndex && was.account != is.account {
			c.Old = identity(was.values(wasKey))
		}
		if len(is.big) > 2000 && is.big == was.big {
			c.New[5], c.Unchanged = cdc.Value{Kind: cdc.Unchanged}, true
		}
	}
	c.OldWhole = r.Identity == cdc.IdentityFull && c.Old != nil
	m.sql = append(m.sql, statement(table, wasKey, isKey, is))
	m.changes = append(m.changes, c)
	for i := range m.resources {
		res := &m.resources[i]
		if res.table != table || !res.each {
			continue
		}
		if is != nil {
			m.owns(res, is)
		}
		if wasKey == isKey {
			m.want = append(m.want, res.between(isKey, was, is)...)
		} else {
			m.want = append(append(m.want, res.between(wasKey, was, nil)...), res.between(isKey, nil, is)...)
		}
	}
	for _, key := range []string{wasKey, isKey} {
		m.touched[table][key] = true
	}
}

// statement makes a row of what has the key: none where is is nil.
func statement(table, wasKey, isKey string, is *modelRow) string {
	if is == nil {
		return fmt.Sprintf("delete from %s where id = '%s'", table, wasKey)
	}
	var values []string
	for _, v := range is.values(isKey) {
		if v.Kind == cdc.Null {
			values = append(values, "null")
		} else {
			values = append(values, cdc.QuoteLiteral(string(v.Data)))
		}
	}
	row := strings.Join(values, ", ")
	if wasKey == isKey {
		// An insert, or an update that names only what is new: else no large value would stay where it is.
		return fmt.Sprintf(`insert into %s as t values (%s) on conflict (id) do update set account = excluded.account, kind = excluded.kind,
			seen = excluded.seen, a = excluded.a, big = case when t.big = excluded.big then t.big else excluded.big end`, table, row)
	}
	return fmt.Sprintf(`update %s t set (id, account, kind, seen, a, big) = (select v.id, v.account, v.kind, v.seen, v.a, case when t.big = v.big then t.big else v.big end
		from (values (%s)) v(id, account, kind, seen, a, big)) where id = '%s'`, table, row, wasKey)
}

func (m *accountsModel) owns(r *modelResource, row *modelRow) {
	at := [2]string{r.name, r.owner(row)}
	if m.owned[at] == nil {
		m.owned[at] = map[string]bool{}
	}
	for _, mark := range marks.FindAllString(row.a+row.big, -1) {
		m.owned[at][mark] = true
	}
}

// step does something to a row.
func (m *accountsModel) step() {
	table := []string{"t_full", "t_full", "t_index", "t_plain"}[m.rng.IntN(4)]
	rows := m.rows[table]
	key := strconv.Itoa(1 + m.rng.IntN(5))
	was, there := rows[key]
	switch p := m.rng.IntN(20); {
	case m.rng.IntN(60) == 0:
		m.settle(table)
		m.ordinal++
		m.sql = append(m.sql, "truncate "+table)
		m.changes = append(m.changes, cdc.Change{Op: cdc.Truncate, Tx: m.tx, Ordinal: m.ordinal, Block: m.block, Relation: m.relations[table]})
		m.rows[table] = map[string]modelRow{}
		m.begin(table)
		for _, r := range m.resources {
			if r.table == table {
				m.want = append(m.want, expected{r.name, "truncate", "", "", mapping.ToAdmin})
			}
		}
	case !there:
		is := modelRow{m.account(table), m.kind(), "1", m.mark(false), m.mark(m.rng.IntN(2) == 0)}
		rows[key] = is
		m.send(table, key, key, nil, &is)
	case p < 3:
		delete(rows, key)
		m.send(table, key, key, &was, nil)
	default:
		is, to := was, key
		if p < 7 {
			to = strconv.Itoa(1 + m.rng.IntN(5))
			if _, taken := rows[to]; taken {
				to = key
			}
		}
		if m.rng.IntN(2) == 0 {
			is.account = m.account(table)
		}
		if m.rng.IntN(3) == 0 {
			is.kind = m.kind()
		}
		if m.rng.IntN(3) == 0 {
			is.seen += "1"
		}
		if m.rng.IntN(2) == 0 {
			is.a = m.mark(false)
		}
		if m.rng.IntN(3) == 0 {
			is.big = m.mark(m.rng.IntN(2) == 0)
		}
		delete(rows, key)
		rows[to] = is
		m.send(table, key, to, &was, &is)
	}
}

func (m *accountsModel) begin(table string) {
	m.before[table], m.touched[table] = maps.Clone(m.rows[table]), map[string]bool{}
}

// settle says what net changes come to since begin.
func (m *accountsModel) settle(table string) {
	for i := range m.resources {
		r := &m.resources[i]
		if r.table != table {
			continue
		}
		for _, row := range m.rows[table] {
			m.owns(r, &row)
		}
		if r.each {
			continue
		}
		for key := range m.touched[table] {
			var was, is *modelRow
			if row, ok := m.before[table][key]; ok {
				was = &row
			}
			if row, ok := m.rows[table][key]; ok {
				is = &row
			}
			m.want = append(m.want, r.between(key, was, is)...)
		}
	}
}

var marks = regexp.MustCompile(`«\d+»`)

// patterns of subscriptions of the test; several of one may match.
var accountPatterns = []string{"*", "full.*", "every.*", "expr.*", "admin.*", "index.*", "plain.*", "full.create", "full.update", "full.delete", "full.shown",
	"full.moved", "full.truncate", "index.delete", "plain.delete", "expr.update"}

func matchesPattern(patterns []string, resource, event string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return p == "*" || p == resource+".*" || p == resource+"."+event })
}

// TestNoEventCrossesAccounts does thousands of random transactions.
func TestNoEventCrossesAccounts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 11))
		m, mapper := newAccountsModel(t, rng)
		index, subs := subscriptions.NewIndex(), map[int64]*subscriptions.Subscription{}
		add := func(s *subscriptions.Subscription) {
			s.Key, s.Version, s.State = int64(len(subs)+1), 1, subscriptions.Active
			s.ID = fmt.Sprint("sub_", s.Key)
			subs[s.Key] = s
			index.Put(s)
		}
		accounts := append(slices.Clone(hostileAccounts), "org-1", "org-*", "org-", "nobody", "public", "%")
		add(&subscriptions.Subscription{Admin: true, Events: []string{"*"}})
		for _, account := range accounts {
			add(&subscriptions.Subscription{Account: account, Events: []string{"*"}})
		}
		for range 60 {
			s := &subscriptions.Subscription{Account: accounts[rng.IntN(len(accounts))], Events: []string{accountPatterns[rng.IntN(len(accountPatterns))], accountPatterns[rng.IntN(len(accountPatterns))]}}
			if rng.IntN(5) == 0 {
				s.Account, s.Admin = "", true
			}
			if rng.IntN(3) == 0 {
				s.ResourceID = strconv.Itoa(1 + rng.IntN(5))
			}
			add(s)
		}
		stage := &coalesce.Stage{
			Wanted: func(c *cdc.Change) coalesce.Wanted { return mapper.Wanted(c.Relation) },
			Holds:  func(*cdc.Change) bool { return mapper.Coalesces() },
		}
		ids := map[string]bool{}
		for n := range 50 {
			m.tx = &cdc.Tx{Commit: cdc.LSN(1000 + n), Time: time.Unix(int64(n), 0), XID: uint32(n)}
			m.changes, m.sql, m.want, m.ordinal, m.block = nil, nil, nil, 0, 0
			for blocks := 1 + rng.IntN(2); blocks > 0; blocks-- {
				for table := range m.rows {
					m.begin(table)
				}
				for range 1 + rng.IntN(1+rng.IntN(12)) {
					m.step()
				}
				for table := range m.rows {
					m.settle(table)
				}
				m.block++
			}
			got := map[int64][]string{}
			positions := map[cdc.Position]bool{}
			ordinal, sub := uint32(0), uint32(0)
			stage.Put(&cdc.Batch{Changes: m.changes})
			for part := stage.Next(); part != nil; part = stage.Next() {
				for i := range part.Changes {
					var place coalesce.Place
					if part.Places != nil {
						place = part.Places[i]
					}
					c := &part.Changes[i]
					if c.Ordinal != ordinal {
						ordinal, sub = c.Ordinal, 0
					}
					events, dead := mapper.MapPlaced(nil, nil, 1, c, place, sub)
					if len(dead) > 0 {
						t.Fatalf("seed %d, transaction %d: %+v", seed, n, dead)
					}
					sub += uint32(len(events))
					for _, ev := range events {
						if ids[ev.ID] || positions[ev.Position] {
							t.Errorf("seed %d, transaction %d: %s of %s is there twice, or its place", seed, n, ev.Type, ev.Instance)
						}
						ids[ev.ID], positions[ev.Position] = true, true
						for _, s := range index.Match(nil, ev) {
							got[s.Key] = append(got[s.Key], ev.Type+" "+ev.Instance)
							m.allowed(subs[s.Key], ev)
						}
					}
				}
			}
			for key, s := range subs {
				if have, want := m.compared(s, got[key]); !slices.Equal(have, want) {
					t.Errorf("seed %d, transaction %d: %.20q (admin %v) of %v %s\ngot  %q\nwant %q", seed, n, s.Account, s.Admin, s.Events, s.ResourceID, have, want)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// compared is what a subscription got and has to get, sorted. full.moved, which asks for the row before, is the admin's
// alone; how often is not compared, because the model knows no row that changes its key.
func (m *accountsModel) compared(s *subscriptions.Subscription, got []string) (have, want []string) {
	for _, e := range m.want {
		if (s.Admin && e.audience != mapping.ToAccount || !s.Admin && e.audience != mapping.ToAdmin && e.account != "" && e.account == s.Account) &&
			(s.ResourceID == "" || s.ResourceID == e.instance) && matchesPattern(s.Events, e.resource, e.event) {
			want = append(want, e.resource+"."+e.event+" "+e.instance)
		}
	}
	have = slices.DeleteFunc(got, func(e string) bool { return s.Admin && strings.HasPrefix(e, "full.moved ") })
	slices.Sort(have)
	slices.Sort(want)
	return have, want
}

// allowed says whether the subscription may see what is in the event.
func (m *accountsModel) allowed(s *subscriptions.Subscription, ev *mapping.Event) {
	if s.Admin {
		return
	}
	if !ev.Accounted || ev.Account != s.Account {
		m.t.Errorf("%s of account %q came to %q", ev.Type, ev.Account, s.Account)
	}
	at := [2]string{ev.Resource, s.Account}
	for _, mark := range marks.FindAllString(string(ev.Data)+string(ev.Previous), -1) {
		if !m.owned[at][mark] {
			m.t.Errorf("%s of %.20q shows what a row of another account had: %s in %.200s previous %.200s", ev.Type, s.Account, mark, ev.Data, ev.Previous)
		}
	}
}
