-- What is sent again, on request. Such a row has its place among those of its key like any other; attempts goes on from those
-- that were made before, and the schedule from attempts_before.
ALTER TABLE due
    ADD COLUMN replay          boolean  NOT NULL DEFAULT false,
    ADD COLUMN attempts_before smallint NOT NULL DEFAULT 0;

-- How deliveries ended that were sent again. What became of them the first time stays in outcome. status is that of outcome, dropped
-- the reason of one that was dropped.
CREATE TABLE resent (
    subscription bigint      NOT NULL,
    position     bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL,
    duration_us  integer     NOT NULL,
    http_status  smallint    NOT NULL,
    attempts     smallint    NOT NULL,
    status       smallint    NOT NULL,
    dropped      smallint    NOT NULL
) PARTITION BY RANGE (committed_at);
CREATE INDEX resent_delivery ON resent (subscription, position);

-- What is done on request and takes longer than a request: by the process that reads the slot. progress is where it goes on, in
-- the words of its kind. One that has ended stays for the retention.
CREATE TABLE job (
    key          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text        NOT NULL UNIQUE,
    kind         text        NOT NULL,
    subscription bigint      NOT NULL,
    parameters   jsonb       NOT NULL,
    state        text        NOT NULL DEFAULT 'queued',
    total        bigint,
    done         bigint      NOT NULL DEFAULT 0,
    progress     jsonb,
    error        text        NOT NULL DEFAULT '',
    requested_by text        NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz
);
CREATE INDEX job_open ON job (key) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX job_once ON job (subscription, kind) WHERE finished_at IS NULL AND kind IN ('replay', 'backfill');
CREATE INDEX job_subscription ON job (subscription, key);
