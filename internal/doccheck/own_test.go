package doccheck

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestOwnApplication follows the README with an application that rowhook knows nothing of, from a role to compare at zero,
// with the edits that it asks for.
func TestOwnApplication(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin, err := pgx.Connect(t.Context(), s.server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), `create database crm`); err != nil {
		t.Fatal(err)
	}
	_ = admin.Close(t.Context())
	conn := s.connect()
	if _, err := conn.Exec(t.Context(), `
		create table invoices (id bigint primary key generated always as identity, tenant int not null, number text not null,
			total numeric(12, 2) not null, paid boolean not null default false, issued_at timestamptz not null default now());
		create table invoice_lines (id bigint primary key generated always as identity, invoice_id bigint not null references invoices,
			sku text, price numeric(10, 2) not null);
		insert into invoices (tenant, number, total) select i % 3, 'INV-' || i, i * 3.5 from generate_series(1, 30) i;
		insert into invoice_lines (invoice_id, sku, price) select 1 + i % 30, 'SKU-' || i, i * 0.25 from generate_series(1, 60) i`); err != nil {
		t.Fatal(err)
	}
	application := httptest.NewServer(invoicing(t, s.server.URL("crm")))
	defer application.Close()

	s.vars = filepath.Join(t.TempDir(), "vars")
	config := filepath.Join(s.dir, "config.yaml")
	edit := func(by func(text string) string) {
		t.Helper()
		text, err := os.ReadFile(config)
		if err == nil {
			err = os.WriteFile(config, []byte(by(string(text))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	statements := 0
	var running *process
	for _, b := range blocks(t, "README.md") {
		switch {
		case b.under != "Your own application, in ten minutes":
		case strings.HasPrefix(b.last(), "./rowhook run"):
			running = s.start(b)
			running.prints(`msg=ready .*console=http://` + regexp.QuoteMeta(s.api) + `/console/`)
		case strings.HasPrefix(b.last(), "./rowhook listen"):
			s.env = append(s.env, "ROWHOOK_URL=http://"+s.api+"/api/v1")
			p := s.start(b)
			p.prints(`following sub_`)
			if _, err := conn.Exec(t.Context(), `update invoices set paid = true where id = 1`); err != nil {
				t.Fatal(err)
			}
			p.prints(`invoice.update`)
			p.stop()
		case strings.HasPrefix(b.last(), "./rowhook compare"):
			edit(func(text string) string {
				text = regexp.MustCompile(`(?m)^( *)#(path: )`).ReplaceAllString(text, `$1$2`)
				text = regexp.MustCompile(`(?m)^#(app:|  url: |  headers: )`).ReplaceAllString(text, `$1`)
				return strings.Replace(strings.ReplaceAll(text, "http://127.0.0.1:3000", application.URL), "listen: 127.0.0.1:8477", "listen: "+s.api, 1)
			})
			out, told, err := s.try(b)
			if err == nil {
				t.Errorf("%s: it finds no difference to an API that writes numbers and times in its own way:\n%s", b, out)
			}
			settings := map[string]bool{}
			for _, m := range regexp.MustCompile(`hint: json: \{(.*)\}`).FindAllStringSubmatch(out, -1) {
				settings[m[1]] = true
			}
			if len(settings) != 2 {
				t.Fatalf("%s: it tells of %d settings, there should be 2:\n%s%s", b, len(settings), out, told)
			}
			edit(func(text string) string {
				text += "\njson:\n"
				for setting := range settings {
					text += "  " + setting + "\n"
				}
				return text
			})
			if out := s.run(b); strings.Count(out, " 0 differences") != 2 {
				t.Errorf("%s: there are differences left:\n%s", b, out)
			}
		default:
			statements += strings.Count(b.text, `psql "$ADMIN_URL" -c`)
			s.run(b)
			// Another address than the one that every test on this machine would take.
			edit(func(text string) string { return strings.Replace(text, "\napi:\n", "\napi:\n  listen: "+s.api+"\n", 1) })
		}
	}
	running.stop()
	if statements < 1 || statements > 3 {
		t.Errorf("%d SQL statements are written by hand, there should be at most 3", statements)
	}
	var may bool
	if err := conn.QueryRow(t.Context(), `select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or
		has_table_privilege('rowhook', 'invoices', 'insert, update, delete, truncate') or has_database_privilege('rowhook', 'crm', 'create')
		from pg_roles where rolname = 'rowhook'`).Scan(&may); err != nil || may {
		t.Errorf("the role has more than it needs: %v", err)
	}
}

// invoicing is an application that answers a row of its tables, with numbers as numbers and times in milliseconds.
func invoicing(t *testing.T, url string) http.Handler {
	mux := http.NewServeMux()
	for path, sql := range map[string]string{
		"GET /invoices/{id}": `select json_build_object('id', id, 'tenant', tenant, 'number', number, 'total', total, 'paid', paid,
			'issued_at', to_char(issued_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) from invoices where id = $1::text::bigint`,
		"GET /invoice-lines/{id}": `select json_build_object('id', id, 'invoice_id', invoice_id, 'sku', sku, 'price', price)
			from invoice_lines where id = $1::text::bigint`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer the-token-of-a-user-of-your-api" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			conn, err := pgx.Connect(r.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close(r.Context()) }()
			var body json.RawMessage
			if err := conn.QueryRow(r.Context(), sql, r.PathValue("id")).Scan(&body); err != nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	return mux
}
