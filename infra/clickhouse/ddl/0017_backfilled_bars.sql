-- Candles of the broker for minutes in which the feed was down. A bar made from ticks and a backfilled one may
-- share (run_id, interval_s, token, close_at): `WHERE NOT backfilled` is what the flows saw.
ALTER TABLE bars
    ADD COLUMN IF NOT EXISTS backfilled Bool COMMENT 'fetched after a gap' AFTER tick_count
