-- What was ever acknowledged is not beyond reach. What was committed up to settled_at is settled. tables are those that
-- were published when reading began; missed tells that some were not for a time, until somebody has accepted it.
ALTER TABLE checkpoint
    ADD COLUMN reach      pg_lsn,
    ADD COLUMN settled_at timestamptz,
    ADD COLUMN tables     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN missed     jsonb;
