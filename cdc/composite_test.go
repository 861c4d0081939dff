package cdc

import (
	"testing"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestCompositesFollowTheirTypes: a changed composite type does not change the table, but the next description of the table
// tells it.
func TestCompositesFollowTheirTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	f.exec(`create type address as (street text, city text)`)
	f.exec(`alter table t add column home address`)
	var c collector
	f.run(&c)
	f.exec(`insert into t values (1, 'x', '(Elm,Hamburg)')`)
	fields := func(n int) (names string) {
		for _, field := range c.wait(t, n)[n-1].Relation.Columns[2].Type.Fields {
			names += field.Name + " "
		}
		return names
	}
	if got := fields(1); got != "street city " {
		t.Fatalf("the attributes are %s", got)
	}
	f.exec(`alter type address rename attribute city to town`)
	f.exec(`alter type address add attribute zip int`)
	f.exec(`alter table t alter column a set not null`) // the table is described again
	f.exec(`alter table t alter column a drop not null`)
	f.exec(`insert into t values (2, 'x', '(Elm,Hamburg,20095)')`)
	if got := fields(2); got != "street town zip " {
		t.Errorf("the attributes are %s", got)
	}
}
