-- The oldest and the newest of the open dead letters, and their number, of an index alone: what they hold is wide, and there can be
-- millions of them.
SET LOCAL statement_timeout = 0;
CREATE INDEX IF NOT EXISTS dead_letter_age ON dead_letter (created_at, position) WHERE closed_at IS NULL;
