package cdc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/finding"
	"github.com/rowhook/rowhook/internal/problem"
)

// Survey is what a look at the source found.
type Survey struct {
	// Findings are those that are not of one mapped table, Tables those that are.
	Findings []finding.Finding
	Tables   map[TableName][]finding.Finding
	// Good says in a line each what is as it should be.
	Good []string
	// Catalog is what was found. Its Tables are nil where they could not be read.
	Catalog *Catalog
	// Role is who looks. LoggedIn says that the database let it in; else nothing behind that is known.
	Role     string
	LoggedIn bool
	// Retained is how much log the slot keeps, in bytes; 0 where there is none.
	Retained int64
	// KeepSize is max_slot_wal_keep_size in bytes; negative is without bound.
	KeepSize int64
	// IdleTimeout is idle_replication_slot_timeout: after it a slot that nobody reads is lost. 0 is never, and so it is before Postgres 18.
	IdleTimeout time.Duration
}

const refusesToStart = "rowhook run refuses to start"

// Survey looks at all that Inspect and Establish look at, goes on behind what is wrong, and changes nothing. What would be
// found out only by making something is told by the privileges that it takes. The Source needs no handler, and no
// checkpoints where nothing is known of them. The error is the context's.
func (s *Source) Survey(ctx context.Context) (*Survey, error) {
	v := &Survey{Catalog: &Catalog{}, Tables: map[TableName][]finding.Finding{}}
	if cfg, err := s.cfg.connConfig(); err == nil {
		v.Role = cfg.User
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		var e *Error
		if state := SQLState(err); errors.As(err, &e) && (state == "28P01" || state == "28000") {
			// The server does not tell a wrong password from a role that is not there.
			e.Mend += "; or, if there is no such role, let a superuser run"
			e.SQL = []finding.Statement{CreateRole(v.Role)}
		}
		return v, v.add(ctx, "database.url", refusesToStart, err)
	}
	defer closeConn(conn)
	v.LoggedIn = true
	x := surveying{Source: s.over(s.mapped()), Survey: v, conn: conn}
	if x.checkpoints = s.checkpoints; x.checkpoints == nil {
		x.checkpoints = none{}
	}
	return v, x.run(ctx)
}

// add tells an error as a finding. The error it returns is the context's.
func (v *Survey) add(ctx context.Context, place, consequence string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{What: err.Error()}
	}
	switch e.Class {
	case Unavailable:
		consequence = "rowhook run waits until that is over"
	case Gap:
		consequence = "rowhook run sends nothing until somebody decides"
	}
	v.Findings = append(v.Findings, e.Finding(place, consequence))
	return nil
}

func (v *Survey) good(format string, args ...any) {
	v.Good = append(v.Good, fmt.Sprintf(format, args...))
}

// surveying is a survey that goes on.
type surveying struct {
	*Source
	*Survey
	conn *pgx.Conn
	// mayCreate says that the role may make things in the database.
	super, mayCreate bool
	owns             map[TableName]bool
}

func (x *surveying) run(ctx context.Context) error {
	wellServed, err := x.server(ctx)
	if err != nil {
		return err
	}
	if err := x.tables(ctx); err != nil {
		return x.add(ctx, "database.url", refusesToStart, x.trouble("read the tables' definitions", err))
	}
	if err := x.published(ctx); err != nil {
		return x.add(ctx, "publication "+x.cfg.Publication, refusesToStart, x.trouble("read the publication", err))
	}
	if !wellServed {
		return nil
	}
	return x.slot(ctx)
}

