//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// historyTables are those of an application of two customers. What changes an item takes the next number of its key, whose row stays
// locked until the commit: so the numbers of a key are in the order of its commits. Its kind never changes.
const historyTables = `
create table groups (id int primary key, name text not null);
create table items (id bigint primary key, account int not null, kind text not null default '', hidden boolean not null default false,
	seq bigint not null default 0, group_id int not null, updated_at timestamptz not null default now());
alter table items replica identity full;
create table counters (id bigint primary key, seq bigint not null);
create table ends (id int primary key, at timestamptz not null);
insert into ends values (1, now());
create function number_item() returns trigger language plpgsql as $$
begin
	if tg_op = 'DELETE' then
		update counters set seq = seq + 1 where id = old.id;
		return old;
	end if;
	if tg_op = 'UPDATE' and new.id <> old.id then
		update counters set seq = seq + 1 where id = old.id;
	end if;
	update counters set seq = seq + 1 where id = new.id returning seq into new.seq;
	new.kind := case new.id % 2 when 0 then 'a' else 'b' end;
	new.updated_at := clock_timestamp();
	return new;
end$$;
create trigger number_item before insert or update or delete on items for each row execute function number_item();
`

// historyConfig is rowhook's. The schedule is long: what is to fail for good has its own.
const historyConfig = `
database: {url: "${env:DATABASE_URL}", slot: "${env:SLOT}", environment: chaos}
api:
  listen: 127.0.0.1:0
  tokens:
    - {name: ops, token: ` + token + `, account: "*"}
    - {name: one, token: ` + token + `-1, account: "1"}
    - {name: two, token: ` + token + `-2, account: "2"}
delivery:
  timeout: 1s
  retries: [50ms, 100ms, 200ms, 500ms, 1s, 1s, 1s, 1s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s]
  allow_http: true
  allow_networks: [127.0.0.0/8]
  accounts: {allow_http: true, allow_networks: [127.0.0.0/8]}
limits: {hold: 500ms}
resources:
  item:
    table: items
    account: account
    where: not hidden
    representation: {id: "${id}", account: "${account}", kind: "${kind}", seq: "${seq}", group: "${group}"}
    relations:
      group: {table: groups, foreign_key: group_id, representation: "${name}", touch: true}
  end: {table: ends, columns: all}
`

// historyGroups is how many groups there are: an item belongs to one.
const historyGroups = 24

// prepareHistory makes the tables, and cold items behind the keys that change all the time.
func prepareHistory(ctx context.Context, conn *pgx.Conn, keys, cold int) error {
	if _, err := conn.Exec(ctx, historyTables); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	for _, fill := range []struct {
		sql  string
		args []any
	}{
		{`insert into groups select g, 'group ' || g from generate_series(0, $1 - 1) g`, []any{historyGroups}},
		{`insert into counters select k, 0 from generate_series(1, $1::bigint) k`, []any{keys + cold}},
		{`insert into items (id, account, group_id) select k, 1 + k / 2 % 2, k % $2 from generate_series(1, $1::bigint) k`, []any{keys + cold, historyGroups}},
	} {
		if _, err := conn.Exec(ctx, fill.sql, fill.args...); err != nil {
			return fmt.Errorf("fill the tables: %w", err)
		}
	}
	return nil
}

// application changes items with several connections, whatever becomes of each transaction: what counts is what the table has in the end.
type application struct {
	url               string
	seed              uint64
	rate, keys, total int
	committed         atomic.Int64

	mu  sync.Mutex
	err error
}

