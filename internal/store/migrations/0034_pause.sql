-- That somebody has said that nothing is to be sent: there is at most one row, for all who share the store.
CREATE TABLE pause (
    one     boolean     NOT NULL DEFAULT true PRIMARY KEY CHECK (one),
    since   timestamptz NOT NULL DEFAULT now(),
    reason  text        NOT NULL,
    -- The name of the token by which it was said.
    said_by text        NOT NULL
);

-- The oldest schema that a rowhook must know to work with this one: a migration that only adds leaves it as it is, one that takes
-- something away raises it.
ALTER TABLE store ADD COLUMN usable_from int NOT NULL DEFAULT 34;
