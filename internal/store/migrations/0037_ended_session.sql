-- The sessions of the console that somebody has logged out of, for as long as a copy of their cookie could still be good.
CREATE TABLE ended_session (
    id      bytea       NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    ends_at timestamptz NOT NULL
);
