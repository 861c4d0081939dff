-- What subscriptions matched before they were changed, for who reads the log again from before the change: until is the
-- commit in which it was changed.
CREATE TABLE superseded (
    subscription bigint NOT NULL,
    version      bigint NOT NULL,
    until        pg_lsn NOT NULL,
    announcement jsonb  NOT NULL,
    PRIMARY KEY (subscription, version)
);
