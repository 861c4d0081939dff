-- What the parts of an attempt took, in microseconds. Of a failed one: null where there was none, as on a connection that was
-- kept; first_byte_us is from the beginning to the first byte of the answer. Of a delivered one: entries of 17 bytes in timings, one for each that
-- was made on a new connection, or whose answer did not come in one piece: its index in packed, then DNS, connect, TLS and first byte.
ALTER TABLE attempt
    ADD COLUMN dns_us        integer,
    ADD COLUMN connect_us    integer,
    ADD COLUMN tls_us        integer,
    ADD COLUMN first_byte_us integer;
ALTER TABLE outcome ADD COLUMN timings bytea;
