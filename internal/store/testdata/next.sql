-- What a later release may do to a store while this one works on it: columns that may be null or have a default, in all
-- tables, and indexes, tables and a version of its own.
DO $$
DECLARE t regclass;
BEGIN
    FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'rowhook' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'migration' ORDER BY c.relname
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN next_text text, ADD COLUMN next_number int NOT NULL DEFAULT 7', t);
        EXECUTE format('CREATE INDEX ON %s (next_number)', t);
    END LOOP;
END $$;
CREATE TABLE rowhook.next_table (subscription bigint REFERENCES rowhook.subscription (key) ON DELETE CASCADE, said text);
INSERT INTO rowhook.migration (version_id, is_applied) SELECT max(version_id) + 1, true FROM rowhook.migration;
UPDATE rowhook.store SET release = '99.0.0';
