package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// rowsSchema has the same tables under the default identity and under FULL.
const rowsSchema = `
create extension hstore;
create type mood as enum ('sad', 'happy "q"');
create domain cents as numeric(10,2);
create type pair as (a int, b text);
create table orders (id bigint primary key, status text, total numeric(12,2), note text, tags text[], meta jsonb,
	created_at timestamptz default '2024-02-29 13:14:15.12+00');
alter table orders alter note set storage external;
create table items (id int primary key, order_id bigint references orders on delete cascade);
create table whole (like orders including all);
alter table whole replica identity full;
create table codes (code text primary key, title text);
alter table codes alter code set storage external;
create table goods (id int primary key, a text, n int);
create table shards (id int, region text, v text, primary key (id, region)) partition by list (region);
create table shards_eu partition of shards for values in ('eu');
create table shards_us partition of shards for values in ('us');
create table kinds (id int primary key, i8 bigint, num numeric, dec numeric(12,2), f8 float8, f4 float4, at timestamptz, d date, t time, iv interval,
	b bytea, grid int[], odd int[], m mood, ms mood[], c cents, p pair, h hstore, r int4range, tr tstzrange);
`

const rowsConfig = `
  order: {table: orders, columns: all}
  item: {table: items, columns: all}
  whole: {table: whole, columns: all}
  code: {table: codes, columns: all}
  good: {table: goods, columns: all}
  shard: {table: shards, columns: all}
  kind: {table: kinds, columns: all}
`

// hostileSettings change how values are written as text, for whoever does not say how he wants them. Little memory lets
// the server write long transactions to its disk.
var hostileSettings = []string{
	"datestyle = 'German, DMY'", "intervalstyle = 'sql_standard'", "timezone = 'Asia/Kolkata'", "bytea_output = 'escape'", "extra_float_digits = -15",
	"client_encoding = 'LATIN1'", "logical_decoding_work_mem = '64kB'", "quote_all_identifiers = on",
}

const unset = `"total":null,"note":null,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`

