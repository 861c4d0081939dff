package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/finding"
)

// Catalog is what Inspect found, and what Establish made.
type Catalog struct {
	Tables map[TableName]*Table
	// SystemID, DatabaseOID and Timeline identify the database.
	SystemID    string
	DatabaseOID uint32
	Database    string
	Timeline    int32
	// ServerVersion is server_version_num: 150012.
	ServerVersion int
	// MadePublication and MadeSlot say what was made now; AddedTables what was added to the publication.
	MadePublication, MadeSlot bool
	AddedTables               []TableName
	// history is that of the timeline.
	history []fork
}

// Lineage identifies the database in event ids.
func (c *Catalog) Lineage() string {
	return c.SystemID + "/" + strconv.FormatUint(uint64(c.DatabaseOID), 10)
}

// minVersion is the oldest server that knows the options that are asked for.
const minVersion = 140000

// Prepare is Inspect and Establish.
func (s *Source) Prepare(ctx context.Context) (*Catalog, error) {
	cat, err := s.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	return cat, s.Establish(ctx, cat)
}

// Inspect checks the server and reads the tables. It changes nothing. Errors are of type Error.
func (s *Source) Inspect(ctx context.Context) (*Catalog, error) {
	cat := &Catalog{}
	if err := s.identify(ctx, cat); err != nil {
		return nil, err
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	if err := s.checkServer(ctx, conn, cat); err != nil {
		return nil, err
	}
	if cat.Tables, err = LoadTables(ctx, conn, s.mapped()); err != nil {
		return nil, s.trouble("read the tables' definitions", err)
	}
	if err := checkTables(s.mapped(), cat.Tables); err != nil {
		return nil, err
	}
	return cat, nil
}

// Establish makes or verifies the publication and then the slot, in this order: a slot that is older than its
// publication cannot be decoded. It notes in the catalog what it made, and makes nothing else, and nothing at all when
// there is an Incident. Errors are of type Error.
func (s *Source) Establish(ctx context.Context, cat *Catalog) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if s.cfg.Temporary {
		if err := s.ensurePublication(ctx, conn, cat); err != nil {
			return err
		}
		s.setCatalog(cat)
		return nil
	}
	f, err := s.look(ctx, conn)
	if err != nil {
		return err
	}
	if err := s.diagnose(f); err != nil {
		return err
	}
	if f.known {
		// Tables that were published and are not any more: they are published again, and what was missed is told.
		if err := s.noteMissed(ctx, conn, f.checkpoint); err != nil {
			return err
		}
	}
	if err := s.ensurePublication(ctx, conn, cat); err != nil {
		return err
	}
	if err := s.ensureSlot(ctx, conn, cat, f); err != nil {
		return err
	}
	s.setCatalog(cat)
	return nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// trouble is an error of SQL that should have worked.
func (s *Source) trouble(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Class: Unavailable, What: what, Err: cause(err)}
	if SQLState(err) == "42501" {
		e.Class = Refused
	}
	return e
}

// identify asks who the server is, over a replication connection: so it is known that they are allowed.
func (s *Source) identify(ctx context.Context, cat *Catalog) error {
	repl, err := s.cfg.connectReplication(ctx)
	if err != nil {
		if e := s.serverTooLittle(ctx, err); e != nil {
			return e
		}
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = repl.Close(ctx)
	}()
	id, err := pglogrepl.IdentifySystem(ctx, repl)
	if err != nil {
		return s.trouble("ask the server who it is", err)
	}
	cat.SystemID, cat.Timeline, cat.Database = id.SystemID, id.Timeline, id.DBName
	// A history file that is not there any more (58P01) is as if there were no history.
	if cat.history, err = readHistory(ctx, repl, id.Timeline); err != nil && SQLState(err) != "58P01" {
		return s.trouble("read the history of the server's timeline", err)
	}
	return nil
}

