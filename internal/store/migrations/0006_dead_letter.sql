-- What is needed to send a dead letter's event after all. key are the names of the columns that instance holds, known is
-- what the log told of a row that is gone, undecided says that it is not known whether there was to be an event. A replay
-- is asked for by requested_at.
SET LOCAL statement_timeout = 0;
ALTER TABLE dead_letter
    ADD COLUMN IF NOT EXISTS event_id      text     NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS type          text     NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS key           text[],
    ADD COLUMN IF NOT EXISTS known         jsonb,
    ADD COLUMN IF NOT EXISTS undecided     boolean  NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS tries         integer  NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS requested_at  timestamptz,
    ADD COLUMN IF NOT EXISTS closed_at     timestamptz,
    ADD COLUMN IF NOT EXISTS closed_reason text,
    ADD COLUMN IF NOT EXISTS closed_by     text;
CREATE INDEX IF NOT EXISTS dead_letter_open ON dead_letter (resource, position) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS dead_letter_requested ON dead_letter (position) WHERE requested_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS dead_letter_closed ON dead_letter (closed_at) WHERE closed_at IS NOT NULL;
