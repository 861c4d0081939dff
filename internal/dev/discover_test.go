package dev

import (
	"slices"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/discover"
)

func tableOf(schema, name string, columns ...string) discover.Table {
	t := discover.Table{TableName: cdc.TableName{Schema: schema, Name: name}, Key: []string{"id"}, KeyInIdentity: true, Owned: true}
	for _, c := range append([]string{"id"}, columns...) {
		t.Columns = append(t.Columns, discover.Column{Name: c})
	}
	return t
}

func TestDecide(t *testing.T) {
	t.Parallel()
	names := func(p plan) (all []string) {
		for _, r := range p.resources {
			all = append(all, r.table.String()+" "+r.name)
		}
		slices.Sort(all)
		return all
	}
	for promise, c := range map[string]struct {
		tables []discover.Table
		only   []string
		want   []string
	}{
		"NamedByTheSingular": {
			tables: []discover.Table{tableOf("public", "contacts"), tableOf("crm", "people"), tableOf("public", "OrderItem")},
			want:   []string{"crm.people person", "public.OrderItem order_item", "public.contacts contact"},
		},
		"SameSingularKeepsTheSchema": {
			tables: []discover.Table{tableOf("public", "contacts"), tableOf("crm", "contacts"), tableOf("public", "deals")},
			want:   []string{"crm.contacts crm_contact", "public.contacts public_contact", "public.deals deal"},
		},
		"SameSingularInOneSchemaKeepsTheTable": {
			tables: []discover.Table{tableOf("public", "person"), tableOf("public", "people")},
			want:   []string{"public.people public_people", "public.person public_person"},
		},
		"SameInEveryWayIsNumbered": {
			tables: []discover.Table{tableOf("public", "a b"), tableOf("public", "a-b")},
			want:   []string{"public.a b public_a_b", "public.a-b public_a_b_2"},
		},
		"OddNamesBecomeLegal": {
			tables: []discover.Table{tableOf("public", "2024_orders"), tableOf("public", "_hidden"), tableOf("public", "rowhook"), tableOf("public", "Ängste")},
			want:   []string{"public.2024_orders t_2024_order", "public._hidden hidden", "public.rowhook t_rowhook", "public.Ängste ngste"},
		},
		"FrameworksAreLeftOut": {
			tables: []discover.Table{tableOf("public", "schema_migrations"), tableOf("public", "contacts")},
			want:   []string{"public.contacts contact"},
		},
		"NamedFrameworksAreNot": {
			tables: []discover.Table{tableOf("public", "schema_migrations"), tableOf("public", "contacts")},
			only:   []string{"schema_migrations"},
			want:   []string{"public.schema_migrations schema_migration"},
		},
		"NamedWithOrWithoutSchema": {
			tables: []discover.Table{tableOf("public", "contacts"), tableOf("crm", "deals"), tableOf("crm", "users")},
			only:   []string{"contacts", "crm.deals", "public.contacts"},
			want:   []string{"crm.deals deal", "public.contacts contact"},
		},
	} {
		t.Run(promise, func(t *testing.T) {
			t.Parallel()
			p, err := decide(c.tables, c.only)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(p); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecideLeavesOutSecrets(t *testing.T) {
	t.Parallel()
	keyed := tableOf("public", "invitations", "token", "email")
	keyed.Key = []string{"token"}
	p, err := decide([]discover.Table{tableOf("public", "users", "email", "password_digest"), keyed}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.resources) != 1 || !slices.Equal(p.resources[0].columns, []string{"id", "email"}) {
		t.Errorf("got %+v, want users alone, with id and email", p.resources)
	}
	if !slices.Equal(p.secrets, []string{"users.password_digest"}) {
		t.Errorf("secrets named: %q", p.secrets)
	}
	if len(p.unfit) != 1 || p.unfit[0].tables[0] != "invitations" {
		t.Errorf("got %+v, want invitations named", p.unfit)
	}
}

func TestUnknownTablesAreAllTold(t *testing.T) {
	t.Parallel()
	_, err := decide([]discover.Table{tableOf("public", "contacts")}, []string{"contcats", "x"})
	if err == nil || !strings.Contains(err.Error(), `did you mean "contacts"?`) || !strings.Contains(err.Error(), `there is no table "x"`) {
		t.Errorf("got %v", err)
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"127.0.0.1:0", "[::1]:8477", "localhost:1", "127.1.2.3:4"} {
		if err := CheckListen(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"0.0.0.0:1", ":8477", "10.0.0.1:1", "example.com:1", "8477", "", "[::]:1"} {
		if CheckListen(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