// server looks at the server and the role, and says whether they let a slot be read.
func (x *surveying) server(ctx context.Context) (well bool, err error) {
	found, err := x.settings(ctx, x.conn, x.Catalog)
	if err != nil {
		return false, x.add(ctx, "server", refusesToStart, err)
	}
	troubles := found.troubles(x.Catalog)
	for _, e := range troubles {
		if err := x.add(ctx, "server", refusesToStart, e); err != nil {
			return false, err
		}
	}
	var version string
	var slots, taken int
	var ours bool
	var idle int64
	err = x.conn.QueryRow(ctx, `
		select current_user::text, r.rolsuper, current_setting('server_version'),
			coalesce(has_database_privilege(current_database(), 'CREATE'), false),
			current_setting('max_replication_slots')::int, (select count(*) from pg_replication_slots),
			exists (select from pg_replication_slots where slot_name = $1),
			(select case when setting::bigint < 0 then -1 else setting::bigint << 20 end from pg_settings where name = 'max_slot_wal_keep_size'),
			coalesce((select setting::bigint from pg_settings where name = 'idle_replication_slot_timeout'), 0)
		from pg_roles r where r.rolname = current_user`, x.cfg.Slot).
		Scan(&x.Role, &x.super, &version, &x.mayCreate, &slots, &taken, &ours, &x.KeepSize, &idle)
	if err != nil {
		return false, x.add(ctx, "server", refusesToStart, x.trouble("read the role's privileges", err))
	}
	x.IdleTimeout = time.Duration(idle) * time.Second
	if found.level == "logical" {
		x.good("server: Postgres %s, wal_level = logical, %d of %d slots taken", version, taken, slots)
	}
	x.oldMinor()
	if x.super {
		x.Findings = append(x.Findings, finding.Finding{Level: finding.Warning, Place: "role " + x.Role,
			What: "the role is a superuser", Consequence: "whoever has rowhook's password has the server",
			Mend: "give rowhook a role of its own: name it in database.url, and let check --sql print what it needs"})
	}
	if !ours && taken >= slots {
		x.Findings = append(x.Findings, finding.Finding{Level: finding.Error, Place: "server",
			What: fmt.Sprintf("max_replication_slots = %d, and all are taken", slots), Consequence: refusesToStart, Mend: noSlotFree})
	}
	// Over a replication connection, so that it is known that they are allowed.
	if err := x.identify(ctx, x.Catalog); err != nil {
		var e *Error
		if found.level != "logical" && errors.As(err, &e) && strings.Contains(e.What, "wal_level") {
			// It has been told. Whether the role may replicate the server tells only then.
			return false, x.replicates(ctx)
		}
		return false, x.add(ctx, "role "+x.Role, refusesToStart, err)
	}
	if !x.super {
		x.good("role %s: may log in and replicate", x.Role)
	}
	return len(troubles) == 0, nil
}

// oldMinor tells of a server that is to be brought to a newer release.
func (v *Survey) oldMinor() {
	if old := OldMinor(v.Catalog.ServerVersion); old != nil {
		v.Findings = append(v.Findings, *old)
	}
}

// replicates looks up what cannot be tried.
func (x *surveying) replicates(ctx context.Context) error {
	var may bool
	err := x.conn.QueryRow(ctx, `select rolsuper or rolreplication or exists (select from pg_roles m
		where m.rolname = 'rds_replication' and pg_has_role(m.oid, 'MEMBER')) from pg_roles where rolname = current_user`).Scan(&may)
	if err != nil || may {
		return err
	}
	x.Findings = append(x.Findings, finding.Finding{Level: finding.Error, Place: "role " + x.Role,
		What: fmt.Sprintf("the role %q may not replicate", x.Role), Consequence: refusesToStart,
		SQL: []finding.Statement{{Phase: finding.Role, SQL: grantReplication(x.Role)}}})
	return nil
}

// tables reads the mapped tables.
func (x *surveying) tables(ctx context.Context) (err error) {
	names := x.mapped()
	if x.Catalog.Tables, err = LoadTables(ctx, x.conn, names); err != nil {
		return err
	}
	for _, n := range names {
		t := x.Catalog.Tables[n]
		e := tableTrouble(n, t)
		if e == nil {
			continue
		}
		if t == nil {
			if near := x.nearTable(ctx, n); near != "" {
				e.Mend = fmt.Sprintf("did you mean %s?", near)
			}
		}
		consequence := refusesToStart
		x.Survey.Tables[n] = append(x.Survey.Tables[n], e.Finding("table "+n.String(), consequence))
	}
	rows, err := x.conn.Query(ctx, `
		select n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE')
		from unnest($1::oid[]) as w(o) join pg_class c on c.oid = w.o join pg_namespace n on n.oid = c.relnamespace`, oidsOf(x.Catalog.Tables))
	if err != nil {
		return err
	}
	x.owns = map[TableName]bool{}
	var n TableName
	var owns bool
	_, err = pgx.ForEachRow(rows, []any{&n.Schema, &n.Name, &owns}, func() error { x.owns[n] = owns; return nil })
	return err
}

func oidsOf(tables map[TableName]*Table) []uint32 {
	oids := []uint32{}
	for _, t := range tables {
		oids = append(oids, t.OID)
	}
	return oids
}

// nearTable is the table that was probably meant.
func (x *surveying) nearTable(ctx context.Context, n TableName) string {
	rows, err := x.conn.Query(ctx, `select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`)
	if err != nil {
		return ""
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return ""
	}
	for _, other := range all {
		if _, name, _ := strings.Cut(other, "."); name == n.Name {
			return other // in another schema
		}
	}
	return problem.Nearest(n.String(), all)
}

