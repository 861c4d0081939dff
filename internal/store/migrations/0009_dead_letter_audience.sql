-- Whom a dead letter's event is for: all, or, of a row that moved between accounts, one of these or the admin. context is
-- what the application said of the transaction.
SET LOCAL statement_timeout = 0;
ALTER TABLE dead_letter
    ADD COLUMN IF NOT EXISTS audience text  NOT NULL DEFAULT 'all',
    ADD COLUMN IF NOT EXISTS account  text  NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS context  bytea;
