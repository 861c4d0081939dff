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
	if cat.Tables, err = LoadTables(ctx, conn, s.cfg.Tables); err != nil {
		return nil, s.trouble("read the tables' definitions", err)
	}
	if err := checkTables(s.cfg.Tables, cat.Tables); err != nil {
		return nil, err
	}
	return cat, nil
}

// Establish makes or verifies the publication and then the slot, in this order: a slot that is older than its
// publication cannot be decoded. It notes in the catalog what it made, and makes nothing else. Errors are of type Error.
func (s *Source) Establish(ctx context.Context, cat *Catalog) error {
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if err := s.ensurePublication(ctx, conn, cat); err != nil {
		return err
	}
	if !s.cfg.Temporary {
		if err := s.ensureSlot(ctx, conn, cat); err != nil {
			return err
		}
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
	}
}

func (s *Source) checkServer(ctx context.Context, conn *pgx.Conn, cat *Catalog) error {
	var level, encoding string
	var recovery bool
	err := conn.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('wal_level'), d.oid, pg_is_in_recovery(),
			pg_encoding_to_char(d.encoding)
		from pg_database d where d.datname = current_database()`).
		Scan(&cat.ServerVersion, &level, &cat.DatabaseOID, &recovery, &encoding)
	switch {
	case err != nil:
		return s.trouble("read the server's settings", err)
	case level != "logical":
		return walLevelError(level)
	case cat.ServerVersion < minVersion:
		return &Error{Class: Refused, What: fmt.Sprintf("the server is Postgres %d, rowhook needs 14 or later", cat.ServerVersion/10000)}
	case recovery:
		return &Error{Class: Unavailable, What: "the server is a standby",
			Mend: "database.url must lead to the primary; waiting for a promotion"}
	case encoding == "SQL_ASCII":
		return &Error{Class: Refused, What: "the database has the encoding SQL_ASCII, so its text has no known encoding",
			Mend: "move the data to a database with ENCODING 'UTF8'"}
	}
	return nil
}

// checkTables refuses tables that cannot be replicated, or whose publishing would make the application's own updates
// fail. All of them are told at once.
func checkTables(names []TableName, found map[TableName]*Table) error {
	var what, mend []string
	add := func(w, m string) { what, mend = append(what, w), append(mend, m) }
	for _, n := range names {
		t := found[n]
		if t == nil {
			add(fmt.Sprintf("table %s does not exist, or the role may not see its schema", n),
				fmt.Sprintf("mend its name in the config, or GRANT USAGE ON SCHEMA %s TO the role", QuoteIdent(n.Schema)))
			continue
		}
		switch t.Kind {
		case 'r', 'p':
		default:
			add(fmt.Sprintf("%s is not a table: views and foreign tables are not in the log", n), "map the tables behind it")
			continue
		}
		identity := slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Identity })
		switch {
		case len(t.Key) == 0:
			add(fmt.Sprintf("table %s has no primary key, so its rows cannot be told apart", n),
				fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (…);", n.Quote()))
		case !identity:
			add(fmt.Sprintf("table %s has no usable replica identity: publishing it would make the application's updates fail", n),
				fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;  (a deferrable primary key needs FULL or a unique index)", n.Quote()))
		default:
			for _, k := range t.Key {
				if !t.Columns[k].Identity {
					add(fmt.Sprintf("the replica identity of table %s lacks %q of its primary key", n, t.Columns[k].Name),
						fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT;", n.Quote()))
					break
				}
			}
		}
	}
	if len(what) == 0 {
		return nil
	}
	return &Error{Class: Refused, What: strings.Join(what, "\n"), Mend: strings.Join(mend, "\n        ")}
}

func (s *Source) ensurePublication(ctx context.Context, conn *pgx.Conn, cat *Catalog) error {
	p := s.cfg.Publication
	var quoted []string
	var partitioned bool
	for _, t := range s.cfg.Tables {
		quoted = append(quoted, t.Quote())
		partitioned = partitioned || cat.Tables[t].Kind == 'p'
	}
	var ins, upd, del, trunc, root bool
	err := conn.QueryRow(ctx, `select pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot from pg_publication where pubname = $1`, p).
		Scan(&ins, &upd, &del, &trunc, &root)
	if errors.Is(err, pgx.ErrNoRows) {
		sql := fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s", QuoteIdent(p), strings.Join(quoted, ", "))
		if partitioned {
			sql += " WITH (publish_via_partition_root = true)"
		}
		if _, err := conn.Exec(ctx, sql); err != nil && SQLState(err) != "42710" {
			return s.needsDBA(fmt.Sprintf("make the publication %s", p), sql, err)
		}
		cat.MadePublication = true
		return nil
	}
	if err != nil {
		return s.trouble("look for the publication", err)
	}
	if !ins || !upd || !del || !trunc {
		sql := fmt.Sprintf("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate');", QuoteIdent(p))
		return &Error{Class: Refused, What: fmt.Sprintf("the publication %s does not publish every kind of change", p), Mend: sql}
	}
	if partitioned && !root {
		return &Error{Class: Refused, What: fmt.Sprintf("the publication %s names partitions instead of their table", p),
			Mend: fmt.Sprintf("ALTER PUBLICATION %s SET (publish_via_partition_root = true);", QuoteIdent(p))}
	}
	missing, err := s.unpublished(ctx, conn)
	if err != nil {
		return s.trouble("read the publication's tables", err)
	}
	if len(missing) == 0 {
		return nil
	}
	quoted = quoted[:0]
	for _, t := range missing {
		quoted = append(quoted, t.Quote())
	}
	sql := fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s", QuoteIdent(p), strings.Join(quoted, ", "))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return s.needsDBA(fmt.Sprintf("add tables to the publication %s", p), sql, err)
	}
	cat.AddedTables = missing
	return nil
}

// unpublished are the mapped tables that the publication lacks.
func (s *Source) unpublished(ctx context.Context, conn *pgx.Conn) ([]TableName, error) {
	rows, err := conn.Query(ctx, `select schemaname, tablename from pg_publication_tables where pubname = $1`, s.cfg.Publication)
	if err != nil {
		return nil, err
	}
	has, err := pgx.CollectRows(rows, pgx.RowToStructByPos[TableName])
	if err != nil {
		return nil, err
	}
	var missing []TableName
	for _, t := range s.cfg.Tables {
		if !slices.Contains(has, t) {
			missing = append(missing, t)
		}
	}
	return missing, nil
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

// slotInfo is the slot's row in pg_replication_slots.
type slotInfo struct {
	Plugin, Database       string
	Temporary, TwoPhase    bool
	Active                 bool
	WALStatus              string
	Confirmed              LSN
	HasConfirmed, HasStart bool
}

func (s *Source) slot(ctx context.Context, conn *pgx.Conn) (*slotInfo, error) {
	i := &slotInfo{}
	var confirmed, restart *string
	err := conn.QueryRow(ctx, `
		select coalesce(plugin, ''), coalesce(database, ''), temporary, two_phase, active, coalesce(wal_status, ''),
			confirmed_flush_lsn::text, restart_lsn::text
		from pg_replication_slots where slot_name = $1`, s.cfg.Slot).
		Scan(&i.Plugin, &i.Database, &i.Temporary, &i.TwoPhase, &i.Active, &i.WALStatus, &confirmed, &restart)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i.HasStart = restart != nil
	if confirmed != nil {
		i.HasConfirmed = true
		if i.Confirmed, err = pglogrepl.ParseLSN(*confirmed); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// usable says why the slot cannot be used, or nil.
func (i *slotInfo) usable(slot, database, forget string) error {
	refuse := func(format string, args ...any) error {
		return &Error{Class: Refused, What: fmt.Sprintf("the replication slot %s ", slot) + fmt.Sprintf(format, args...),
			Mend: "choose another name in database.slot, or, if nobody needs it: SELECT pg_drop_replication_slot(" +
				QuoteLiteral(slot) + ");"}
	}
	switch {
	case i.Plugin != "pgoutput":
		return refuse("uses the plugin %q, not pgoutput: it is not rowhook's", i.Plugin)
	case i.Database != database:
		return refuse("belongs to the database %q, not to %q", i.Database, database)
	case i.Temporary:
		return refuse("is temporary: it belongs to another session")
	case i.TwoPhase:
		return refuse("decodes prepared transactions, which may be rolled back (two_phase)")
	case i.WALStatus == "lost" || !i.HasStart && i.HasConfirmed:
		return &Error{Class: Gap,
			What: fmt.Sprintf("the replication slot %s is lost: the server has removed log that was not read yet (max_slot_wal_keep_size), so changes since %s cannot be delivered", slot, i.Confirmed),
			Mend: "rowhook goes no further by itself. To accept that they are not delivered: stop rowhook, run\n    SELECT pg_drop_replication_slot(" +
				QuoteLiteral(slot) + ");\n    " + forget + "\n    and start it again"}
	case !i.HasConfirmed:
		return &Error{Class: Unavailable, What: fmt.Sprintf("the replication slot %s is being made", slot),
			Mend: "it waits for transactions that are older than it; " + blockersHint}
	}
	return nil
}

const blockersHint = "see SELECT pid, xact_start, state FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start; " +
	"and SELECT * FROM pg_prepared_xacts;"

// slotTimeout bounds how long the making of a slot waits for running transactions before it is told, and tried again.
const slotTimeout = 20 * time.Second

func (s *Source) ensureSlot(ctx context.Context, conn *pgx.Conn, cat *Catalog) error {
	info, err := s.slot(ctx, conn)
	if err != nil {
		return s.trouble("look for the replication slot", err)
	}
	cp, known, err := s.checkpoints.LoadCheckpoint(ctx, s.cfg.Slot)
	if err != nil {
		return &Error{Class: Unavailable, What: "read the checkpoint", Err: cause(err)}
	}
	if known {
		if err := s.sameSource(cp, cat); err != nil {
			return err
		}
	}
	if info != nil {
		if err := info.usable(s.cfg.Slot, cat.Database, s.cfg.Forget); err != nil {
			return err
		}
		if !known {
			return s.firstCheckpoint(ctx, cat, info.Confirmed)
		}
		return nil
	}
	if known {
		return &Error{Class: Gap,
			What: fmt.Sprintf("the replication slot %s is gone, though everything up to %s was read from it: changes since then cannot be delivered", s.cfg.Slot, cp.LSN),
			Mend: "it was dropped, or the server was failed over or restored without it. rowhook makes no new one by itself, since that would hide the loss.\n" +
				"    To accept that they are not delivered: stop rowhook, run\n    " + s.cfg.Forget + "\n    and start it again"}
	}
	wait, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	var made string
	err = conn.QueryRow(wait, `select lsn::text from pg_create_logical_replication_slot($1, 'pgoutput', false, false)`, s.cfg.Slot).Scan(&made)
	if err != nil {
		return s.slotError(ctx, err)
	}
	lsn, err := pglogrepl.ParseLSN(made)
	if err != nil {
		return err
	}
	cat.MadeSlot = true
	return s.firstCheckpoint(ctx, cat, lsn)
}

func (s *Source) slotError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	what := fmt.Sprintf("make the replication slot %s", s.cfg.Slot)
	e := &Error{Class: Unavailable, What: what, Err: cause(err)}
	switch SQLState(err) {
	case "53400":
		e.Class = Refused
		e.Mend = "every slot of the server is taken: drop one that nobody needs\n" +
			"    (SELECT slot_name, active, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots;)\n" +
			"    or raise max_replication_slots and restart the server"
	case "42501":
		e.Class = Refused
		e.Mend = "the role needs REPLICATION: ALTER ROLE … REPLICATION;"
	case "57014", "":
		e.Mend = "it waits for transactions that were running when it began; " + blockersHint
	}
	return e
}

// firstCheckpoint makes the checkpoint as soon as the slot is there: from then on a missing slot is a gap.
func (s *Source) firstCheckpoint(ctx context.Context, cat *Catalog, lsn LSN) error {
	cp := Checkpoint{Slot: s.cfg.Slot, SystemID: cat.SystemID, DatabaseOID: cat.DatabaseOID, Timeline: cat.Timeline,
		Environment: s.cfg.Environment, Epoch: 1, LSN: lsn}
	if err := s.checkpoints.SaveCheckpoint(ctx, cp); err != nil {
		return &Error{Class: Unavailable, What: "write the first checkpoint", Err: cause(err)}
	}
	return nil
}

// sameSource refuses a store that belongs to another source: hooks of production must not be sent by a copy of it.
func (s *Source) sameSource(cp Checkpoint, cat *Catalog) error {
	var differs string
	switch {
	case cp.SystemID != cat.SystemID:
		differs = fmt.Sprintf("cluster %s, this is cluster %s", cp.SystemID, cat.SystemID)
	case cp.DatabaseOID != cat.DatabaseOID:
		differs = fmt.Sprintf("the database with OID %d, this is %d", cp.DatabaseOID, cat.DatabaseOID)
	case cp.Timeline != cat.Timeline:
		differs = fmt.Sprintf("timeline %d, this is timeline %d", cp.Timeline, cat.Timeline)
	case cp.Environment != s.cfg.Environment:
		differs = fmt.Sprintf("the environment %q, this is %q", cp.Environment, s.cfg.Environment)
	default:
		return nil
	}
	return &Error{Class: Gap,
		What: "rowhook's store belongs to another source: its checkpoint is of " + differs,
		Mend: "a copy of a database must not send the hooks of the original: give it a store and an environment of its own.\n" +
			"    If this is the source to go on with, stop rowhook, run\n    " + s.cfg.Forget + "\n    and start it again: it goes on where the slot is, or from now on where there is none.\n" +
			"    If only the environment's name changed, set database.environment to the old one"}
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
