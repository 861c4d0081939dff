-- How the last attempt ended that a target did not take, null where that is not known.
ALTER TABLE failing
    ADD COLUMN IF NOT EXISTS last_at     timestamptz,
    ADD COLUMN IF NOT EXISTS last_status smallint,
    ADD COLUMN IF NOT EXISTS last_reason text;

-- Targets of which others were told that they take nothing, until it is told that they do again. since is when that began.
CREATE TABLE IF NOT EXISTS told (
    subscription bigint      PRIMARY KEY,
    since        timestamptz NOT NULL
);

-- What is to be told of a subscription: to others, or, when it is a gap, to itself. It is told at the place lsn of the log: null
-- until it has one. data is what its event says: null until that is made.
CREATE TABLE IF NOT EXISTS notice (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text        NOT NULL,
    subscription bigint      NOT NULL,
    since        timestamptz NOT NULL,
    told         jsonb       NOT NULL DEFAULT '{}',
    data         bytea,
    lsn          pg_lsn,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (subscription, kind, since)
);
CREATE INDEX IF NOT EXISTS notice_waiting ON notice (id) WHERE lsn IS NULL;
CREATE INDEX IF NOT EXISTS notice_lsn ON notice (lsn) WHERE lsn IS NOT NULL;
