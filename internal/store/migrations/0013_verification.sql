ALTER TABLE subscription ADD COLUMN notify_end boolean NOT NULL DEFAULT false;

-- How far the verification of a subscription's target has come. value is what the target has to answer, which may be
-- sealed; it is gone when it has. hash finds the row by the value: who asks with a wrong one finds nothing, whatever
-- subscription is asked for. due_at is when to act next, and expires_at until when the target has time: it differs from
-- one verification of a subscription to the next.
CREATE TABLE verification (
    subscription bigint      PRIMARY KEY,
    value        text,
    hash         bytea       NOT NULL UNIQUE,
    attempts     integer     NOT NULL DEFAULT 0,
    attempted_at timestamptz,
    error        text        NOT NULL DEFAULT '',
    due_at       timestamptz,
    expires_at   timestamptz,
    confirmed_at timestamptz
);
CREATE INDEX verification_due ON verification (due_at) WHERE due_at IS NOT NULL;

-- Targets that are to be told that their subscription is over. What is needed for it is kept here: the subscription's own
-- row may be empty by now. target_url, secrets and request are as they were there, sealed for the subscription with the id.
CREATE TABLE ending (
    key        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text        NOT NULL,
    account    text,
    target_url text        NOT NULL,
    secrets    jsonb       NOT NULL,
    request    jsonb,
    delivery   jsonb       NOT NULL,
    attempts   integer     NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ending_due ON ending (due_at);