// published looks at the publication, or whether the role may make it.
func (x *surveying) published(ctx context.Context) error {
	name := x.cfg.Publication
	place, tables := "publication "+name, x.Catalog.Tables
	p, err := x.publication(ctx, x.conn)
	if err != nil {
		return err
	}
	// Tables that are in the way by themselves are told by themselves; those that a script mends will be there after it.
	fit := &Source{cfg: x.cfg}
	for _, n := range x.mapped() {
		if tables[n] != nil && !slices.ContainsFunc(x.Survey.Tables[n], func(f finding.Finding) bool { return len(f.SQL) == 0 }) {
			fit.tables = append(fit.tables, n)
		}
	}
	ownsAll := !slices.ContainsFunc(fit.tables, func(n TableName) bool { return !x.owns[n] })
	partitioned := x.partitioned(tables)
	if !p.exists {
		if x.super || x.mayCreate && ownsAll {
			x.good("publication %s: rowhook run makes it", name)
			return nil
		}
		why := "the role does not own the tables"
		if ownsAll {
			why = "the role may not create anything in the database"
		}
		f := finding.Finding{Level: finding.Error, Place: place,
			What: fmt.Sprintf("the publication %s does not exist, and %s", name, why), Consequence: refusesToStart,
			Mend: "let the owner of the tables, or a superuser, run what check prints when the tables are there and can be published"}
		if len(fit.tables) > 0 {
			f.Mend, f.SQL = "let the owner of the tables, or a superuser, run", []finding.Statement{fit.publicationStatement(partitioned, p.version)}
		}
		x.Findings = append(x.Findings, f)
		return nil
	}
	for _, e := range x.publicationTroubles(p, tables) {
		if err := x.add(ctx, place, refusesToStart, e); err != nil {
			return err
		}
	}
	if partitioned && !p.root {
		return nil // its tables are not those that will be
	}
	missing, _, err := fit.published(ctx, x.conn)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		var may bool
		err := x.conn.QueryRow(ctx, `select pg_has_role(pubowner, 'USAGE') from pg_publication where pubname = $1`, name).Scan(&may)
		if err != nil {
			return err
		}
		names, _ := listed(missing)
		if x.super || may && !slices.ContainsFunc(missing, func(n TableName) bool { return !x.owns[n] }) {
			x.good("publication %s: rowhook run adds %s", name, names)
		} else {
			f := finding.Finding{Level: finding.Error, Place: place,
				What:        fmt.Sprintf("the publication %s does not have %s, and the role may not add to it", name, names),
				Consequence: refusesToStart, Mend: "let the owner of the tables and of the publication, or a superuser, run"}
			for _, n := range missing {
				f.SQL = append(f.SQL, x.addStatement(n))
			}
			x.Findings = append(x.Findings, f)
		}
	}
	if err := x.narrowed(ctx); err != nil {
		return err
	}
	if err := x.hinders(ctx, p); err != nil {
		return err
	}
	if len(missing) == 0 {
		x.good("publication %s: has %s", name, count(len(fit.tables), "table"))
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// publicationStatement makes the publication, once.
func (s *Source) publicationStatement(partitioned bool, version int) finding.Statement {
	return finding.Statement{Phase: finding.Publication, SQL: s.createPublication(partitioned, version) + ";",
		Unless: "EXISTS (SELECT FROM pg_publication WHERE pubname = " + QuoteLiteral(s.cfg.Publication) + ")"}
}

func (s *Source) addStatement(n TableName) finding.Statement {
	return finding.Statement{Phase: finding.Publication, SQL: s.addTables([]TableName{n}) + ";",
		Unless: fmt.Sprintf("EXISTS (SELECT FROM pg_publication_tables WHERE pubname = %s AND schemaname = %s AND tablename = %s)",
			QuoteLiteral(s.cfg.Publication), QuoteLiteral(n.Schema), QuoteLiteral(n.Name))}
}

// narrowed tells of row filters and column lists, which Postgres has since 15.
func (x *surveying) narrowed(ctx context.Context) error {
	if x.Catalog.ServerVersion < 150000 {
		return nil
	}
	rows, err := x.conn.Query(ctx, `
		select n.nspname, c.relname, r.prqual is not null,
			case when r.prattrs is null then '{}'::text[] else array(select a.attname::text from pg_attribute a
				where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
				and a.attnum <> all (r.prattrs::int2[]) order by a.attnum) end
		from pg_publication p join pg_publication_rel r on r.prpubid = p.oid
		join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
		where p.pubname = $1 and (r.prqual is not null or r.prattrs is not null)`, x.cfg.Publication)
	if err != nil {
		return err
	}
	var n TableName
	var filtered bool
	var hidden []string
	_, err = pgx.ForEachRow(rows, []any{&n.Schema, &n.Name, &filtered, &hidden}, func() error {
		t := x.Catalog.Tables[n]
		if t == nil || !slices.Contains(x.mapped(), n) {
			return nil
		}
		whole := []finding.Statement{{Phase: finding.Publication,
			Note: "Rows and columns are published whole again. To a rowhook that has run already, that is a gap.",
			SQL: fmt.Sprintf("BEGIN; ALTER PUBLICATION %s DROP TABLE ONLY %s; ALTER PUBLICATION %s ADD TABLE ONLY %s; COMMIT;",
				QuoteIdent(x.cfg.Publication), n.Quote(), QuoteIdent(x.cfg.Publication), n.Quote())}}
		if filtered {
			x.Survey.Tables[n] = append(x.Survey.Tables[n], finding.Finding{Level: finding.Warning, Place: "publication " + x.cfg.Publication,
				What:        fmt.Sprintf("the publication has a row filter on %s", n),
				Consequence: "changes of other rows are not sent, and nothing tells of it",
				Mend:        "use where of the resource instead, and publish the table whole", SQL: whole})
		}
		if len(hidden) > 0 {
			x.Survey.Tables[n] = append(x.Survey.Tables[n], finding.Finding{Level: finding.Error, Place: "publication " + x.cfg.Publication,
				What:        fmt.Sprintf("the publication leaves out columns of %s: %s", n, strings.Join(hidden, ", ")),
				Consequence: "changes of a resource that uses one of them become dead letters",
				Mend:        "use columns or representation of the resource instead, and publish the table whole", SQL: whole})
		}
		return nil
	})
	return err
}

// hinders tells which tables the publication keeps from being updated: mapped or not, they are the application's. Mapped ones that must
// not be published at all are told by themselves.
func (x *surveying) hinders(ctx context.Context, p publication) error {
	var published []uint32
	err := x.conn.QueryRow(ctx, `select coalesce(array_agg(c.oid), '{}') from pg_publication_tables t join pg_namespace n on n.nspname = t.schemaname
		join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename where t.pubname = $1`, x.cfg.Publication).Scan(&published)
	if err != nil {
		return err
	}
	all, err := hindrances(ctx, x.conn, published, p.stored)
	if err != nil {
		return err
	}
	told := map[TableName]bool{}
	for _, t := range x.Catalog.Tables {
		for _, h := range t.hindered {
			told[h.TableName] = true
		}
		// Of these the publication's trouble has been told.
		for _, h := range all[t.OID] {
			told[h.TableName] = told[h.TableName] || h.why == hinderStored || tableTrouble(t.TableName, t) != nil
		}
	}
	var names, mend []string
	for _, oid := range slices.Sorted(maps.Keys(all)) {
		for _, h := range all[oid] {
			if told[h.TableName] {
				continue
			}
			told[h.TableName] = true
			if len(names) < toldHindrances {
				names = append(names, h.what())
				if sql := h.mend(); h.why == hinderStored {
					mend = append(mend, fmt.Sprintf("ALTER PUBLICATION %s SET (%s);", QuoteIdent(x.cfg.Publication), withGenerated))
				} else {
					mend = append(mend, sql)
				}
			}
		}
	}
	if len(names) > 0 {
		x.Findings = append(x.Findings, finding.Finding{Level: finding.Error, Place: "publication " + x.cfg.Publication,
			What: strings.Join(names, "; "), Consequence: "the application's updates and deletes there fail",
			Mend: "take out of the publication what is not mapped (ALTER PUBLICATION … DROP TABLE ONLY …), or: " + strings.Join(slices.Compact(mend), " ")})
	}
	return nil
}

// slot compares the slot with the checkpoint, if there are any.
func (x *surveying) slot(ctx context.Context) error {
	place := "slot " + x.cfg.Slot
	if x.cfg.Temporary {
		// A run neither looks at it nor compares it with a checkpoint: it is made with its connection, and gone with it.
		x.good("slot %s: temporary, it lasts as long as this run", x.cfg.Slot)
		return nil
	}
	f, err := x.look(ctx, x.conn)
	if err != nil {
		return x.add(ctx, place, refusesToStart, err)
	}
	if err := x.diagnose(f); err != nil {
		return x.add(ctx, place, refusesToStart, err)
	}
	if f.known && f.checkpoint.Missed != nil {
		return x.add(ctx, place, "", x.missedTables(f.checkpoint.Missed))
	}
	if f.slot == nil {
		x.good("slot %s: rowhook run makes it", x.cfg.Slot)
		return nil
	}
	lag, err := lagOf(ctx, x.conn, x.cfg.Slot)
	if err != nil {
		return x.add(ctx, place, "", x.trouble("measure the slot", err))
	}
	x.Retained = lag.Retained
	if code, advice := lag.FailoverAdvice(x.cfg.Slot); code != "" {
		x.Findings = append(x.Findings, advice)
	}
	state := "nobody reads it now"
	if f.slot.Active {
		state = "a rowhook reads it now"
	}
	x.good("slot %s: there, %s", x.cfg.Slot, state)
	if f.slot.WALStatus == "unreserved" {
		x.Findings = append(x.Findings, finding.Finding{Level: finding.Warning, Place: place,
			What:        "the slot keeps more log than max_slot_wal_keep_size allows",
			Consequence: "it is lost at the server's next checkpoint, and what was not read is never delivered",
			Mend:        "run rowhook, or raise max_slot_wal_keep_size, now"})
	}
	return nil
}

// none are no checkpoints.
type none struct{}

func (none) LoadCheckpoint(context.Context, string) (Checkpoint, bool, error) {
	return Checkpoint{}, false, nil
}
func (none) SaveCheckpoint(context.Context, Checkpoint) error                  { return errReadOnly }
func (none) SavePublished(context.Context, string, []Published, *Missed) error { return errReadOnly }
func (none) Horizon(context.Context) (Position, error)                         { return Position{}, nil }

var errReadOnly = errors.New("a survey saves nothing")

// Script is what a database needs that nobody has looked at, since the role cannot log in: made of the config alone.
func (s *Source) Script() []finding.Statement {
	role := ""
	if cfg, err := s.cfg.connConfig(); err == nil {
		role = cfg.User
	}
	// As nobody knows whether a table is partitioned; to others it makes no difference.
	publication := s.publicationStatement(true, minVersion)
	var names []string
	for _, t := range s.mapped() {
		names = append(names, QuoteLiteral(t.Quote()))
	}
	// A table that cannot name its old rows must not be published: the application's own updates would fail. Nor must one whose old
	// rows would have generated columns: see publishesGenerated.
	publication.Unless = "(" + publication.Unless + " OR EXISTS (\n" +
		"        WITH RECURSIVE t(oid) AS (SELECT to_regclass(name)::oid FROM unnest(ARRAY[" + strings.Join(names, ", ") + "]) AS name\n" +
		"            UNION ALL SELECT i.inhrelid FROM t JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p' JOIN pg_inherits i ON i.inhparent = t.oid)\n" +
		"        SELECT FROM t LEFT JOIN pg_class c ON c.oid = t.oid LEFT JOIN pg_index i ON i.indrelid = c.oid AND CASE c.relreplident\n" +
		"            WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident ELSE false END\n" +
		"        WHERE c.oid IS NULL OR c.relreplident <> 'f' AND i.indrelid IS NULL\n" +
		"        OR current_setting('server_version_num')::int >= 180000 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0\n" +
		"            AND NOT a.attisdropped AND a.attgenerated <> '' AND (c.relreplident = 'f' OR a.attnum = ANY (i.indkey::int2[])))))"
	publication.Note = "Made only if every table is there and can be published: else check again, as soon as the role can log in."
	name := QuoteLiteral(s.cfg.Publication)
	generated := finding.Statement{Phase: finding.Publication, SQL: fmt.Sprintf("ALTER PUBLICATION %s SET (%s);", QuoteIdent(s.cfg.Publication), withGenerated),
		Unless: "(current_setting('server_version_num')::int < 180000 OR NOT EXISTS (SELECT FROM pg_publication WHERE pubname = " + name + "))",
		Note:   "Postgres 18 and later publish stored generated columns only where this is said."}
	return []finding.Statement{CreateRole(role), {Phase: finding.Role, SQL: grantReplication(role)}, publication, generated}
}

// CreateRole is the statement that makes a role, once. It has no password yet.
func CreateRole(role string) finding.Statement {
	return finding.Statement{Phase: finding.Role, SQL: "CREATE ROLE " + QuoteIdent(role) + " LOGIN;",
		Unless: "EXISTS (SELECT FROM pg_roles WHERE rolname = " + QuoteLiteral(role) + ")",
		Note:   "Then give it the password of the config, which is not shown here:  \\password " + QuoteIdent(role)}
}
