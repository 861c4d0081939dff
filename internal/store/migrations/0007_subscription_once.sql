-- The key with which a subscription was made, and a hash of the body: the same request again makes no second one.
-- target_host is the host of target_url, which may be sealed.
ALTER TABLE subscription ADD COLUMN once_key text, ADD COLUMN once_body bytea, ADD COLUMN target_host text;
SET LOCAL statement_timeout = 0;
-- Credentials may hold an @ themselves: the last one ends them. An address in brackets has none here.
UPDATE subscription SET target_host = lower(trim('[]' FROM
    substring(substring(target_url FROM '^[a-zA-Z]+://([^/?#]*)') FROM '^(?:.*@)?(\[[^\]]*\]|[^:]*)')))
WHERE target_url ~* '^https?://';
CREATE UNIQUE INDEX subscription_once ON subscription (coalesce(account, ''), once_key) WHERE once_key IS NOT NULL AND deleted_at IS NULL;
