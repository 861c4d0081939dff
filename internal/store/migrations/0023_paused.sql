-- Until when targets have asked to be left alone (Retry-After), and the version of the subscription that they asked it of: a
-- change ends it. A row that is over stays until it is expired.
CREATE TABLE paused (
    subscription bigint      PRIMARY KEY,
    version      bigint      NOT NULL,
    until        timestamptz NOT NULL
);