func (a *application) run(ctx context.Context, writers int) error {
	pace := &load{rate: a.rate, began: time.Now()}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(a.seed, uint64(i)))
			w := &writer{load: &load{url: a.url, rate: a.rate}, rng: rng}
			defer w.close()
			for pacer := (&writer{load: pace}); pacer.turn(ctx); {
				if err := a.write(w); err != nil {
					a.mu.Lock()
					a.err = errors.Join(a.err, err)
					a.mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return a.err
}

// write writes one transaction. What the database refuses as two writers that meet, or because it goes away, is nothing.
func (a *application) write(w *writer) error {
	ctx := context.Background()
	if err := w.connect(ctx); err != nil {
		return err
	}
	steps, undo := a.pick(w.rng)
	b := &pgx.Batch{}
	b.Queue(`begin`)
	for _, s := range steps {
		b.Queue(s.sql, s.args...)
	}
	if undo {
		b.Queue(`rollback`)
	} else {
		b.Queue(`commit`)
	}
	err := w.conn.SendBatch(ctx, b).Close()
	if err == nil {
		a.committed.Add(1)
		return nil
	}
	w.close()
	var told *pgconn.PgError
	if errors.As(err, &told) && told.Code[:2] != "57" && told.Code != "40P01" && told.Code != "23505" {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// pick makes a transaction.
func (a *application) pick(rng *rand.Rand) (steps []step, undo bool) {
	key := func() int64 {
		if rng.IntN(20) == 0 {
			return 1 + rng.Int64N(int64(a.total))
		}
		return 1 + rng.Int64N(int64(a.keys))
	}
	group := func() int { return rng.IntN(historyGroups) }
	change := func(k int64) step {
		return step{sql: `insert into items (id, account, group_id) values ($1, $2, $3) on conflict (id) do update set seq = 0`, args: []any{k, 1 + rng.IntN(2), group()}}
	}
	remove := func(k int64) step { return deletion(k) }
	switch p := rng.IntN(100); {
	case p < 50:
		steps = []step{change(key())}
	case p < 60:
		for range 2 + rng.IntN(4) {
			steps = append(steps, change(key()))
		}
	case p < 70:
		steps = []step{remove(key())}
	case p < 76:
		steps = []step{{sql: `update items set account = 3 - account where id = $1`, args: []any{key()}}}
	case p < 83:
		steps = []step{{sql: `update items set hidden = not hidden where id = $1`, args: []any{key()}}}
	case p < 84 || p < 87 && rng.IntN(8) == 0: // each is an update of many
		steps = []step{{sql: `update groups set name = $2 where id = $1`, args: []any{group(), fmt.Sprint("group ", rng.Int64())}}}
	case p < 91:
		steps = []step{{sql: `update items set group_id = $2 where id = $1`, args: []any{key(), group()}}}
	case p < 94:
		steps = []step{{sql: `update items set id = $2 where id = $1 and not exists (select from items where id = $2)`, args: []any{key(), key()}}}
	case p < 97:
		k := key() // comes to one event, or to nothing
		steps = []step{remove(k), change(k), change(k)}
		if rng.IntN(2) == 0 {
			steps = append(steps, remove(k))
		}
	default:
		steps, undo = []step{change(key()), remove(key())}, true
	}
	return steps, undo
}

// item is one as a subscriber holds it.
type item struct {
	ID      int64   `json:"id"`
	Account int     `json:"account"`
	Kind    string  `json:"kind"`
	Seq     int64   `json:"seq"`
	Group   *string `json:"group"`
}

func (i *item) String() string {
	group := "none"
	if i.Group != nil {
		group = strings.TrimPrefix(*i.Group, "group ")
	}
	return fmt.Sprintf("number %d of account %d in group %s", i.Seq, i.Account, group)
}

// visible are the items that somebody may see, as they are in the table.
func visible(ctx context.Context, url, account, kind string) (map[int64]*item, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, `select i.id, i.account, i.kind, i.seq, g.name from items i join groups g on g.id = i.group_id
		where not hidden and ($1 = '' or account::text = $1) and ($2 = '' or kind = $2)`, account, kind)
	if err != nil {
		return nil, err
	}
	out := map[int64]*item{}
	for rows.Next() {
		x := &item{}
		if err := rows.Scan(&x.ID, &x.Account, &x.Kind, &x.Seq, &x.Group); err != nil {
			rows.Close()
			return nil, err
		}
		out[x.ID] = x
	}
	return out, rows.Err()
}