// serverTooLittle looks, after a replication connection was refused, whether it is for want of wal_level: the server
// tells that only later, and the mend of the privilege alone would not help.
func (s *Source) serverTooLittle(ctx context.Context, refused error) error {
	if SQLState(refused) == "" {
		return nil
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return nil
	}
	defer closeConn(conn)
	var level string
	if err := conn.QueryRow(ctx, `select current_setting('wal_level')`).Scan(&level); err != nil || level == "logical" {
		return nil
	}
	e := walLevelError(level)
	var first *Error
	if errors.As(refused, &first) && first.Class == Refused {
		e.Mend += "\n  and, as it also says " + strconv.Quote(first.Err.Error()) + ":\n    " + first.Mend
	}
	return e
}

func walLevelError(level string) *Error {
	return &Error{
		Class: Refused,
		What:  fmt.Sprintf("the server has wal_level = %s, logical replication needs wal_level = logical", level),
		Mend: "ALTER SYSTEM SET wal_level = 'logical';  then restart the server\n" +
			"    (RDS, Aurora: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on; Azure: wal_level in the portal)",
		SQL: []finding.Statement{{Phase: finding.Server, SQL: "ALTER SYSTEM SET wal_level = 'logical';",
			Note: "Counts from the next restart of the server on. Managed servers have a parameter for it instead:\n" +
				"RDS, Aurora: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on; Azure: wal_level in the portal."}},
	}
}

// settings are those of the server that decide whether it can be a source.
type settings struct {
	level, encoding, standbys string
	recovery                  bool
}

func (s *Source) checkServer(ctx context.Context, conn *pgx.Conn, cat *Catalog) error {
	found, err := s.settings(ctx, conn, cat)
	if err != nil {
		return err
	}
	if wrong := found.troubles(cat); len(wrong) > 0 {
		return wrong[0]
	}
	return nil
}

