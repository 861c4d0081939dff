package mapping

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

// TestMendIdentity finds one replica identity for all that the resources of a table need.
func TestMendIdentity(t *testing.T) {
	t.Parallel()
	for promise, c := range map[string]struct{ config, table, want string }{
		"AnIndexForAll": {
			"{a: {table: public.t, account: x, columns: [id]}, b: {table: public.t, columns: [id], events: {b.e: old.y == 1}}}",
			"{key: [id], columns: {id: int8 not null, x: int8 not null, y: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity" ON "public"."t" ("id", "x", "y"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity";`,
		},
		"WhatOthersHaveStays": {
			"{a: {table: public.t, account: x, columns: [id]}, b: {table: public.t, columns: [id], events: {b.e: old.y == 1}}}",
			"{identity: [id, x], key: [id], columns: {id: int8 not null, x: int8 not null, y: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity_3" ON "public"."t" ("id", "x", "y"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity_3";`,
		},
		"NoIndexOverNulls": {
			"{a: {table: public.t, account: x, columns: [id]}, b: {table: public.t, columns: [id], delete_when: gone}}",
			"{key: [id], columns: {id: int8 not null, x: int8 not null, gone: bool}}",
			`ALTER TABLE "public"."t" REPLICA IDENTITY FULL;`,
		},
		"WholeRowsForIgnoredChanges": {
			"{a: {table: public.t, columns: [id], ignore_changes: [x]}}",
			"{key: [id], columns: {id: int8 not null, x: int8 not null}}",
			`ALTER TABLE "public"."t" REPLICA IDENTITY FULL;`,
		},
		"OldInTheRepresentation": {
			"{a: {table: public.t, representation: {before: '${old.x}'}}}",
			"{key: [id], columns: {id: int8 not null, x: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity" ON "public"."t" ("id", "x"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity";`,
		},
		"AnAccountMayBeNull": {
			"{a: {table: public.t, account: x, columns: [id]}}", "{key: [id], columns: {id: int8 not null, x: int8}}",
			`ALTER TABLE "public"."t" REPLICA IDENTITY FULL;`,
		},
		"TheConfiguredKey": {
			"{a: {table: public.t, key: y, account: x, columns: [id]}}",
			"{key: [], unique: y, identity: [y], columns: {id: int8 not null, x: int8 not null, y: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity_2" ON "public"."t" ("y", "x"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity_2";`,
		},
		"BothKeys": {
			"{a: {table: public.t, key: y, columns: [id]}, b: {table: public.t, columns: [id]}}",
			"{key: [id], unique: y, columns: {id: int8 not null, x: int8 not null, y: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity" ON "public"."t" ("id", "y"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity";`,
		},
		"WhatTouchesToo": {
			"{a: {table: public.t, account: x, relations: {under: {table: public.t, foreign_key: y, many: true, touch: true, columns: [id]}}, representation: '${under}'}}",
			"{key: [id], columns: {id: int8 not null, x: int8 not null, y: int8 not null}}",
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "t_rowhook_identity" ON "public"."t" ("id", "x", "y"); ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "t_rowhook_identity";`,
		},
		"NothingWhereNothingIsLacking": {
			"{a: {table: public.t, account: x, columns: [id], where: y, ignore_changes: [y], events: {a.e: old.y}}}",
			"{identity: full, key: [id], columns: {id: int8, x: int8, y: bool}}", "",
		},
	} {
		d, problems := Parse(loadConfig(t, c.config))
		if err := problems.Err(); err != nil {
			t.Fatalf("%s: %v", promise, err)
		}
		tables, _ := loadTables(t, "public.t: "+c.table)
		m, problems := d.Compile(tables, "test")
		if err := problems.Err(); err != nil {
			t.Fatalf("%s: %v", promise, err)
		}
		var got []string
		if lacks := m.Lacks(); len(lacks) > 0 {
			sql, _ := lacks[0].Mend()
			for _, s := range sql {
				got = append(got, s.SQL)
			}
			for _, l := range lacks {
				if l.Event == "" || l.At.Line == 0 || l.Table.TableName != (cdc.TableName{Schema: "public", Name: "t"}) {
					t.Errorf("%s: %+v has no event or place", promise, l)
				}
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got %s", promise, text)
		}
	}
}
