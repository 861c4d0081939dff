-- Whom a stored event is for, where that is not everybody who may see its account: of a row that moved between accounts, one of
-- these ('account') or the admin ('admin'). Null is everybody.
SET LOCAL statement_timeout = 0;
ALTER TABLE event ADD COLUMN audience text;

-- The highest position of which something has been dropped: who has read up to an earlier one may have missed it.
ALTER TABLE store ADD COLUMN dropped bytea;

-- What waits for a subscription, in the order of the commits, as its feed shows it.
CREATE INDEX due_position ON due (subscription, position);