func (s *Source) settings(ctx context.Context, conn *pgx.Conn, cat *Catalog) (f settings, err error) {
	err = conn.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('wal_level'), d.oid, pg_is_in_recovery(),
			pg_encoding_to_char(d.encoding), current_setting('synchronous_standby_names')
		from pg_database d where d.datname = current_database()`).
		Scan(&cat.ServerVersion, &f.level, &cat.DatabaseOID, &f.recovery, &f.encoding, &f.standbys)
	if err != nil {
		return f, s.trouble("read the server's settings", err)
	}
	return f, nil
}

// troubles are what of the server has to be mended, the first one first.
func (f settings) troubles(cat *Catalog) (all []*Error) {
	if f.level != "logical" {
		all = append(all, walLevelError(f.level))
	}
	if cat.ServerVersion < minVersion {
		all = append(all, &Error{Class: Refused, What: fmt.Sprintf("the server is Postgres %d, rowhook needs 14 or later", cat.ServerVersion/10000)})
	}
	if f.recovery {
		all = append(all, &Error{Class: Unavailable, What: "the server is a standby",
			Mend: "database.url must lead to the primary; waiting for a promotion"})
	}
	if namesEverybody(f.standbys) {
		all = append(all, countedAsStandby(f.standbys))
	}
	if f.encoding == "SQL_ASCII" {
		all = append(all, &Error{Class: Refused, What: "the database has the encoding SQL_ASCII, so its text has no known encoding",
			Mend: "move the data to a database with ENCODING 'UTF8'"})
	}
	return all
}

// checkTables refuses tables that cannot be replicated, or whose publishing would make the application's own updates
// fail. All of them are told at once.
func checkTables(names []TableName, found map[TableName]*Table) error {
	var what, mend []string
	for _, n := range names {
		if e := tableTrouble(n, found[n]); e != nil {
			what, mend = append(what, e.What), append(mend, e.Mend)
		}
	}
	if len(what) == 0 {
		return nil
	}
	return &Error{Class: Refused, What: strings.Join(what, "\n"), Mend: strings.Join(mend, "\n        ")}
}

// tableTrouble is why a table cannot be replicated, or nil. The table is nil where there is none.
func tableTrouble(n TableName, t *Table) *Error {
	refuse := func(what, mend string) *Error { return &Error{Class: Refused, What: what, Mend: mend} }
	if t == nil {
		return refuse(fmt.Sprintf("table %s does not exist, or the role may not see its schema", n),
			fmt.Sprintf("mend its name in the config, or GRANT USAGE ON SCHEMA %s TO the role", QuoteIdent(n.Schema)))
	}
	if t.Kind != 'r' && t.Kind != 'p' {
		return refuse(fmt.Sprintf("%s is not a table: views and foreign tables are not in the log", n), "map the tables behind it")
	}
	switch t.Persistence {
	case 'u':
		return refuse(fmt.Sprintf("table %s is unlogged, so its changes are not in the log", n),
			fmt.Sprintf("ALTER TABLE %s SET LOGGED;  (which writes the table anew, locked)", n.Quote()))
	case 't':
		return refuse(fmt.Sprintf("table %s is temporary, so its changes are not in the log", n), "map a table that lasts")
	}
	identity := slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Identity })
	asDefault := func(e *Error) *Error {
		e.SQL = []finding.Statement{{Phase: finding.Repair, SQL: fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;", n.Quote()),
			Note: "Old rows are told by the primary key. Costs nothing."}}
		return e
	}
	switch {
	case len(t.Key) == 0 && identity:
		// Enough for a table whose changes touch others, or whose instances have another key: who maps it knows.
	case len(t.Key) == 0:
		return refuse(fmt.Sprintf("table %s has no primary key, so its rows cannot be told apart", n),
			fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (…);  (or, where a unique index over NOT NULL columns names its rows, ALTER TABLE %s REPLICA IDENTITY USING INDEX …; and key: with these columns in the config)", n.Quote(), n.Quote()))
	case !identity && t.Identity == IdentityDefault:
		// The primary key can be deferred, and so is none.
		e := refuse(fmt.Sprintf("table %s has no usable replica identity: publishing it would make the application's updates fail", n),
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;  (its primary key is deferrable, which no identity can be)", n.Quote()))
		e.SQL = []finding.Statement{{Phase: finding.Repair, SQL: fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", n.Quote()), Note: FullPrice}}
		return e
	case !identity:
		return asDefault(refuse(fmt.Sprintf("table %s has no usable replica identity: publishing it would make the application's updates fail", n),
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;  (a deferrable primary key needs FULL or a unique index)", n.Quote())))
	}
	return hinderedTrouble(t)
}

// FullPrice is what REPLICA IDENTITY FULL costs.
const FullPrice = "Every update and delete writes the whole old row to the WAL too."

// publication is what the catalog says of ours.
type publication struct {
	exists, all, root bool
	// kinds says that every kind of change is published, stored that stored generated columns are.
	kinds, stored bool
	// version is server_version_num; also where there is no publication.
	version int
}

// publishesGenerated is the first version that can publish stored generated columns. There an update of a table whose replica identity
// has one that is not published fails: that is any one under FULL.
const publishesGenerated = 180000

func (s *Source) publication(ctx context.Context, conn *pgx.Conn) (p publication, err error) {
	err = conn.QueryRow(ctx, `select current_setting('server_version_num')::int, p.oid is not null, coalesce(p.puballtables, false),
			coalesce(p.pubviaroot, false), coalesce(p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate, false),
			coalesce(to_jsonb(p)->>'pubgencols' = 's', false)
		from (values (1)) as one left join pg_publication p on p.pubname = $1`, s.cfg.Publication).
		Scan(&p.version, &p.exists, &p.all, &p.root, &p.kinds, &p.stored)
	if err != nil {
		return p, s.trouble("look for the publication", err)
	}
	return p, nil
}

// publicationTroubles are what is wrong with a publication that exists.
func (s *Source) publicationTroubles(p publication, tables map[TableName]*Table) (all []*Error) {
	set := func(what, option string) {
		sql := fmt.Sprintf("ALTER PUBLICATION %s SET (%s);", QuoteIdent(s.cfg.Publication), option)
		all = append(all, &Error{Class: Refused, What: fmt.Sprintf(what, s.cfg.Publication), Mend: sql,
			SQL: []finding.Statement{{Phase: finding.Publication, SQL: sql}}})
	}
	if !p.kinds {
		set("the publication %s does not publish every kind of change", "publish = 'insert, update, delete, truncate'")
	}
	if s.partitioned(tables) && !p.root {
		set("the publication %s names partitions instead of their table", "publish_via_partition_root = true")
	}
	if p.version >= publishesGenerated && !p.stored && slices.ContainsFunc(s.mapped(), func(n TableName) bool { return tables[n] != nil && tables[n].computed }) {
		set("the publication %s leaves out stored generated columns: updates of tables with such columns and REPLICA IDENTITY FULL fail", withGenerated)
	}
	return all
}

// withGenerated is the option of a publication that has stored generated columns.
const withGenerated = "publish_generated_columns = stored"

// createPublication is the statement that makes it, at a server of the version (server_version_num).
func (s *Source) createPublication(partitioned bool, version int) string {
	_, quoted := listed(s.mapped())
	sql := fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s", QuoteIdent(s.cfg.Publication), quoted)
	var options []string
	if partitioned {
		options = append(options, "publish_via_partition_root = true")
	}
	if version >= publishesGenerated {
		// Also where no table has one yet: one that is added later must not make the application's updates fail.
		options = append(options, withGenerated)
	}
	if len(options) > 0 {
		sql += " WITH (" + strings.Join(options, ", ") + ")"
	}
	return sql
}

// addTables is the statement that puts tables into the publication.
func (s *Source) addTables(tables []TableName) string {
	_, quoted := listed(tables)
	return fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s", QuoteIdent(s.cfg.Publication), quoted)
}

// partitioned says whether one of the mapped tables is.
func (s *Source) partitioned(tables map[TableName]*Table) bool {
	return slices.ContainsFunc(s.mapped(), func(n TableName) bool { return tables[n] != nil && tables[n].Kind == 'p' })
}

func (s *Source) ensurePublication(ctx context.Context, conn *pgx.Conn, cat *Catalog) error {
	p, err := s.publication(ctx, conn)
	if err != nil {
		return err
	}
	if !p.exists {
		sql := s.createPublication(s.partitioned(cat.Tables), p.version)
		if _, err := conn.Exec(ctx, sql); err != nil && SQLState(err) != "42710" {
			return s.needsDBA(fmt.Sprintf("make the publication %s", s.cfg.Publication), sql, err)
		}
		cat.MadePublication = true
		return nil
	}
	if wrong := s.publicationTroubles(p, cat.Tables); len(wrong) > 0 {
		return wrong[0]
	}
	missing, _, err := s.published(ctx, conn)
	if err != nil {
		return s.trouble("read the publication's tables", err)
	}
	if len(missing) == 0 {
		return nil
	}
	sql := s.addTables(missing)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return s.needsDBA(fmt.Sprintf("add tables to the publication %s", s.cfg.Publication), sql, err)
	}
	cat.AddedTables = missing
	return nil
}

// published are the mapped tables that the publication has, and those that it lacks.
func (s *Source) published(ctx context.Context, conn *pgx.Conn) (missing []TableName, has []Published, err error) {
	rows, err := conn.Query(ctx, `
		select t.schemaname, t.tablename, coalesce(r.oid, 0)
		from pg_publication_tables t
		join pg_publication p on p.pubname = t.pubname
		join pg_namespace n on n.nspname = t.schemaname
		join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
		left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
		where t.pubname = $1`, s.cfg.Publication)
	if err != nil {
		return nil, nil, err
	}
	entries := map[TableName]uint32{}
	var t Published
	if _, err := pgx.ForEachRow(rows, []any{&t.Schema, &t.Name, &t.Entry}, func() error {
		entries[t.TableName] = t.Entry
		return nil
	}); err != nil {
		return nil, nil, err
	}
	for _, t := range s.mapped() {
		if entry, found := entries[t]; found {
			has = append(has, Published{t, entry})
		} else {
			missing = append(missing, t)
		}
	}
	return missing, has, nil
}

// republished are the tables that were taken out and put back since.
func republished(before, now []Published) (out []TableName) {
	for _, b := range before {
		for _, n := range now {
			if b.TableName == n.TableName && b.Entry != n.Entry && b.Entry != 0 && n.Entry != 0 {
				out = append(out, n.TableName)
			}
		}
	}
	return out
}

// needsDBA tells the statement that somebody with more rights has to run.
func (s *Source) needsDBA(what, sql string, err error) error {
	e := &Error{Class: Unavailable, What: what, Err: cause(err)}
	switch SQLState(err) {
	case "42501":
		e.Class = Refused
		e.Mend = "the role may not do that; let the owner of the tables, or a superuser, run\n    " + sql + ";"
	case "55000", "0A000", "22023", "42P17", "42809":
		e.Class = Refused
		e.Mend = "run it by hand to see why:\n    " + sql + ";"
	}
	return e
}

const blockersHint = "see SELECT pid, xact_start, state FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start; " +
	"and SELECT * FROM pg_prepared_xacts;"

// ensureSlot makes the slot when there has never been one, and its first checkpoint with it.
func (s *Source) ensureSlot(ctx context.Context, conn *pgx.Conn, cat *Catalog, f *found) error {
	if f.known {
		return nil
	}
	if f.slot != nil {
		return s.firstCheckpoint(ctx, cat, f.slot.Confirmed, time.Time{})
	}
	now := time.Now().UTC()
	lsn, err := s.makeSlot(ctx, conn)
	if err != nil {
		return err
	}
	cat.MadeSlot = true
	return s.firstCheckpoint(ctx, cat, lsn, now)
}

// slotAnswer is how long a server may take, beyond what the making of a slot waits, to say so.
const slotAnswer = 5 * time.Second

// makeSlot returns the position from which on the new slot has everything.
func (s *Source) makeSlot(ctx context.Context, conn *pgx.Conn) (LSN, error) {
	wait, cancel := context.WithTimeout(ctx, s.cfg.SlotTimeout+slotAnswer)
	defer cancel()
	// It waits for each transaction by a lock. The limit is that of all of them together, and the server's, so that the connection is
	// still good, and nothing of the slot is left.
	var version int
	if err := conn.QueryRow(wait, `
		select current_setting('server_version_num')::int, set_config('lock_timeout', '0', false), set_config('statement_timeout', $1, false)`,
		fmt.Sprint(s.cfg.SlotTimeout.Milliseconds())).Scan(&version, nil, nil); err != nil {
		return 0, s.trouble("read the server's version", err)
	}
	var made string
	if err := conn.QueryRow(wait, makeSlotSQL(version), s.cfg.Slot).Scan(&made); err != nil {
		return 0, s.slotError(ctx, err)
	}
	if _, err := conn.Exec(wait, `reset lock_timeout; reset statement_timeout`); err != nil {
		return 0, s.trouble("go on behind the making of the slot", err)
	}
	return pglogrepl.ParseLSN(made)
}

// noSlotFree is what to do when every slot is taken.
const noSlotFree = "every slot of the server is taken: drop one that nobody needs\n" +
	"    (SELECT slot_name, active, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots;)\n" +
	"    or raise max_replication_slots and restart the server"

func (s *Source) slotError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	what := fmt.Sprintf("make the replication slot %s", s.cfg.Slot)
	e := &Error{Class: Unavailable, What: what, Err: cause(err)}
	switch SQLState(err) {
	case "53400":
		e.Class = Refused
		e.Mend = noSlotFree
	case "42501":
		e.Class = Refused
		e.Mend = "the role needs REPLICATION: ALTER ROLE … REPLICATION;"
	case "57014", "55P03", "":
		e.Mend = "it waits for transactions that were running when it began; " + blockersHint
	}
	return e
}

// firstCheckpoint makes the checkpoint as soon as the slot is there: from then on a missing slot is a gap.
func (s *Source) firstCheckpoint(ctx context.Context, cat *Catalog, lsn LSN, at time.Time) error {
	cp := Checkpoint{Slot: s.cfg.Slot, SystemID: cat.SystemID, DatabaseOID: cat.DatabaseOID, Timeline: cat.Timeline,
		Environment: s.cfg.Environment, Epoch: 1, LSN: lsn, Reach: lsn, SettledAt: at}
	if err := s.checkpoints.SaveCheckpoint(ctx, cp); err != nil {
		return &Error{Class: Unavailable, What: "write the first checkpoint", Err: cause(err)}
	}
	return nil
}

// DropPublication removes the publication, for those who leave nothing behind.
func (s *Source) DropPublication(ctx context.Context) error {
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	_, err = conn.Exec(ctx, `DROP PUBLICATION IF EXISTS `+QuoteIdent(s.cfg.Publication))
	return err
}
