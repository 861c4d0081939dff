-- Finished deliveries of a subscription that were written together: each is 29 bytes of packed. The view delivery
-- shows them one by one.
SET LOCAL statement_timeout = 0;
ALTER TABLE delivery RENAME TO delivery_before;
CREATE TABLE outcome (
    subscription bigint      NOT NULL,
    newest       bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    oldest       bytea       NOT NULL,
    finished_at  timestamptz NOT NULL,
    packed       bytea       NOT NULL,
    PRIMARY KEY (subscription, newest, committed_at)
) PARTITION BY RANGE (committed_at);
ALTER TABLE outcome ALTER COLUMN packed SET STORAGE PLAIN;

-- What is there is kept: what is recorded as sent is not sent again.
DO $$
DECLARE
    day record;
BEGIN
    FOR day IN SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'delivery_before'::regclass LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF outcome %s', replace(day.name, 'delivery_', 'outcome_'), day.bound);
    END LOOP;
END $$;
INSERT INTO outcome (subscription, newest, committed_at, oldest, finished_at, packed)
SELECT subscription, (array_agg(position ORDER BY position DESC))[1], max(committed_at), (array_agg(position ORDER BY position))[1],
    max(finished_at), string_agg(position || int4send(duration_us) || int2send(http_status) || int2send(attempts) || substr(int2send(status), 2),
        ''::bytea ORDER BY position)
FROM (
    SELECT *, date_trunc('day', committed_at, 'UTC') AS day,
        (row_number() OVER (PARTITION BY subscription, date_trunc('day', committed_at, 'UTC') ORDER BY position) - 1) / 60 AS part
    FROM delivery_before) d
GROUP BY subscription, day, part;
DROP TABLE delivery_before;

-- status: 1 delivered, 2 failed. committed_at is that of one of the deliveries that were written together.
CREATE VIEW delivery AS
    SELECT o.subscription, substr(o.packed, n + 1, 20) AS position, o.committed_at, o.finished_at,
        (get_byte(o.packed, n + 20) << 24) + (get_byte(o.packed, n + 21) << 16) + (get_byte(o.packed, n + 22) << 8)
            + get_byte(o.packed, n + 23) AS duration_us,
        get_byte(o.packed, n + 28) AS status,
        (get_byte(o.packed, n + 26) << 8) + get_byte(o.packed, n + 27) AS attempts,
        (get_byte(o.packed, n + 24) << 8) + get_byte(o.packed, n + 25) AS http_status
    FROM outcome o CROSS JOIN LATERAL generate_series(0, octet_length(o.packed) - 29, 29) n;
