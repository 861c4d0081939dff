-- Since when the target of a subscription has taken nothing: no row for those that do, or are not sent to.
CREATE TABLE failing (
    subscription bigint      PRIMARY KEY,
    since        timestamptz NOT NULL
);
