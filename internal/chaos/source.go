//go:build unix

package chaos

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// tables are those of the application, and beside them, not published, what the truth is told by: a transaction that
// changes an item takes the next number of its key, whose row stays locked until the commit. So numbers are in commit
// order, have no gaps, and what is rolled back, or comes to nothing, gives its number back. The mark tells apart changes
// that had the same number; was is that of the row before the transaction.
const tables = `
create table items (id bigint primary key, seq bigint not null, mark bigint not null, body text not null);
alter table items replica identity full;
create table counters (id bigint primary key, seq bigint not null);
create table journal (id bigint, seq bigint, op int not null, mark bigint not null, was bigint, xid xid8 not null, primary key (id, seq));
create table marks (mark bigint primary key);
create function number_change() returns trigger language plpgsql as $$
declare
	n bigint;
	key bigint := coalesce(new.id, old.id);
	before journal;
begin
	update counters set seq = seq + 1 where id = key returning seq into n;
	select * into before from journal where id = key and seq = n - 1 and xid = pg_current_xact_id();
	if before.id is not null then
		-- The transaction has changed the item already: what it comes to has one number.
		n := n - 1;
		update counters set seq = n where id = key;
	end if;
	if tg_op = 'DELETE' then
		if before.id is null then
			insert into journal values (key, n, 3, old.mark, old.mark, pg_current_xact_id());
		elsif before.was is null then
			delete from journal where id = key and seq = n;
			update counters set seq = n - 1 where id = key;
		else
			update journal set op = 3, mark = before.was where id = key and seq = n;
		end if;
		return old;
	end if;
	new.seq := n;
	new.mark := floor(random() * 9007199254740991)::bigint;
	new.body := md5(new.mark::text) || repeat('.', 20 + (new.mark % 1400)::int);
	if before.id is null then
		insert into journal values (key, n, case tg_op when 'INSERT' then 1 else 2 end, new.mark,
			case tg_op when 'INSERT' then null else old.mark end, pg_current_xact_id());
	else
		update journal set op = case when before.was is null then 1 else 2 end, mark = new.mark where id = key and seq = n;
	end if;
	return new;
end$$;
create trigger number_change before insert or update or delete on items for each row execute function number_change();
`

// config is rowhook's. The schedule outlasts the outages and what the targets fail.
const config = `
database: {url: "${env:DATABASE_URL}", slot: "${env:SLOT}", environment: chaos}
store: {url: "${env:STORE_URL}"}
api:
  listen: 127.0.0.1:0
  tokens: [{name: ops, token: ` + token + `, account: "*"}]
delivery:
  timeout: 10s
  retries: [30ms, 50ms, 100ms, 200ms, 300ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms]
  allow_http: true
  allow_networks: [127.0.0.0/8]
limits: {hold: 1s}
resources:
  item: {table: items, columns: all}
`

const token = "chaos-token-0123456789"

// Operations of a change, as the journal has them.
const (
	insert = 1
	update = 2
	remove = 3
)

// bulkFrom is the first of the keys that large transactions change.
const bulkFrom = 1_000_000

// prepare makes the tables, and the counters of all keys.
func prepare(ctx context.Context, conn *pgx.Conn, keys, bulk int) error {
	if _, err := conn.Exec(ctx, tables); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	_, err := conn.Exec(ctx, `insert into counters select k, 0 from generate_series(1, $1) k
		union all select $2 + k, 0 from generate_series(1, $3) k`, keys, bulkFrom, bulk)
	if err != nil {
		return fmt.Errorf("make the counters: %w", err)
	}
	return nil
}

// committed are the last numbers of all keys that are committed and visible.
func committed(ctx context.Context, url string) (map[int64]int64, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `select id, seq from counters`)
	if err != nil {
		return nil, err
	}
	last := map[int64]int64{}
	var id, seq int64
	_, err = pgx.ForEachRow(rows, []any{&id, &seq}, func() error { last[id] = seq; return nil })
	return last, err
}
