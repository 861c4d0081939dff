-- Tokens that the admin has made. hash is SHA-256 of the token, which is kept nowhere. account is null for the admin.
CREATE TABLE token (
    key        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         text        NOT NULL UNIQUE,
    hash       bytea       NOT NULL UNIQUE,
    name       text        NOT NULL,
    account    text,
    read_only  boolean     NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
