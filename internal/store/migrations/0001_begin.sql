-- The store itself: one row. Its id tells apart stores that share a source.
CREATE TABLE store (
    id         uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    one        boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (one)
);
INSERT INTO store DEFAULT VALUES;

-- What is durably done, by slot. owner is the process that read the slot last.
CREATE TABLE checkpoint (
    slot         text        PRIMARY KEY,
    system_id    text        NOT NULL,
    database_oid oid         NOT NULL,
    timeline     integer     NOT NULL,
    environment  text        NOT NULL,
    epoch        bigint      NOT NULL,
    lsn          pg_lsn      NOT NULL,
    owner        text,
    updated_at   timestamptz NOT NULL DEFAULT now()
);

-- Who wants what. Rows of deleted subscriptions stay, emptied, so that announcements of them that come again are
-- understood. key is never used again.
CREATE TABLE subscription (
    key            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text        NOT NULL UNIQUE,
    version        bigint      NOT NULL DEFAULT 1,
    account        text,
    events         text[]      NOT NULL,
    target_url     text,
    resource_id    text,
    filter         text,
    ignore_sources text[],
    secrets        jsonb       NOT NULL,
    request        jsonb,
    delivery       jsonb       NOT NULL,
    verification   text,
    expires_at     timestamptz,
    state          text        NOT NULL,
    disabled       jsonb,
    name           text        NOT NULL DEFAULT '',
    description    text        NOT NULL DEFAULT '',
    metadata       jsonb       NOT NULL,
    since          pg_lsn      NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz
);
CREATE INDEX subscription_account ON subscription (account, key) WHERE deleted_at IS NULL;

-- Events that matched, once each. position is epoch, commit LSN, ordinal and sub-position, 20 bytes that sort.
CREATE TABLE event (
    position     bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    id           text        NOT NULL,
    type         text        NOT NULL,
    resource     text        NOT NULL,
    instance     text        NOT NULL,
    account      text,
    data         bytea       NOT NULL,
    partial      text[],
    PRIMARY KEY (position, committed_at)
) PARTITION BY RANGE (committed_at);

-- Finished deliveries. status: 1 delivered, 2 failed.
CREATE TABLE delivery (
    subscription bigint      NOT NULL,
    position     bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL,
    duration_us  integer     NOT NULL,
    status       smallint    NOT NULL,
    attempts     smallint    NOT NULL,
    http_status  smallint    NOT NULL,
    PRIMARY KEY (subscription, position, committed_at)
) PARTITION BY RANGE (committed_at);

-- Attempts that failed.
CREATE TABLE attempt (
    subscription bigint      NOT NULL,
    position     bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    number       smallint    NOT NULL,
    started_at   timestamptz NOT NULL,
    duration_us  integer     NOT NULL,
    http_status  smallint    NOT NULL,
    reason       text        NOT NULL,
    detail       text        NOT NULL,
    answer       bytea,
    PRIMARY KEY (subscription, position, number, committed_at)
) PARTITION BY RANGE (committed_at);

-- Deliveries that are due at some time. Of an ordering key (subscription, key) only the oldest has a time; the others
-- wait for it, at infinity.
CREATE TABLE due (
    subscription bigint      NOT NULL,
    key          bigint      NOT NULL,
    position     bytea       NOT NULL,
    committed_at timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    attempts     smallint    NOT NULL,
    retry_reason text        NOT NULL DEFAULT '',
    PRIMARY KEY (subscription, key, position)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX due_at ON due (subscription, due_at) WHERE due_at < 'infinity';
CREATE INDEX due_committed ON due (committed_at);

-- Changes that could not be made into events, with their reason.
CREATE TABLE dead_letter (
    position     bytea       NOT NULL,
    resource     text        NOT NULL,
    committed_at timestamptz NOT NULL,
    op           text        NOT NULL,
    instance     text        NOT NULL,
    reason       text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (position, resource)
);
