-- Names that YAML, the expressions or SQL take for something else, and all kinds of tables.
CREATE SCHEMA "My Schema";
CREATE SCHEMA billing;
CREATE TYPE "Mood of: day" AS ENUM ('on', 'it''s "fine"', 'deleted', '# no', E'two\nlines');
CREATE DOMAIN positive AS numeric(12,2) CHECK (VALUE > 0);
CREATE DOMAIN more_positive AS positive;
CREATE TYPE place AS (lat float8, lon float8);

CREATE TABLE "on" ("yes" int PRIMARY KEY, "null" text, "true" text, "on" text, "y" text, "~" text, "<<" text, "1e3" text, "0x1" text, "2026-01-01" date);
CREATE TABLE "null" (id int PRIMARY KEY);
CREATE TABLE words ("in" int PRIMARY KEY, "not" text, "and" text, "or" text, "old" text, "api" text, "let" text, "if" text, "matches" text, "nil" text,
    "len" int, "count" int, "map" text, "filter" text, "now" text, "date" date, "type" text, "first" text, "get" text, "env" text, "string" text, "$env" text);
CREATE TABLE "Quoted ""Table"" 😀" ("Id" int PRIMARY KEY, "First Name" text, "it's" text, "a ""b""" text, "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀" text, "a: b" text, "a #b" text,
    "- x" text, "[a]" text, "{a}" text, "a}b" text, "${a}" text, "&a" text, "*a" text, "!a" text, "%a" text, "@a" text, "`a`" text, "a\b" text, U&"tab\0009here" text, U&"line\000Abreak" text,
    "ünïcödé" text, " leading" text, "a,b" text);
COMMENT ON TABLE "Quoted ""Table"" 😀" IS E'Two lines:\n  #not: a proposal\n\u0001 and a control character, and a line that is so long that it has to be broken somewhere, since nobody wants to scroll to the right to read what a table is for.';
COMMENT ON COLUMN "Quoted ""Table"" 😀"."Id" IS E'with # and: \n#a second line';
CREATE TABLE a234567890123456789012345678901234567890123456789012345678901 (
    id int PRIMARY KEY, c23456789012345678901234567890123456789012345678901234567890123 text);
CREATE TABLE a234567890123456789012345678901234567890123456789012345678902s (id int PRIMARY KEY);
CREATE TABLE line_items (order_id int, "Line No" int, sku text, PRIMARY KEY (order_id, "Line No"));
CREATE TABLE line_notes (id int PRIMARY KEY, order_id int, line int, note text, FOREIGN KEY (order_id, line) REFERENCES line_items);
CREATE TABLE skus (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE prices (id int PRIMARY KEY, sku_code text REFERENCES skus (code), sku text, amount more_positive, moods "Mood of: day"[], status "Mood of: day", at place,
    doubled numeric GENERATED ALWAYS AS (1.0 * 2) STORED, during tstzrange, raw bytea, doc json, deleted_at int);
CREATE TABLE employees (id int PRIMARY KEY, boss_id int REFERENCES employees, "bossId" int REFERENCES employees, boss text, "old_id" int REFERENCES employees, tenant_id uuid);
CREATE TABLE no_key (a int, b text);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY);
CREATE TABLE nothing (id int PRIMARY KEY);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE api_tokens (token text PRIMARY KEY);
CREATE TABLE only_secrets (id int PRIMARY KEY, password text, api_key text);
CREATE TABLE events (id int, day date, tenant_id uuid, deleted_at timestamptz, updated_at timestamptz, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE event_notes (id int PRIMARY KEY, event_id int, day date, FOREIGN KEY (event_id, day) REFERENCES events);
CREATE VIEW event_view AS SELECT * FROM events;
CREATE MATERIALIZED VIEW event_copy AS SELECT * FROM events;
CREATE TABLE "My Schema"."on" (id int PRIMARY KEY, "Deleted" boolean, "tenantId" uuid);
CREATE TABLE billing.invoices (id int PRIMARY KEY, tenant_id uuid, total numeric, "is_deleted" boolean, "updatedAt" timestamptz);
ALTER TABLE billing.invoices REPLICA IDENTITY FULL;
CREATE TABLE public.invoices (id int PRIMARY KEY, tenant_id uuid, state text);
CREATE TABLE rowhook (id int PRIMARY KEY);
CREATE TABLE "2024_orders" (id int PRIMARY KEY);
CREATE TABLE everything_generated (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
