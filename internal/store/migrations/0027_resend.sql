-- Since when what failed for good is to be sent again, before anything else is sent: null where nothing is. It is set with the change
-- that enables a subscription, and cleared when all of it is due.
ALTER TABLE subscription ADD COLUMN IF NOT EXISTS resend_since timestamptz;
CREATE INDEX IF NOT EXISTS subscription_resend ON subscription (key) WHERE resend_since IS NOT NULL;
