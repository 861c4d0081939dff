-- Leases whose end is to be noted. It is looked for every two seconds: those that have been noted, which stay for the retention,
-- must not be read each time.
CREATE INDEX subscription_lease_ends ON subscription (expires_at)
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL AND state NOT IN ('expired', 'disabled');
