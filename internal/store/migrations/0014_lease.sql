-- What a disabled or expired subscription goes back to; NULL is active.
ALTER TABLE subscription ADD COLUMN state_before text;
-- A request that renews a lease finds it by what of it is not sealed.
CREATE INDEX subscription_lease ON subscription (coalesce(account, ''), coalesce(target_host, '')) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX subscription_expires ON subscription (expires_at) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- status: 1 delivered, 2 failed, 3 dropped: never sent, for the reason. The byte has the status in its lower half, the reason in
-- the upper one.
CREATE OR REPLACE VIEW delivery AS
    SELECT o.subscription, substr(o.packed, n + 1, 20) AS position, o.committed_at, o.finished_at,
        (get_byte(o.packed, n + 20) << 24) + (get_byte(o.packed, n + 21) << 16) + (get_byte(o.packed, n + 22) << 8)
            + get_byte(o.packed, n + 23) AS duration_us,
        get_byte(o.packed, n + 28) & 15 AS status,
        (get_byte(o.packed, n + 26) << 8) + get_byte(o.packed, n + 27) AS attempts,
        (get_byte(o.packed, n + 24) << 8) + get_byte(o.packed, n + 25) AS http_status,
        CASE get_byte(o.packed, n + 28) >> 4 WHEN 1 THEN 'shadow' WHEN 2 THEN 'feed' END AS dropped
    FROM outcome o CROSS JOIN LATERAL generate_series(0, octet_length(o.packed) - 29, 29) n;