// rowCases go over the same tables, in this order. Each begins with tables that are empty, unless it goes on.
var rowCases = []struct {
	name string
	do   []string
	// want are the events in the order of their positions. A text of 2000 characters and more is told by its begin.
	want []string
	// also looks at the requests.
	also func(*testing.T, *rig, []hooktest.Request)
}{
	{
		name: "Insert",
		do:   []string{`insert into orders values (1, 'new', 12.3, 'n', '{x}', '{"a": 1}', '2024-02-29 13:14:15.123456+05:30')`},
		want: []string{`order.create {"id":1,"status":"new","total":"12.30","note":"n","tags":["x"],"meta":{"a":1},"created_at":"2024-02-29T07:44:15.123456Z"}`},
		also: func(t *testing.T, _ *rig, got []hooktest.Request) {
			m := got[0].Message()
			if !strings.HasPrefix(got[0].ID, "evt_") || len(got[0].Position) != 40 {
				t.Errorf("id %s, position %s", got[0].ID, got[0].Position)
			}
			if at, err := time.Parse("2006-01-02T15:04:05.000000Z", m.Timestamp); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("timestamp %s: %v", m.Timestamp, err)
			}
		},
	},
	{name: "RolledBack", do: []string{`begin`, `insert into orders values (1, 'new')`, `rollback`}},
	{
		name: "SavepointRolledBack",
		do:   []string{`begin`, `savepoint a`, `insert into orders values (1, 'gone')`, `rollback to a`, `insert into orders values (2, 'kept')`, `commit`},
		want: []string{`order.create {"id":2,"status":"kept",` + unset},
	},
	{
		name: "LongTransactionPartlyRolledBack",
		do: []string{`begin`, `insert into orders (id, note) select n, repeat('n', 100) from generate_series(1, 1000) n`, `savepoint a`,
			`insert into orders (id, note) select n, repeat('n', 100) from generate_series(1001, 2000) n`, `rollback to a`, `insert into orders (id) values (3000)`, `commit`},
		also: func(t *testing.T, r *rig, got []hooktest.Request) {
			ids := map[string]bool{}
			for _, q := range got {
				ids[q.Instance()] = true
			}
			if len(got) != 1001 || len(ids) != 1001 || !ids["order/1000"] || !ids["order/3000"] {
				t.Errorf("%d events of %d instances, want 1001", len(got), len(ids))
			}
			var spilled int
			if err := r.conn.QueryRow(t.Context(), `select spill_txns from pg_stat_replication_slots where slot_name = $1`, r.slot).Scan(&spilled); err != nil || spilled == 0 {
				t.Errorf("the server had the transaction in memory: %v", err)
			}
		},
	},
	{
		name: "Update",
		do:   []string{`insert into orders values (1, 'new', 5, 'n', '{x}', '{}')`, `update orders set status = 'paid'`},
		want: []string{`order.create {"id":1,"status":"new","total":"5.00","note":"n","tags":["x"],"meta":{},"created_at":"2024-02-29T13:14:15.120000Z"}`,
			`order.update {"id":1,"status":"paid","total":"5.00","note":"n","tags":["x"],"meta":{},"created_at":"2024-02-29T13:14:15.120000Z"}`},
	},
	{
		name: "LargeValueThatDidNotChange",
		do:   []string{`insert into orders (id, note) values (1, 'L' || repeat('x', 10000))`, `update orders set status = 'paid'`},
		want: []string{`order.create {"id":1,"status":null,"total":null,"note":L+10000,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`,
			`order.update {"id":1,"status":"paid","total":null,"note":L+10000,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`},
	},
	{
		name: "LargeValueUnderFull",
		do:   []string{`insert into whole (id, note) values (1, 'L' || repeat('x', 10000))`, `update whole set status = 'paid'`},
		want: []string{`whole.create {"id":1,"status":null,"total":null,"note":L+10000,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`,
			`whole.update {"id":1,"status":"paid","total":null,"note":L+10000,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`},
	},
	{
		name: "LargeKeyThatDidNotChange",
		do:   []string{`insert into codes values ('K' || repeat('x', 2100), 'a')`, `update codes set title = 'b'`},
		want: []string{`code.create {"code":K+2100,"title":"a"}`, `code.update {"code":K+2100,"title":"b"}`},
	},
	{
		name: "KeyChanged",
		do:   []string{`insert into orders values (1, 'new')`, `update orders set id = 2`, `update orders set status = 'paid'`},
		want: []string{`order.create {"id":1,"status":"new",` + unset, `order.delete {"id":1}`, `order.create {"id":2,"status":"new",` + unset, `order.update {"id":2,"status":"paid",` + unset},
		also: func(t *testing.T, r *rig, _ []hooktest.Request) {
			if err := hooktest.CheckOrder(r.recv.Requests()); err != nil {
				t.Error(err)
			}
		},
	},
	{name: "Delete", do: []string{`insert into orders values (1, 'new')`, `delete from orders`}, want: []string{`order.create {"id":1,"status":"new",` + unset, `order.delete {"id":1}`}},
	{
		name: "DeleteThatCascades",
		do:   []string{`insert into orders values (1, 'new')`, `insert into items values (1, 1), (2, 1)`, `delete from orders`},
		want: []string{`order.create {"id":1,"status":"new",` + unset, `item.create {"id":1,"order_id":1}`, `item.create {"id":2,"order_id":1}`,
			`order.delete {"id":1}`, `item.delete {"id":1}`, `item.delete {"id":2}`},
	},
	{
		name: "DeleteUnderFull",
		do:   []string{`insert into whole values (1, 'new', 5)`, `delete from whole`},
		want: []string{`whole.create {"id":1,"status":"new","total":"5.00","note":null,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`,
			`whole.delete {"id":1,"status":"new","total":"5.00","note":null,"tags":null,"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`},
	},
	{
		name: "UpdateOfNothing",
		do: []string{`insert into orders values (1, 'new')`, `insert into whole values (1, 'new')`, `update whole set status = status`,
			`update orders set status = status`},
		want: []string{`order.create {"id":1,"status":"new",` + unset, `whole.create {"id":1,"status":"new",` + unset, `order.update {"id":1,"status":"new",` + unset},
	},
	{
		name: "Upserts",
		do: []string{`insert into orders values (1, 'a') on conflict (id) do update set status = excluded.status`,
			`insert into orders values (1, 'b') on conflict (id) do update set status = excluded.status`, `insert into orders values (1, 'c') on conflict do nothing`},
		want: []string{`order.create {"id":1,"status":"a",` + unset, `order.update {"id":1,"status":"b",` + unset},
	},
	{
		name: "Copy",
		do:   []string{"copy goods (id, a) 1 2 3"},
		want: []string{`good.create {"id":1,"a":"c","n":null}`, `good.create {"id":2,"a":"c","n":null}`, `good.create {"id":3,"a":"c","n":null}`},
		also: func(t *testing.T, _ *rig, got []hooktest.Request) {
			if len(hooktest.ByID(got)) != 3 {
				t.Error("ids are there twice")
			}
		},
	},
	{
		name: "Truncate",
		do:   []string{`insert into orders values (1, 'a')`, `truncate orders, items restart identity cascade`, `insert into orders values (1, 'b')`},
		want: []string{`order.create {"id":1,"status":"a",` + unset, `item.truncate null`, `order.truncate null`, `order.create {"id":1,"status":"b",` + unset},
	},
	{
		name: "ColumnAddedWithinATransaction",
		do:   []string{`begin`, `insert into goods values (1, 'x', 1)`, `alter table goods add column extra int default 7`, `insert into goods values (2, 'y', 2, 8)`, `commit`},
		want: []string{`good.create {"id":1,"a":"x","n":1}`, `good.create {"id":2,"a":"y","n":2,"extra":8}`},
	},
	{
		name: "ColumnsRenamedRetypedDropped",
		do: []string{`insert into goods values (1, 'x', 1)`, `alter table goods rename a to b`, `update goods set n = 2`, `alter table goods alter n type text using 't'`,
			`update goods set b = 'y'`, `alter table goods drop column extra`, `update goods set b = 'z'`, `alter table goods rename to wares`,
			`insert into wares values (2, 'nobody knows', 't')`, `alter table wares rename to goods`, `insert into goods values (3, 'w', 't')`},
		want: []string{`good.create {"id":1,"a":"x","n":1,"extra":7}`, `good.update {"id":1,"b":"x","n":2,"extra":7}`, `good.update {"id":1,"b":"y","n":"t","extra":7}`,
			`good.update {"id":1,"b":"z","n":"t"}`, `good.create {"id":3,"b":"w","n":"t"}`},
		also: func(t *testing.T, r *rig, _ []hooktest.Request) {
			if !strings.Contains(r.log.String(), "table public.goods is now called public.wares") {
				t.Error("the log does not say that the table has another name")
			}
		},
	},
	{
		name: "TableDroppedAndMadeAgain",
		do: []string{`drop table goods`, `create table goods (id int primary key, other text)`, `alter publication rowhook add table goods`,
			`insert into goods values (1, 'x')`},
		want: []string{`good.create {"id":1,"other":"x"}`},
	},
	{
		name: "Partitions",
		do:   []string{`insert into shards values (1, 'eu', 'x')`, `update shards set region = 'us'`, `update shards set v = 'y'`, `delete from shards`},
		want: []string{`shard.create {"id":1,"region":"eu","v":"x"}`, `shard.delete {"id":1,"region":"eu"}`, `shard.create {"id":1,"region":"us","v":"x"}`,
			`shard.update {"id":1,"region":"us","v":"y"}`, `shard.delete {"id":1,"region":"us"}`},
	},
	{
		name: "DigitsAreKept",
		do: []string{`insert into kinds (id, i8, num, dec) values (1, 9223372036854775807, 12345678901234567890.1234567890, 12.30)`,
			`insert into orders (id, meta) values (1, '{"n":12345678901234567890,"x":1.10}')`},
		want: []string{kindOf(1, `"i8":9223372036854775807`, `"num":"12345678901234567890.1234567890"`, `"dec":"12.30"`),
			`order.create {"id":1,"status":null,"total":null,"note":null,"tags":null,"meta":{"n":12345678901234567890,"x":1.10},"created_at":"2024-02-29T13:14:15.120000Z"}`},
	},
	{
		name: "NotFinite",
		do:   []string{`insert into kinds (id, num, f8, f4) values (1, 'NaN', 'Infinity', '-Infinity'), (2, '1e20', 'NaN', 0.1), (3, 0, '-0', 1e-45)`},
		want: []string{kindOf(1), kindOf(2, `"num":"100000000000000000000"`, `"f4":0.1`), kindOf(3, `"num":"0"`, `"f8":-0`, `"f4":1e-45`)},
	},
	{
		name: "TimesBeyondTheCalendar",
		do: []string{`insert into kinds (id, at, d, t, iv) values (1, 'infinity', '-infinity', '24:00:00', 'P1Y2M3DT4H5M6.789S'),
			(2, '0044-03-15 12:00:00+00 BC', '0044-03-15 BC', '13:14:15.5', '-1 days +00:00:01'), (3, '10000-01-01 00:00:00+00', '10000-01-01', '00:00', '0')`},
		want: []string{kindOf(1, `"t":"24:00:00"`, `"iv":"P1Y2M3DT4H5M6.789S"`),
			kindOf(2, `"at":"-0043-03-15T12:00:00.000000Z"`, `"d":"-0043-03-15"`, `"t":"13:14:15.5"`, `"iv":"P-1DT1S"`),
			kindOf(3, `"at":"+10000-01-01T00:00:00.000000Z"`, `"d":"+10000-01-01"`, `"t":"00:00:00"`, `"iv":"PT0S"`)},
	},
	{
		// All cases run under hostile settings; these types are those that they change.
		name: "SettingsChangeNothing",
		do: []string{`insert into kinds (id, f8, f4, at, d, iv, b, tr) values (1, 0.1 + 0.2::float8, 1234567.9, '2024-02-29 13:14:15.12+00', '2024-02-29', '1 year -2 days',
			'\xdeadbeef00', '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")')`},
		want: []string{kindOf(1, `"f8":0.30000000000000004`, `"f4":1.2345679e+06`, `"at":"2024-02-29T13:14:15.120000Z"`, `"d":"2024-02-29"`, `"iv":"P1Y-2D"`, `"b":"3q2+7wA="`,
			`"tr":"[\"2024-01-01 00:00:00+00\",\"2024-02-01 00:00:00+00\")"`)},
	},
	{
		name: "Arrays",
		do: []string{`insert into orders (id, tags) values (1, '{a,"NULL",NULL,"","x,y"}'), (2, '{}')`,
			`insert into kinds (id, grid, odd) values (1, '{{1,2},{3,4}}', '[0:1]={7,8}')`},
		want: []string{`order.create {"id":1,"status":null,"total":null,"note":null,"tags":["a","NULL",null,"","x,y"],"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`,
			`order.create {"id":2,"status":null,"total":null,"note":null,"tags":[],"meta":null,"created_at":"2024-02-29T13:14:15.120000Z"}`,
			kindOf(1, `"grid":[[1,2],[3,4]]`, `"odd":[7,8]`)},
	},
	{
		name: "TypesOfTheUsersOwn",
		do: []string{`insert into kinds (id, m, ms, c, p, h, r) values (1, 'happy "q"', '{sad,"happy \"q\"",NULL}', 1.5, '(1,"a ""q"", b")',
			'"a"=>"1", "b c"=>NULL', '[1,5]')`},
		want: []string{kindOf(1, `"m":"happy \"q\""`, `"ms":["sad","happy \"q\"",null]`, `"c":"1.50"`, `"p":"(1,\"a \"\"q\"\", b\")"`, `"h":{"a":"1","b c":null}`, `"r":"[1,6)"`)},
	},
	{
		name: "TextOfAllKinds",
		do:   []string{`insert into codes values ('1', E'😀 "q" \\ \n\t\u2028\u0001 <b>&amp;</b> ' || chr(127) || ' é')`},
		also: func(t *testing.T, _ *rig, got []hooktest.Request) {
			var data struct{ Title string }
			if len(got) != 1 || json.Unmarshal(got[0].Data(), &data) != nil {
				t.Fatalf("got %v", got)
			}
			if want := "😀 \"q\" \\ \n\t\u2028\u0001 <b>&amp;</b> \x7f é"; data.Title != want {
				t.Errorf("got %q, want %q", data.Title, want)
			}
		},
	},
}

