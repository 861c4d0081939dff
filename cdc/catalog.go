package cdc

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// identitySQL is the replica identity of the table c. Of a partitioned one it is what its partitions have: their rows are
// what is logged, and a partition does not inherit it.
const identitySQL = `case when c.relkind = 'p' and c.relreplident in ('f', 'i') and exists (
	with recursive l(oid) as (
		select inhrelid from pg_inherits where inhparent = c.oid
		union all
		select i.inhrelid from pg_inherits i join l on i.inhparent = l.oid)
	select from l join pg_class x on x.oid = l.oid and x.relkind <> 'p' and x.relreplident <> c.relreplident)
	then 'd' else c.relreplident end`

// LoadTables reads what the catalog says of the named tables now, and changes nothing. Names that are not there are
// missing from the result.
func LoadTables(ctx context.Context, conn *pgx.Conn, names []TableName) (map[TableName]*Table, error) {
	schemas, tables := make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		schemas[i], tables[i] = n.Schema, n.Name
	}
	rows, err := conn.Query(ctx, `
		select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, `+identitySQL+`
		from unnest($1::text[], $2::text[]) as w(s, t)
		join pg_namespace n on n.nspname = w.s
		join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p', 'v', 'm', 'f')`, schemas, tables)
	if err != nil {
		return nil, err
	}
	byOID := map[uint32]*Table{}
	var oids []uint32
	var kind, persistence, identity rune
	t := Table{}
	_, err = pgx.ForEachRow(rows, []any{&t.OID, &t.Schema, &t.Name, &kind, &persistence, &identity}, func() error {
		found := t
		found.Kind, found.Persistence, found.Identity = byte(kind), byte(persistence), IdentityKind(identity)
		byOID[t.OID] = &found
		oids = append(oids, t.OID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := loadColumns(ctx, conn, oids, byOID); err != nil {
		return nil, err
	}
	if err := loadUnique(ctx, conn, oids, byOID); err != nil {
		return nil, err
	}
	if err := loadHindrances(ctx, conn, oids, byOID); err != nil {
		return nil, err
	}
	if err := completeTypes(ctx, conn, byOID); err != nil {
		return nil, err
	}
	out := make(map[TableName]*Table, len(byOID))
	for _, t := range byOID {
		out[t.TableName] = t
	}
	return out, nil
}

// loadColumns fills in columns with their types' OIDs, identity and primary key.
func loadColumns(ctx context.Context, conn *pgx.Conn, oids []uint32, byOID map[uint32]*Table) error {
	rows, err := conn.Query(ctx, `
		select a.attrelid, c.relkind, a.attname, a.atttypid, a.attnotnull,
			-- since 18 stored ones are published: createPublication and publicationTroubles see to that
			case when current_setting('server_version_num')::int < 180000 then a.attgenerated <> '' else a.attgenerated = 'v' end,
			a.attgenerated = 's' and current_setting('server_version_num')::int >= 180000,
			coalesce(a.attnum = any(k.indkey::int2[]), false) or c.relreplident = 'f',
			coalesce(array_position(p.indkey::int2[], a.attnum), -1)
		from pg_attribute a
		join lateral (select c.oid, c.relkind, (`+identitySQL+`) as relreplident from pg_class c where c.oid = a.attrelid) c on true
		-- not by pg_get_replica_identity_index, which waits for the lock of whoever alters the table
		left join pg_index k on k.indrelid = a.attrelid and case c.relreplident
			when 'd' then k.indisprimary and k.indimmediate when 'i' then k.indisreplident else false end
		left join pg_index p on p.indrelid = a.attrelid and p.indisprimary
		where a.attrelid = any($1::oid[]) and a.attnum > 0 and not a.attisdropped
		order by a.attrelid, a.attnum`, oids)
	if err != nil {
		return err
	}
	var (
		oid, typ uint32
		c        Column
		place    int
		kind     rune
		computed bool
		keys     = map[uint32]map[int]int{}
	)
	_, err = pgx.ForEachRow(rows, []any{&oid, &kind, &c.Name, &typ, &c.NotNull, &c.Generated, &computed, &c.Identity, &place}, func() error {
		t := byOID[oid]
		t.Kind, c.Type = byte(kind), &Type{OID: typ}
		t.computed = t.computed || computed
		if place >= 0 {
			if keys[oid] == nil {
				keys[oid] = map[int]int{}
			}
			// The subscripts of an int2vector begin at 0.
			keys[oid][place] = len(t.Columns)
		}
		t.Columns = append(t.Columns, c)
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range byOID {
		for i := range len(keys[t.OID]) {
			t.Key = append(t.Key, keys[t.OID][i])
		}
	}
	return nil
}

// loadUnique fills in Unique.
func loadUnique(ctx context.Context, conn *pgx.Conn, oids []uint32, byOID map[uint32]*Table) error {
	rows, err := conn.Query(ctx, `
		select i.indrelid, array_agg(a.attname::text order by k.n)
		from pg_index i
		cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, n)
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
		where i.indrelid = any($1::oid[]) and i.indisunique and i.indisvalid and i.indimmediate
			and i.indpred is null and i.indexprs is null and k.n <= i.indnkeyatts
		group by i.indexrelid, i.indrelid
		order by i.indexrelid`, oids)
	if err != nil {
		return err
	}
	var oid uint32
	var names []string
	_, err = pgx.ForEachRow(rows, []any{&oid, &names}, func() error {
		columns := make([]int, len(names))
		for i, name := range names {
			columns[i] = byOID[oid].Column(name)
		}
		byOID[oid].Unique = append(byOID[oid].Unique, columns)
		return nil
	})
	return err
}

// completeTypes puts in what is known of the columns' types.
func completeTypes(ctx context.Context, conn *pgx.Conn, byOID map[uint32]*Table) error {
	var oids typeOIDs
	for _, t := range byOID {
		oids.add(t.Columns)
	}
	types, err := loadTypes(ctx, conn, oids.all)
	if err != nil {
		return err
	}
	for _, t := range byOID {
		putTypes(t.Columns, types)
	}
	return nil
}

// typeOIDs are those of columns, each once.
type typeOIDs struct {
	all  []uint32
	seen map[uint32]bool
}

func (o *typeOIDs) add(columns []Column) {
	for i := range columns {
		if oid := columns[i].Type.OID; !o.seen[oid] {
			if o.seen == nil {
				o.seen = map[uint32]bool{}
			}
			o.seen[oid] = true
			o.all = append(o.all, oid)
		}
	}
}

// putTypes replaces the columns' types by those that are known.
func putTypes(columns []Column, types map[uint32]*Type) {
	for i := range columns {
		if t := types[columns[i].Type.OID]; t != nil {
			columns[i].Type = t
		}
	}
}

// loadTypes reads types with all that they are made of. Types that are gone are missing from the result.
func loadTypes(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32]*Type, error) {
	rows, err := conn.Query(ctx, `
		with recursive w(oid) as (
			select unnest($1::oid[])
			union
			select u.oid from w join pg_type t on t.oid = w.oid
			cross join lateral (
				values (t.typbasetype), (case when t.typcategory = 'A' then t.typelem end)
				union all select r.rngsubtype from pg_range r where r.rngtypid = t.oid
				union all select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
			) u(oid)
			where u.oid <> 0
		)
		select t.oid, t.typname, t.typtype, t.typbasetype, case when t.typcategory = 'A' then t.typelem else 0 end, t.typdelim,
			coalesce(r.rngsubtype, 0),
			array(select a.attname::text from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
			array(select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum)
		from pg_type t join w on w.oid = t.oid left join pg_range r on r.rngtypid = t.oid`, oids)
	if err != nil {
		return nil, err
	}
	var (
		oid, base, elem, sub uint32
		name                 string
		kind, delim          rune
		fields               []string
		fieldTypes           []uint32
		types                = map[uint32]*Type{}
		bases, elems, subs   = map[uint32]uint32{}, map[uint32]uint32{}, map[uint32]uint32{}
		typesOfFields        = map[uint32][]uint32{}
	)
	_, err = pgx.ForEachRow(rows, []any{&oid, &name, &kind, &base, &elem, &delim, &sub, &fields, &fieldTypes}, func() error {
		t := &Type{OID: oid, Name: name, Kind: byte(kind), Delim: byte(delim)}
		for _, f := range fields {
			t.Fields = append(t.Fields, Field{Name: f})
		}
		types[oid] = t
		bases[oid], elems[oid], subs[oid], typesOfFields[oid] = base, elem, sub, slices.Clone(fieldTypes)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for oid, t := range types {
		// A domain over an array has the category of its base: the elements are the base's.
		if t.Base = types[bases[oid]]; t.Base == nil {
			t.Elem = types[elems[oid]]
		}
		t.Sub = types[subs[oid]]
		for i := range t.Fields {
			t.Fields[i].Type = types[typesOfFields[oid][i]]
		}
	}
	return types, nil
}

// shared is an ordinary connection that lives as long as a session, used by one goroutine at a time.
type shared struct {
	connect func(context.Context) (*pgx.Conn, error)

	mu   sync.Mutex
	conn *pgx.Conn
}

// do calls f with the connection, made anew when it is broken. An error of f closes it.
func (c *shared) do(ctx context.Context, f func(*pgx.Conn) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.conn.IsClosed() {
		conn, err := c.connect(ctx)
		if err != nil {
			return err
		}
		c.conn = conn
	}
	err := f(c.conn)
	if err != nil {
		closeConn(c.conn)
		c.conn = nil
	}
	return err
}

func (c *shared) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		closeConn(c.conn)
		c.conn = nil
	}
}

// resolver adds to the relations of the stream what the stream does not tell: types and primary keys. It belongs to the
// goroutine that hands batches to the handler, so that its SQL never delays the replication connection.
type resolver struct {
	sql *shared
	// last is the newest resolved relation of each OID, and the one as decoded of which it came; resolved maps these to
	// it.
	last     map[uint32]resolvedRelation
	resolved map[*Relation]*Relation
	// unknown and replaced are those of the batch.
	unknown, replaced []*Relation
}

type resolvedRelation struct{ raw, rel *Relation }

func newResolver(sql *shared) *resolver {
	return &resolver{sql: sql, last: map[uint32]resolvedRelation{}, resolved: map[*Relation]*Relation{}}
}

// resolve replaces the relations of a batch's changes by resolved ones: the same pointer as before where nothing has
// changed, since the server repeats descriptions often. Those that are new are looked up together: with a thousand
// tables, one after another took seconds after every connection.
func (r *resolver) resolve(ctx context.Context, b *Batch) error {
	clear(r.unknown)
	r.unknown = r.unknown[:0]
	var from, to *Relation
	for i := range b.Changes {
		if rel := b.Changes[i].Relation; rel != nil && rel != from {
			from = rel
			if r.resolved[rel] == nil && !slices.Contains(r.unknown, rel) {
				r.unknown = append(r.unknown, rel)
			}
		}
	}
	if len(r.unknown) > 0 {
		if err := r.look(ctx); err != nil {
			return err
		}
	}
	from = nil
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Relation == nil {
			continue
		}
		if c.Relation != from {
			from, to = c.Relation, r.resolved[c.Relation]
		}
		c.Relation = to
		c.patch()
	}
	// Later batches do not refer to what was replaced.
	for _, raw := range r.replaced {
		delete(r.resolved, raw)
	}
	clear(r.replaced)
	r.replaced = r.replaced[:0]
	return nil
}

// look resolves what is unknown.
func (r *resolver) look(ctx context.Context) error {
	var all []*Relation
	err := r.sql.do(ctx, func(conn *pgx.Conn) (err error) {
		all, err = describe(ctx, conn, r.unknown)
		return err
	})
	if err != nil {
		names := r.unknown[0].Table.String()
		if n := len(r.unknown) - 1; n > 0 {
			names += fmt.Sprintf(" and %d more", n)
		}
		return fmt.Errorf("read the definition of table %s: %w", names, cause(err))
	}
	for i, raw := range r.unknown {
		rel := all[i]
		if old, ok := r.last[raw.OID]; ok {
			if sameRelation(old.rel, rel) {
				rel = old.rel
			}
			r.replaced = append(r.replaced, old.raw) // changes of this batch may have it
		}
		r.last[raw.OID], r.resolved[raw] = resolvedRelation{raw, rel}, rel
	}
	return nil
}

// describe completes relations from the catalog, which knows the tables as they are now, while the stream may be older:
// columns are matched by name, and a table that is gone keeps its identity's columns as key.
func describe(ctx context.Context, conn *pgx.Conn, raw []*Relation) ([]*Relation, error) {
	var oids typeOIDs
	var tables []uint32
	now := map[uint32]*Table{}
	for _, rel := range raw {
		oids.add(rel.Columns)
		if now[rel.OID] == nil {
			now[rel.OID] = &Table{OID: rel.OID}
			tables = append(tables, rel.OID)
		}
	}
	types, err := loadTypes(ctx, conn, oids.all)
	if err != nil {
		return nil, err
	}
	if err := loadColumns(ctx, conn, tables, now); err != nil {
		return nil, err
	}
	all := make([]*Relation, len(raw))
	for i, rel := range raw {
		all[i] = rel.completed(types, now[rel.OID])
	}
	return all, nil
}

// completed is the relation with what types and catalog know.
func (r *Relation) completed(types map[uint32]*Type, now *Table) *Relation {
	rel := *r
	rel.Columns, rel.Key = slices.Clone(r.Columns), nil
	putTypes(rel.Columns, types)
	byName := map[string]int{}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		byName[c.Name] = i
		if j := now.Column(c.Name); j >= 0 {
			c.NotNull = now.Columns[j].NotNull
		}
	}
	if now.Kind == 'p' && rel.Identity == IdentityFull && slices.ContainsFunc(now.Columns, func(c Column) bool { return !c.Identity }) {
		// The stream says what the table is, and sends what the partitions have logged.
		rel.Identity, rel.patchy = IdentityDefault, true
		for i := range rel.Columns {
			j := now.Column(rel.Columns[i].Name)
			rel.Columns[i].Identity = j >= 0 && now.Columns[j].Identity
		}
	}
	for _, j := range now.Key {
		i, ok := byName[now.Columns[j].Name]
		if !ok {
			rel.Key = nil
			break
		}
		rel.Key = append(rel.Key, i)
	}
	if rel.Key == nil {
		for i, c := range rel.Columns {
			if c.Identity {
				rel.Key = append(rel.Key, i)
			}
		}
	}
	return &rel
}

func sameRelation(a, b *Relation) bool {
	if a.OID != b.OID || a.Table != b.Table || a.Identity != b.Identity || len(a.Columns) != len(b.Columns) || len(a.Key) != len(b.Key) {
		return false
	}
	for i := range a.Columns {
		x, y := a.Columns[i], b.Columns[i]
		if x.Name != y.Name || x.Identity != y.Identity || x.NotNull != y.NotNull || !sameType(x.Type, y.Type) {
			return false
		}
	}
	for i := range a.Key {
		if a.Key[i] != b.Key[i] {
			return false
		}
	}
	return true
}

func sameType(a, b *Type) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OID == b.OID && a.Name == b.Name && a.Kind == b.Kind && sameType(a.Base, b.Base) && sameType(a.Elem, b.Elem) &&
		sameType(a.Sub, b.Sub) && slices.EqualFunc(a.Fields, b.Fields, func(x, y Field) bool { return x.Name == y.Name && sameType(x.Type, y.Type) })
}
