-- What a subscription's filter failed on: {message, event_id, event_type, at, count}. It goes when the filter is changed.
ALTER TABLE subscription ADD COLUMN filter_error jsonb;
