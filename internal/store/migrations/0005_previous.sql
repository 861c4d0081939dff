-- What travels with an event beside its data: what an update has changed, as it was before, and what the application said
-- of the transaction. Both as they are sent; null where there is nothing.
ALTER TABLE event
    ADD COLUMN previous bytea,
    ADD COLUMN context  bytea;
