-- +goose Up

-- Finished deliveries of a subscription that were written together: each is 29 bytes of packed. The view delivery
-- shows them one by one.
DROP TABLE delivery;
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

-- status: 1 delivered, 2 failed. committed_at is that of one of the deliveries that were written together.
CREATE VIEW delivery AS
    SELECT o.subscription, substr(o.packed, n + 1, 20) AS position, o.committed_at, o.finished_at,
        (get_byte(o.packed, n + 20) << 24) + (get_byte(o.packed, n + 21) << 16) + (get_byte(o.packed, n + 22) << 8)
            + get_byte(o.packed, n + 23) AS duration_us,
        get_byte(o.packed, n + 28) AS status,
        (get_byte(o.packed, n + 26) << 8) + get_byte(o.packed, n + 27) AS attempts,
        (get_byte(o.packed, n + 24) << 8) + get_byte(o.packed, n + 25) AS http_status
    FROM outcome o CROSS JOIN LATERAL generate_series(0, octet_length(o.packed) - 29, 29) n;
