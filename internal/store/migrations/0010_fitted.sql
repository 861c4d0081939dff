-- What the tables were when the mapping fitted them last: whoever starts when one was changed since knows a change of the
-- table from a mistake in the config.
CREATE TABLE fitted (
    slot       text  NOT NULL,
    name       text  NOT NULL,
    definition jsonb NOT NULL,
    PRIMARY KEY (slot, name)
);