// kindOf is the creation of a row of kinds that has the members, and null for all others.
func kindOf(id int, members ...string) string {
	out := fmt.Sprintf(`kind.create {"id":%d`, id)
	for _, column := range strings.Fields("i8 num dec f8 f4 at d t iv b grid odd m ms c p h r tr") {
		name := `"` + column + `":`
		i := slices.IndexFunc(members, func(m string) bool { return strings.HasPrefix(m, name) })
		if i < 0 {
			out += "," + name + "null"
		} else {
			out += "," + members[i]
		}
	}
	return out + "}"
}

// TestWhatArrivesOfRows does to tables what applications do, and reads what arrives.
func TestWhatArrivesOfRows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.exec(rowsSchema)
	r.text += rowsConfig
	for _, setting := range hostileSettings {
		r.exec(`do $$begin execute format('alter database %I set ` + strings.ReplaceAll(setting, "'", "''") + `', current_database()); end$$`)
	}
	r.start()
	sub := r.subscribe("/")
	for n, c := range rowCases {
		t.Run(c.name, func(t *testing.T) {
			for _, sql := range c.do {
				if ids, ok := strings.CutPrefix(sql, "copy goods (id, a) "); ok {
					r.copyGoods(ids)
				} else {
					r.exec(sql)
				}
			}
			r.exec(`insert into notes values ($1, 'behind')`, n+1)
			r.typesOf(fmt.Sprint("note/", n+1))
			r.becomes("nothing is due", `select not exists (select from rowhook.due)`)
			all, begin := r.recv.Requests(), ""
			if before := hooktest.ByInstance(all)[fmt.Sprint("note/", -n)]; len(before) > 0 {
				begin = before[0].Position
			}
			got := slices.DeleteFunc(slices.Clone(all), func(q hooktest.Request) bool {
				return strings.HasPrefix(q.Type, "note.") || q.Position <= begin
			})
			slices.SortFunc(got, func(a, b hooktest.Request) int { return strings.Compare(a.Position, b.Position) })
			var lines []string
			for _, q := range got {
				if err := q.Verify(sub.Secret); err != nil {
					t.Error(err)
				}
				lines = append(lines, q.Type+" "+shortened(string(q.Data())))
			}
			sortTruncates(lines)
			if (c.want != nil || c.also == nil) && !slices.Equal(lines, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(c.want, "\n"))
			}
			if c.also != nil {
				c.also(t, r, got)
			}
			// The next one begins with empty tables.
			if c.name == "Copy" || c.name == "ColumnAddedWithinATransaction" {
				r.exec(`delete from goods`)
			}
			r.transaction(`delete from items`, `delete from orders`, `delete from whole`, `delete from codes`, `delete from shards`, `delete from kinds`,
				fmt.Sprintf(`insert into notes values (%d, 'before')`, -n-1))
		})
	}
	if n := r.metric("rowhook_replication_connections"); n != 1 {
		t.Errorf("%g connections: the stream ended", n)
	}
}

func (r *rig) copyGoods(ids string) {
	r.t.Helper()
	var rows [][]any
	for _, id := range strings.Fields(ids) {
		var n int
		if _, err := fmt.Sscan(id, &n); err != nil {
			r.t.Fatal(err)
		}
		rows = append(rows, []any{n, "c"})
	}
	if _, err := r.conn.CopyFrom(r.t.Context(), pgx.Identifier{"goods"}, []string{"id", "a"}, pgx.CopyFromRows(rows)); err != nil {
		r.t.Fatal(err)
	}
}

// shortened tells texts of many x by how many they are.
func shortened(s string) string {
	for {
		i := strings.Index(s, strings.Repeat("x", 2000))
		if i < 0 {
			return s
		}
		rest := strings.TrimLeft(s[i:], "x")
		n := len(s) - i - len(rest)
		// "Lxxx…" is L+n, without its quotes.
		s = s[:i-2] + s[i-1:i] + fmt.Sprintf("+%d", n) + strings.TrimPrefix(rest, `"`)
	}
}
