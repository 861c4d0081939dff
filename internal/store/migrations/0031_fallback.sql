-- Where what fails for good goes, written and sealed as target_url is.
ALTER TABLE subscription ADD COLUMN fallback_url text;

-- Since when, and why, a delivery goes there: null while it goes to the target.
ALTER TABLE due ADD COLUMN fallback jsonb;

-- Whether an attempt was made there; null for one at the target.
ALTER TABLE attempt ADD COLUMN fallback boolean;

-- Whether the attempt by which a delivery ended was made there. In outcome it is the highest bit of the status byte.
ALTER TABLE resent ADD COLUMN fallback boolean;

CREATE OR REPLACE VIEW delivery AS
    SELECT o.subscription, substr(o.packed, n + 1, 20) AS position, o.committed_at, o.finished_at,
        (get_byte(o.packed, n + 20) << 24) + (get_byte(o.packed, n + 21) << 16) + (get_byte(o.packed, n + 22) << 8)
            + get_byte(o.packed, n + 23) AS duration_us,
        get_byte(o.packed, n + 28) & 15 AS status,
        (get_byte(o.packed, n + 26) << 8) + get_byte(o.packed, n + 27) AS attempts,
        (get_byte(o.packed, n + 24) << 8) + get_byte(o.packed, n + 25) AS http_status,
        CASE get_byte(o.packed, n + 28) >> 4 & 7 WHEN 1 THEN 'shadow' WHEN 2 THEN 'feed' WHEN 3 THEN 'debounced' END AS dropped,
        get_byte(o.packed, n + 28) >> 7 = 1 AS fallback
    FROM outcome o CROSS JOIN LATERAL generate_series(0, octet_length(o.packed) - 29, 29) n;
